/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_dns: the process's resolver: a cache of names in front of c-ares, asked by workers (by
 * mail) and by snapshots and ZooKeeper sessions (for what they show). A name is asked for once at a
 * time however many wait for it; a good answer lives by its TTL within 5..300 s, a bad one 5 s, and
 * while a name cannot be resolved its last good answer stays. The hosts file counts, as for any
 * program; it goes first.
 *
 * control_dns_query.c talks to c-ares; this file never does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_dns_priv.h"

static struct control_dns_entry **find(struct control *control, const char *host)
{
	uint64_t hash = span_hash(span_str(host), control->dns.seed);
	struct control_dns_entry **link = &control->dns.buckets[hash % CONTROL_DNS_BUCKETS];

	while (*link != NULL && strcmp((*link)->host, host) != 0)
		link = &(*link)->next;
	return link;
}

static void drop(struct control *control, struct control_dns_entry **link)
{
	struct control_dns_entry *entry = *link;

	CHECK(!entry->is_pending && entry->waiters == NULL);
	*link = entry->next;
	control->dns.name_count--;
	free(entry->host);
	free(entry);
}

/* Forgets what nobody has asked for since `idle_ns`. */
static void forget(struct control *control, uint64_t now_ns, uint64_t idle_ns)
{
	for (uint32_t i = 0; i < CONTROL_DNS_BUCKETS; i++) {
		struct control_dns_entry **link = &control->dns.buckets[i];

		while (*link != NULL) {
			const struct control_dns_entry *entry = *link;

			if (!entry->is_pending && entry->used_ns + idle_ns < now_ns)
				drop(control, link);
			else
				link = &(*link)->next;
		}
	}
}

static struct control_dns_entry *add(struct control *control, const char *host, uint64_t now_ns)
{
	struct control_dns_entry **link;
	struct control_dns_entry *entry;

	/* What snapshots show is asked for every few seconds, so this takes only the others. */
	if (control->dns.name_count >= CONTROL_DNS_NAMES_MAX)
		forget(control, now_ns, 3 * CONTROL_DNS_SWEEP_NS);
	if (control->dns.name_count >= CONTROL_DNS_NAMES_MAX)
		return NULL;
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	entry->host = strdup(host);
	if (entry->host == NULL) {
		free(entry);
		return NULL;
	}
	entry->control = control;
	link = find(control, host);
	*link = entry;
	control->dns.name_count++;
	return entry;
}

/* The entry of a name, asked again if its answer is old. NULL: no room, or not a name. */
static struct control_dns_entry *use(struct control *control, const char *host)
{
	uint64_t now_ns = clock_now_ns();
	char name[HOST_MAX];
	size_t len = strlen(host);

	if (len == 0 || len >= sizeof(name))
		return NULL;
	for (size_t i = 0; i <= len; i++)
		name[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] - 'A' + 'a' : host[i]);
	struct control_dns_entry *entry = *find(control, name);

	if (entry == NULL)
		entry = add(control, name, now_ns);
	if (entry == NULL)
		return NULL;
	entry->used_ns = now_ns;
	if (!entry->is_pending && entry->fresh_until_ns <= now_ns &&
	    control->dns.pending_count < CONTROL_DNS_PENDING_MAX && control->dns.is_open) {
		entry->is_pending = true;
		control->dns.pending_count++;
		control->dns.query_count++;
		control_dns_query_start(control, entry);
	}
	return entry;
}

static void answer(struct control *control, uint32_t worker, uint64_t ticket,
		   const struct control_dns_entry *entry)
{
	struct mail mail = { .kind = MAIL_DNS_ANSWER };

	mail.dns_answer.ticket = ticket;
	if (entry != NULL) {
		mail.dns_answer.addr_count = entry->addr_count;
		memcpy(mail.dns_answer.addrs, entry->addrs, sizeof(entry->addrs));
	}
	control_mail_post(control, worker, &mail);
}

/* Literals need no query. What only inet_aton takes for an address ("127.1") is nobody's name. */
static bool is_literal(const char *host, struct control_dns_entry *ret_entry)
{
	struct span text = span_str(host);

	*ret_entry = (struct control_dns_entry){ .addr_count = 0 };
	if (addr_parse_ip(text, &ret_entry->addrs[0])) {
		ret_entry->addr_count = 1;
		return true;
	}
	return addr_is_ip_like(text);
}

void control_dns_ask(struct control *control, const struct mail_dns_ask *ask)
{
	struct control_dns_entry literal;

	if (ask->worker >= control->office->worker_count)
		return;
	if (is_literal(ask->host, &literal)) {
		answer(control, ask->worker, ask->ticket, &literal);
		return;
	}
	struct control_dns_entry *entry = use(control, ask->host);
	struct control_dns_waiter *waiter = NULL;

	if (entry != NULL && entry->is_pending &&
	    control->dns.waiter_count < CONTROL_DNS_WAITERS_MAX)
		waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL) { /* known, or no room to wait: what there is */
		answer(control, ask->worker, ask->ticket, entry);
		return;
	}
	*waiter = (struct control_dns_waiter){
		.next = entry->waiters,
		.ticket = ask->ticket,
		.worker = ask->worker,
	};
	entry->waiters = waiter;
	control->dns.waiter_count++;
}

uint32_t control_dns_resolve(void *context, const char *host, struct addr *ret_addrs, uint32_t max,
			     bool *ret_is_final)
{
	struct control *control = context;
	struct control_dns_entry literal;
	struct control_dns_entry *entry = &literal;

	*ret_is_final = true;
	if (!is_literal(host, &literal)) {
		entry = use(control, host);
		if (entry == NULL)
			return 0;
		entry->is_shown = true;
		*ret_is_final = entry->is_answered || !entry->is_pending;
	}
	uint32_t count = entry->addr_count < max ? entry->addr_count : max;

	memcpy(ret_addrs, entry->addrs, count * sizeof(*ret_addrs));
	return count;
}

static bool is_same_set(const struct control_dns_entry *entry, const struct addr *addrs,
			uint8_t count)
{
	if (entry->addr_count != count)
		return false;
	for (uint8_t i = 0; i < count; i++) {
		bool is_found = false;

		for (uint8_t j = 0; j < count && !is_found; j++)
			is_found = addr_equal_ip(&entry->addrs[j], &addrs[i]);
		if (!is_found)
			return false;
	}
	return true;
}

static void set_addrs(struct control_dns_entry *entry, const struct addr *addrs, uint8_t count)
{
	memset(entry->addrs, 0, sizeof(entry->addrs));
	if (count > 0)
		memcpy(entry->addrs, addrs, count * sizeof(*addrs));
	entry->addr_count = count;
}

/* A name of the configuration or of a broker is worth a warning, once; what clients make up is not.
 */
static void complain(struct control_dns_entry *entry, const char *error)
{
	const char *comfort = entry->addr_count > 0 ? "; its last addresses stay" : "";

	if (entry->is_shown && !entry->is_warned)
		log_warn("dns_failed", "%s: %s%s", entry->host, error, comfort);
	else
		log_debug("dns_failed", "%s: %s%s", entry->host, error, comfort);
	entry->is_warned = entry->is_shown;
}

static bool apply(struct control *control, struct control_dns_entry *entry,
		  const struct control_dns_result *result, uint64_t now_ns)
{
	bool is_changed = !entry->is_answered;

	entry->is_answered = true;
	if (result->addr_count > 0) {
		uint64_t ttl_ns = result->ttl_s * NS_PER_S;

		ttl_ns = ttl_ns < CONTROL_DNS_TTL_MIN_NS ? CONTROL_DNS_TTL_MIN_NS : ttl_ns;
		ttl_ns = ttl_ns > CONTROL_DNS_TTL_MAX_NS ? CONTROL_DNS_TTL_MAX_NS : ttl_ns;
		entry->fresh_until_ns = now_ns + ttl_ns;
		entry->good_ns = now_ns;
		entry->is_warned = false;
		/* Servers rotate their answers: another order is no news. */
		if (!is_same_set(entry, result->addrs, result->addr_count)) {
			set_addrs(entry, result->addrs, result->addr_count);
			is_changed = true;
		}
		return is_changed;
	}
	control->dns.failure_count++;
	entry->fresh_until_ns = now_ns + CONTROL_DNS_NEGATIVE_NS;
	/* A server that is down says nothing about the name; one that denies it for a minute does.
	 */
	if (result->is_denied && entry->addr_count > 0 &&
	    entry->good_ns + CONTROL_DNS_GONE_NS < now_ns) {
		set_addrs(entry, NULL, 0);
		is_changed = true;
	}
	complain(entry, result->error);
	return is_changed;
}

void control_dns_on_result(struct control_dns_entry *entry, const struct control_dns_result *result)
{
	struct control *control = entry->control;
	struct control_dns_waiter *waiter = entry->waiters;

	CHECK(entry->is_pending);
	entry->is_pending = false;
	entry->waiters = NULL;
	control->dns.pending_count--;

	bool is_changed = !control->dns.is_closing && apply(control, entry, result, clock_now_ns());

	while (waiter != NULL) {
		struct control_dns_waiter *next = waiter->next;

		if (!control->dns.is_closing)
			answer(control, waiter->worker, waiter->ticket, entry);
		control->dns.waiter_count--;
		free(waiter);
		waiter = next;
	}
	if (!is_changed)
		return;
	/* Sessions that wait for a server's address are discovery's. */
	control->discovery_due_ns = 0;
	control_publish_soon(control);
	control_check_ready(control);
}

/* Asks again for every name the present snapshot shows, so that their answers stay fresh and a
 * change makes a new snapshot; forgets what nobody uses. */
static void on_sweep(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, dns.sweep_timer);
	const struct route *route = control->newest == NULL ? NULL : control->newest->route;
	uint64_t now_ns = clock_now_ns();
	struct control_dns_entry literal;

	for (uint32_t i = 0; route != NULL && i < route->cluster_count; i++)
		for (uint32_t j = 0; j < route->clusters[i].endpoint_count; j++)
			if (!is_literal(route->clusters[i].endpoints[j].host, &literal))
				(void)use(control, route->clusters[i].endpoints[j].host);
	const struct config *config = control_config(control);

	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].forward_host != NULL &&
		    !is_literal(config->listeners[i].forward_host, &literal))
			(void)use(control, config->listeners[i].forward_host);
	for (uint32_t i = 0; route != NULL && i < route->target_count; i++)
		if (route->targets[i].host != NULL && !is_literal(route->targets[i].host, &literal))
			(void)use(control, route->targets[i].host);
	forget(control, now_ns, CONTROL_DNS_IDLE_NS);
	control_dns_query_refresh(control);
	timer_set(&control->wheel, timer, now_ns + CONTROL_DNS_SWEEP_NS, on_sweep);
}

int control_dns_open(struct control *control)
{
	control->dns.seed = rng_next(&control->rng);

	int ret = control_dns_query_open(control);

	if (ret < 0)
		return ret;
	control->dns.is_open = true;
	timer_set(&control->wheel, &control->dns.sweep_timer, clock_now_ns() + CONTROL_DNS_SWEEP_NS,
		  on_sweep);
	return 0;
}

void control_dns_close(struct control *control)
{
	if (!control->dns.is_open)
		return;
	control->dns.is_closing = true;
	timer_clear(&control->wheel, &control->dns.sweep_timer);
	control_dns_query_close(control);
	for (uint32_t i = 0; i < CONTROL_DNS_BUCKETS; i++)
		while (control->dns.buckets[i] != NULL)
			drop(control, &control->dns.buckets[i]);
	control->dns.is_open = false;
}
