/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_rewrite's streams: the Java client's responses shown at every split and byte by byte,
 * with names that fit, that leave any number of bytes over, and that do not fit; records that are
 * never shown; and damaged frames. KAFKA_FRAMES=FILE in the environment writes what came out to
 * FILE for the Java client to read (tests/vectors/kafka/README.md).
 */
#include "kafka_vectors.h"

#define OUT_MAX 65536
#define BEYOND	7 /* bytes of the next frame */

static bool is_stream_way(int16_t key, int16_t version)
{
	return kafka_way(key, version) == KAFKA_WAY_STREAM;
}

/* ---- a connection --------------------------------------------------------------------------- */

/* How much of the stream has arrived when it is asked for the n-th time, `wanted` being the least.
 */
typedef size_t arrive_fn(size_t wanted, size_t size, size_t split);

static size_t arrive_bytewise(size_t wanted, size_t size, size_t split)
{
	(void)size;
	(void)split;
	return wanted;
}

static size_t arrive_split(size_t wanted, size_t size, size_t split)
{
	return wanted <= split ? split : size;
}

struct run {
	uint8_t out[OUT_MAX];
	struct sink sent;
	size_t shown_max;
	struct kafka_stream_step last;
};

/* Carries a response through a stream, as a connection would. false: refused. */
static bool run_stream(struct run *run, struct span frame, int16_t key, int16_t version,
		       const struct kafka_names *names, arrive_fn *arrive, size_t split)
{
	static uint8_t room[KAFKA_TAIL_MAX];
	struct kafka_stream stream;
	size_t at = 0, arrived = arrive(0, frame.len, split);
	run->sent = sink_of(run->out, sizeof(run->out));
	run->shown_max = 0;
	kafka_stream_begin(&stream, key, version, frame.len - BEYOND);
	for (size_t rounds = 0;; rounds++) {
		struct sink sink = sink_of(room, sizeof(room));
		struct kafka_stream_step *step = &run->last;
		size_t shown = arrived > at ? arrived - at : 0;
		uint8_t *copy = exact_copy(frame.at + at, shown);
		assert_true(rounds < 4 * frame.len + 8);
		kafka_stream_see(&stream, span_of(copy, shown), names, &sink, step);
		free(copy);
		run->shown_max = shown > run->shown_max ? shown : run->shown_max;
		assert_int_equal(sink.len, step->what == KAFKA_STREAM_EMIT ? step->n : 0);
		switch (step->what) {
		case KAFKA_STREAM_BAD:
			assert_int_not_equal(step->bad, KAFKA_BAD_NONE);
			return false;
		case KAFKA_STREAM_NEED:
			assert_true(step->n > shown && step->max >= step->n);
			assert_true(at + step->n <= frame.len - BEYOND);
			arrived = arrive(at + step->n, frame.len, split);
			continue;
		case KAFKA_STREAM_PASS:
			sink_bytes(&run->sent, frame.at + at, step->n);
			break;
		case KAFKA_STREAM_EMIT:
			assert_true(step->is_last && step->n <= shown);
			sink_span(&run->sent, sink_written(&sink));
			break;
		}
		assert_true(step->n > 0);
		at += step->n;
		assert_true(at <= frame.len - BEYOND);
		if (step->is_last)
			break;
	}
	assert_int_equal(at, frame.len - BEYOND);
	assert_int_equal(run->sent.len, frame.len - BEYOND);
	return true;
}

/* ---- what came out -------------------------------------------------------------------------- */

static void dump(int16_t key, int16_t version, struct span frame)
{
	const char *path = getenv("KAFKA_FRAMES");
	if (path == NULL)
		return;
	FILE *file = fopen(path, "a");
	assert_non_null(file);
	(void)fprintf(file, "%d %d ", key, version);
	for (size_t i = 0; i < frame.len; i++)
		(void)fprintf(file, "%02x", frame.at[i]);
	(void)fputc('\n', file);
	(void)fclose(file);
}

struct found {
	size_t nodes, foreign;
};

/* Looks at the addresses of a frame and leaves them as they are. */
static bool look(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	struct found *found = owner;
	found->nodes++;
	found->foreign += node->host.len < 6 || memcmp(node->host.at, "kafka-", 6) != 0;
	*ret = (struct kafka_name){ .host = node->host, .port = (uint16_t)node->port };
	return true;
}

static struct found find(struct span frame, int16_t key, int16_t version)
{
	static uint8_t room[OUT_MAX];
	struct found found = { 0 };
	struct kafka_names names = { .name = look, .owner = &found };
	struct sink sink = sink_of(room, sizeof(room));
	struct kafka_rewritten ret;
	struct kafka_why why = { 0 };
	if (kafka_rewrite(frame, key, version, &names, &sink, &ret, &why) != WIRE_OK)
		fail_msg("what came out cannot be read: %s", kafka_bad_name(why.bad));
	return found;
}

/* ---- the client's own frames ---------------------------------------------------------------- */

static struct span with_beyond(const struct vector *vector, uint8_t **ret_bytes)
{
	size_t size;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	frame = realloc(frame, size + BEYOND);
	assert_non_null(frame);
	memset(frame + size, 0xee, BEYOND);
	*ret_bytes = frame;
	return span_of(frame, size + BEYOND);
}

static bool short_name(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	(void)owner;
	(void)node;
	*ret = (struct kafka_name){ .host = span_str("kafka-"), .port = 9100 };
	return true;
}

static bool long_name(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	static char host[200];
	(void)owner;
	(void)node;
	memset(host, 'x', sizeof(host));
	memcpy(host, "kafka-", 6);
	*ret = (struct kafka_name){ .host = span_of(host, sizeof(host)), .port = 9100 };
	return true;
}

static void check_out(const struct run *run, int16_t key, int16_t version, size_t nodes)
{
	struct span got = sink_written(&run->sent);
	struct found found = find(got, key, version);
	assert_int_equal(found.foreign, 0);
	assert_int_equal(run->last.nodes, run->last.is_bare ? 0 : nodes);
	assert_int_equal(found.nodes, run->last.is_bare ? 0 : nodes);
}

static void see_response(const struct vector *vector)
{
	static struct run whole, run;
	static bool (*const names[])(void *, const struct kafka_node *,
				     struct kafka_name *) = { short_name, vector_name, long_name };
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	uint8_t *bytes;
	if (!is_stream_way(key, version))
		return;
	struct span frame = with_beyond(vector, &bytes);
	size_t nodes = find(span_of(bytes, frame.len - BEYOND), key, version).nodes;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct kafka_names naming = { .name = names[i] };
		assert_true(run_stream(&whole, frame, key, version, &naming, arrive_split, 0));
		check_out(&whole, key, version, nodes);
		if (names[i] == long_name)
			assert_int_equal(whole.last.is_bare, nodes > 0);
		dump(key, version, sink_written(&whole.sent));
		assert_true(run_stream(&run, frame, key, version, &naming, arrive_bytewise, 0));
		assert_memory_equal(run.out, whole.out, whole.sent.len);
		for (size_t split = 1; split < frame.len; split++) {
			assert_true(run_stream(&run, frame, key, version, &naming, arrive_split,
					       split));
			assert_memory_equal(run.out, whole.out, whole.sent.len);
		}
	}
	free(bytes);
}

static void test_vectors(void **state)
{
	(void)state;
	(void)vectors_each("response", see_response);
}

/* A frame that ends early, or late, and says so: refused, and until then nothing of an address has
 * gone on. */
static void see_cut(const struct vector *vector)
{
	static struct run run;
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = vector_name };
	uint8_t *bytes;
	if (!is_stream_way(key, version))
		return;
	struct span frame = with_beyond(vector, &bytes);
	size_t size = frame.len - BEYOND;
	for (size_t len = 9; len <= size + 1; len++) {
		struct sink head = sink_of(bytes, 4);
		sink_u32(&head, (uint32_t)len - 4);
		/* What lies behind a frame that is cut is the rest of it. */
		struct span cut = span_of(bytes, len + BEYOND < frame.len ? len + BEYOND : len);
		uint8_t *copy = malloc(len + BEYOND);
		assert_non_null(copy);
		memset(copy, 0, len + BEYOND);
		memcpy(copy, cut.at, cut.len);
		bool is_good = run_stream(&run, span_of(copy, len + BEYOND), key, version, &names,
					  len % 2 == 0 ? arrive_bytewise : arrive_split, 0);
		assert_int_equal(is_good, len == size);
		assert_false(has_real_host(sink_written(&run.sent)));
		free(copy);
	}
	free(bytes);
}

static void test_cut(void **state)
{
	(void)state;
	(void)vectors_each("response", see_cut);
}

/* One byte changed: refused, or the same length comes out, however it arrives. */
static void see_damaged(const struct vector *vector)
{
	static struct run whole, run;
	static const uint8_t changes[] = { 0x01, 0x80, 0xff };
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	struct kafka_names names = { .name = vector_name };
	uint8_t *bytes;
	if (!is_stream_way(key, version) || strcmp(vector->words[2], "many") != 0)
		return;
	struct span frame = with_beyond(vector, &bytes);
	for (size_t i = 8 * COUNT_OF(changes); i < (frame.len - BEYOND) * COUNT_OF(changes); i++) {
		bytes[i / COUNT_OF(changes)] ^= changes[i % COUNT_OF(changes)];
		bool is_good = run_stream(&whole, frame, key, version, &names, arrive_split, 0);
		bool is_good_bytewise =
			run_stream(&run, frame, key, version, &names, arrive_bytewise, 0);
		assert_int_equal(is_good, is_good_bytewise);
		if (is_good) {
			assert_memory_equal(whole.out, run.out, whole.sent.len);
			assert_int_equal(find(sink_written(&run.sent), key, version).foreign, 0);
		} else
			assert_int_equal(whole.last.bad, run.last.bad);
		bytes[i / COUNT_OF(changes)] ^= changes[i % COUNT_OF(changes)];
	}
	free(bytes);
}

static void test_damaged(void **state)
{
	(void)state;
	(void)vectors_each("response", see_damaged);
}

/* ---- tails that keep their length ----------------------------------------------------------- */

/* A response without topics, and one node behind it. */
static size_t put_response(struct sink *sink, int16_t key, size_t host_len, size_t tags,
			   uint32_t number)
{
	uint8_t node[512];
	struct sink nodes = sink_of(node, sizeof(node));
	size_t begin = sink->len;
	sink_u8(&nodes, 2);
	sink_u32(&nodes, 1);
	sink_varint(&nodes, host_len + 1);
	for (size_t i = 0; i < host_len; i++)
		sink_u8(&nodes, 'h');
	sink_u32(&nodes, 9092);
	sink_u16(&nodes, 0);
	sink_u32(sink, 0);
	sink_u32(sink, 1);
	sink_u8(sink, 0);
	if (key == KAFKA_FETCH)
		sink_bytes(sink, "\0\0\0\0\0\0\0\0\0\0\1", 11);
	else
		sink_bytes(sink, "\0\0\0\0\0\0\0\0\0\0\0\1", 12);
	if (key == KAFKA_SHARE_FETCH)
		sink_span(sink, sink_written(&nodes));
	sink_varint(sink, tags + (key == KAFKA_FETCH));
	if (key == KAFKA_FETCH) {
		sink_u8(sink, 0);
		sink_varint(sink, nodes.len);
		sink_span(sink, sink_written(&nodes));
	}
	for (size_t i = 0; i < tags; i++) {
		sink_varint(sink, number + i);
		sink_u8(sink, 0);
	}
	sink_patch_u32(sink, begin, (uint32_t)(sink->len - begin - 4));
	sink_bytes(sink, "beyond!", BEYOND);
	assert_false(sink->full || nodes.full);
	return sink->len - begin;
}

/* "kafka-xxx", as long as *owner says. */
static bool sized_name(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	static char host[512];
	size_t *len = owner;
	(void)node;
	assert_in_range(*len, 6, sizeof(host));
	memset(host, 'x', sizeof(host));
	memcpy(host, "kafka-", 6);
	*ret = (struct kafka_name){ .host = span_of(host, *len), .port = 9100 };
	return true;
}

static void check_spare(int16_t key, size_t tags, uint32_t number)
{
	static struct run run;
	static uint8_t bytes[2048];
	const size_t host_len = 300;
	for (size_t len = 6; len <= host_len + 8; len++) {
		struct kafka_names names = { .name = sized_name, .owner = &len };
		struct sink sink = sink_of(bytes, sizeof(bytes));
		size_t size = put_response(&sink, key, host_len, tags, number);
		int16_t version = key == KAFKA_FETCH ? 17 : 2;
		assert_true(run_stream(&run, span_of(bytes, size), key, version, &names,
				       arrive_split, 0));
		check_out(&run, key, version, 1);
		assert_int_equal(run.last.is_bare, len > host_len);
		dump(key, version, sink_written(&run.sent));
	}
}

/* Every number of bytes to spare, with other tagged fields and without; their number where it gets
 * a second byte; and numbers at and above that of the pad. */
static void test_spare(void **state)
{
	(void)state;
	static const int16_t keys[] = { KAFKA_FETCH, KAFKA_SHARE_FETCH };
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		check_spare(keys[i], 0, 0);
		check_spare(keys[i], 3, 7);
		check_spare(keys[i], 1, 125);
		check_spare(keys[i], 1, 16383);
		check_spare(keys[i], 1, 2097151);
		check_spare(keys[i], 126, 1);
		check_spare(keys[i], 127, 1);
	}
}

/* The pad comes last, above all other numbers. */
static void test_pad_number(void **state)
{
	(void)state;
	static const uint8_t numbers[] = { 7, 124, 125, 126 };
	static struct run run;
	static uint8_t bytes[2048];
	size_t len = 6;
	struct kafka_names names = { .name = sized_name, .owner = &len };
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		struct sink sink = sink_of(bytes, sizeof(bytes));
		size_t size = put_response(&sink, KAFKA_FETCH, 18, 1, numbers[i]);
		uint8_t pad = numbers[i] < 125 ? 125 : (uint8_t)(numbers[i] + 1);
		assert_true(run_stream(&run, span_of(bytes, size), KAFKA_FETCH, 17, &names,
				       arrive_split, 0));
		const uint8_t expected[] = { numbers[i], 0, pad, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
		assert_memory_equal(run.out + run.sent.len - sizeof(expected), expected,
				    sizeof(expected));
	}
}

/* Fields that come twice, and not in order: each one is changed. */
static void test_doubled(void **state)
{
	(void)state;
	static const char bytes[] = "\0\0\0\x34\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1\4"
				    "\0\x0d\2\0\0\0\1\2h\0\0\0\1\0\0"
				    "\7\1x"
				    "\0\x0d\2\0\0\0\2\2i\0\0\0\1\0\0"
				    "\5\0beyond!";
	static struct run run;
	struct kafka_names names = { .name = vector_name };
	struct span frame = span_of(bytes, sizeof(bytes) - 1);
	uint8_t out[256];
	struct sink sink = sink_of(out, sizeof(out));
	struct kafka_rewritten ret;
	struct kafka_why why;
	for (int16_t version = 16; version <= 18; version++) {
		assert_true(run_stream(&run, frame, KAFKA_FETCH, version, &names, arrive_split, 0));
		assert_true(run.last.is_bare);
		assert_null(memchr(run.out + 21, 'h', run.sent.len - 21));
		assert_null(memchr(run.out + 21, 'i', run.sent.len - 21));
	}
	frame.len -= BEYOND;
	for (int16_t version = 16; version <= 18; version++) {
		sink.len = 0;
		assert_int_equal(kafka_rewrite(frame, KAFKA_FETCH, version, &names, &sink, &ret,
					       &why),
				 WIRE_OK);
		assert_int_equal(ret.nodes, 2);
		assert_int_equal(find(sink_written(&sink), KAFKA_FETCH, version).foreign, 0);
	}
}

/* ---- records -------------------------------------------------------------------------------- */

/* The beginning of a Fetch response, up to the length of the first records. */
static void put_fetch_head(struct sink *sink, uint32_t frame_size, uint32_t records)
{
	sink_u32(sink, frame_size - 4);
	sink_bytes(sink, "\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\2tttttttttttttttt\2", 33);
	sink_bytes(sink, "\0\0\0\1\0\0hhhhhhhhllllllllssssssss\0pppp", 35);
	sink_varint(sink, (uint64_t)records + 1);
}

/* 2 GiB of records of which not a byte is asked for. */
static void test_records_unseen(void **state)
{
	(void)state;
	static const char tail[] = "\0\0\1\0\x0d\2\0\0\0\1\2h\0\0\0\1\0\0";
	struct kafka_names names = { .name = vector_name };
	struct kafka_stream stream;
	struct kafka_stream_step step;
	uint8_t bytes[128], room[256];
	struct sink head = sink_of(bytes, sizeof(bytes)), sink = sink_of(room, sizeof(room));
	const uint32_t size = 4 + (uint32_t)INT32_MAX, tail_len = sizeof(tail) - 1;
	const uint32_t records = size - tail_len - 4 - 33 - 35 - 5;
	put_fetch_head(&head, size, records);
	kafka_stream_begin(&stream, KAFKA_FETCH, 18, size);
	/* Even the first eight bytes need not be shown. */
	kafka_stream_see(&stream, span_of(NULL, 0), &names, &sink, &step);
	assert_int_equal(step.what, KAFKA_STREAM_PASS);
	assert_int_equal(step.n, 8);
	kafka_stream_see(&stream, span_of(bytes + 8, head.len - 8), &names, &sink, &step);
	assert_int_equal(step.what, KAFKA_STREAM_PASS);
	assert_int_equal(step.n, size - tail_len - 8);
	kafka_stream_see(&stream, span_of(tail, 2), &names, &sink, &step);
	assert_int_equal(step.what, KAFKA_STREAM_PASS);
	assert_int_equal(step.n, 2);
	kafka_stream_see(&stream, span_of(tail + 2, 1), &names, &sink, &step);
	assert_int_equal(step.what, KAFKA_STREAM_NEED);
	assert_int_equal(step.n, tail_len - 2);
	kafka_stream_see(&stream, span_of(tail + 2, tail_len - 2), &names, &sink, &step);
	assert_int_equal(step.what, KAFKA_STREAM_EMIT);
	assert_true(step.is_bare && step.is_last);
	assert_int_equal(step.n, tail_len - 2);
	assert_int_equal(sink.len, tail_len - 2);
}

/* Small records are read with the heads between them, long ones are not. */
static void test_read_ahead(void **state)
{
	(void)state;
	static const uint32_t records[] = { 1000, 40000 };
	struct kafka_names names = { .name = vector_name };
	for (size_t i = 0; i < COUNT_OF(records); i++) {
		struct kafka_stream stream;
		struct kafka_stream_step step;
		uint8_t bytes[128];
		struct sink head = sink_of(bytes, sizeof(bytes)), sink = sink_of(NULL, 0);
		put_fetch_head(&head, 1000000, records[i]);
		kafka_stream_begin(&stream, KAFKA_FETCH, 16, 1000000);
		kafka_stream_see(&stream, sink_written(&head), &names, &sink, &step);
		assert_int_equal(step.what, KAFKA_STREAM_PASS);
		kafka_stream_see(&stream, span_of(NULL, 0), &names, &sink, &step);
		assert_int_equal(step.what, KAFKA_STREAM_NEED);
		assert_int_equal(step.max, i == 0 ? 65536 : 512);
	}
}

/* A tail that cannot be held. */
static void test_long_tail(void **state)
{
	(void)state;
	struct kafka_names names = { .name = vector_name };
	struct kafka_stream stream;
	struct kafka_stream_step step;
	struct sink sink = sink_of(NULL, 0);
	for (uint32_t over = 0; over <= 1; over++) {
		kafka_stream_begin(&stream, KAFKA_FETCH, 16, 20 + KAFKA_TAIL_MAX + over);
		kafka_stream_see(&stream, span_of("\0\1\0\x10\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1", 20),
				 &names, &sink, &step);
		assert_int_equal(step.what, KAFKA_STREAM_PASS);
		assert_int_equal(step.n, 20);
		kafka_stream_see(&stream, span_of(NULL, 0), &names, &sink, &step);
		assert_int_equal(step.what, over ? KAFKA_STREAM_BAD : KAFKA_STREAM_NEED);
		if (over)
			assert_int_equal(step.bad, KAFKA_BAD_TAIL);
		else
			assert_int_equal(step.n, KAFKA_TAIL_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	       cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),	       cmocka_unit_test(test_spare),
		cmocka_unit_test(test_pad_number),     cmocka_unit_test(test_doubled),
		cmocka_unit_test(test_records_unseen), cmocka_unit_test(test_read_ahead),
		cmocka_unit_test(test_long_tail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
