/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A conversation of a Kafka client and a broker through the brain: two byte streams, each arriving
 * in pieces of any size, and what comes out at the other ends. The two lanes are played as the
 * relay plays them: a buffer of 64 KiB, reads of at most what the brain wants, bytes that pass
 * unseen. Bytes are shown in copies of their exact size. A broker says nothing before what it
 * answers has reached it.
 */
#pragma once

#include "kafka_vectors.h"

#include <penstock/worker/proto.h>

#define ALL	     (SIZE_MAX / 4) /* so many bytes at a time: what there is */
#define TALK_NODES   512
#define TALK_LATE_NS 10000000000000ull

struct text {
	uint8_t *at;
	size_t len, size;
};

static inline void text_add(struct text *text, const void *bytes, size_t len)
{
	while (text->size - text->len < len) {
		text->size = text->size > 0 ? 2 * text->size : 1024;
		text->at = realloc(text->at, text->size);
		assert_non_null(text->at);
	}
	if (len > 0)
		memcpy(text->at + text->len, bytes, len);
	text->len += len;
}

static inline void text_free(struct text *text)
{
	free(text->at);
	*text = (struct text){ 0 };
}

/* ---- what is said ---- */

/* The broker may speak up to `said` once it has heard `heard`. */
struct gate {
	size_t heard, said;
};

struct script {
	struct text client, broker;	  /* what the two say */
	struct text to_broker, to_client; /* what they are to hear */
	struct gate *gates;
	size_t gate_count, gate_room;
	struct gate wait; /* what the client says behind `said` waits until it has heard `heard` */
};

static inline void script_free(struct script *script)
{
	text_free(&script->client);
	text_free(&script->broker);
	text_free(&script->to_broker);
	text_free(&script->to_client);
	free(script->gates);
	*script = (struct script){ 0 };
}

/* Bytes that go on as they are. */
static inline void script_ask(struct script *script, const void *bytes, size_t len)
{
	text_add(&script->client, bytes, len);
	text_add(&script->to_broker, bytes, len);
}

/* Bytes of the broker, when it has heard all that was asked so far, and what becomes of them. */
static inline void script_say(struct script *script, const void *bytes, size_t len,
			      const void *expected, size_t expected_len)
{
	if (script->gate_count == script->gate_room) {
		script->gate_room = script->gate_room > 0 ? 2 * script->gate_room : 8;
		script->gates =
			realloc(script->gates, script->gate_room * sizeof(script->gates[0]));
		assert_non_null(script->gates);
	}
	text_add(&script->broker, bytes, len);
	text_add(&script->to_client, expected, expected_len);
	script->gates[script->gate_count++] =
		(struct gate){ .heard = script->to_broker.len, .said = script->broker.len };
}

/* The client goes on when it has heard all that was said so far. Only the last of these counts. */
static inline void script_wait(struct script *script)
{
	script->wait = (struct gate){ .heard = script->to_client.len, .said = script->client.len };
}

static inline void script_say_same(struct script *script, const void *bytes, size_t len)
{
	script_say(script, bytes, len, bytes, len);
}

/* ---- who carries it ---- */

struct talk_lane {
	struct text *in;
	size_t base;	/* decided up to here */
	size_t have;	/* read behind it */
	size_t arrived; /* of `in` */
	uint64_t pass;
	bool is_held, is_blocked; /* blocked: nothing may be put into what goes the other way */
	struct text out;
};

struct talk_node {
	int32_t id;
	uint16_t port;
	char host[HOST_MAX], rack[HOST_MAX];
};

struct talk {
	struct proto proto;
	struct proto_pools pools;
	struct proto_nodes nodes;
	struct stat_block stats;
	struct config config;
	struct config_kafka *kafka; /* of its one listener */
	struct route *route;
	struct talk_lane
		lanes[2]; /* PROTO_CLIENT: from the client, PROTO_BROKER: from the broker */
	struct script *script;
	size_t gate;
	enum close_reason reason;
	size_t read_max; /* of one read; 0: as much as the brain wants */
	size_t sees;
	bool is_dialled, is_draining, is_moved;
	uint64_t now_ns, spliced;
	const char *user;  /* as whom its broker is to know it; NULL: that is not our business */
	size_t late_after; /* of what the broker hears: then it is late; 0: never */
	enum kafka_login_fault fault;
	struct text said; /* to the client, at the end */
	struct talk_node noted[TALK_NODES];
	size_t noted_count;
	uint8_t scratch[PROTO_FRAME_MAX];
};

static struct talk talk;

/* The names of the vectors' README, but for the port, which is one for all of them. */
static inline void talk_names(void)
{
	talk.kafka->mode = CONFIG_KAFKA_SNI;
	talk.kafka->advertise = "kafka-{id}.example.com";
	talk.kafka->advertise_port = 9093;
}

/* With brokers of which the snapshot knows `nodes`. */
static inline void talk_route(const struct talk_node *nodes, size_t count)
{
	struct route_builder *builder = route_build_begin(&talk.config, 1);

	route_free(talk.route);
	route_build_cluster(builder, 0, true, false, false, 1);
	for (size_t i = 0; i < count; i++) {
		const struct route_endpoint endpoint = { .host = nodes[i].host,
							 .port = nodes[i].port };
		const struct route_node node = {
			.id = nodes[i].id,
			.endpoint = route_build_endpoint(builder, 0, &endpoint),
			.rack = nodes[i].rack[0] != '\0' ? nodes[i].rack : NULL,
		};

		route_build_node(builder, 0, &node);
	}
	talk.route = route_build_end(builder);
	assert_non_null(talk.route);
}

static inline void talk_begin_sized(const struct proto_pool_sizes *sizes)
{
	memset(&talk, 0, offsetof(struct talk, scratch));
	assert_int_equal(proto_pools_init(&talk.pools, sizes, 0), 0);
	talk.config.cluster_count = talk.config.listener_count = 1;
	talk.config.clusters[0].name = "orders";
	talk.config.clusters[0].protocol = CONFIG_KAFKA;
	talk.kafka = &talk.config.listeners[0].kafka;
	talk_names();
	talk_route(NULL, 0);
	proto_begin(&talk.proto, &proto_kafka_ops, &talk.pools);
}

static inline void talk_begin(void)
{
	talk_begin_sized(&(struct proto_pool_sizes){ .sessions = 1, .chunks = 16, .bulks = 2 });
}

static inline uint64_t talk_now(void)
{
	if (talk.late_after > 0 && talk.lanes[PROTO_CLIENT].out.len >= talk.late_after)
		return TALK_LATE_NS;
	return talk.now_ns > 0 ? talk.now_ns : 1;
}

static inline struct proto_context talk_context(void)
{
	memset(talk.scratch, 0xee, sizeof(talk.scratch));
	talk.nodes.count = 0;
	return (struct proto_context){
		.route = talk.route,
		.kafka = talk.kafka,
		.scratch = sink_of(talk.scratch, sizeof(talk.scratch)),
		.pools = &talk.pools,
		.stats = &talk.stats,
		.nodes = &talk.nodes,
		.is_draining = talk.is_draining,
		.is_moved = talk.is_moved,
		.node = &talk.stats.kafka.node[1],
		.spliced = talk.spliced,
		.user = talk.user != NULL ? span_str(talk.user) : span_of(NULL, 0),
		.now_ns = talk_now(),
	};
}

/* Nothing is leased any more, nothing counted as under way. */
static inline void talk_hang_up(void)
{
	struct proto_context context = talk_context();

	talk.proto.ops->end(&talk.proto, &context);
	assert_int_equal(talk.pools.kafkas.in_use, 0);
	assert_int_equal(talk.pools.chunks.in_use, 0);
	assert_int_equal(talk.pools.bulks.in_use, 0);
	assert_int_equal(talk.pools.logins.in_use, 0);
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_IN_FLIGHT), 0);
}

/* Another connection with the same pools, snapshot and names. */
static inline void talk_again(void)
{
	talk_hang_up();
	for (int i = 0; i < 2; i++) {
		struct text out = talk.lanes[i].out;

		out.len = 0;
		talk.lanes[i] = (struct talk_lane){ .out = out };
	}
	talk.reason = CLOSE_NONE;
	talk.fault = KAFKA_LOGIN_NONE;
	talk.is_dialled = talk.is_draining = talk.is_moved = false;
	talk.noted_count = 0;
	talk.spliced = 0;
	proto_begin(&talk.proto, &proto_kafka_ops, &talk.pools);
}

static inline void talk_end(void)
{
	talk_hang_up();
	assert_int_equal(talk.pools.denials.in_use, 0);
	proto_pools_fini(&talk.pools);
	route_free(talk.route);
	text_free(&talk.said);
	for (int i = 0; i < 2; i++)
		text_free(&talk.lanes[i].out);
}

static inline void talk_note(void)
{
	for (uint32_t i = 0; i < talk.nodes.count; i++) {
		const struct proto_node *node = &talk.nodes.at[i];
		struct talk_node *to = &talk.noted[talk.noted_count++ % TALK_NODES];

		*to = (struct talk_node){ .id = node->id, .port = node->port };
		assert_true(span_to_str(node->host, to->host, sizeof(to->host)));
		assert_true(span_to_str(node->rack, to->rack, sizeof(to->rack)));
	}
}

/* One look of the brain at exactly these bytes. */
static inline struct proto_verdict talk_see(enum proto_channel channel, const void *bytes,
					    size_t len)
{
	struct proto_verdict verdict = { .what = PROTO_HOLD };
	struct proto_context context = talk_context();
	const struct talk_lane *other = &talk.lanes[channel == PROTO_CLIENT];
	uint8_t *copy = exact_copy(bytes, len);

	context.can_reply = talk.is_dialled && other->pass == 0 && !other->is_blocked;
	talk.proto.ops->see(&talk.proto, channel, span_of(copy, len), &context, &verdict);
	talk_note();
	if (context.login_fault != KAFKA_LOGIN_NONE)
		talk.fault = context.login_fault;
	talk.sees++;
	free(copy);
	return verdict;
}

/* ---- lanes ---- */

static inline void lane_decide(struct talk_lane *lane, uint64_t n)
{
	size_t now = n < lane->have ? (size_t)n : lane->have;

	lane->base += now;
	lane->have -= now;
}

/* Moves what may pass. false: there is more of it to come. */
static inline bool lane_move(struct talk_lane *lane)
{
	size_t there = lane->arrived - lane->base;
	size_t now = lane->pass < there ? (size_t)lane->pass : there;

	assert_int_equal(lane->have, 0);
	text_add(&lane->out, lane->in->at + lane->base, now);
	lane->base += now;
	lane->pass -= now;
	if (lane == &talk.lanes[PROTO_BROKER])
		talk.spliced += now;
	return lane->pass == 0;
}

/* false: not enough has arrived. */
static inline bool lane_read(struct talk_lane *lane, const struct proto_verdict *verdict)
{
	size_t room = verdict->max - lane->have;
	size_t there = lane->arrived - lane->base - lane->have;
	size_t now = there < room ? there : room;

	assert_true(verdict->n > lane->have);
	assert_true(verdict->max >= verdict->n && verdict->max <= PROTO_FRAME_MAX);
	if (talk.read_max > 0 && now > talk.read_max)
		now = talk.read_max;
	lane->have += now;
	return lane->have >= verdict->n;
}

/* false: the lane has to wait. */
static inline bool lane_obey(struct talk_lane *lane, struct talk_lane *other,
			     const struct proto_verdict *verdict)
{
	switch (verdict->what) {
	case PROTO_NEED:
		return lane_read(lane, verdict);
	case PROTO_PASS:
		assert_true(verdict->n > 0);
		text_add(&lane->out, lane->in->at + lane->base,
			 verdict->n < lane->have ? (size_t)verdict->n : lane->have);
		lane->pass = verdict->n - (verdict->n < lane->have ? verdict->n : lane->have);
		lane_decide(lane, verdict->n);
		return true;
	case PROTO_DROP:
		assert_true(verdict->n > 0 && verdict->n <= lane->have);
		lane_decide(lane, verdict->n);
		return true;
	case PROTO_EMIT:
	case PROTO_REPLY:
		assert_true(verdict->n <= lane->have && verdict->bytes.len <= PROTO_FRAME_MAX);
		text_add(verdict->what == PROTO_EMIT ? &lane->out : &other->out, verdict->bytes.at,
			 verdict->bytes.len);
		lane_decide(lane, verdict->n);
		return true;
	case PROTO_HOLD:
		lane->is_held = true;
		return false;
	case PROTO_DIAL:
		assert_false(talk.is_dialled);
		talk.is_dialled = true;
		talk.proto.ops->dialled(&talk.proto);
		return true;
	case PROTO_REFUSE:
		talk.reason = verdict->reason;
		talk.said.len = 0;
		text_add(&talk.said, verdict->bytes.at, verdict->bytes.len);
		return false;
	case PROTO_ROUTE: /* is for server names */
		fail();
	}
	return false;
}

static inline void lane_run(enum proto_channel channel)
{
	struct talk_lane *lane = &talk.lanes[channel];
	struct talk_lane *other = &talk.lanes[channel == PROTO_CLIENT];

	if (channel == PROTO_BROKER && !talk.is_dialled)
		return;
	lane->is_held = false;
	for (;;) {
		struct proto_verdict verdict;

		if (talk.reason != CLOSE_NONE || (lane->pass > 0 && !lane_move(lane)))
			return;
		verdict = talk_see(channel, lane->in->at + lane->base, lane->have);
		if (!lane_obey(lane, other, &verdict))
			return;
	}
}

/* ---- the whole conversation ---- */

static inline void talk_start(struct script *script)
{
	talk.script = script;
	talk.gate = 0;
	talk.lanes[PROTO_CLIENT].in = &script->client;
	talk.lanes[PROTO_BROKER].in = &script->broker;
}

/* So much more of what a side says arrives, if it may be said by now. */
static inline void talk_arrive(enum proto_channel channel, size_t n)
{
	const struct script *script = talk.script;
	struct talk_lane *lane = &talk.lanes[channel];
	size_t end = lane->in->len;

	while (talk.gate < script->gate_count &&
	       script->gates[talk.gate].heard <= talk.lanes[PROTO_CLIENT].out.len)
		talk.gate++;
	if (channel == PROTO_BROKER)
		end = talk.gate > 0 ? script->gates[talk.gate - 1].said : 0;
	else if (talk.lanes[PROTO_BROKER].out.len < script->wait.heard)
		end = script->wait.said;
	if (n > end - lane->arrived)
		n = end - lane->arrived;
	lane->arrived += n;
	lane_run(channel);
	/* What one lane has done may be what the other waits for. */
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < 2; i++)
			if (talk.lanes[i].is_held)
				lane_run((enum proto_channel)i);
}

static inline bool talk_is_over(void)
{
	const struct talk_lane *lanes = talk.lanes;

	return talk.reason != CLOSE_NONE ||
	       (lanes[0].base == lanes[0].in->len && lanes[1].base == lanes[1].in->len);
}

/* Up to `step` bytes at a time, the client's first. */
static inline void talk_run(struct script *script, size_t step)
{
	size_t rounds =
		2 * ((script->client.len + script->broker.len) / step + script->gate_count) + 16;

	talk_start(script);
	while (!talk_is_over()) {
		if (rounds-- == 0)
			fail_msg("nothing goes on: %zu of %zu asked, %zu of %zu answered",
				 talk.lanes[0].base, script->client.len, talk.lanes[1].base,
				 script->broker.len);
		talk_arrive(PROTO_CLIENT, step);
		talk_arrive(PROTO_BROKER, step);
	}
}

static inline void assert_text(const struct text *got, const struct text *want, const char *who)
{
	size_t len = got->len < want->len ? got->len : want->len, at = 0;

	while (at < len && got->at[at] == want->at[at])
		at++;
	if (at < len || got->len != want->len)
		fail_msg("what the %s hears is right up to byte %zu; %zu of %zu", who, at, got->len,
			 want->len);
}

/* Everything was said and heard as it should. */
static inline void talk_check(const struct script *script)
{
	if (talk.reason != CLOSE_NONE)
		fail_msg("refused: %s", close_rows[talk.reason].name);
	assert_text(&talk.lanes[PROTO_CLIENT].out, &script->to_broker, "broker");
	assert_text(&talk.lanes[PROTO_BROKER].out, &script->to_client, "client");
}

/* On another connection, and as it should be. */
static inline void talk_passes(struct script *script, size_t step)
{
	talk_again();
	talk_run(script, step);
	talk_check(script);
}

/* On another connection, which ends for this reason. */
static inline void talk_ends(struct script *script, size_t step, enum close_reason reason)
{
	talk_again();
	talk_run(script, step);
	if (talk.reason != reason)
		fail_msg("refused for %s, not %s", close_rows[talk.reason].name,
			 close_rows[reason].name);
}

/* ---- frames ---- */

static inline void put_u16(struct text *text, uint32_t value)
{
	text_add(text, (const uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

static inline void put_u32(struct text *text, uint32_t value)
{
	put_u16(text, value >> 16);
	put_u16(text, value & 0xffff);
}

static inline void put_string(struct text *text, const char *string)
{
	put_u16(text, (uint32_t)strlen(string));
	text_add(text, string, strlen(string));
}

static inline void patch_u32(uint8_t *at, uint32_t value)
{
	const uint8_t bytes[] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				  (uint8_t)(value >> 8), (uint8_t)value };

	memcpy(at, bytes, sizeof(bytes));
}

/* A request with a body of zeros; flexible ones have no tagged fields. */
static inline struct text make_request(int16_t key, int16_t version, uint32_t correlation,
				       const char *client, size_t body)
{
	struct text frame = { 0 };
	const uint8_t zero = 0;

	put_u32(&frame, 0);
	put_u16(&frame, (uint16_t)key);
	put_u16(&frame, (uint16_t)version);
	put_u32(&frame, correlation);
	put_string(&frame, client);
	if (kafka_is_flexible(key, version))
		text_add(&frame, &zero, 1);
	for (size_t i = 0; i < body; i++)
		text_add(&frame, &zero, 1);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

/* A response of no interest, `body` bytes long. */
static inline struct text make_response(uint32_t correlation, size_t body)
{
	struct text frame = { 0 };

	put_u32(&frame, (uint32_t)(4 + body));
	put_u32(&frame, correlation);
	for (size_t i = 0; i < body; i++)
		text_add(&frame, &(const uint8_t){ (uint8_t)(i * 7 + correlation) }, 1);
	return frame;
}

/* Produce, as far as it is looked at; then `body` bytes. */
static inline struct text make_produce(int16_t version, uint32_t correlation, int16_t acks,
				       size_t body)
{
	struct text frame = make_request(KAFKA_PRODUCE, version, correlation, "producer", 0);

	if (version >= 9)
		text_add(&frame, "\4id", 3); /* transactional id */
	else if (version >= 3)
		put_u16(&frame, UINT16_MAX);
	if (version >= 9)
		text_add(&frame, "s", 1);
	put_u16(&frame, (uint16_t)acks);
	for (size_t i = 0; i < body; i++)
		text_add(&frame, &(const uint8_t){ (uint8_t)(i * 3) }, 1);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

static inline struct text make_handshake(int16_t version, uint32_t correlation,
					 const char *mechanism)
{
	struct text frame = make_request(KAFKA_SASL_HANDSHAKE, version, correlation, "client", 0);

	put_string(&frame, mechanism);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

/* A token without a header. */
static inline struct text make_bare(const void *token, size_t len)
{
	struct text frame = { 0 };

	put_u32(&frame, (uint32_t)len);
	text_add(&frame, token, len);
	return frame;
}

static inline void script_ask_text(struct script *script, struct text frame)
{
	script_ask(script, frame.at, frame.len);
	text_free(&frame);
}

static inline void script_say_text(struct script *script, struct text frame)
{
	script_say_same(script, frame.at, frame.len);
	text_free(&frame);
}

/* ---- names ---- */

/* As the brain names them, from the configuration of talk_names(). */
static inline bool talk_name(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	static char host[64];
	bool is_controller = node->kind == KAFKA_NODE_CONTROLLER;
	int len = snprintf(host, sizeof(host),
			   is_controller ? "controller-%" PRId32 ".invalid"
					 : "kafka-%" PRId32 ".example.com",
			   node->id);

	(void)owner;
	*ret = (struct kafka_name){ .host = span_of(host, (size_t)len),
				    .port = is_controller ? 0 : 9093 };
	return true;
}

/* Adds the whole response with other names. */
static inline void
text_add_renamed(struct text *text, int16_t key, int16_t version, struct span frame,
		 bool (*name)(void *, const struct kafka_node *, struct kafka_name *))
{
	static uint8_t head[1024 * 1024];
	struct kafka_names names = { .name = name };
	struct sink sink = sink_of(head, sizeof(head));
	struct kafka_rewritten ret;
	struct kafka_why why;

	assert_int_equal(kafka_rewrite(frame, key, version, &names, &sink, &ret, &why), WIRE_OK);
	text_add(text, head, sink.len);
	text_add(text, frame.at + ret.taken, frame.len - ret.taken);
}
