/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A client and a broker that say anything, through the Kafka brain: its verdicts can be obeyed,
 * nothing stays leased, and what comes out does not depend on the pieces it came in. Or penstock
 * authenticates to that broker in the client's place, and again when its time is over: of what is
 * said then the client hears nothing.
 *
 * An input is a byte of policy (its upper three bits: whether penstock authenticates, and how), a
 * byte for the size of pieces, two for how much of the rest is the client's; what remains is the
 * broker's.
 */
#include "fuzz.h"

#include <penstock/base/clock.h>
#include <penstock/worker/proto.h>

#define INPUT_MAX 16384
#define OUT_MAX	  (16 * INPUT_MAX)
#define LOOKS_MAX 200000
#define USER	  "alice"
#define SECRET	  "s3cret-of-penstock"

struct stream {
	uint8_t bytes[OUT_MAX];
	size_t len;
};

struct lane {
	const uint8_t *in;
	size_t len;	/* of `in` */
	size_t arrived; /* of it */
	size_t base;	/* decided up to here */
	uint64_t pass;	/* of what is to come */
	bool is_held;
};

struct talk {
	struct proto proto;
	struct lane lanes[2]; /* by channel */
	struct stream to_broker, to_client;
	enum close_reason reason;
	size_t piece, looks;
	uint64_t logins; /* when it began */
	bool is_dialled;
};

static struct talk talks[2];
static struct proto_pools pools;
static struct proto_nodes nodes;
static struct stat_block stats;
static struct config config;
static struct config_clients *users;
static bool is_login; /* in the place of the client */
static struct route *route;
static uint8_t scratch[PROTO_FRAME_MAX];

/* Both talks say the same: a nonce of SCRAM is none here (fuzz.mk, --wrap). */
void __wrap_rng_secret(void *bytes, size_t size);
void __wrap_rng_secret(void *bytes, size_t size)
{
	memset(bytes, 'r', size);
}

static void put(struct stream *stream, const void *bytes, size_t len)
{
	/* What is said in penstock's own words is short, but may come often. */
	if (len > OUT_MAX - stream->len)
		len = OUT_MAX - stream->len;
	if (len > 0)
		memcpy(stream->bytes + stream->len, bytes, len);
	stream->len += len;
}

/* Goes on with what the client says, which does not depend on pieces: a second for each 16 bytes.
 */
static uint64_t now_ns(const struct talk *talk)
{
	return 1 + talk->lanes[PROTO_CLIENT].base * (NS_PER_S / 16);
}

static struct proto_verdict look(struct talk *talk, enum proto_channel channel, struct span bytes)
{
	const struct lane *other = &talk->lanes[channel == PROTO_CLIENT];
	struct proto_verdict verdict = { .what = PROTO_HOLD };
	struct proto_context context = {
		.route = route,
		.kafka = &config.listeners[0].kafka,
		.scratch = sink_of(scratch, sizeof(scratch)),
		.pools = &pools,
		.stats = &stats,
		.nodes = &nodes,
		.user = span_str(is_login ? USER : ""),
		.now_ns = now_ns(talk),
		.can_reply = talk->is_dialled && other->pass == 0,
	};
	uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);

	CHECK(copy != NULL);
	if (bytes.len > 0)
		memcpy(copy, bytes.at, bytes.len);
	nodes.count = 0;
	talk->proto.ops->see(&talk->proto, channel, span_of(copy, bytes.len), &context, &verdict);
	CHECK(++talk->looks < LOOKS_MAX);
	/* Bytes to be sent may be among those shown. */
	if (verdict.what == PROTO_EMIT || verdict.what == PROTO_REPLY) {
		bool is_forth = (channel == PROTO_CLIENT) == (verdict.what == PROTO_EMIT);

		CHECK(verdict.bytes.len <= PROTO_FRAME_MAX);
		CHECK(verdict.what == PROTO_EMIT || context.can_reply);
		put(is_forth ? &talk->to_broker : &talk->to_client, verdict.bytes.at,
		    verdict.bytes.len);
	}
	free(copy);
	return verdict;
}

/* What passes unseen. false: there is none, or not all of it has come. */
static void move(struct lane *lane, struct stream *out)
{
	size_t there = lane->arrived - lane->base;
	size_t now = lane->pass < there ? (size_t)lane->pass : there;

	put(out, lane->in + lane->base, now);
	lane->base += now;
	lane->pass -= now;
}

/* false: the lane waits. */
static bool step(struct talk *talk, enum proto_channel channel)
{
	struct lane *lane = &talk->lanes[channel];
	struct stream *out = channel == PROTO_CLIENT ? &talk->to_broker : &talk->to_client;
	size_t have;

	move(lane, out);
	if (lane->pass > 0)
		return false;
	have = lane->arrived - lane->base;
	if (have > PROTO_FRAME_MAX)
		have = PROTO_FRAME_MAX;
	struct proto_verdict verdict = look(talk, channel, span_of(lane->in + lane->base, have));

	switch (verdict.what) {
	case PROTO_NEED:
		CHECK(verdict.n > have && verdict.max >= verdict.n);
		CHECK(verdict.max <= PROTO_FRAME_MAX);
		return false;
	case PROTO_PASS:
		CHECK(verdict.n > 0);
		/* A broker that knows nobody yet would take it for a token. */
		CHECK(!is_login || stat_get(&stats, STAT_KAFKA_LOGINS) > talk->logins);
		lane->pass = verdict.n;
		return true;
	case PROTO_DROP:
		CHECK(verdict.n > 0 && verdict.n <= have);
		lane->base += (size_t)verdict.n;
		return true;
	case PROTO_EMIT:
	case PROTO_REPLY:
		CHECK(verdict.n <= have && (verdict.n > 0 || verdict.bytes.len > 0));
		lane->base += (size_t)verdict.n;
		return true;
	case PROTO_HOLD:
		return false;
	case PROTO_DIAL:
		CHECK(channel == PROTO_CLIENT && !talk->is_dialled);
		talk->is_dialled = true;
		talk->proto.ops->dialled(&talk->proto);
		return true;
	case PROTO_REFUSE:
		CHECK(verdict.reason != CLOSE_NONE && verdict.reason != CLOSE_BUG);
		talk->reason = verdict.reason;
		return false;
	case PROTO_ROUTE:
		break;
	}
	CHECK(false);
	return false;
}

/* The client's lane first, as far as it goes; each answer of the broker's may make it go on. */
static void run_lanes(struct talk *talk)
{
	bool has_moved = true;

	while (has_moved && talk->reason == CLOSE_NONE) {
		has_moved = false;
		while (talk->reason == CLOSE_NONE && step(talk, PROTO_CLIENT))
			has_moved = true;
		if (talk->reason == CLOSE_NONE && talk->is_dialled && step(talk, PROTO_BROKER))
			has_moved = true;
	}
}

static bool arrive(struct lane *lane, size_t piece)
{
	size_t left = lane->len - lane->arrived;

	lane->arrived += left < piece ? left : piece;
	return left > 0;
}

static void run(struct talk *talk, struct span client, struct span broker, size_t piece)
{
	struct proto_context context = { .route = route, .pools = &pools, .stats = &stats };

	memset(talk, 0, sizeof(*talk));
	talk->piece = piece;
	talk->logins = stat_get(&stats, STAT_KAFKA_LOGINS);
	talk->lanes[PROTO_CLIENT] = (struct lane){ .in = client.at, .len = client.len };
	talk->lanes[PROTO_BROKER] = (struct lane){ .in = broker.at, .len = broker.len };
	proto_begin(&talk->proto, &proto_kafka_ops, &pools);
	/* A broker answers what it has heard: everything the client says comes first. */
	while (talk->reason == CLOSE_NONE && arrive(&talk->lanes[PROTO_CLIENT], piece))
		run_lanes(talk);
	while (talk->reason == CLOSE_NONE && arrive(&talk->lanes[PROTO_BROKER], piece))
		run_lanes(talk);
	talk->proto.ops->end(&talk->proto, &context);
	CHECK(pools.chunks.in_use == 0 && pools.bulks.in_use == 0 && pools.logins.in_use == 0);
	CHECK(pools.chunks.in_use == 0 && pools.bulks.in_use == 0 && pools.denials.in_use == 0);
	CHECK(stat_get(&stats, STAT_KAFKA_IN_FLIGHT) == 0);
}

/* One is the beginning of the other: an end may come sooner where less is seen at a time. */
static void check_alike(const struct stream *a, const struct stream *b)
{
	size_t len = a->len < b->len ? a->len : b->len;

	CHECK(len == 0 || memcmp(a->bytes, b->bytes, len) == 0);
}

/* For whom the broker is told this user and this password. */
static void give_user(struct config_broker_sasl *sasl)
{
	users = calloc(1, sizeof(*users) + sizeof(users->at[0]));
	CHECK(users != NULL);
	users->count = 1;
	users->at[0] =
		(struct config_client){ .who = "*", .first = USER, .second = SECRET, .line = 1 };
	sasl->users = users;
}

static void prepare(void)
{
	static const struct proto_pool_sizes sizes = { .sessions = 1, .chunks = 8, .bulks = 2 };
	struct route_builder *builder;

	if (route != NULL)
		return;
	CHECK(proto_pools_init(&pools, &sizes, 0) == 0);
	config.cluster_count = config.listener_count = 1;
	config.clusters[0].name = "fuzz";
	config.clusters[0].protocol = CONFIG_KAFKA;
	give_user(&config.clusters[0].broker_sasl);
	builder = route_build_begin(&config, 1);
	CHECK(builder != NULL);
	route_build_cluster(builder, 0, true, false, false, 1);
	route = route_build_end(builder);
	CHECK(route != NULL);
}

static void set_policy(uint8_t flags)
{
	struct config_kafka *kafka = &config.listeners[0].kafka;

	*kafka = (struct config_kafka){
		.mode = CONFIG_KAFKA_SNI,
		.advertise =
			(flags & 1) != 0 ? "n{id}.x" : "a-longer-name-of-node-{id}.example.com",
		.advertise_port = 9093,
		.client_id_prefix = (flags & 2) != 0 ? "c" : NULL,
	};
	kafka->policy.pass_unknown = (flags & 4) != 0;
	kafka->policy.show_quorum = (flags & 8) != 0;
	if ((flags & 16) != 0)
		kafka_policy_read_only(&kafka->policy);
	is_login = (flags & 32) != 0;
	config.clusters[0].broker_sasl.mechanism = (uint8_t)(CONFIG_SASL_PLAIN + (flags >> 6) % 3u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > INPUT_MAX)
		return 0;
	prepare();
	set_policy(data[0]);
	size_t said = (size_t)data[2] << 8 | data[3];
	size_t client_len = said < size - 4 ? said : size - 4;
	struct span client = span_of(data + 4, client_len);
	struct span broker = span_of(data + 4 + client_len, size - 4 - client_len);

	run(&talks[0], client, broker, SIZE_MAX / 2);
	run(&talks[1], client, broker, 1 + data[1] % 61u);
	check_alike(&talks[0].to_broker, &talks[1].to_broker);
	check_alike(&talks[0].to_client, &talks[1].to_client);
	return 0;
}
