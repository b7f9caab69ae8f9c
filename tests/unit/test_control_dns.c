/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The resolver's cache against a c-ares in this file, which takes the place of the library's
 * functions at link time: it answers when told, with what it is told.
 */
#include "unit.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>

#include "../../src/control/control_dns_priv.h"

/* ---- the fake ---------------------------------------------------------------------------------
 */

struct query {
	char name[HOST_MAX];
	ares_addrinfo_callback callback;
	void *context;
	bool is_open;
};

static struct query queries[2048];
static uint32_t query_count;
static int channel; /* only its address counts */

int ares_library_init(int flags)
{
	(void)flags;
	return ARES_SUCCESS;
}

void ares_library_cleanup(void)
{
}

int ares_init_options(ares_channel *ret_channel, struct ares_options *options, int mask)
{
	assert_true((mask & ARES_OPT_SOCK_STATE_CB) != 0);
	assert_string_equal(options->lookups, "fb"); /* the hosts file counts, and goes first */
	*ret_channel = (ares_channel)(void *)&channel;
	return ARES_SUCCESS;
}

void ares_destroy(ares_channel gone)
{
	(void)gone;
	for (uint32_t i = 0; i < query_count; i++) {
		if (!queries[i].is_open)
			continue;
		queries[i].is_open = false;
		queries[i].callback(queries[i].context, ARES_EDESTRUCTION, 0, NULL);
	}
}

void ares_process_fd(ares_channel on, ares_socket_t reads, ares_socket_t writes)
{
	(void)on;
	(void)reads;
	(void)writes;
}

struct timeval *ares_timeout(ares_channel of, struct timeval *most, struct timeval *wait)
{
	(void)of;
	*wait = *most;
	return wait;
}

const char *ares_strerror(int code)
{
	(void)code;
	return "fake";
}

void ares_getaddrinfo(ares_channel on, const char *node, const char *service,
		      const struct ares_addrinfo_hints *hints, ares_addrinfo_callback callback,
		      void *context)
{
	(void)on;
	(void)service;
	assert_int_equal(hints->ai_family, AF_UNSPEC);
	assert_true(query_count < COUNT_OF(queries));
	struct query *query = &queries[query_count++];

	*query = (struct query){ .callback = callback, .context = context, .is_open = true };
	(void)snprintf(query->name, sizeof(query->name), "%s", node);
	if (strcmp(node, "at-once") == 0) { /* as a name of the hosts file may be */
		query->is_open = false;
		callback(context, ARES_ENOTFOUND, 0, NULL);
	}
}

void ares_freeaddrinfo(struct ares_addrinfo *info)
{
	struct ares_addrinfo_node *node = info->nodes;

	while (node != NULL) {
		struct ares_addrinfo_node *next = node->ai_next;

		free(node->ai_addr);
		free(node);
		node = next;
	}
	free(info);
}

/* A literal as a node in front of what there is. */
static void add_node(struct ares_addrinfo *info, const char *text, int ttl)
{
	struct ares_addrinfo_node *node = calloc(1, sizeof(*node));
	struct addr addr;

	assert_non_null(node);
	assert_true(addr_parse_ip(span_str(text), &addr));
	node->ai_ttl = ttl;
	node->ai_family = addr_is_v4(&addr) ? AF_INET : AF_INET6;
	if (node->ai_family == AF_INET) {
		struct sockaddr_in *name = calloc(1, sizeof(*name));

		assert_non_null(name);
		memcpy(&name->sin_addr, addr.ip + 12, 4);
		node->ai_addr = (struct sockaddr *)name;
	} else {
		struct sockaddr_in6 *name = calloc(1, sizeof(*name));

		assert_non_null(name);
		memcpy(&name->sin6_addr, addr.ip, 16);
		node->ai_addr = (struct sockaddr *)name;
	}
	node->ai_next = info->nodes;
	info->nodes = node;
}

/* Answers the oldest open query of a name. addrs: "a b c", or NULL for `status`. */
static void reply(const char *name, int status, const char *addrs, int ttl)
{
	uint32_t at = 0;

	while (at < query_count && !(queries[at].is_open && strcmp(queries[at].name, name) == 0))
		at++;
	assert_true(at < query_count);
	queries[at].is_open = false;
	if (addrs == NULL) {
		queries[at].callback(queries[at].context, status, 0, NULL);
		return;
	}
	struct ares_addrinfo *info = calloc(1, sizeof(*info));
	char copy[2048], *save = NULL;
	char *pieces[128];
	uint32_t count = 0;

	assert_non_null(info);
	(void)snprintf(copy, sizeof(copy), "%s", addrs);
	for (char *at_text = strtok_r(copy, " ", &save); at_text != NULL;
	     at_text = strtok_r(NULL, " ", &save))
		pieces[count++] = at_text;
	while (count-- > 0)
		add_node(info, pieces[count], ttl);
	queries[at].callback(queries[at].context, ARES_SUCCESS, 0, info);
}

/* ---- a control with nothing but a resolver ----------------------------------------------------
 */

static struct control *control;
static struct mail_office office;
static struct config *config;

static int setup(void **state)
{
	(void)state;
	query_count = 0;
	config = calloc(1, sizeof(*config));
	control = calloc(1, sizeof(*control));
	if (control == NULL || config == NULL || mail_office_init(&office, 2) < 0)
		return -1;
	control->config = control_publish_config(config, NULL);
	control->office = &office;
	control->workers = calloc(2, sizeof(*control->workers));
	control->phase = CONTROL_SERVING;
	for (uint32_t i = 0; i < 2; i++)
		control->workers[i].last = &control->workers[i].first;
	timer_wheel_init(&control->wheel, clock_now_ns());
	return control_dns_open(control);
}

static int teardown(void **state)
{
	(void)state;
	control_dns_close(control);
	assert_int_equal(control->dns.pending_count, 0);
	assert_int_equal(control->dns.waiter_count, 0);
	assert_int_equal(control->dns.name_count, 0);
	control_mail_fini(control);
	control_publish_config_put(control->config);
	mail_office_fini(&office);
	free(control->workers);
	free(control);
	return 0;
}

static void ask(uint16_t worker, uint64_t ticket, const char *host)
{
	struct mail_dns_ask mail = { .worker = worker, .ticket = ticket };

	(void)snprintf(mail.host, sizeof(mail.host), "%s", host);
	control_dns_ask(control, &mail);
}

static bool take(uint16_t worker, struct mail_dns_answer *ret_answer)
{
	struct mail mail;

	if (!mail_take(&office.workers[worker], &mail))
		return false;
	assert_int_equal(mail.kind, MAIL_DNS_ANSWER);
	*ret_answer = mail.dns_answer;
	return true;
}

static void assert_answer(uint16_t worker, uint64_t ticket, const char *addrs)
{
	struct mail_dns_answer answer;
	char text[1024] = "";

	assert_true(take(worker, &answer));
	assert_int_equal(answer.ticket, ticket);
	for (uint8_t i = 0; i < answer.addr_count; i++) {
		char one[ADDR_TEXT_MAX];
		size_t len = strlen(text);

		assert_int_equal(answer.addrs[i].port, 0);
		(void)snprintf(text + len, sizeof(text) - len, "%s%s", i == 0 ? "" : " ",
			       addr_format_ip(&answer.addrs[i], one));
	}
	assert_string_equal(text, addrs);
}

static struct control_dns_entry *entry_of(const char *host)
{
	for (uint32_t i = 0; i < CONTROL_DNS_BUCKETS; i++)
		for (struct control_dns_entry *at = control->dns.buckets[i]; at != NULL;
		     at = at->next)
			if (strcmp(at->host, host) == 0)
				return at;
	fail();
	return NULL;
}

/* As if its time were over. */
static void age(const char *host)
{
	entry_of(host)->fresh_until_ns = 0;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void test_literals(void **state)
{
	struct addr addr;
	bool is_final = false;

	(void)state;
	ask(0, 1, "10.1.2.3");
	assert_answer(0, 1, "10.1.2.3");
	ask(0, 2, "2001:db8::7");
	assert_answer(0, 2, "2001:db8::7");
	/* Whoever writes these means an address, and another one than we would read. */
	ask(1, 3, "127.1");
	assert_answer(1, 3, "");
	ask(1, 4, "2130706433");
	assert_answer(1, 4, "");
	ask(1, 5, "0x7f000001");
	assert_answer(1, 5, "");
	assert_int_equal(control_dns_resolve(control, "10.1.2.3", &addr, 1, &is_final), 1);
	assert_true(is_final);
	ask(0, 6, "");
	assert_answer(0, 6, "");
	ask(9, 7, "10.1.2.3"); /* no such worker */
	assert_int_equal(query_count, 0);
}

static void test_one_query_for_all(void **state)
{
	struct mail_dns_answer answer;

	(void)state;
	ask(0, 1, "b1.internal");
	ask(1, 2, "B1.Internal");
	ask(0, 3, "b1.internal");
	assert_int_equal(query_count, 1);
	assert_false(take(0, &answer));
	reply("b1.internal", ARES_SUCCESS, "10.0.0.1", 30);
	assert_answer(0, 3, "10.0.0.1");
	assert_answer(0, 1, "10.0.0.1");
	assert_answer(1, 2, "10.0.0.1");
	ask(1, 4, "b1.internal"); /* known now */
	assert_answer(1, 4, "10.0.0.1");
	assert_int_equal(query_count, 1);
}

static void test_ttl(void **state)
{
	static const struct {
		int ttl;
		uint64_t lives_s;
	} rows[] = { { 0, 5 }, { 4, 5 }, { 60, 60 }, { 300, 300 }, { 86400, 300 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char name[16];
		uint64_t before_ns = clock_now_ns();

		(void)snprintf(name, sizeof(name), "n%zu", i);
		ask(0, i, name);
		reply(name, ARES_SUCCESS, "10.0.0.1", rows[i].ttl);
		uint64_t lives_ns = entry_of(name)->fresh_until_ns - before_ns;

		assert_in_range(lives_ns, rows[i].lives_s * NS_PER_S,
				rows[i].lives_s * NS_PER_S + NS_PER_S);
		assert_answer(0, i, "10.0.0.1");
	}
}

static void test_negative(void **state)
{
	(void)state;
	ask(0, 1, "none");
	reply("none", ARES_ENOTFOUND, NULL, 0);
	assert_answer(0, 1, "");
	ask(0, 2, "none");
	assert_answer(0, 2, "");
	assert_int_equal(query_count, 1);
	assert_true(entry_of("none")->fresh_until_ns <= clock_now_ns() + CONTROL_DNS_NEGATIVE_NS);
	age("none");
	ask(0, 3, "none");
	assert_int_equal(query_count, 2);
	reply("none", ARES_SUCCESS, "10.0.0.9", 30);
	assert_answer(0, 3, "10.0.0.9");
	ask(0, 4, "at-once");
	assert_answer(0, 4, "");
}

static void test_stale_while_error(void **state)
{
	(void)state;
	ask(0, 1, "b1");
	reply("b1", ARES_SUCCESS, "10.0.0.1", 30);
	assert_answer(0, 1, "10.0.0.1");
	/* The server is down: for as long as that takes. */
	for (uint64_t ticket = 2; ticket < 6; ticket++) {
		age("b1");
		entry_of("b1")->good_ns = 1;
		ask(0, ticket, "b1");
		reply("b1", ARES_ETIMEOUT, NULL, 0);
		assert_answer(0, ticket, "10.0.0.1");
	}
	/* The name is denied: a minute's grace, since zones are reloaded. */
	age("b1");
	entry_of("b1")->good_ns = clock_now_ns();
	ask(0, 7, "b1");
	reply("b1", ARES_ENODATA, NULL, 0);
	assert_answer(0, 7, "10.0.0.1");
	age("b1");
	entry_of("b1")->good_ns = 1;
	ask(0, 8, "b1");
	reply("b1", ARES_ENOTFOUND, NULL, 0);
	assert_answer(0, 8, "");
}

static void test_order(void **state)
{
	(void)state;
	/* Families take turns, the first of the answer begins; within one the order is fixed. */
	ask(0, 1, "dual");
	reply("dual", ARES_SUCCESS, "2001:db8::2 2001:db8::1 10.0.0.3 10.0.0.1 10.0.0.2", 30);
	assert_answer(0, 1, "2001:db8::1 10.0.0.1 2001:db8::2 10.0.0.2 10.0.0.3");
	ask(0, 2, "six");
	reply("six", ARES_SUCCESS, "2001:db8::1 2001:db8::1", 30);
	assert_answer(0, 2, "2001:db8::1");

	/* Rotated: no news, and the order stays; one different: news. */
	entry_of("dual")->is_answered = true;
	age("dual");
	ask(0, 3, "dual");
	reply("dual", ARES_SUCCESS, "10.0.0.2 10.0.0.3 10.0.0.1 2001:db8::2 2001:db8::1", 30);
	assert_answer(0, 3, "2001:db8::1 10.0.0.1 2001:db8::2 10.0.0.2 10.0.0.3");
	age("dual");
	ask(0, 4, "dual");
	reply("dual", ARES_SUCCESS, "10.0.0.4", 30);
	assert_answer(0, 4, "10.0.0.4");
}

static void test_many_addresses(void **state)
{
	char all[2048] = "", rotated[2048] = "";

	(void)state;
	for (int i = 0; i < 64; i++) {
		size_t len = strlen(all);

		(void)snprintf(all + len, sizeof(all) - len, "10.0.0.%d ", i);
		len = strlen(rotated);
		(void)snprintf(rotated + len, sizeof(rotated) - len, "10.0.0.%d ", (i + 33) % 64);
	}
	ask(0, 1, "many");
	reply("many", ARES_SUCCESS, all, 30);
	assert_answer(0, 1,
		      "10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7");
	age("many");
	ask(0, 2, "many");
	reply("many", ARES_SUCCESS, rotated, 30);
	assert_answer(0, 2,
		      "10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7");
}

static void test_bounds(void **state)
{
	char name[32];
	struct mail_dns_answer answer;

	(void)state;
	for (uint32_t i = 0; i < CONTROL_DNS_PENDING_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		ask(0, i, name);
	}
	assert_int_equal(control->dns.pending_count, CONTROL_DNS_PENDING_MAX);
	assert_false(take(0, &answer));
	/* One more is answered at once. */
	ask(1, 7, "one-too-many");
	assert_answer(1, 7, "");
	assert_int_equal(query_count, CONTROL_DNS_PENDING_MAX);
	/* A name under way has room for more askers. */
	ask(1, 8, "n5");
	reply("n5", ARES_SUCCESS, "10.0.0.5", 30);
	assert_answer(1, 8, "10.0.0.5");
	ask(1, 9, "one-too-many");
	assert_int_equal(query_count, CONTROL_DNS_PENDING_MAX + 1);
}

static void test_cache_is_bounded(void **state)
{
	char name[32];
	struct addr addr;
	bool is_final;

	(void)state;
	for (uint32_t i = 0; i < CONTROL_DNS_NAMES_MAX + 500; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		query_count = 0;
		if (control_dns_resolve(control, name, &addr, 1, &is_final) == 0 && query_count > 0)
			reply(name, ARES_ENOTFOUND, NULL, 0);
		assert_true(control->dns.name_count <= CONTROL_DNS_NAMES_MAX);
	}
	/* All are recent, so the newcomers found no room; names nobody asks for make some. */
	for (uint32_t i = 0; i < CONTROL_DNS_BUCKETS; i++)
		for (struct control_dns_entry *at = control->dns.buckets[i]; at != NULL;
		     at = at->next)
			at->used_ns = 1;
	query_count = 0;
	ask(0, 1, "fresh");
	assert_int_equal(query_count, 1);
	assert_true(control->dns.name_count < 10);
}

static void test_resolve_for_snapshots(void **state)
{
	struct addr addrs[4];
	bool is_final = true;

	(void)state;
	assert_int_equal(control_dns_resolve(control, "b1", addrs, 4, &is_final), 0);
	assert_false(is_final);
	reply("b1", ARES_SUCCESS, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5", 30);
	assert_int_equal(control_dns_resolve(control, "b1", addrs, 4, &is_final), 4);
	assert_true(is_final);
	/* While it is asked again the old answer serves. */
	age("b1");
	assert_int_equal(control_dns_resolve(control, "b1", addrs, 4, &is_final), 4);
	assert_true(is_final);
	assert_int_equal(control->dns.pending_count, 1);
	reply("b1", ARES_ESERVFAIL, NULL, 0);
	assert_int_equal(control_dns_resolve(control, "b1", addrs, 4, &is_final), 4);
}

static void test_full_box(void **state)
{
	struct mail_dns_answer answer;
	uint32_t count = 0;

	(void)state;
	/* A worker that takes nothing: its answers wait here, then reach it. */
	for (uint32_t i = 0; i < 1500; i++)
		ask(0, i, "10.0.0.1");
	assert_true(control->outbox_count > 0);
	assert_true(timer_is_set(&control->outbox_timer));
	while (count < 1500) {
		while (take(0, &answer)) {
			assert_int_equal(answer.ticket, count);
			count++;
		}
		(void)timer_run(&control->wheel, clock_now_ns() + NS_PER_S, 10);
	}
	assert_int_equal(control->outbox_count, 0);
	/* A worker that never takes any costs a bounded number. */
	for (uint32_t i = 0; i < 3 * CONTROL_OUTBOX_MAX; i++)
		ask(1, i, "10.0.0.1");
	assert_int_equal(control->outbox_count, CONTROL_OUTBOX_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_literals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_query_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ttl, setup, teardown),
		cmocka_unit_test_setup_teardown(test_negative, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_while_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resolve_for_snapshots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_box, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
