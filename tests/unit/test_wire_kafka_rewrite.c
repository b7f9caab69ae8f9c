/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_rewrite: every response the Java client made comes out as the Java client makes it
 * with the other addresses; every beginning of it wants more; cut, stretched, with one byte changed
 * or read as another version it is refused or stays a whole frame; and frames that lie, by hand.
 */
#include "kafka_vectors.h"

#define OUT_MAX 16384

static uint8_t out[OUT_MAX];

static bool is_prefix_way(int16_t key, int16_t version)
{
	return kafka_way(key, version) == KAFKA_WAY_PREFIX;
}

/* What the client gets: the sink, then the rest of the frame. */
static struct span sent(const struct sink *sink, const struct kafka_rewritten *ret,
			struct span frame, uint8_t *room)
{
	struct sink all = sink_of(room, OUT_MAX);
	struct span rest = frame;
	sink_span(&all, sink_written(sink));
	assert_true(span_skip(&rest, ret->taken));
	assert_int_equal(rest.len, ret->pass);
	sink_span(&all, rest);
	assert_false(all.full);
	return sink_written(&all);
}

/* ---- the client's own frames ---------------------------------------------------------------- */

static void check_whole(const struct vector *vector, struct span frame, const struct sink *sink,
			const struct kafka_rewritten *ret)
{
	static uint8_t room[OUT_MAX];
	struct span got = sent(sink, ret, frame, room);
	size_t len = frame.len;
	if (strcmp(vector->words[4], "=") == 0) {
		assert_int_equal(ret->taken, 0);
		assert_int_equal(ret->nodes, 0);
		assert_int_equal(got.len, len);
		return;
	}
	uint8_t *expected = vector_bytes(vector, 4, &len);
	if (got.len != len || memcmp(got.at, expected, len) != 0)
		fail_msg("%s:%zu: not what the client makes of it", vector->file, vector->line);
	assert_true(ret->nodes > 0);
	free(expected);
}

static void see_response(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = vector_name };
	struct kafka_why why;
	size_t size, first = SIZE_MAX;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	for (size_t len = 0; len <= size; len++) {
		uint8_t *copy = exact_copy(frame, len);
		struct sink sink = sink_of(out, sizeof(out));
		struct kafka_rewritten ret = { 0 };
		enum wire res =
			kafka_rewrite(span_of(copy, len), key, version, &names, &sink, &ret, &why);
		if (res == WIRE_MORE) {
			assert_true(why.need > len && why.need <= size);
			assert_true(first == SIZE_MAX && sink.len == 0);
		} else {
			assert_int_equal(res, WIRE_OK);
			first = first == SIZE_MAX ? len : first;
			check_whole(vector, span_of(frame, size), &sink, &ret);
			if (ret.taken > 0)
				assert_int_equal(ret.taken, first);
		}
		free(copy);
	}
	assert_true(first == size || is_prefix_way(key, version));
	free(frame);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_each("response", see_response) == VECTOR_RESPONSES);
}

/* Every version that is to be rewritten has vectors, and nothing else has. */
static uint64_t versions_seen[KAFKA_UNREGISTER_CONTROLLER + 1];

static void see_version(const struct vector *vector)
{
	versions_seen[vector_number(vector, 0)] |= UINT64_C(1) << vector_number(vector, 1);
}

static void test_every_version(void **state)
{
	(void)state;
	(void)vectors_each("response", see_version);
	for (int16_t key = 0; kafka_api(key) != NULL; key++) {
		for (int16_t version = 0; version <= kafka_api(key)->newest; version++) {
			enum kafka_way way = kafka_way(key, version);
			bool is_rewritten = way == KAFKA_WAY_PREFIX || way == KAFKA_WAY_WHOLE ||
					    way == KAFKA_WAY_STREAM;
			if (is_rewritten != (versions_seen[key] >> version & 1))
				fail_msg("%s v%d", kafka_api(key)->name, version);
		}
	}
}

/* A rewritten frame is rewritten to itself. */
static void see_again(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = vector_name };
	struct kafka_rewritten ret;
	struct kafka_why why;
	struct sink sink = sink_of(out, sizeof(out));
	size_t size;
	if (strcmp(vector->words[4], "=") == 0)
		return;
	uint8_t *frame = vector_bytes(vector, 4, &size);
	assert_int_equal(kafka_rewrite(span_of(frame, size), key, version, &names, &sink, &ret,
				       &why),
			 WIRE_OK);
	assert_int_equal(sink.len, ret.taken);
	assert_memory_equal(sink.at, frame, sink.len);
	free(frame);
}

static void test_again(void **state)
{
	(void)state;
	assert_true(vectors_each("response", see_again) > 100);
}

/* ---- the same frames, damaged --------------------------------------------------------------- */

static void set_size(uint8_t *frame, size_t size)
{
	struct sink sink = sink_of(frame, 4);
	sink_u32(&sink, (uint32_t)(size - 4));
}

/* A frame that ends early, or late, and says so. Only Metadata may be passed on: its end is not
 * looked at, and a client finds it broken as it would have without us. */
static void see_cut(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = vector_name };
	struct kafka_why why;
	size_t size;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	for (size_t len = 8; len <= size + 1; len++) {
		uint8_t *copy = malloc(len);
		struct kafka_rewritten ret;
		struct sink sink = sink_of(out, sizeof(out));
		assert_non_null(copy);
		copy[len - 1] = 0;
		memcpy(copy, frame, len <= size ? len : size);
		set_size(copy, len);
		enum wire res =
			kafka_rewrite(span_of(copy, len), key, version, &names, &sink, &ret, &why);
		assert_int_not_equal(res, WIRE_MORE);
		if (res == WIRE_BAD)
			assert_true(sink.len == 0 && why.bad != KAFKA_BAD_NONE);
		else
			assert_true(len == size || is_prefix_way(key, version));
		free(copy);
	}
	free(frame);
}

static void test_cut(void **state)
{
	(void)state;
	assert_true(vectors_each("response", see_cut) == VECTOR_RESPONSES);
}

/* One byte changed: refused, or a whole frame of the size it says. */
static void see_damaged(const struct vector *vector)
{
	static const uint8_t changes[] = { 0x01, 0x80, 0xff };
	static uint8_t room[OUT_MAX];
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = vector_name };
	struct kafka_why why;
	size_t size;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	for (size_t i = 8 * COUNT_OF(changes); i < size * COUNT_OF(changes); i++) {
		uint8_t *copy = exact_copy(frame, size);
		struct sink sink = sink_of(out, sizeof(out));
		struct kafka_rewritten ret;
		copy[i / COUNT_OF(changes)] ^= changes[i % COUNT_OF(changes)];
		struct span bytes = span_of(copy, size);
		enum wire res = kafka_rewrite(bytes, key, version, &names, &sink, &ret, &why);
		assert_true(res == WIRE_OK || (sink.len == 0 && res == WIRE_BAD));
		if (res == WIRE_OK) {
			struct span got = sent(&sink, &ret, bytes, room);
			struct kafka_response head;
			assert_int_equal(kafka_response_head(got, OUT_MAX, &head, &why), WIRE_OK);
			assert_int_equal(head.frame_size, got.len);
		}
		free(copy);
	}
	free(frame);
}

static void test_damaged(void **state)
{
	(void)state;
	assert_true(vectors_each("response", see_damaged) == VECTOR_RESPONSES);
}

/* Read as another version of the same API: refused, or without a real address. */
static void see_other_version(const struct vector *vector)
{
	static uint8_t room[OUT_MAX];
	int16_t key = (int16_t)vector_number(vector, 0);
	int16_t newest = kafka_api(key)->newest;
	struct kafka_names names = { .name = vector_name };
	struct kafka_why why;
	size_t size;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	struct span bytes = span_of(frame, size);
	for (int16_t version = kafka_api(key)->since; version <= newest; version++) {
		struct sink sink = sink_of(out, sizeof(out));
		struct kafka_rewritten ret;
		enum wire res = kafka_rewrite(bytes, key, version, &names, &sink, &ret, &why);
		if (version == vector_number(vector, 1))
			assert_int_equal(res, WIRE_OK);
		if (res == WIRE_OK && ret.nodes > 0 && !is_prefix_way(key, version))
			assert_false(has_real_host(sent(&sink, &ret, bytes, room)));
	}
	struct sink sink = sink_of(out, sizeof(out));
	struct kafka_rewritten ret;
	assert_int_equal(kafka_rewrite(bytes, key, (int16_t)(newest + 1), &names, &sink, &ret,
				       &why),
			 WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_VERSION);
	free(frame);
}

static void test_other_version(void **state)
{
	(void)state;
	assert_true(vectors_each("response", see_other_version) == VECTOR_RESPONSES);
}

/* ---- lies ----------------------------------------------------------------------------------- */

struct lie {
	int16_t key, version;
	const char *bytes;
	size_t len;
	enum kafka_bad bad; /* NONE: good */
};
#define LIE(text) text, sizeof(text) - 1

#define FETCH_HEAD                                                       \
	"\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\2tttttttttttttttt\2\0\0\0\1\0\0" \
	"hhhhhhhhllllllllssssssss\0pppp"

static const struct lie lies[] = {
	/* Metadata v0: no broker, one, one without a host, null brokers */
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x08\0\0\0\1\0\0\0\0"), KAFKA_BAD_NONE },
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x13\0\0\0\1\0\0\0\1\0\0\0\1\0\1h\0\0\0\1"),
	  KAFKA_BAD_NONE },
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x12\0\0\0\1\0\0\0\1\0\0\0\1\xff\xff\0\0\0\1"),
	  KAFKA_BAD_ADDRESS },
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x08\0\0\0\1\xff\xff\xff\xff"), KAFKA_BAD_NONE },
	/* a negative count, and one that the frame has no room for */
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x08\0\0\0\1\xff\xff\xff\xfe"), KAFKA_BAD_ARRAY },
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x08\0\0\0\1\x7f\xff\xff\xff"), KAFKA_BAD_ARRAY },
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x0a\0\0\0\1\0\0\0\2\0\0"), KAFKA_BAD_OVERRUN },
	/* a host that ends behind the frame; one of negative length */
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x13\0\0\0\1\0\0\0\1\0\0\0\1\0\2h\0\0\0\1"),
	  KAFKA_BAD_OVERRUN },
	{ KAFKA_METADATA, 0, LIE("\0\0\0\x13\0\0\0\1\0\0\0\1\0\0\0\1\xff\xfeh\0\0\0\1"),
	  KAFKA_BAD_ADDRESS },
	/* v9: a count in six bytes, a host of 4 GiB, tags that end behind the frame */
	{ KAFKA_METADATA, 9, LIE("\0\0\0\x0f\0\0\0\1\0\0\0\0\0\x81\x80\x80\x80\x80\0"),
	  KAFKA_BAD_ARRAY },
	{ KAFKA_METADATA, 9, LIE("\0\0\0\x13\0\0\0\1\0\0\0\0\0\2\0\0\0\1\xff\xff\xff\xff\x0f"),
	  KAFKA_BAD_ADDRESS },
	{ KAFKA_METADATA, 9, LIE("\0\0\0\x17\0\0\0\1\0\0\0\0\0\2\0\0\0\1\2h\0\0\0\1\0\1\7\1"),
	  KAFKA_BAD_OVERRUN },
	{ KAFKA_METADATA, 9, LIE("\0\0\0\x17\0\0\0\1\0\0\0\0\0\2\0\0\0\1\2h\0\0\0\1\0\7\7\0"),
	  KAFKA_BAD_TAGS },
	/* FindCoordinator v0: nobody, and bytes behind the end */
	{ KAFKA_FIND_COORDINATOR, 0,
	  LIE("\0\0\0\x10\0\0\0\1\0\x0f\xff\xff\xff\xff\0\0\xff\xff\xff\xff"), KAFKA_BAD_NONE },
	{ KAFKA_FIND_COORDINATOR, 0,
	  LIE("\0\0\0\x11\0\0\0\1\0\x0f\xff\xff\xff\xff\0\0\xff\xff\xff\xff\0"),
	  KAFKA_BAD_TRAILING },
	/* Produce v10 without topics: no tail, an empty one, one behind the frame */
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0a\0\0\0\1\0\1\0\0\0\0"), KAFKA_BAD_TAGS },
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0b\0\0\0\1\0\1\0\0\0\0\0"), KAFKA_BAD_NONE },
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0c\0\0\0\1\0\1\0\0\0\0\0\0"), KAFKA_BAD_TRAILING },
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0d\0\0\0\1\0\1\0\0\0\0\1\0\1"), KAFKA_BAD_OVERRUN },
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0e\0\0\0\1\0\1\0\0\0\0\1\0\1\0"), KAFKA_BAD_NONE },
	/* its array of nodes longer than the field, shorter, and not there */
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0e\0\0\0\1\0\1\0\0\0\0\1\0\1\2"), KAFKA_BAD_OVERRUN },
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0f\0\0\0\1\0\1\0\0\0\0\1\0\2\1\0"), KAFKA_BAD_TRAILING },
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0d\0\0\0\1\0\1\0\0\0\0\1\0\0"), KAFKA_BAD_OVERRUN },
	{ KAFKA_PRODUCE, 10, LIE("\0\0\0\x0f\0\0\0\1\0\1\0\0\0\0\1\0\2\5\0"), KAFKA_BAD_ARRAY },
	/* Fetch v16, one partition: null records; some that end behind the frame; 4 GiB of them */
	{ KAFKA_FETCH, 16, LIE("\0\0\0\x48" FETCH_HEAD "\0\0\0\0"), KAFKA_BAD_NONE },
	{ KAFKA_FETCH, 16, LIE("\0\0\0\x47" FETCH_HEAD "\x80\1r"), KAFKA_BAD_OVERRUN },
	{ KAFKA_FETCH, 16, LIE("\0\0\0\x49" FETCH_HEAD "\xff\xff\xff\xff\x0f"), KAFKA_BAD_STRING },
};

static void test_lies(void **state)
{
	(void)state;
	struct kafka_names names = { .name = vector_name };
	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		const struct lie *lie = &lies[i];
		uint8_t *copy = exact_copy(lie->bytes, lie->len);
		struct sink sink = sink_of(out, sizeof(out));
		struct kafka_rewritten ret;
		struct kafka_why why = { 0 };
		enum wire res = kafka_rewrite(span_of(copy, lie->len), lie->key, lie->version,
					      &names, &sink, &ret, &why);
		if (res == WIRE_MORE || why.bad != lie->bad)
			fail_msg("case %zu: %d %s", i, res, kafka_bad_name(why.bad));
		free(copy);
	}
}

/* A count that could be true until more of the frame is seen: asked for in one step, not by one
 * byte at a time. */
static void test_need_grows(void **state)
{
	(void)state;
	static const char begin[] = "\0\x10\0\0\0\0\0\1\0\0\x10\0\0\0\0\1\0\1h";
	struct kafka_names names = { .name = vector_name };
	struct sink sink = sink_of(out, sizeof(out));
	struct kafka_rewritten ret;
	struct kafka_why why;
	assert_int_equal(kafka_rewrite(span_of(begin, sizeof(begin) - 1), KAFKA_METADATA, 0, &names,
				       &sink, &ret, &why),
			 WIRE_MORE);
	assert_int_equal(why.need, 12 + 4096 * 10);
}

/* ---- names and room ------------------------------------------------------------------------- */

static bool no_name(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	(void)owner;
	(void)node;
	(void)ret;
	return false;
}

static void see_nameless(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = no_name };
	struct sink sink = sink_of(out, sizeof(out));
	struct kafka_rewritten ret;
	struct kafka_why why;
	size_t size;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	enum wire res =
		kafka_rewrite(span_of(frame, size), key, version, &names, &sink, &ret, &why);
	if (strcmp(vector->words[4], "=") == 0) {
		assert_int_equal(res, WIRE_OK);
	} else {
		assert_int_equal(res, WIRE_BAD);
		assert_int_equal(why.bad, KAFKA_BAD_NO_NAME);
		assert_int_equal(sink.len, 0);
	}
	free(frame);
}

static void test_no_name(void **state)
{
	(void)state;
	(void)vectors_each("response", see_nameless);
}

static void see_narrow(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = vector_name };
	struct kafka_rewritten ret;
	struct kafka_why why;
	size_t size, wanted = SIZE_MAX;
	if (strcmp(vector->words[2], "one") != 0)
		return;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	for (size_t room = 3; wanted == SIZE_MAX; room++) {
		uint8_t *narrow = malloc(room);
		struct sink sink = sink_of(narrow, room);
		sink_str(&sink, "abc"); /* what was there before stays */
		enum wire res = kafka_rewrite(span_of(frame, size), key, version, &names, &sink,
					      &ret, &why);
		assert_false(sink.full);
		assert_memory_equal(narrow, "abc", 3);
		if (res == WIRE_OK)
			wanted = sink.len;
		else
			assert_true(res == WIRE_BAD && why.bad == KAFKA_BAD_ROOM && sink.len == 3);
		if (res == WIRE_OK)
			assert_int_equal(room, wanted);
		free(narrow);
	}
	free(frame);
}

static void test_no_room(void **state)
{
	(void)state;
	(void)vectors_each("response", see_narrow);
}

/* What a node is asked about with. */
static struct kafka_node asked[8];
static size_t asked_count;

static bool remember(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	(void)owner;
	assert_true(asked_count < COUNT_OF(asked));
	asked[asked_count++] = *node;
	*ret = (struct kafka_name){ .host = span_str("n"), .port = 1 };
	return true;
}

static void test_nodes(void **state)
{
	(void)state;
	/* DescribeCluster v2 about controllers, one with a rack and one without */
	static const char frame[] = "\0\0\0\x36\0\0\0\1\0"
				    "\0\0\0\0\0\0\0\2\2c\0\0\0\1\3"
				    "\0\0\0\7\3h7\0\1\0\0\2r\0\0"
				    "\0\0\0\x08\3h8\xff\xff\xff\xff\0\1\0"
				    "\0\0\0\0\0";
	struct kafka_names names = { .name = remember };
	struct sink sink = sink_of(out, sizeof(out));
	struct kafka_rewritten ret;
	struct kafka_why why;
	asked_count = 0;
	assert_int_equal(kafka_rewrite(span_of(frame, sizeof(frame) - 1), KAFKA_DESCRIBE_CLUSTER, 2,
				       &names, &sink, &ret, &why),
			 WIRE_OK);
	assert_int_equal(asked_count, 2);
	assert_int_equal(ret.nodes, 2);
	assert_int_equal(asked[0].kind, KAFKA_NODE_CONTROLLER);
	assert_int_equal(asked[0].id, 7);
	assert_span(asked[0].host, "h7");
	assert_span(asked[0].rack, "r");
	assert_int_equal(asked[0].port, 65536);
	assert_int_equal(asked[1].id, 8);
	assert_int_equal(asked[1].port, -1);
	assert_null(asked[1].rack.at);
	assert_int_equal(sink.len, sizeof(frame) - 1 - 2);
}

/* Only an address without id and host is nobody's. */
static void test_nobody(void **state)
{
	(void)state;
	static const struct lie cases[] = {
		{ KAFKA_FIND_COORDINATOR, 0,
		  LIE("\0\0\0\x11\0\0\0\1\0\x0f\xff\xff\xff\xff\0\1h\xff\xff\xff\xff"), 0 },
		{ KAFKA_FIND_COORDINATOR, 0,
		  LIE("\0\0\0\x10\0\0\0\1\0\x0f\0\0\0\5\0\0\xff\xff\xff\xff"), 0 },
	};
	struct kafka_names names = { .name = remember };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sink sink = sink_of(out, sizeof(out));
		struct kafka_rewritten ret;
		struct kafka_why why;
		asked_count = 0;
		assert_int_equal(kafka_rewrite(span_of(cases[i].bytes, cases[i].len), cases[i].key,
					       cases[i].version, &names, &sink, &ret, &why),
				 WIRE_OK);
		assert_int_equal(asked_count, 1);
		assert_int_equal(ret.nodes, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_every_version),
		cmocka_unit_test(test_again),	cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_lies),	cmocka_unit_test(test_need_grows),
		cmocka_unit_test(test_no_name), cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_nodes),	cmocka_unit_test(test_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
