/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_ask_talk: see control_ask.h. One request, Metadata v1: the oldest that can ask for no
 * topics at all, and known to all brokers from 0.10 to those of today. Its answer has host, port
 * and rack of each broker as those who connect at this listener are to see them.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <penstock/base/err.h>
#include <penstock/wire/kafka.h>

#include "control_priv.h"

#define CLIENT_ID   "penstock"
#define CORRELATION 0x70656e73
#define ROOM_FIRST  16384
#define LOOK_NS	    (5 * NS_PER_MS)

static void on_ready(struct uring_op *op, int events);
static void go_on(struct control_ask *ask);

void control_ask_hang_up(struct control_ask *ask)
{
	uring_cancel(ask->control->ring, &ask->op);
	timer_clear(&ask->control->wheel, &ask->again);
	if (ask->end != NULL) {
		if (tls_is_started(ask->end))
			tls_goodbye(ask->end);
		tls_end_put(ask->end);
		ask->end = NULL;
	}
	if (ask->fd >= 0)
		net_close(ask->fd, false);
	ask->fd = -1;
	free(ask->answer);
	ask->answer = NULL;
	ask->answer_len = ask->answer_size = 0;
	kafka_login_forget(&ask->login);
	explicit_bzero(ask->question, sizeof(ask->question));
}

static void wait_for(struct control_ask *ask, unsigned events)
{
	uring_poll(ask->control->ring, &ask->op, ask->fd, events, on_ready);
}

static void on_again(struct timer *timer)
{
	go_on(CONTAINER_OF(timer, struct control_ask, again));
}

/* What is half there would keep the socket readable. */
static void look_again(struct control_ask *ask)
{
	timer_set(&ask->control->wheel, &ask->again, clock_now_ns() + LOOK_NS, on_again);
}

bool control_ask_dial(struct control_ask *ask)
{
	while (ask->addr_next < ask->addr_count) {
		const struct addr *addr = &ask->addrs[ask->addr_next++];
		char text[ADDR_TEXT_MAX];
		int ret = net_dial(addr, &ask->fd);

		if (ret == 0 || ret == -EINPROGRESS) {
			ask->step = CONTROL_ASK_CONNECTING;
			wait_for(ask, POLLOUT);
			return true;
		}
		ask->fd = -1;
		(void)snprintf(ask->why, sizeof(ask->why), "%s: %s", addr_format(addr, text),
			       err_text(ret));
	}
	return false;
}

/* ---- the question --------------------------------------------------------------------------- */

static void put_question(struct control_ask *ask)
{
	struct sink sink = sink_of(ask->question, sizeof(ask->question));

	sink_u32(&sink, 0);
	sink_u16(&sink, KAFKA_METADATA);
	sink_u16(&sink, CONTROL_ASK_METADATA);
	sink_u32(&sink, CORRELATION);
	sink_u16(&sink, (uint16_t)strlen(CLIENT_ID));
	sink_str(&sink, CLIENT_ID);
	sink_u32(&sink, 0); /* topics: none of them */
	CHECK(!sink.full);
	sink_patch_u32(&sink, 0, (uint32_t)(sink.len - 4));
	ask->question_len = sink.len;
	ask->question_sent = 0;
	ask->is_login = false;
}

static void begin_to_say(struct control_ask *ask)
{
	if (!control_ask_login_begin(ask))
		put_question(ask);
	ask->step = CONTROL_ASK_SAYING;
	go_on(ask);
}

static void failed_with(struct control_ask *ask, ssize_t err)
{
	if (ask->end != NULL && err == -EPROTO) {
		char why[CONTROL_ASK_WHY_MAX];
		const char *detail = tls_why_detail(ask->end);

		(void)snprintf(why, sizeof(why), "TLS: %s%s%s%s",
			       tls_fail_rows[tls_why(ask->end)].text, detail[0] != '\0' ? " (" : "",
			       detail, detail[0] != '\0' ? ")" : "");
		control_ask_failed(ask, why);
		return;
	}
	/* Brokers that want to be authenticated to do just that. */
	control_ask_failed(
		ask,
		err == 0 || err == -ECONNRESET
			? "it closes the connection: is authentication missing (discovery.sasl)?"
			: err_text((int)err));
}

static void say(struct control_ask *ask)
{
	while (ask->question_sent < ask->question_len) {
		const uint8_t *at = ask->question + ask->question_sent;
		size_t len = ask->question_len - ask->question_sent;
		ssize_t n =
			ask->end != NULL ? tls_send(ask->end, at, len) : net_send(ask->fd, at, len);

		if (n == -EAGAIN) {
			wait_for(ask, POLLOUT);
			return;
		}
		if (n < 0) {
			failed_with(ask, n);
			return;
		}
		ask->question_sent += (size_t)n;
	}
	explicit_bzero(ask->question, sizeof(ask->question));
	ask->step = CONTROL_ASK_HEARING;
	go_on(ask);
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* False: the answer is none, or longer than any. */
static bool make_room(struct control_ask *ask, size_t size)
{
	if (size <= ask->answer_size)
		return true;
	uint8_t *answer = size <= CONTROL_ASK_ANSWER_MAX ? realloc(ask->answer, size) : NULL;

	if (answer == NULL)
		return false;
	ask->answer = answer;
	ask->answer_size = size;
	return true;
}

/* As is_over. */
static bool is_login_over(struct control_ask *ask)
{
	switch (control_ask_login_hear(ask)) {
	case CONTROL_ASK_MORE:
		return false;
	case CONTROL_ASK_DONE:
		put_question(ask);
		break;
	case CONTROL_ASK_SAY:
		break;
	case CONTROL_ASK_FAILED:
		return true;
	}
	ask->step = CONTROL_ASK_SAYING;
	go_on(ask);
	return true;
}

/* True: the answer is there as a whole, or it never will be. */
static bool is_over(struct control_ask *ask)
{
	struct span bytes = span_of(ask->answer, ask->answer_len);
	struct kafka_response head;
	struct kafka_why why;

	if (kafka_is_tls_alert(bytes)) {
		control_ask_failed(ask, "it speaks TLS: add broker_tls");
		return true;
	}
	if (ask->is_login)
		return is_login_over(ask);
	enum wire res = kafka_response_head(bytes, CONTROL_ASK_ANSWER_MAX - 4, &head, &why);

	if (res == WIRE_MORE)
		return false;
	if (res != WIRE_OK || head.correlation != CORRELATION) {
		control_ask_failed(ask, "what it answers is not Kafka's");
		return true;
	}
	if (head.frame_size > ask->answer_len) {
		if (make_room(ask, head.frame_size))
			return false;
		control_ask_failed(ask, "out of memory");
		return true;
	}
	control_ask_answered(ask, span_of(ask->answer, head.frame_size));
	return true;
}

static ssize_t receive(struct control_ask *ask)
{
	uint8_t *at = ask->answer + ask->answer_len;
	size_t room = ask->answer_size - ask->answer_len;

	return ask->end != NULL ? tls_recv(ask->end, at, room) : net_recv(ask->fd, at, room);
}

static void hear(struct control_ask *ask)
{
	if (!make_room(ask, ROOM_FIRST)) {
		control_ask_failed(ask, "out of memory");
		return;
	}
	for (;;) {
		ssize_t n = receive(ask);

		if (n == -EAGAIN) {
			if (ask->end != NULL && tls_is_drained(ask->end))
				look_again(ask);
			else
				wait_for(ask, POLLIN);
			return;
		}
		if (n <= 0) {
			failed_with(ask, n);
			return;
		}
		ask->answer_len += (size_t)n;
		if (is_over(ask))
			return;
		/* It is longer than its first bytes said. */
		if (ask->answer_len == ask->answer_size) {
			control_ask_failed(ask, "what it answers is not Kafka's");
			return;
		}
	}
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void shake_hands(struct control_ask *ask)
{
	switch (tls_handshake(ask->end)) {
	case TLS_WANT_READ:
		wait_for(ask, POLLIN);
		return;
	case TLS_WANT_WRITE:
		wait_for(ask, POLLOUT);
		return;
	case TLS_WANT_SLOT:
		look_again(ask);
		return;
	case TLS_FAILED:
		failed_with(ask, -EPROTO);
		return;
	case TLS_DONE:
		break;
	}
	if (tls_start(ask->end) < 0)
		failed_with(ask, -EPROTO);
	else
		begin_to_say(ask);
}

/* The control thread's own; made when the first cluster wants it. */
static struct tls *tls_of(struct control *control)
{
	static struct stat_block stats; /* what is counted there is for workers */

	if (control->ask_tls == NULL &&
	    tls_new(&control->ask_tls, CONFIG_CLUSTERS_MAX, CONTROL_ASK_HANDSHAKES, &stats) < 0)
		control->ask_tls = NULL;
	return control->ask_tls;
}

static struct tls_context *context_of(const struct control_ask *ask)
{
	const struct config *config = control_config(ask->control);

	for (uint32_t i = 0; i < config->cluster_count; i++)
		if (strcmp(config->clusters[i].name, ask->cluster) == 0)
			return tls_set_cluster(ask->control->config->tls, i);
	return NULL;
}

static void on_connected(struct control_ask *ask)
{
	struct tls_context *context = context_of(ask);
	int err = net_error(ask->fd);

	if (err < 0) {
		control_ask_failed(ask, err_text(err));
		return;
	}
	net_tune(ask->fd);
	control_ask_hurry(ask, control_config(ask->control)->timeouts.handshake_ns);
	if (context == NULL) {
		begin_to_say(ask);
		return;
	}
	struct tls *tls = tls_of(ask->control);

	ask->step = CONTROL_ASK_TLS;
	if (tls == NULL || tls_begin_client(tls, context, ask->fd, ask->host, &ask->end) < 0)
		control_ask_failed(ask, "out of memory");
	else
		shake_hands(ask);
}

static void go_on(struct control_ask *ask)
{
	switch (ask->step) {
	case CONTROL_ASK_CONNECTING:
		on_connected(ask);
		break;
	case CONTROL_ASK_TLS:
		shake_hands(ask);
		break;
	case CONTROL_ASK_SAYING:
		say(ask);
		break;
	case CONTROL_ASK_HEARING:
		hear(ask);
		break;
	case CONTROL_ASK_IDLE:
	case CONTROL_ASK_NAME:
		break;
	}
}

static void on_ready(struct uring_op *op, int events)
{
	struct control_ask *ask = CONTAINER_OF(op, struct control_ask, op);

	if (events < 0)
		control_ask_failed(ask, err_text(events));
	else
		go_on(ask);
}
