/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A client sends requests, up to some of them ahead of the answers; the broker reads them, each as
 * the client sent it, and answers in their order, after a while. Denied ones never reach it.
 */
#include "sim_kafka.h"

#include <stdio.h>
#include <string.h>

#include "sim_kafka_frame.h"
#include "sim_town.h"

#define ASKED_MAX  48
#define DENIED_MAX 30	      /* flows with denied requests: all may be at it at one time */
#define OURSELVES  "penstock" /* the client id of who authenticates in a client's place */

struct asked {
	struct sim_kafka_call call;
	uint64_t pause_ns;     /* before it is answered */
	struct sim_text frame; /* as the client sends it */
};

/* Penstock's authentication, as the broker sees it. */
struct login {
	uint8_t next;	 /* the key that must come; 0: nobody is at it */
	bool is_asked;	 /* and it has come: an answer is due */
	bool is_let_in;	 /* once at least */
	uint32_t number; /* of the request */
};

struct sim_kafka {
	struct login login;
	struct sim_flow *flow;
	struct sim_talk client, broker;
	struct asked at[ASKED_MAX];
	uint32_t count, sent, heard; /* the client's */
	uint32_t arrived, answered;  /* the broker's */
	uint32_t window;
	uint32_t here; /* which broker it is */
	uint64_t may_answer_ns;
	struct sim_alarm alarm;
	uint64_t rst_ns, broker_ends_ns; /* 0: never */
	bool is_broker_rst, has_broker, has_broker_ended;
};

static void client_step(void *context);
static void broker_step(void *context);

/* ---- the client ---- */

/* Few are long. */
static uint32_t length(void)
{
	return (uint32_t)sim_skewed(sim_chance(80) ? sim_plan.len_max / 4 : sim_plan.len_max / 100);
}

void sim_kafka_make(struct sim_flow *flow)
{
	static uint32_t denied;
	bool has_denied = sim_plan.denies && denied < DENIED_MAX;
	struct sim_kafka *kafka = sim_alloc(sizeof(*kafka));

	denied += has_denied;
	flow->kafka = kafka;
	*kafka = (struct sim_kafka){
		.flow = flow,
		.client = { .who = "kafka client", .read_max = 65536 },
		.broker = { .who = "kafka broker", .read_max = 65536 },
		.count = (uint32_t)sim_between(1, ASKED_MAX),
		.window = (uint32_t)sim_between(1, ASKED_MAX),
	};
	flow->target = sim_chance(300) ? -1 : (int32_t)sim_below(sim_kafka_nodes());
	/* Dead, or nobody has told of it. */
	if (flow->target >= (int32_t)sim_plan.brokers ||
	    (flow->target >= 0 && sim_town_is_dead((uint32_t)flow->target)))
		flow->may_be_refused = true;
	if (sim_plan.breaks_login)
		flow->may_be_refused = true;
	for (uint32_t i = 0; i < kafka->count; i++) {
		struct asked *asked = &kafka->at[i];

		*asked = (struct asked){
			.call = {
				.flow = flow->id,
				.index = i,
				.key = (enum sim_kafka_key)sim_below(4),
				.question = length(),
				.answer = length(),
			},
			.pause_ns = sim_chance(700) ? 0 : sim_skewed(20 * NS_PER_MS),
		};
		asked->call.is_mute = asked->call.key == SIM_KAFKA_PRODUCE && sim_chance(500);
		if (has_denied && sim_chance(300)) {
			asked->call.key = SIM_KAFKA_PARTITIONS;
			asked->call.is_mute = false;
			asked->call.is_denied = true;
		}
		sim_kafka_put_request(&asked->frame, &asked->call);
	}
	if (sim_chance(300)) {
		kafka->client.read_max = 1 + sim_plan.len_max / 60 + sim_skewed(8192);
		kafka->client.read_pause_ns = sim_skewed(NS_PER_MS);
	}
	if (sim_chance(120))
		kafka->rst_ns = 1 + sim_skewed(200 * NS_PER_MS);
	if (sim_chance(120)) {
		kafka->broker_ends_ns = 1 + sim_skewed(200 * NS_PER_MS);
		kafka->is_broker_rst = sim_chance(500);
	}
}

static void reset_now(void *context)
{
	struct sim_kafka *kafka = context;

	if (!kafka->client.is_done && kafka->client.end->state == SIM_TCP_OPEN)
		sim_talk_leave(&kafka->client, true);
}

void sim_kafka_begin(struct sim_flow *flow, const struct sim_wire *wire)
{
	struct sim_kafka *kafka = flow->kafka;
	struct addr to = sim_town_listener(flow->listener);

	if (flow->target >= 0)
		to.port = (uint16_t)(SIM_KAFKA_BASE + flow->target);
	kafka->client.end = sim_tcp_connect(&to, &flow->from, wire, client_step, kafka);
	if (kafka->rst_ns > 0)
		sim_at(kafka->rst_ns, reset_now, kafka);
}

/* The frame at the front of the bytes; false: it is not complete. */
static bool next_frame(const struct sim_talk *talk, struct span *ret_frame)
{
	if (talk->in.len < 4)
		return false;
	size_t size = 4 + (size_t)sim_kafka_u32(talk->in.at);

	if (size > SIM_FRAME_MAX)
		sim_fail("%s: a frame of %zu bytes", talk->who, size);
	*ret_frame = span_of(talk->in.at, size);
	return talk->in.len >= size;
}

/* Behind records the length is what it was; the field may have been left out, with another number
 * in its place, or filled up with one that nobody knows. */
static void check_tail(const struct sim_kafka *kafka, struct span frame, struct span real)
{
	static const char host[] = "broker-";
	size_t tail = real.len > 200 ? real.len - 200 : 0;

	if (frame.len != real.len || memcmp(frame.at, real.at, tail) != 0)
		sim_fail("flow %u: a long answer is not what the broker said", kafka->flow->id);
	for (size_t i = tail; i + sizeof(host) <= frame.len; i++)
		if (memcmp(frame.at + i, host, sizeof(host) - 1) == 0)
			sim_fail("flow %u: a broker's name in a long answer", kafka->flow->id);
}

static void check_answer(struct sim_kafka *kafka, uint32_t index, struct span frame)
{
	struct sim_text wanted = { 0 }, real = { 0 };

	const struct sim_kafka_call *call = &kafka->at[index].call;

	sim_kafka_put_answer(&real, call, true);
	sim_kafka_put_answer(&wanted, call, false);
	if (call->key == SIM_KAFKA_FETCH && real.len > SIM_KAFKA_SHORT)
		check_tail(kafka, frame, span_of(real.at, real.len));
	else if (frame.len != wanted.len || memcmp(frame.at, wanted.at, wanted.len) != 0)
		sim_fail("flow %u: answer %u (key %u) has %zu bytes, not these %zu",
			 kafka->flow->id, index, call->key, frame.len, wanted.len);
	sim_frame_free(&real);
	sim_frame_free(&wanted);
}

static void skip_mute(struct sim_kafka *kafka)
{
	while (kafka->heard < kafka->sent && kafka->at[kafka->heard].call.is_mute)
		kafka->heard++;
}

static void client_hear(struct sim_kafka *kafka)
{
	struct span frame;

	while (skip_mute(kafka), next_frame(&kafka->client, &frame)) {
		if (kafka->heard == kafka->sent)
			sim_fail("flow %u: an answer nobody asked for", kafka->flow->id);
		check_answer(kafka, kafka->heard++, frame);
		sim_talk_used(&kafka->client, frame.len);
	}
}

static void client_saw_end(struct sim_kafka *kafka)
{
	const struct sim_flow *flow = kafka->flow;
	bool may_be = flow->is_excused || flow->may_be_refused || kafka->has_broker_ended ||
		      kafka->client.has_fin;

	if (!may_be || (kafka->client.saw_rst && !flow->is_excused && !flow->may_be_refused &&
			!kafka->has_broker_ended))
		sim_fail("flow %u: the kafka client saw %s", flow->id,
			 kafka->client.saw_rst ? "a reset" : "a FIN");
	sim_talk_leave(&kafka->client, false);
}

static void client_step(void *context)
{
	struct sim_kafka *kafka = context;
	struct sim_talk *talk = &kafka->client;

	if (talk->is_done || talk->end->state == SIM_TCP_CONNECTING)
		return;
	do
		client_hear(kafka);
	while (sim_talk_read(talk, client_step, kafka));
	if (talk->saw_fin || talk->saw_rst) {
		client_saw_end(kafka);
		return;
	}
	while (sim_talk_flush(talk) && kafka->sent < kafka->count &&
	       kafka->sent - kafka->heard < kafka->window) {
		struct asked *asked = &kafka->at[kafka->sent++];

		sim_frame_append(&talk->out, asked->frame.at, asked->frame.len);
		skip_mute(kafka);
	}
	if (kafka->heard == kafka->count && talk->out.len == 0)
		sim_talk_finish(talk);
}

/* ---- penstock authenticates ---- */

static bool is_ours(struct span frame)
{
	size_t len = strlen(OURSELVES);

	return frame.len >= 14 + len && frame.at[12] == 0 && frame.at[13] == len &&
	       memcmp(frame.at + 14, OURSELVES, len) == 0;
}

/* A request of penstock's. Between the first and the last of them there must be nothing else. */
static void login_hear(struct login *login, struct span frame)
{
	static const char token[] = "\0" SIM_KAFKA_USER "\0" SIM_KAFKA_PASSWORD;
	uint8_t key = frame.at[5];

	if (!sim_plan.has_login)
		sim_fail("kafka broker: somebody authenticates who need not");
	if (login->next == 0)
		login->next = login->is_let_in ? SIM_KAFKA_HANDSHAKE : SIM_KAFKA_VERSIONS;
	if (login->is_asked || key != login->next)
		sim_fail("kafka broker: authenticating with key %u, not %u", key, login->next);
	if (key == SIM_KAFKA_TOKEN &&
	    (frame.len < sizeof(token) - 1 ||
	     memcmp(frame.at + frame.len - (sizeof(token) - 1), token, sizeof(token) - 1) != 0))
		sim_fail("kafka broker: that is no user and password");
	sim_trace("login key %u", key);
	login->is_asked = true;
	login->number = sim_kafka_u32(frame.at + 8);
}

static void login_answer(struct login *login, struct sim_text *text)
{
	static const uint8_t next[] = { [SIM_KAFKA_VERSIONS] = SIM_KAFKA_HANDSHAKE,
					[SIM_KAFKA_HANDSHAKE] = SIM_KAFKA_TOKEN,
					[SIM_KAFKA_TOKEN] = 0 };
	size_t begin = text->len;
	uint64_t lifetime_ms = sim_between(20, 300);

	sim_kafka_put(text, 0, 4);
	sim_kafka_put(text, login->number, 4);
	sim_kafka_put(text, 0, 2);
	if (login->next == SIM_KAFKA_VERSIONS) {
		sim_kafka_put(text, 2, 4);
		for (uint32_t i = 0; i < 2; i++) {
			sim_kafka_put(text, i == 0 ? SIM_KAFKA_HANDSHAKE : SIM_KAFKA_TOKEN, 2);
			sim_kafka_put(text, 1, 4); /* from 0 to 1 */
		}
	} else if (login->next == SIM_KAFKA_HANDSHAKE) {
		sim_kafka_put(text, 0, 4);
	} else {
		sim_kafka_put(text, UINT16_MAX, 2);
		sim_kafka_put(text, 0, 4);
		sim_kafka_put(text, lifetime_ms, 8);
		login->is_let_in = true;
	}
	sim_kafka_put_size(text, begin);
	login->next = next[login->next];
	login->is_asked = false;
}

/* A client's request. */
static void login_check(const struct login *login, uint32_t flow)
{
	if (!sim_plan.has_login)
		return;
	if (!login->is_let_in)
		sim_fail("flow %u: a request of somebody who is not let in", flow);
	if (login->next != 0)
		sim_fail("flow %u: a request in the middle of authenticating", flow);
}

/* ---- the broker ---- */

struct arrival {
	struct sim_talk talk;
	struct login login;
	uint32_t broker;
};

/* false: there is more to come, or the broker has ended it. */
static bool arrival_login(struct arrival *arrival)
{
	struct sim_talk *talk = &arrival->talk;
	struct span frame;

	while (sim_plan.has_login && (!arrival->login.is_let_in || arrival->login.next != 0)) {
		if (!next_frame(talk, &frame))
			return false;
		if (!is_ours(frame))
			sim_fail("kafka broker: a request of somebody who is not let in");
		if (sim_plan.breaks_login && sim_chance(60)) {
			sim_talk_leave(talk, sim_chance(500));
			return false;
		}
		login_hear(&arrival->login, frame);
		sim_talk_used(talk, frame.len);
		login_answer(&arrival->login, &talk->out);
		(void)sim_talk_flush(talk);
	}
	return true;
}

/* Whose connection is it? Its first request has the flow's name in front of the body. */
static void arrival_step(void *context)
{
	struct arrival *arrival = context;
	struct sim_talk *talk = &arrival->talk;
	char name[32] = "";
	uint32_t id = 0;

	if (talk->is_done)
		return;
	while (talk->in.len < 14 + sizeof(name) - 1 && sim_talk_read(talk, arrival_step, arrival))
		continue;
	(void)sim_talk_flush(talk);
	if (!arrival_login(arrival)) {
		if (!talk->is_done && (talk->saw_fin || talk->saw_rst))
			sim_talk_leave(talk, false);
		return;
	}
	size_t len = talk->in.len < 14 ? 0 : (size_t)talk->in.at[12] << 8 | talk->in.at[13];

	if (len >= sizeof(name))
		sim_fail("kafka broker: a client id of %zu bytes", len);
	if (talk->in.len < 14 + len) {
		if (talk->saw_fin || talk->saw_rst)
			sim_talk_leave(talk, false);
		return;
	}
	memcpy(name, talk->in.at + 14, len);
	struct sim_flow *flow = sscanf(name, "sim-%u", &id) == 1 ? sim_flow_of(id) : NULL;

	if (flow == NULL || flow->kind != SIM_FLOW_KAFKA || flow->kafka->has_broker)
		sim_fail("kafka broker: the first bytes are nobody's request");
	struct sim_kafka *kafka = flow->kafka;

	if (flow->target >= 0 && (uint32_t)flow->target != arrival->broker)
		sim_fail("flow %u: it wanted node %d and got %u", flow->id, flow->target,
			 arrival->broker);
	sim_trace("flow %u arrives at node %u", flow->id, arrival->broker);
	kafka->has_broker = true;
	kafka->here = arrival->broker;
	kafka->broker.end = talk->end;
	kafka->broker.in = talk->in;
	kafka->broker.out = talk->out;
	kafka->login = arrival->login;
	kafka->broker.saw_fin = talk->saw_fin;
	kafka->broker.saw_rst = talk->saw_rst;
	talk->end->changed = broker_step;
	talk->end->context = kafka;
	talk->is_done = true;
	broker_step(kafka);
}

/* Those stay with penstock. */
static void skip_denied(struct sim_kafka *kafka)
{
	while (kafka->arrived < kafka->sent && kafka->at[kafka->arrived].call.is_denied)
		kafka->arrived++;
}

static void broker_hear(struct sim_kafka *kafka)
{
	struct span frame;

	while (skip_denied(kafka), next_frame(&kafka->broker, &frame)) {
		if (is_ours(frame)) {
			login_hear(&kafka->login, frame);
			sim_talk_used(&kafka->broker, frame.len);
			continue;
		}
		login_check(&kafka->login, kafka->flow->id);
		if (kafka->arrived == kafka->sent)
			sim_fail("flow %u: a request nobody sent", kafka->flow->id);
		const struct asked *asked = &kafka->at[kafka->arrived++];

		if (frame.len != asked->frame.len ||
		    memcmp(frame.at, asked->frame.at, frame.len) != 0)
			sim_fail("flow %u: request %u is not what the client sent", kafka->flow->id,
				 kafka->arrived - 1);
		sim_talk_used(&kafka->broker, frame.len);
	}
}

static void leave_now(void *context)
{
	struct sim_kafka *kafka = context;

	if (kafka->broker.is_done)
		return;
	kafka->has_broker_ended = true;
	sim_talk_leave(&kafka->broker, kafka->is_broker_rst);
}

static void broker_say(struct sim_kafka *kafka)
{
	while (sim_talk_flush(&kafka->broker) && kafka->answered < kafka->arrived) {
		const struct asked *asked = &kafka->at[kafka->answered];

		if (asked->call.is_mute || asked->call.is_denied) {
			kafka->answered++;
			continue;
		}
		if (kafka->may_answer_ns == 0)
			kafka->may_answer_ns = sim_now() + asked->pause_ns;
		if (sim_now() < kafka->may_answer_ns) {
			sim_alarm(&kafka->alarm, kafka->may_answer_ns, broker_step, kafka);
			return;
		}
		kafka->may_answer_ns = 0;
		sim_kafka_put_answer(&kafka->broker.out, &asked->call, true);
		kafka->answered++;
	}
	if (kafka->login.is_asked && kafka->answered == kafka->arrived) {
		login_answer(&kafka->login, &kafka->broker.out);
		(void)sim_talk_flush(&kafka->broker);
	}
}

static void broker_step(void *context)
{
	struct sim_kafka *kafka = context;
	struct sim_talk *talk = &kafka->broker;

	if (talk->is_done)
		return;
	if (kafka->broker_ends_ns > 0) {
		sim_at(kafka->broker_ends_ns, leave_now, kafka);
		kafka->broker_ends_ns = 0;
	}
	do
		broker_hear(kafka);
	while (sim_talk_read(talk, broker_step, kafka));
	/* Behind a FIN a reset is no news, but nothing can be said any more. */
	if (talk->saw_rst || (talk->saw_fin && talk->end->state == SIM_TCP_CLOSED)) {
		sim_talk_leave(talk, false);
		return;
	}
	broker_say(kafka);
	if (talk->saw_fin && kafka->answered == kafka->arrived && talk->out.len == 0) {
		sim_talk_finish(talk);
		sim_talk_leave(talk, false);
	}
}

void sim_kafka_accept(struct sim_end *end, uint32_t broker)
{
	struct arrival *arrival = sim_alloc(sizeof(*arrival));

	*arrival = (struct arrival){
		.talk = { .end = end, .who = "kafka broker", .read_max = 65536 },
		.broker = broker,
	};
	end->changed = arrival_step;
	end->context = arrival;
}

/* ---- afterwards ---- */

bool sim_kafka_is_done(const struct sim_flow *flow)
{
	const struct sim_kafka *kafka = flow->kafka;

	return kafka->client.is_done && (!kafka->has_broker || kafka->broker.is_done);
}

void sim_kafka_show(const struct sim_flow *flow)
{
	const struct sim_kafka *kafka = flow->kafka;

	(void)fprintf(stderr,
		      "flow %u: kafka client %s%s: %u of %u requests sent, %u answers heard; "
		      "broker %s: %u arrived, %u answered\n",
		      flow->id, kafka->client.is_done ? "done" : "not done",
		      kafka->client.has_fin ? ", finished" : "", kafka->sent, kafka->count,
		      kafka->heard,
		      !kafka->has_broker      ? "never there"
		      : kafka->broker.is_done ? "done"
					      : "not done",
		      kafka->arrived, kafka->answered);
}

void sim_kafka_check(const struct sim_flow *flow)
{
	struct sim_kafka *kafka = flow->kafka;

	if (flow->is_excused || flow->may_be_refused || kafka->rst_ns > 0 ||
	    kafka->has_broker_ended)
		return;
	skip_denied(kafka); /* nobody may have come to a broker */
	if (kafka->heard != kafka->count || kafka->arrived != kafka->count)
		sim_fail("flow %u: %u of %u requests arrived, %u answers heard", flow->id,
			 kafka->arrived, kafka->count, kafka->heard);
}
