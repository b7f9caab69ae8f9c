/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A client sends requests, up to some of them ahead of the answers; the broker reads them, each as
 * the client sent it, and answers in their order, after a while. What goes by unread is a pattern
 * of flow, request and place, as in sim_stream.h; an answer that names brokers names penstock where
 * it arrives:
 *
 *     LIST_OFFSETS   opaque                              PRODUCE   with acks 0: no answer at all
 *     METADATA       brokers, then a pattern             FETCH     a pattern, then brokers
 */
#include "sim_kafka.h"

#include <stdio.h>
#include <string.h>

#include "sim_stream.h"
#include "sim_town.h"

#define ASKED_MAX     48
#define NODES_MAX     8
#define SHORT	      65536 /* up to here an answer is changed as a whole, and its length with it */
#define KEY_PRODUCE   0
#define KEY_FETCH     1
#define KEY_OFFSETS   2
#define KEY_METADATA  3
#define KEY_HANDSHAKE 17
#define KEY_VERSIONS  18
#define KEY_TOKEN     36
#define OURSELVES     "penstock" /* the client id of who authenticates in a client's place */

struct asked {
	uint8_t key;
	bool is_mute;		   /* PRODUCE with acks 0 */
	uint32_t question, answer; /* bytes of pattern */
	uint64_t pause_ns;	   /* before it is answered */
	struct sim_text frame;	   /* as the client sends it */
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

/* ---- bytes ---- */

static void put_be(struct sim_text *text, uint64_t value, uint32_t bytes)
{
	uint8_t at[8];

	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	sim_frame_append(text, at, bytes);
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_uvarint(struct sim_text *text, uint32_t value)
{
	for (; value >= 128; value >>= 7)
		put_be(text, value | 128, 1);
	put_be(text, value, 1);
}

/* The size in front, now that it is known. */
static void close_frame(struct sim_text *text, size_t begin)
{
	size_t size = text->len - begin - 4;

	for (uint32_t i = 0; i < 4; i++)
		text->at[begin + i] = (uint8_t)(size >> (24 - 8 * i));
}

static uint32_t pattern_of(const struct sim_kafka *kafka, uint32_t index, bool is_answer)
{
	return kafka->flow->id * 1000 + index * 2 + is_answer + 1;
}

static void put_pattern(struct sim_text *text, uint32_t number, uint32_t len)
{
	uint8_t bytes[4096];

	for (uint32_t at = 0; at < len;) {
		uint32_t n = len - at < sizeof(bytes) ? len - at : (uint32_t)sizeof(bytes);

		sim_stream_pattern(number, at, bytes, n);
		sim_frame_append(text, bytes, n);
		at += n;
	}
}

/* ---- frames ---- */

/* What there is to be told of: as brokers call themselves, or as penstock calls them. */
static uint32_t node_count(void)
{
	uint32_t count = sim_plan.brokers + sim_plan.hidden;

	return count < NODES_MAX ? count : NODES_MAX;
}

static const char *host_of(uint32_t node, bool is_real)
{
	return is_real ? sim_town_host(node) : SIM_KAFKA_HOST;
}

static uint32_t port_of(uint32_t node, bool is_real)
{
	return is_real ? SIM_KAFKA_PORT : SIM_KAFKA_BASE + node;
}

static void put_request(struct sim_kafka *kafka, uint32_t index)
{
	static const uint16_t versions[] = {
		[KEY_PRODUCE] = 3, [KEY_FETCH] = 16, [KEY_OFFSETS] = 5, [KEY_METADATA] = 0
	};
	struct asked *asked = &kafka->at[index];
	char name[32];
	int len = snprintf(name, sizeof(name), "sim-%u", kafka->flow->id);

	put_be(&asked->frame, 0, 4);
	put_be(&asked->frame, asked->key, 2);
	put_be(&asked->frame, versions[asked->key], 2);
	put_be(&asked->frame, index, 4);
	put_be(&asked->frame, (uint64_t)len, 2);
	sim_frame_append(&asked->frame, name, (size_t)len);
	if (asked->key == KEY_FETCH)
		put_be(&asked->frame, 0, 1); /* no tagged fields in the header */
	if (asked->key == KEY_PRODUCE) {
		put_be(&asked->frame, UINT16_MAX, 2); /* no transaction */
		put_be(&asked->frame, asked->is_mute ? 0 : 1, 2);
	}
	put_pattern(&asked->frame, pattern_of(kafka, index, false), asked->question);
	close_frame(&asked->frame, 0);
}

/* Metadata v0: the brokers, then topics, which nobody reads. */
static void put_metadata(struct sim_text *text, bool is_real)
{
	put_be(text, node_count(), 4);
	for (uint32_t node = 0; node < node_count(); node++) {
		const char *host = host_of(node, is_real);

		put_be(text, node, 4);
		put_be(text, strlen(host), 2);
		sim_frame_append(text, host, strlen(host));
		put_be(text, port_of(node, is_real), 4);
	}
}

/* The endpoints behind the records of Fetch v16, as a tagged field. */
static void put_endpoints(struct sim_text *text, uint32_t node, bool is_real)
{
	const char *host = host_of(node, is_real);
	struct sim_text field = { 0 };

	put_uvarint(&field, 2);
	put_be(&field, node, 4);
	put_uvarint(&field, (uint32_t)strlen(host) + 1);
	sim_frame_append(&field, host, strlen(host));
	put_be(&field, port_of(node, is_real), 4);
	put_be(&field, 0, 2); /* no rack, no tagged fields */
	put_uvarint(text, 1);
	put_uvarint(text, 0);
	put_uvarint(text, (uint32_t)field.len);
	sim_frame_append(text, field.at, field.len);
	sim_frame_free(&field);
}

/* One topic, one partition, with so many bytes of records. */
static void put_fetch_head(struct sim_text *text, uint32_t records)
{
	put_be(text, 0, 1); /* tagged fields of the header */
	put_be(text, 0, 4 + 2 + 4 - 4);
	put_be(text, 0, 4);
	put_uvarint(text, 2);
	put_be(text, 7, 8);
	put_be(text, 7, 8);
	put_uvarint(text, 2);
	put_be(text, 3, 4);
	put_be(text, 0, 2);
	for (uint32_t i = 0; i < 3; i++)
		put_be(text, i, 8);
	put_uvarint(text, 0);
	put_be(text, UINT32_MAX, 4);
	put_uvarint(text, records + 1);
}

static void put_answer(struct sim_kafka *kafka, uint32_t index, bool is_real, struct sim_text *text)
{
	const struct asked *asked = &kafka->at[index];
	size_t begin = text->len;

	put_be(text, 0, 4);
	put_be(text, index, 4);
	if (asked->key == KEY_METADATA)
		put_metadata(text, is_real);
	if (asked->key == KEY_FETCH)
		put_fetch_head(text, asked->answer);
	put_pattern(text, pattern_of(kafka, index, true), asked->answer);
	if (asked->key == KEY_FETCH) {
		put_be(text, 0, 2); /* tagged fields of the partition and of the topic */
		put_endpoints(text, index % node_count(), is_real);
	}
	close_frame(text, begin);
}

/* ---- the client ---- */

/* Few are long. */
static uint32_t length(void)
{
	return (uint32_t)sim_skewed(sim_chance(80) ? sim_plan.len_max / 4 : sim_plan.len_max / 100);
}

void sim_kafka_make(struct sim_flow *flow)
{
	struct sim_kafka *kafka = sim_alloc(sizeof(*kafka));

	flow->kafka = kafka;
	*kafka = (struct sim_kafka){
		.flow = flow,
		.client = { .who = "kafka client", .read_max = 65536 },
		.broker = { .who = "kafka broker", .read_max = 65536 },
		.count = (uint32_t)sim_between(1, ASKED_MAX),
		.window = (uint32_t)sim_between(1, ASKED_MAX),
	};
	flow->target = sim_chance(300) ? -1 : (int32_t)sim_below(node_count());
	/* Dead, or nobody has told of it. */
	if (flow->target >= (int32_t)sim_plan.brokers ||
	    (flow->target >= 0 && sim_town_is_dead((uint32_t)flow->target)))
		flow->may_be_refused = true;
	if (sim_plan.breaks_login)
		flow->may_be_refused = true;
	for (uint32_t i = 0; i < kafka->count; i++) {
		struct asked *asked = &kafka->at[i];

		*asked = (struct asked){
			.key = (uint8_t)sim_below(4),
			.question = length(),
			.answer = length(),
			.pause_ns = sim_chance(700) ? 0 : sim_skewed(20 * NS_PER_MS),
		};
		asked->is_mute = asked->key == KEY_PRODUCE && sim_chance(500);
		put_request(kafka, i);
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
	size_t size = 4 + (size_t)get_u32(talk->in.at);

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

	put_answer(kafka, index, true, &real);
	put_answer(kafka, index, false, &wanted);
	if (kafka->at[index].key == KEY_FETCH && real.len > SHORT)
		check_tail(kafka, frame, span_of(real.at, real.len));
	else if (frame.len != wanted.len || memcmp(frame.at, wanted.at, wanted.len) != 0)
		sim_fail("flow %u: answer %u (key %u) has %zu bytes, not these %zu",
			 kafka->flow->id, index, kafka->at[index].key, frame.len, wanted.len);
	sim_frame_free(&real);
	sim_frame_free(&wanted);
}

static void skip_mute(struct sim_kafka *kafka)
{
	while (kafka->heard < kafka->sent && kafka->at[kafka->heard].is_mute)
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
		login->next = login->is_let_in ? KEY_HANDSHAKE : KEY_VERSIONS;
	if (login->is_asked || key != login->next)
		sim_fail("kafka broker: authenticating with key %u, not %u", key, login->next);
	if (key == KEY_TOKEN &&
	    (frame.len < sizeof(token) - 1 ||
	     memcmp(frame.at + frame.len - (sizeof(token) - 1), token, sizeof(token) - 1) != 0))
		sim_fail("kafka broker: that is no user and password");
	sim_trace("login key %u", key);
	login->is_asked = true;
	login->number = get_u32(frame.at + 8);
}

static void login_answer(struct login *login, struct sim_text *text)
{
	static const uint8_t next[] = {
		[KEY_VERSIONS] = KEY_HANDSHAKE, [KEY_HANDSHAKE] = KEY_TOKEN, [KEY_TOKEN] = 0
	};
	size_t begin = text->len;
	uint64_t lifetime_ms = sim_between(20, 300);

	put_be(text, 0, 4);
	put_be(text, login->number, 4);
	put_be(text, 0, 2);
	if (login->next == KEY_VERSIONS) {
		put_be(text, 2, 4);
		for (uint32_t i = 0; i < 2; i++) {
			put_be(text, i == 0 ? KEY_HANDSHAKE : KEY_TOKEN, 2);
			put_be(text, 1, 4); /* from 0 to 1 */
		}
	} else if (login->next == KEY_HANDSHAKE) {
		put_be(text, 0, 4);
	} else {
		put_be(text, UINT16_MAX, 2);
		put_be(text, 0, 4);
		put_be(text, lifetime_ms, 8);
		login->is_let_in = true;
	}
	close_frame(text, begin);
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

static void broker_hear(struct sim_kafka *kafka)
{
	struct span frame;

	while (next_frame(&kafka->broker, &frame)) {
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

		if (asked->is_mute) {
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
		put_answer(kafka, kafka->answered++, true, &kafka->broker.out);
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
	if (talk->saw_rst) {
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
	const struct sim_kafka *kafka = flow->kafka;

	if (flow->is_excused || flow->may_be_refused || kafka->rst_ns > 0 ||
	    kafka->has_broker_ended)
		return;
	if (kafka->heard != kafka->count || kafka->arrived != kafka->count)
		sim_fail("flow %u: %u of %u requests arrived, %u answers heard", flow->id,
			 kafka->arrived, kafka->count, kafka->heard);
}
