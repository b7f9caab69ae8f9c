/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/hello: what real clients send (tests/vectors/hello), in pieces cut anywhere and in records
 * cut anywhere; every refusal with its alert; and limits to the byte.
 */
#include "unit.h"

#include <stdio.h>

#include <penstock/base/addr.h>
#include <penstock/wire/hello.h>

#define MOST	    65536
#define RECORD_MOST 16384

/* A text with NULs in it. */
struct bytes {
	const char *at;
	size_t len;
};
#define BYTES(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}

static struct span span_bytes(struct bytes bytes)
{
	return span_of(bytes.at, bytes.len);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* What a hello says, without pointers into memory that is gone. */
struct said {
	enum wire res;
	enum hello_fault fault;
	size_t size, need;
	char name[HOST_MAX];
	bool has_name, is_literal, has_ech;
	uint16_t version;
	bool has_tls12, has_tls13;
	uint32_t alpn_count;
	uint64_t alpn_hash;
};

static void note(struct said *said, const struct hello *hello)
{
	struct span rest = hello->alpn, protocol;
	said->size = hello->size;
	said->has_name = hello->name.at != NULL;
	assert_true(span_to_str(hello->name, said->name, sizeof(said->name)));
	said->is_literal = hello->is_literal;
	said->has_ech = hello->has_ech;
	said->version = hello->version;
	said->has_tls12 = hello->has_tls12;
	said->has_tls13 = hello->has_tls13;
	said->alpn_hash = span_hash(hello->alpn, 0);
	while (hello_alpn_next(&rest, &protocol)) {
		assert_true(protocol.len > 0);
		said->alpn_count++;
	}
	assert_int_equal(rest.len, 0);
}

/* From memory of exactly that size, into a scratch that held something else. */
static struct said read_on(struct hello_reader *reader, struct span bytes)
{
	static uint8_t scratch[MOST];
	struct hello hello;
	uint8_t *copy = exact_copy(bytes.at, bytes.len);
	struct said said = { .res = hello_read(reader, span_of(copy, bytes.len), scratch, &hello) };
	said.fault = hello.fault;
	said.need = hello.need;
	assert_int_equal(said.res == WIRE_BAD, said.fault != HELLO_FINE);
	assert_int_equal(said.res == WIRE_MORE, said.need > 0);
	if (said.res == WIRE_OK)
		note(&said, &hello);
	free(copy);
	return said;
}

static struct said read_new(struct span bytes)
{
	struct hello_reader reader;
	hello_begin(&reader, MOST);
	return read_on(&reader, bytes);
}

/* All but the size, which depends on the records. */
static void assert_said(const struct said *said, const struct said *want)
{
	assert_int_equal(said->res, want->res);
	assert_int_equal(said->fault, want->fault);
	assert_string_equal(said->name, want->name);
	assert_int_equal(said->has_name, want->has_name);
	assert_int_equal(said->is_literal, want->is_literal);
	assert_int_equal(said->has_ech, want->has_ech);
	assert_int_equal(said->version, want->version);
	assert_int_equal(said->has_tls12, want->has_tls12);
	assert_int_equal(said->has_tls13, want->has_tls13);
	assert_int_equal(said->alpn_count, want->alpn_count);
	assert_true(said->alpn_hash == want->alpn_hash);
}

/* Every beginning, by a reader that sees it first and by one that has seen all beginnings before:
 * more is wanted until the answer, and the answer stays. */
static struct said read_splits(struct span stream)
{
	struct said whole = read_new(stream);
	struct hello_reader reader;
	bool is_settled = false;
	hello_begin(&reader, MOST);
	for (size_t len = 0; len <= stream.len; len++) {
		struct said said = read_new(span_of(stream.at, len));
		struct said same = read_on(&reader, span_of(stream.at, len));
		assert_said(&same, &said);
		assert_int_equal(same.need, said.need);
		if (said.res == WIRE_MORE) {
			assert_false(is_settled);
			assert_true(said.need > len && said.need <= MOST);
			assert_true(whole.res != WIRE_OK || said.need <= whole.size);
			continue;
		}
		is_settled = true;
		assert_said(&said, &whole);
		assert_int_equal(said.size, whole.size);
		assert_true(said.size <= len);
	}
	return whole;
}

static void refused(struct span stream, enum hello_fault fault)
{
	struct said said = read_splits(stream);
	if (said.res != WIRE_BAD || said.fault != fault)
		fail_msg("answer %d, %s instead of %s", said.res, hello_faults[said.fault].name,
			 hello_faults[fault].name);
}

/* ---- writing -------------------------------------------------------------------------------- */

static uint8_t message_bytes[2 * MOST], stream_bytes[8 * MOST];

/* A message in records: the first of `first` bytes, the others of `each`. */
static struct span frame(struct span message, size_t first, size_t each)
{
	struct sink sink = sink_of(stream_bytes, sizeof(stream_bytes));
	for (size_t size = first; message.len > 0; size = each) {
		struct span fragment;
		assert_true(
			span_take(&message, size < message.len ? size : message.len, &fragment));
		sink_bytes(&sink, "\x16\x03\x01", 3);
		sink_u16(&sink, (uint16_t)fragment.len);
		sink_span(&sink, fragment);
	}
	assert_false(sink.full);
	return sink_written(&sink);
}

static struct span unframe(struct span stream)
{
	struct sink sink = sink_of(message_bytes, sizeof(message_bytes));
	struct span fragment;
	uint16_t len;
	while (span_skip(&stream, 3) && span_u16(&stream, &len)) {
		assert_true(span_take(&stream, len, &fragment));
		sink_span(&sink, fragment);
	}
	return sink_written(&sink);
}

/* A ClientHello that goes on with `fields` behind its random bytes. */
static struct span message_of(struct span fields)
{
	struct sink sink = sink_of(message_bytes, sizeof(message_bytes));
	sink_u32(&sink, 1u << 24 | (uint32_t)(34 + fields.len));
	sink_u16(&sink, 0x0303);
	for (int i = 0; i < 32; i++)
		sink_u8(&sink, 0xab);
	sink_span(&sink, fields);
	assert_false(sink.full);
	return sink_written(&sink);
}

#define NO_SESSION_ONE_SUITE "\0\0\x02\x13\x01\x01\0"

static struct span message_with(struct span extensions)
{
	static uint8_t fields[2 * MOST];
	struct sink sink = sink_of(fields, sizeof(fields));
	sink_bytes(&sink, NO_SESSION_ONE_SUITE, 7);
	sink_u16(&sink, (uint16_t)extensions.len);
	sink_span(&sink, extensions);
	return message_of(sink_written(&sink));
}

static struct span stream_with(struct span extensions)
{
	return frame(message_with(extensions), RECORD_MOST, RECORD_MOST);
}

static struct span stream_named(struct span host)
{
	uint8_t extension[600];
	struct sink sink = sink_of(extension, sizeof(extension));
	sink_u16(&sink, 0);
	sink_u16(&sink, (uint16_t)(host.len + 5));
	sink_u16(&sink, (uint16_t)(host.len + 3));
	sink_u8(&sink, 0);
	sink_u16(&sink, (uint16_t)host.len);
	sink_span(&sink, host);
	assert_false(sink.full);
	return stream_with(sink_written(&sink));
}

/* ---- real clients --------------------------------------------------------------------------- */

#define BROKER1 "pulsar-broker1.example.com"

static const struct vector {
	const char *file, *name; /* NULL: no server name */
	uint16_t version;
	uint32_t alpn_count;
	bool has_ech;
} vectors[] = {
	{ "gnutls2", BROKER1, 0x0304, 0, false },
	{ "java_10.0.0.1", NULL, 0x0304, 0, false },
	{ "java_pulsar-broker1", NULL, 0x0304, 0, false },
	{ "java_pulsar-broker1.example.com", BROKER1, 0x0304, 0, false },
	{ "node", BROKER1, 0x0304, 0, false },
	{ "openssl30", BROKER1, 0x0304, 0, false },
	{ "openssl30_nosni", NULL, 0x0304, 0, false },
	{ "openssl30_tls12", "pulsar-broker1", 0x0303, 0, false },
	{ "openssl35", BROKER1, 0x0304, 0, false },
	{ "ossl35_bigalpn", BROKER1, 0x0304, 100, false },
	{ "ossl35_frag512", BROKER1, 0x0304, 0, false },
	{ "ossl_frag512", BROKER1, 0x0304, 40, false },
	{ "python", "pulsar-broker1", 0x0304, 0, false },
	{ "split1", BROKER1, 0x0304, 0, false },
	{ "split_mid", BROKER1, 0x0304, 0, false },
	{ "wolf554", BROKER1, 0x0304, 0, false },
	{ "wolf592", BROKER1, 0x0304, 0, true },
	{ "wolf592pq", BROKER1, 0x0304, 0, true },
};

static struct span load(const char *file)
{
	static uint8_t bytes[MOST];
	char path[100];
	struct sink text = sink_of(path, sizeof(path));
	sink_printf(&text, "tests/vectors/hello/%s.bin", file);
	FILE *in = fopen(path, "rb");
	if (in == NULL)
		fail_msg("%s: run the test from the top of the tree", path);
	size_t len = fread(bytes, 1, sizeof(bytes), in);
	assert_true(len > 0 && len < sizeof(bytes));
	assert_int_equal(fclose(in), 0);
	return span_of(bytes, len);
}

static void assert_vector(const struct vector *vector, const struct said *said)
{
	assert_int_equal(said->res, WIRE_OK);
	assert_int_equal(said->has_name, vector->name != NULL);
	assert_string_equal(said->name, vector->name != NULL ? vector->name : "");
	assert_int_equal(said->version, vector->version);
	assert_int_equal(said->has_tls13, vector->version == 0x0304);
	assert_int_equal(said->alpn_count, vector->alpn_count);
	assert_int_equal(said->has_ech, vector->has_ech);
	assert_false(said->is_literal);
}

static void test_vectors_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct span stream = load(vectors[i].file);
		struct said said = read_splits(stream);
		assert_vector(&vectors[i], &said);
		assert_int_equal(said.size, stream.len);
	}
}

static void test_vectors_in_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct span message = unframe(load(vectors[i].file));
		size_t most = message.len < RECORD_MOST ? message.len : RECORD_MOST;
		for (size_t cut = 1; cut <= most; cut++) {
			struct span stream = frame(message, cut, RECORD_MOST);
			struct said said = read_new(stream);
			assert_vector(&vectors[i], &said);
			assert_int_equal(said.size, stream.len);
		}
		for (size_t each = 1; each <= most; each = each < 600 ? each + 1 : each * 2) {
			struct span stream = frame(message, each, each);
			struct said said = read_new(stream);
			if (stream.len <= MOST)
				assert_vector(&vectors[i], &said);
			else
				assert_int_equal(said.fault, HELLO_MESSAGE_LONG);
		}
	}
}

static void test_split_and_in_records(void **state)
{
	(void)state;
	static const char *const files[] = { "openssl30_tls12", "openssl30_nosni" };
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct span message = unframe(load(files[i]));
		for (size_t cut = 1; cut < message.len; cut++)
			assert_int_equal(read_splits(frame(message, cut, RECORD_MOST)).res,
					 WIRE_OK);
	}
}

/* A reader that gets what it asks for, and no byte more, ends at the hello's last byte, and asks at
 * most twice for a record. */
static void test_need(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct span stream = load(vectors[i].file);
		struct hello_reader reader;
		size_t len = 0, asked = 0, records = 0;
		for (struct span rest = stream; rest.len > 0; records++) {
			uint16_t size;
			assert_true(span_skip(&rest, 3) && span_u16(&rest, &size) &&
				    span_skip(&rest, size));
		}
		hello_begin(&reader, MOST);
		for (struct said said = { .res = WIRE_MORE }; said.res == WIRE_MORE; asked++) {
			said = read_on(&reader, span_of(stream.at, len));
			assert_int_not_equal(said.res, WIRE_BAD);
			len = said.res == WIRE_MORE ? said.need : len;
			assert_true(len <= stream.len);
		}
		assert_int_equal(len, stream.len);
		assert_true(asked <= 2 * records + 2);
	}
}

/* A wrong length shows in the first four bytes, however long the record says it is. */
static void test_need_of_head(void **state)
{
	(void)state;
	static const struct bytes one = BYTES("\x16\x03\x01\x40\0\x01");
	static const struct bytes two = BYTES("\x16\x03\x01\0\x01\x01\x16\x03\x01\x40\0");
	assert_int_equal(read_new(span_bytes(one)).need, 9);
	assert_int_equal(read_new(span_bytes(two)).need, 14);
}

/* Nobody may care about a record's minor version (RFC 8446 5.1). */
static void test_record_versions(void **state)
{
	(void)state;
	struct span stream = stream_with(span_of(NULL, 0));
	for (unsigned minor = 0; minor < 256; minor++) {
		stream_bytes[2] = (uint8_t)minor;
		assert_int_equal(read_new(stream).res, WIRE_OK);
	}
}

/* What comes behind the hello, early data for one, is left alone. */
static void test_behind(void **state)
{
	(void)state;
	uint8_t both[400];
	struct sink sink = sink_of(both, sizeof(both));
	struct span stream = load("openssl30");
	sink_span(&sink, stream);
	sink_bytes(&sink, "\x14\x03\x03\0\x01\x01\x17\x03\x03", 9);
	struct said said = read_splits(sink_written(&sink));
	assert_int_equal(said.res, WIRE_OK);
	assert_int_equal(said.size, stream.len);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static const struct row {
	enum hello_fault fault;
	struct bytes bytes;
} streams[] = {
	{ HELLO_RECORD_TYPE, BYTES("\x15\x03\x01\0\x02\x02\x28") },
	{ HELLO_RECORD_TYPE, BYTES("\x17\x03\x03\0\x02\0\0") },
	{ HELLO_RECORD_TYPE, BYTES("\x14\x03\x03\0\x01\x01") },
	{ HELLO_RECORD_TYPE, BYTES("\x16\x03\x01\0\x02\x01\0\x15\x03\x01\0\x02\x01\0") },
	{ HELLO_RECORD_TYPE, BYTES("\x16\x03\x01\0\x05\x01\0\0\xff\x03\x17\x03\x03\0\x01\0") },
	{ HELLO_RECORD_VERSION, BYTES("\x16\x02\0\0\x2e") },
	{ HELLO_RECORD_VERSION, BYTES("\x16\xfe\xff\0\0") },
	{ HELLO_RECORD_VERSION, BYTES("\x16\x03\x01\0\x01\x01\x16\x04\x01\0\x01\0") },
	{ HELLO_RECORD_EMPTY, BYTES("\x16\x03\x01\0\0") },
	{ HELLO_RECORD_EMPTY, BYTES("\x16\x03\x01\0\x01\x01\x16\x03\x01\0\0") },
	{ HELLO_RECORD_EMPTY, BYTES("\x16\x03\x01\0\x05\x01\0\0\xff\x03\x16\x03\x01\0\0") },
	{ HELLO_RECORD_LONG, BYTES("\x16\x03\x01\x40\x01") },
	{ HELLO_RECORD_LONG, BYTES("\x16\x03\x01\0\x01\x01\x16\x03\x01\xff\xff") },
	{ HELLO_MESSAGE_TYPE, BYTES("\x16\x03\x01\0\x04\x02\0\0\0") },
	{ HELLO_MESSAGE_TYPE, BYTES("\x16\x03\x01\x40\0\0") },
	{ HELLO_MESSAGE_LONG, BYTES("\x16\x03\x01\0\x04\x01\xff\xff\xff") },
	{ HELLO_MESSAGE_LONG, BYTES("\x16\x03\x01\x40\0\x01\0\xff\xf8") },
	{ HELLO_MESSAGE_TAIL, BYTES("\x16\x03\x01\0\x05\x01\0\0\0\x01") },
	{ HELLO_MESSAGE_TAIL, BYTES("\x16\x03\x01\0\x02\x01\0\x16\x03\x01\0\x04\0\x01\xaa\xbb") },
	{ HELLO_FIELDS, BYTES("\x16\x03\x01\0\x04\x01\0\0\0") },
	{ HELLO_FIELDS, BYTES("\x16\x03\x01\0\x05\x01\0\0\x01\x03") },
	{ HELLO_FIELDS, BYTES("\x16\x03\x01\0\x06\x01\0\0\x02\x03\x03") },
	{ HELLO_VERSION, BYTES("\x16\x03\x01\0\x06\x01\0\0\x02\x02\xff") },
};

/* Behind version and random bytes. */
static const struct row fields[] = {
	{ HELLO_FINE, BYTES(NO_SESSION_ONE_SUITE) },
	{ HELLO_FINE, BYTES(NO_SESSION_ONE_SUITE "\0\0") },
	{ HELLO_FINE, BYTES("\x20"
			    "0123456789abcdef0123456789abcdef"
			    "\0\x04\x13\x01\x13\x02\x02\x01\0") },
	{ HELLO_FIELDS, BYTES("") },
	{ HELLO_FIELDS, BYTES("\x21"
			      "0123456789abcdef0123456789abcdef+"
			      "\0\x02\x13\x01\x01\0") },
	{ HELLO_FIELDS, BYTES("\x20"
			      "0123456789abcdef") },
	{ HELLO_FIELDS, BYTES("\0\0\0\x01\0") },	       /* no suite */
	{ HELLO_FIELDS, BYTES("\0\0\x03\x13\x01\x13\x01\0") }, /* a suite and a half */
	{ HELLO_FIELDS, BYTES("\0\0\x04\x13\x01") },
	{ HELLO_FIELDS, BYTES("\0\0\x02\x13\x01\0") }, /* no compression method */
	{ HELLO_FIELDS, BYTES("\0\0\x02\x13\x01\x02\0") },
	{ HELLO_FIELDS, BYTES("\0\0\x02\x13\x01") },
	{ HELLO_EXTENSIONS, BYTES(NO_SESSION_ONE_SUITE "\0") },
	{ HELLO_EXTENSIONS, BYTES(NO_SESSION_ONE_SUITE "\0\x01") },
	{ HELLO_EXTENSIONS, BYTES(NO_SESSION_ONE_SUITE "\0\0\0") }, /* a byte behind them */
};

#define SNI_A                      \
	"\0\0\0\x06\0\x04\0\0\x01" \
	"a"

static const struct row extensions[] = {
	{ HELLO_FINE, BYTES(SNI_A) },
	{ HELLO_FINE, BYTES("\x2a\x2a\0\0" SNI_A "\x3a\x3a\0\x01\0") }, /* GREASE */
	{ HELLO_FINE, BYTES("\xff\x01\0\x01\0" SNI_A "\0\x15\0\x02\0\0") },
	{ HELLO_EXTENSIONS, BYTES("\0") },
	{ HELLO_EXTENSIONS, BYTES("\0\0\0") },
	{ HELLO_EXTENSIONS, BYTES(SNI_A "\0\x17\0\x01") },
	{ HELLO_EXTENSIONS, BYTES("\0\0\0\x07\0\x04\0\0\x01"
				  "a") },
	{ HELLO_EXTENSION_TWICE, BYTES(SNI_A SNI_A) },
	{ HELLO_EXTENSION_TWICE, BYTES(SNI_A "\x2a\x2a\0\0\0\x17\0\0\x2a\x2a\0\x01\0") },
	{ HELLO_EXTENSION_TWICE, BYTES("\xff\xff\0\0\xff\xff\0\0") },
	{ HELLO_NAME_LIST, BYTES("\0\0\0\0") },
	{ HELLO_NAME_LIST, BYTES("\0\0\0\x01\0") },
	{ HELLO_NAME_LIST, BYTES("\0\0\0\x02\0\0") },
	{ HELLO_NAME_LIST, BYTES("\0\0\0\x06\0\x05\0\0\x01"
				 "a") }, /* the list overruns */
	{ HELLO_NAME_LIST, BYTES("\0\0\0\x06\0\x04\0\0\x02"
				 "a") }, /* the name overruns */
	{ HELLO_NAME_LIST, BYTES("\0\0\0\x06\0\x03\0\0\0"
				 "a") }, /* a byte behind it */
	{ HELLO_NAME_LIST, BYTES("\0\0\0\x07\0\x05\0\0\x01"
				 "a\0") },
	{ HELLO_NAME_TYPE, BYTES("\0\0\0\x06\0\x04\x01\0\x01"
				 "a") },
	{ HELLO_NAME_TYPE, BYTES("\0\0\0\x0a\0\x08\0\0\x01"
				 "a"
				 "\x01\0\x01"
				 "b") },
	{ HELLO_NAME_TWICE, BYTES("\0\0\0\x0a\0\x08\0\0\x01"
				  "a"
				  "\0\0\x01"
				  "b") },
	{ HELLO_NAME_TWICE, BYTES("\0\0\0\x0a\0\x08\0\0\x01"
				  "a"
				  "\0\0\x01"
				  "a") },
	{ HELLO_NAME_EMPTY, BYTES("\0\0\0\x05\0\x03\0\0\0") },
	{ HELLO_ALPN, BYTES("\0\x10\0\0") },
	{ HELLO_ALPN, BYTES("\0\x10\0\x02\0\0") },
	{ HELLO_ALPN, BYTES("\0\x10\0\x03\0\x01\0") }, /* an empty protocol */
	{ HELLO_ALPN, BYTES("\0\x10\0\x05\0\x03\x03"
			    "h2") }, /* a protocol overruns */
	{ HELLO_ALPN, BYTES("\0\x10\0\x05\0\x02\x02"
			    "h2") }, /* so does the list */
	{ HELLO_ALPN, BYTES("\0\x10\0\x06\0\x03\x02"
			    "h2"
			    "\0") }, /* a byte behind it */
	{ HELLO_VERSIONS, BYTES("\0\x2b\0\0") },
	{ HELLO_VERSIONS, BYTES("\0\x2b\0\x01\0") },
	{ HELLO_VERSIONS, BYTES("\0\x2b\0\x02\x01\x03") },
	{ HELLO_VERSIONS, BYTES("\0\x2b\0\x03\x04\x03\x04") },
	{ HELLO_VERSIONS, BYTES("\0\x2b\0\x04\x02\x03\x04\0") },
};

static const struct row others[] = {
	{ HELLO_HTTP, BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ HELLO_HTTP, BYTES("POST /x HTTP/1.1\r\n") },
	{ HELLO_HTTP, BYTES("PUT /x HTTP/1.1\r\n") },
	{ HELLO_HTTP, BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
	{ HELLO_HTTP, BYTES("CONNECT a:443 HTTP/1.1\r\n") },
	{ HELLO_SSH, BYTES("SSH-2.0-Go\r\n") },
	{ HELLO_PROXY, BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 4242 6651\r\n") },
	{ HELLO_PROXY, BYTES("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0") },
	{ HELLO_KAFKA, BYTES("\0\0\0\x15\0\x12\0\x03\0\0\0\x01\0\x07rdkafka\0\x02"
			     "a\x02"
			     "b\0") },
	{ HELLO_KAFKA, BYTES("\0\0\0\x12\0\x03\0\x07\0\0\0\x01\0\x04test\0\0\0\0") },
	{ HELLO_KAFKA,
	  BYTES("\0\0\0\x15\0\x12\0\x03\0\0\0\x01\x7f\xff") }, /* by its first ten bytes */
	{ HELLO_PULSAR, BYTES("\0\0\0\x0c\0\0\0\x08\x08\x02\x12\x04\x0a\x02"
			      "4."
			      "") },
	{ HELLO_SSLV2, BYTES("\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10\0\0\x0a") },
	{ HELLO_SSLV2, BYTES("\x80\x2e\x01\0\x02\0\x15\0\0\0\x10\0\0\x0a") },
	{ HELLO_OTHER, BYTES("\x80\x2e\x02\0\x02\0\x15\0\0\0\x10\0\0\x0a") },
	{ HELLO_OTHER, BYTES("\0\0\0\0\0\0\0\0\0\0\0") },
	{ HELLO_OTHER, BYTES("\x7f\x2e\x01\x03\x01\0\x15\0\0\0\x10\0\0\x0a") },
	{ HELLO_OTHER, BYTES("EHLO example.com\r\n") },
	{ HELLO_OTHER, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") },
};

static void test_streams(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(streams); i++)
		refused(span_bytes(streams[i].bytes), streams[i].fault);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		refused(span_bytes(others[i].bytes), others[i].fault);
	refused(load("sslv2"), HELLO_SSLV2);
}

/* However the message is cut. */
static void check_message(struct span message, enum hello_fault fault)
{
	enum wire want = fault == HELLO_FINE ? WIRE_OK : WIRE_BAD;
	struct said said = read_splits(frame(message, RECORD_MOST, RECORD_MOST));
	if (said.res != want || said.fault != fault)
		fail_msg("%s instead of %s", hello_faults[said.fault].name,
			 hello_faults[fault].name);
	for (size_t each = 1; each < message.len; each++) {
		struct said again = read_new(frame(message, each, each));
		assert_said(&again, &said);
	}
}

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		check_message(message_of(span_bytes(fields[i].bytes)), fields[i].fault);
}

static void test_extensions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(extensions); i++)
		check_message(message_with(span_bytes(extensions[i].bytes)), extensions[i].fault);
}

/* ---- names ---------------------------------------------------------------------------------- */

#define LABEL63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-012345678"

static const struct {
	struct bytes sent;
	const char *name; /* NULL: refused */
	enum hello_fault fault;
	bool is_literal;
} names[] = {
	{ BYTES("Broker-1.Example.COM"), "Broker-1.Example.COM", HELLO_FINE, false },
	{ BYTES("a.example.com."), "a.example.com", HELLO_FINE, false },
	{ BYTES("pulsar_broker_1"), "pulsar_broker_1", HELLO_FINE, false },
	{ BYTES("xn--bcher-kva.example"), "xn--bcher-kva.example", HELLO_FINE, false },
	{ BYTES(LABEL63 ".a"), LABEL63 ".a", HELLO_FINE, false },
	{ BYTES("10.0.0.1"), "10.0.0.1", HELLO_FINE, true },
	{ BYTES("10.0.0.1."), "10.0.0.1", HELLO_FINE, true },
	{ BYTES("127.1"), "127.1", HELLO_FINE, true },
	{ BYTES("0x7f000001"), "0x7f000001", HELLO_FINE, true },
	{ BYTES("2001:db8::1"), "2001:db8::1", HELLO_FINE, true },
	{ BYTES("::ffff:10.0.0.1"), "::ffff:10.0.0.1", HELLO_FINE, true },
	{ BYTES("."), NULL, HELLO_NAME_EMPTY, false },
	{ BYTES(".."), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a.."), NULL, HELLO_NAME_BYTES, false },
	{ BYTES(".a"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a..b"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("10.0.0.1.."), NULL, HELLO_NAME_BYTES, false },
	{ BYTES(LABEL63 "x.a"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a.example.com\0.evil.com"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a\0"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("\0"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("b\xc3\xbc"
		"cher.example"),
	  NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a b.example"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a.example:6651"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("10.0.0.1:6651"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("[2001:db8::1]"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("*.example.com"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("-a.example"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a/../b"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a.example\r\n"), NULL, HELLO_NAME_BYTES, false },
	{ BYTES("a.example\x7f"), NULL, HELLO_NAME_BYTES, false },
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct span stream = stream_named(span_bytes(names[i].sent));
		if (names[i].name == NULL) {
			refused(stream, names[i].fault);
			continue;
		}
		struct said said = read_splits(stream);
		if (said.res != WIRE_OK)
			fail_msg("%s: %s", names[i].name, hello_faults[said.fault].name);
		assert_true(said.has_name);
		assert_string_equal(said.name, names[i].name);
		assert_int_equal(said.is_literal, names[i].is_literal);
	}
}

/* 253 bytes, with and without the root's dot, is the longest; above 255 is no different. */
static void test_long_names(void **state)
{
	(void)state;
	uint8_t text[300];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 50 == 49 ? '.' : 'a';
	struct said said = read_new(stream_named(span_of(text, 253)));
	assert_int_equal(said.res, WIRE_OK);
	assert_int_equal(strlen(said.name), 253);
	text[253] = '.';
	said = read_new(stream_named(span_of(text, 254)));
	assert_int_equal(said.res, WIRE_OK);
	assert_int_equal(strlen(said.name), 253);
	text[253] = 'a';
	for (size_t len = 254; len < sizeof(text); len++)
		assert_int_equal(read_new(stream_named(span_of(text, len))).fault,
				 len == 300 ? HELLO_NAME_BYTES : HELLO_NAME_LONG);
}

/* ---- the rest of what a hello says ---------------------------------------------------------- */

static void test_versions(void **state)
{
	(void)state;
	static const struct {
		struct bytes extension;
		uint16_t version;
		bool has_tls12, has_tls13;
	} rows[] = {
		{ BYTES(""), 0x0303, true, false },
		{ BYTES("\0\x2b\0\x03\x02\x03\x04"), 0x0304, false, true },
		{ BYTES("\0\x2b\0\x07\x06\x7a\x7a\x03\x03\x03\x04"), 0x0304, true,
		  true }, /* GREASE */
		{ BYTES("\0\x2b\0\x05\x04\x03\x01\x03\x02"), 0x0302, false, false },
		{ BYTES("\0\x2b\0\x05\x04\x7f\x1c\x03\x03"), 0x0303, true, false }, /* a draft */
		{ BYTES("\0\x2b\0\x05\x04\x03\x05\x03\x03"), 0x0305, true, false },
		{ BYTES("\0\x2b\0\x03\x02\x0a\x0a"), 0, false, false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct said said = read_new(stream_with(span_bytes(rows[i].extension)));

		assert_int_equal(said.res, WIRE_OK);
		assert_int_equal(said.version, rows[i].version);
		assert_int_equal(said.has_tls12, rows[i].has_tls12);
		assert_int_equal(said.has_tls13, rows[i].has_tls13);
	}
	/* Without the extension 1.2 is the most, whatever legacy_version says. */
	struct span stream = stream_with(span_of(NULL, 0));
	stream_bytes[10] = 0x04;
	assert_int_equal(read_new(stream).version, 0x0303);
	stream_bytes[10] = 0x00;
	assert_int_equal(read_new(stream).version, 0x0300);
	assert_false(read_new(stream).has_tls12);
}

static void test_alpn(void **state)
{
	(void)state;
	static const struct bytes sent = BYTES("\0\x10\0\x10\0\x0e\x02h2\x08http/1.1\x01"
					       "x");
	static const char *const want[] = { "h2", "http/1.1", "x" };
	uint8_t scratch[1];
	struct hello_reader reader;
	struct hello hello;
	struct span protocol;
	hello_begin(&reader, MOST);
	/* In one record nothing is copied: the spans are into the bytes, the scratch is not used.
	 */
	struct span stream = stream_with(span_bytes(sent));
	assert_int_equal(hello_read(&reader, stream, scratch, &hello), WIRE_OK);
	assert_true(hello.alpn.at > stream.at && hello.alpn.at < stream.at + stream.len);
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		assert_true(hello_alpn_next(&hello.alpn, &protocol));
		assert_span(protocol, want[i]);
	}
	assert_false(hello_alpn_next(&hello.alpn, &protocol));
}

/* ---- limits --------------------------------------------------------------------------------- */

/* Extensions of `count` types, 0x0100 and up, empty but for the last one. */
static struct span many_extensions(size_t count, size_t last_len)
{
	static uint8_t bytes[2 * MOST];
	struct sink sink = sink_of(bytes, sizeof(bytes));
	for (size_t i = 0; i < count; i++) {
		sink_u16(&sink, (uint16_t)(0x0100 + i));
		sink_u16(&sink, (uint16_t)(i + 1 < count ? 0 : last_len));
	}
	for (size_t i = 0; i < last_len; i++)
		sink_u8(&sink, 'x');
	return sink_written(&sink);
}

static void test_biggest(void **state)
{
	(void)state;
	/* Four records of 5 bytes' header, 4 + 34 + 7 + 2 of hello, 4 of extension. */
	size_t room = MOST - 4 * 5 - 47 - 4;
	struct span stream = stream_with(many_extensions(1, room));
	assert_int_equal(stream.len, MOST);
	assert_int_equal(read_new(stream).res, WIRE_OK);
	stream = stream_with(many_extensions(1, room + 1));
	assert_int_equal(read_new(stream).fault, HELLO_MESSAGE_LONG);
	/* It is told by the first bytes. */
	stream = stream_with(many_extensions(1, room + 20));
	assert_int_equal(read_new(span_of(stream.at, 9)).fault, HELLO_MESSAGE_LONG);
}

static void test_small_limit(void **state)
{
	(void)state;
	struct span stream = load("openssl30");
	struct hello_reader reader;
	hello_begin(&reader, (uint32_t)stream.len);
	assert_int_equal(read_on(&reader, stream).res, WIRE_OK);
	hello_begin(&reader, (uint32_t)stream.len - 1);
	assert_int_equal(read_on(&reader, span_of(stream.at, 5)).fault, HELLO_MESSAGE_LONG);
	/* No more is ever asked for. */
	struct said said;
	stream = load("split1");
	for (uint32_t most = 16; most < 64; most++) {
		hello_begin(&reader, most);
		for (size_t len = 0; len <= most; len++) {
			said = read_on(&reader, span_of(stream.at, len));
			assert_true(said.res == WIRE_BAD || said.need <= most);
		}
		assert_int_equal(said.fault, HELLO_MESSAGE_LONG);
	}
	/* The limit is on what is held, records and all. */
	hello_begin(&reader, (uint32_t)stream.len);
	assert_int_equal(read_on(&reader, stream).res, WIRE_OK);
	hello_begin(&reader, (uint32_t)stream.len - 1);
	assert_int_equal(read_on(&reader, stream).fault, HELLO_MESSAGE_LONG);
}

static void test_many_extensions(void **state)
{
	(void)state;
	size_t count = 16000;
	struct span block = many_extensions(count, 0);
	assert_int_equal(read_new(stream_with(block)).res, WIRE_OK);
	uint8_t *last = exact_copy(block.at, block.len);
	memcpy(last + block.len - 4, last, 2);
	assert_int_equal(read_new(stream_with(span_of(last, block.len))).fault,
			 HELLO_EXTENSION_TWICE);
	free(last);
}

/* ---- alerts --------------------------------------------------------------------------------- */

static void assert_alert(uint16_t version, enum hello_alert alert, const char *want)
{
	uint8_t bytes[HELLO_ALERT_BYTES];
	struct sink sink = sink_of(bytes, sizeof(bytes));
	struct hello hello = { .version = version };
	hello_write_alert(&sink, &hello, alert);
	assert_false(sink.full);
	assert_int_equal(sink.len, HELLO_ALERT_BYTES);
	assert_memory_equal(bytes, want, HELLO_ALERT_BYTES);
}

static void test_alerts(void **state)
{
	(void)state;
	assert_alert(0x0304, HELLO_ALERT_UNRECOGNIZED_NAME, "\x15\x03\x03\0\x02\x02\x70");
	assert_alert(0x0303, HELLO_ALERT_HANDSHAKE_FAILURE, "\x15\x03\x03\0\x02\x02\x28");
	assert_alert(0x0301, HELLO_ALERT_UNRECOGNIZED_NAME, "\x15\x03\x01\0\x02\x02\x70");
	assert_alert(0, HELLO_ALERT_DECODE_ERROR, "\x15\x03\x03\0\x02\x02\x32");
	assert_int_equal(hello_no_name_alert(&(struct hello){ .version = 0x0304 }), 109);
	assert_int_equal(hello_no_name_alert(&(struct hello){ .version = 0x0303 }), 40);
	assert_int_equal(hello_no_name_alert(&(struct hello){ .version = 0 }), 40);
	assert_int_equal(hello_faults[HELLO_RECORD_TYPE].alert, 10);
	assert_int_equal(hello_faults[HELLO_RECORD_LONG].alert, 22);
	assert_int_equal(hello_faults[HELLO_MESSAGE_LONG].alert, 47);
	assert_int_equal(hello_faults[HELLO_NAME_TWICE].alert, 50);
	assert_int_equal(hello_faults[HELLO_SSLV2].alert, 70);
	for (size_t i = 1; i < HELLO_FAULTS; i++) {
		assert_non_null(hello_faults[i].name);
		assert_non_null(hello_faults[i].text);
		assert_int_not_equal(hello_faults[i].alert, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_split),
		cmocka_unit_test(test_vectors_in_records),
		cmocka_unit_test(test_split_and_in_records),
		cmocka_unit_test(test_need),
		cmocka_unit_test(test_need_of_head),
		cmocka_unit_test(test_record_versions),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_biggest),
		cmocka_unit_test(test_small_limit),
		cmocka_unit_test(test_many_extensions),
		cmocka_unit_test(test_alerts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
