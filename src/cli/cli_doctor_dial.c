/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_dial: many places asked at once whether they can be reached: the name, a connection,
 * TLS or a question where wanted. Each place waits for one thing at a time, so one poll(2) serves.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>

#include <penstock/base/clock.h>
#include <penstock/base/err.h>
#include <penstock/net.h>

#include "cli_doctor.h"

#define AT_ONCE	     64
#define NAMES_FAIL   3 /* after so many without an answer, name servers are not asked again */
#define SETTLE_NS    (200 * NS_PER_MS)
#define CLOSED_AFTER "closes the connection right after the TLS handshake"

/* ---- names ---------------------------------------------------------------------------------- */

static struct addr from_sockaddr(const struct sockaddr *name, uint16_t port)
{
	struct addr addr = { .is_set = 1, .port = port };

	if (name->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, name, sizeof(v4));
		return addr_v4(ntohl(v4.sin_addr.s_addr), port);
	}
	struct sockaddr_in6 v6;

	memcpy(&v6, name, sizeof(v6));
	memcpy(addr.ip, &v6.sin6_addr, sizeof(addr.ip));
	addr.scope = v6.sin6_scope_id;
	return addr;
}

uint32_t cli_doctor_resolve(const char *host, uint16_t port, struct addr *ret_addrs, uint32_t max,
			    int *ret_err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	uint32_t count = 0;

	*ret_err = getaddrinfo(host, NULL, &hints, &found);
	if (*ret_err != 0)
		return 0;
	for (const struct addrinfo *at = found; at != NULL && count < max; at = at->ai_next)
		if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
			ret_addrs[count++] = from_sockaddr(at->ai_addr, port);
	freeaddrinfo(found);
	return count;
}

static void resolve_all(struct doctor_place *places, uint32_t count)
{
	uint32_t silent = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct doctor_place *place = &places[i];
		int err = EAI_AGAIN;

		place->fd = -1;
		if (place->addr_count > 0)
			continue; /* the caller knew */
		if (silent < NAMES_FAIL)
			place->addr_count =
				cli_doctor_resolve(place->host, place->port, place->addrs,
						   DOCTOR_ADDRS_MAX, &err);
		silent += place->addr_count == 0 && err == EAI_AGAIN;
		if (place->addr_count > 0)
			continue;
		place->stage = DOCTOR_NAME;
		(void)snprintf(place->why, sizeof(place->why), "its name: %s",
			       err == EAI_AGAIN ? "no name server answers" : gai_strerror(err));
	}
}

/* ---- one place ------------------------------------------------------------------------------ */

struct dialler {
	struct tls *tls; /* NULL: none is needed */
	uint64_t timeout_ns;
	uint64_t now_ns;
};

static void let_go(struct doctor_place *place)
{
	if (place->end != NULL)
		tls_end_put(place->end);
	place->end = NULL;
	if (place->fd >= 0)
		net_close(place->fd, false);
	place->fd = -1;
}

static void next_address(struct dialler *dialler, struct doctor_place *place);

/* This address is no good; another may be. */
static void fail(struct dialler *dialler, struct doctor_place *place, const char *why)
{
	(void)snprintf(place->why, sizeof(place->why), "%s", why);
	let_go(place);
	place->is_over = true;
	if (place->stage == DOCTOR_CONNECTION)
		next_address(dialler, place);
}

static void succeed(struct doctor_place *place)
{
	place->stage = DOCTOR_REACHED;
	place->is_over = true;
	if (place->end != NULL)
		tls_goodbye(place->end);
	let_go(place);
}

static void next_address(struct dialler *dialler, struct doctor_place *place)
{
	while (place->addr_next < place->addr_count) {
		int ret = net_dial(&place->addrs[place->addr_next++], &place->fd);

		if (ret == 0 || ret == -EINPROGRESS) {
			place->stage = DOCTOR_CONNECTION;
			place->events = POLLOUT;
			place->deadline_ns = dialler->now_ns + dialler->timeout_ns;
			place->is_over = false;
			return;
		}
		place->fd = -1;
		(void)snprintf(place->why, sizeof(place->why), "%s", err_text(ret));
	}
	place->is_over = true;
}

/* Why TLS failed, and at what. */
static void fail_tls(struct dialler *dialler, struct doctor_place *place)
{
	const char *detail = tls_why_detail(place->end);
	char why[sizeof(place->why)];

	(void)snprintf(why, sizeof(why), "TLS: %s%s%s%s", tls_fail_rows[tls_why(place->end)].text,
		       detail[0] != '\0' ? " (" : "", detail, detail[0] != '\0' ? ")" : "");
	fail(dialler, place, why);
}

/* A server that does not like our certificate says so after the handshake (TLS 1.3). */
static void settle(struct dialler *dialler, struct doctor_place *place)
{
	char bytes[16384];
	ssize_t n = tls_recv(place->end, bytes, sizeof(bytes));

	if (n == -EAGAIN)
		return;
	if (n > 0)
		succeed(place);
	else if (n == -EPROTO)
		fail_tls(dialler, place);
	else
		fail(dialler, place, n == 0 ? CLOSED_AFTER : err_text((int)n));
}

static void shake_hands(struct dialler *dialler, struct doctor_place *place)
{
	switch (tls_handshake(place->end)) {
	case TLS_WANT_READ:
		place->events = POLLIN;
		return;
	case TLS_WANT_WRITE:
	case TLS_WANT_SLOT:
		place->events = POLLOUT;
		return;
	case TLS_FAILED:
		fail_tls(dialler, place);
		return;
	case TLS_DONE:
		break;
	}
	if (tls_start(place->end) < 0) {
		fail_tls(dialler, place);
		return;
	}
	place->stage = DOCTOR_SETTLING;
	place->events = POLLIN;
	place->deadline_ns = dialler->now_ns + SETTLE_NS;
}

static void ask(struct dialler *dialler, struct doctor_place *place)
{
	size_t len = strlen(place->question);

	place->stage = DOCTOR_ANSWER;
	place->events = POLLIN;
	/* Four bytes into an empty socket. */
	if (net_send(place->fd, place->question, len) != (ssize_t)len)
		fail(dialler, place, "cannot be asked");
}

static void hear(struct dialler *dialler, struct doctor_place *place)
{
	size_t room = sizeof(place->answer) - 1 - place->answer_len;
	ssize_t n = net_recv(place->fd, place->answer + place->answer_len, room);

	if (n == -EAGAIN)
		return;
	if (n > 0)
		place->answer_len += (size_t)n;
	if (n > 0 && (size_t)n < room)
		return; /* until it closes */
	if (n < 0)
		fail(dialler, place, err_text((int)n));
	else if (place->answer_len == 0)
		fail(dialler, place, "closes the connection without an answer");
	else
		succeed(place);
}

static void on_connected(struct dialler *dialler, struct doctor_place *place)
{
	int err = net_error(place->fd);

	if (err < 0) {
		fail(dialler, place, err_text(err));
		return;
	}
	if (place->question != NULL) {
		ask(dialler, place);
		return;
	}
	if (place->context == NULL) {
		succeed(place);
		return;
	}
	place->stage = DOCTOR_TLS;
	if (tls_begin_client(dialler->tls, place->context, place->fd,
			     place->name != NULL ? place->name : place->host, &place->end) < 0)
		fail(dialler, place, "out of memory");
	else
		shake_hands(dialler, place);
}

static void on_ready(struct dialler *dialler, struct doctor_place *place)
{
	switch (place->stage) {
	case DOCTOR_CONNECTION:
		on_connected(dialler, place);
		return;
	case DOCTOR_TLS:
		shake_hands(dialler, place);
		return;
	case DOCTOR_SETTLING:
		settle(dialler, place);
		return;
	case DOCTOR_ANSWER:
		hear(dialler, place);
		return;
	case DOCTOR_NAME:
	case DOCTOR_REACHED:
		break;
	}
	CHECK(false);
}

static void on_deadline(struct dialler *dialler, struct doctor_place *place)
{
	static const char *const late[] = {
		[DOCTOR_CONNECTION] = "does not answer",
		[DOCTOR_TLS] = "does not go on with the TLS handshake",
		[DOCTOR_ANSWER] = "takes the connection and says nothing",
	};

	/* Silence after the handshake is what is wanted. */
	if (place->stage == DOCTOR_SETTLING)
		succeed(place);
	else
		fail(dialler, place, late[place->stage]);
}

/* ---- many ----------------------------------------------------------------------------------- */

static int wait_for(struct doctor_place *const *places, uint32_t count, uint64_t now_ns,
		    struct pollfd *polls)
{
	uint64_t first_ns = UINT64_MAX;

	for (uint32_t i = 0; i < count; i++) {
		polls[i] =
			(struct pollfd){ .fd = places[i]->fd, .events = (short)places[i]->events };
		if (places[i]->deadline_ns < first_ns)
			first_ns = places[i]->deadline_ns;
	}
	uint64_t left_ns = first_ns > now_ns ? first_ns - now_ns : 0;

	return poll(polls, count, (int)(left_ns / NS_PER_MS) + 1);
}

/* Takes the places of `open` until all are over. */
static void turn(struct dialler *dialler, struct doctor_place **open, uint32_t count)
{
	struct pollfd polls[AT_ONCE];

	dialler->now_ns = clock_now_ns();
	if (wait_for(open, count, dialler->now_ns, polls) < 0 && errno != EINTR)
		return;
	dialler->now_ns = clock_now_ns();
	for (uint32_t i = 0; i < count; i++)
		if (polls[i].revents != 0)
			on_ready(dialler, open[i]);
		else if (dialler->now_ns >= open[i]->deadline_ns)
			on_deadline(dialler, open[i]);
}

static bool needs_tls(const struct doctor_place *places, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (places[i].context != NULL)
			return true;
	return false;
}

void cli_doctor_dial(struct doctor_place *places, uint32_t count, uint64_t timeout_ns)
{
	static struct stat_block stats;
	struct dialler dialler = { .timeout_ns = timeout_ns };
	struct doctor_place *open[AT_ONCE];
	uint32_t open_count = 0, next = 0;

	resolve_all(places, count);
	if (needs_tls(places, count) && tls_new(&dialler.tls, AT_ONCE, AT_ONCE, &stats) < 0) {
		for (uint32_t i = 0; i < count; i++)
			(void)snprintf(places[i].why, sizeof(places[i].why), "out of memory");
		return;
	}
	while (next < count || open_count > 0) {
		dialler.now_ns = clock_now_ns();
		while (next < count && open_count < AT_ONCE) {
			struct doctor_place *place = &places[next++];

			if (place->addr_count == 0)
				continue;
			next_address(&dialler, place);
			if (!place->is_over)
				open[open_count++] = place;
		}
		if (open_count > 0)
			turn(&dialler, open, open_count);
		uint32_t left = 0;

		for (uint32_t i = 0; i < open_count; i++)
			if (!open[i]->is_over)
				open[left++] = open[i];
		open_count = left;
	}
	tls_free(dialler.tls);
}
