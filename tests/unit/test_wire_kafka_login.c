/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_login: whole authentications with a broker played here, at every cut of what it
 * answers, its refusals, and the requests held against those of the Java client.
 */
#include "kafka_vectors.h"

#include <penstock/wire/kafka_login.h>
#include <penstock/wire/kafka_sasl.h>

static const uint8_t a_random[SASL_RANDOM] = "eighteen bytes ...";
static const struct sasl_credential alice = { { (const uint8_t *)"alice", 5 },
					      { (const uint8_t *)"secret", 6 } };

/* ---- a broker ------------------------------------------------------------------------------- */

/* A request as a broker reads it: header, then body. */
struct asked {
	struct kafka_request head;
	struct span body;
};

static struct asked read_request(struct span frame)
{
	struct asked asked;
	struct kafka_why why;
	struct span client;

	assert_int_equal(kafka_request_head(frame, 1 << 20, &asked.head, &why), WIRE_OK);
	assert_int_equal(asked.head.frame_size, frame.len);
	assert_int_equal(kafka_request_client(frame, &asked.head, &client, &why), WIRE_OK);
	assert_true(span_is(client, "penstock"));
	assert_int_equal(kafka_request_body(frame, &asked.head, &asked.body, &why), WIRE_OK);
	return asked;
}

static void begin_answer(struct sink *sink, const struct asked *asked)
{
	sink->len = 0;
	sink_u32(sink, 0);
	sink_u32(sink, (uint32_t)asked->head.correlation);
}

static struct span end_answer(struct sink *sink)
{
	assert_false(sink->full);
	sink_patch_u32(sink, 0, (uint32_t)(sink->len - 4));
	return sink_written(sink);
}

static struct span versions_answer(struct sink *sink, const struct asked *asked, int16_t handshake,
				   int16_t authenticate)
{
	const int16_t rows[][3] = {
		{ 0, 3, 12 }, { 17, 0, handshake }, { 18, 0, 4 }, { 36, 0, authenticate }
	};

	begin_answer(sink, asked);
	sink_u16(sink, 0);
	sink_u32(sink, authenticate < 0 ? 3 : 4);
	for (size_t i = 0; i < (authenticate < 0 ? 3u : 4u); i++)
		for (size_t k = 0; k < 3; k++)
			sink_u16(sink, (uint16_t)rows[i][k]);
	return end_answer(sink);
}

static struct span handshake_answer(struct sink *sink, const struct asked *asked, int16_t error)
{
	begin_answer(sink, asked);
	sink_u16(sink, (uint16_t)error);
	sink_u32(sink, 1);
	sink_u16(sink, 6);
	sink_str(sink, "GSSAPI");
	return end_answer(sink);
}

static struct span token_answer(struct sink *sink, const struct asked *asked, int16_t error,
				const char *token)
{
	size_t len = strlen(token);
	int16_t version = asked->head.version;

	begin_answer(sink, asked);
	if (version >= 2)
		sink_u8(sink, 0);
	sink_u16(sink, (uint16_t)error);
	if (version >= 2) {
		sink_u8(sink, 3);
		sink_str(sink, "no");
		sink_varint(sink, len + 1);
	} else {
		sink_u16(sink, 2);
		sink_str(sink, "no");
		sink_u32(sink, (uint32_t)len);
	}
	sink_str(sink, token);
	if (version >= 1) {
		sink_u32(sink, 0);
		sink_u32(sink, 3600000);
	}
	if (version >= 2)
		sink_u8(sink, 0);
	return end_answer(sink);
}

/* ---- the client against it ------------------------------------------------------------------ */

struct play {
	struct kafka_login login;
	struct sasl_memo memo;
	struct kafka_login_seen seen;
	uint8_t said[KAFKA_LOGIN_SAY_MAX], answer[4096];
	struct sink say, answered;
};

static void play_begin(struct play *play, enum sasl_mechanism mechanism)
{
	play->say = sink_of(play->said, sizeof(play->said));
	play->answered = sink_of(play->answer, sizeof(play->answer));
	kafka_login_begin(&play->login, mechanism, a_random);
	kafka_login_first(&play->login, &play->say);
}

static struct asked play_asked(struct play *play, int16_t key)
{
	struct asked asked = read_request(sink_written(&play->say));

	assert_int_equal(asked.head.key, key);
	assert_int_equal(asked.head.correlation, play->login.correlation);
	return asked;
}

/* Every beginning wants more, and says how much; what is behind it is none of the login's. */
static enum kafka_login_next play_see(struct play *play, struct span answer)
{
	uint8_t *copy;

	play->say.len = 0;
	for (size_t len = 0; len < answer.len; len++) {
		copy = exact_copy(answer.at, len);
		assert_int_equal(kafka_login_see(&play->login, &alice, span_of(copy, len),
						 &play->memo, &play->say, &play->seen),
				 KAFKA_LOGIN_MORE);
		assert_true(play->seen.need > len && play->seen.need <= answer.len);
		assert_int_equal(play->say.len, 0);
		free(copy);
	}
	copy = malloc(answer.len + 3);
	assert_non_null(copy);
	memcpy(copy, answer.at, answer.len);
	memset(copy + answer.len, 0xff, 3);
	enum kafka_login_next next =
		kafka_login_see(&play->login, &alice, span_of(copy, answer.len + 3), &play->memo,
				&play->say, &play->seen);

	if (next == KAFKA_LOGIN_SAY || next == KAFKA_LOGIN_DONE)
		assert_int_equal(play->seen.frame_size, answer.len);
	free(copy);
	return next;
}

static void play_until_token(struct play *play, enum sasl_mechanism mechanism, int16_t version)
{
	struct asked asked;

	play_begin(play, mechanism);
	asked = play_asked(play, KAFKA_API_VERSIONS);
	assert_int_equal(asked.head.version, 0);
	assert_int_equal(play_see(play, versions_answer(&play->answered, &asked, 1, version)),
			 KAFKA_LOGIN_SAY);
	asked = play_asked(play, KAFKA_SASL_HANDSHAKE);
	assert_int_equal(asked.head.version, 1);
	assert_int_equal(play_see(play, handshake_answer(&play->answered, &asked, 0)),
			 KAFKA_LOGIN_SAY);
	asked = play_asked(play, KAFKA_SASL_AUTHENTICATE);
	assert_int_equal(asked.head.version, version < 2 ? version : 2);
}

/* The token in a request of ours. */
static struct span token_of(struct play *play)
{
	struct span frame = sink_written(&play->say), token;
	struct asked asked = read_request(frame);
	struct kafka_why why;

	assert_int_equal(kafka_sasl_token(frame, &asked.head, &token, &why), WIRE_OK);
	return token;
}

static void test_plain(void **state)
{
	(void)state;
	for (int16_t version = 0; version <= 3; version++) {
		struct play play = { 0 };

		play_until_token(&play, SASL_PLAIN, version);
		struct asked asked = play_asked(&play, KAFKA_SASL_AUTHENTICATE);
		struct span token = token_of(&play);

		assert_int_equal(token.len, 13);
		assert_memory_equal(token.at, "\0alice\0secret", 13);
		assert_int_equal(play_see(&play, token_answer(&play.answered, &asked, 0, "")),
				 KAFKA_LOGIN_DONE);
		assert_int_equal(play.login.lifetime_ms, version >= 1 ? 3600000 : 0);
	}
}

/* Once more on the same connection: the version is known, and the numbers go on. */
static void test_again(void **state)
{
	(void)state;
	struct play play = { 0 };

	play_until_token(&play, SASL_PLAIN, 2);
	struct asked asked = play_asked(&play, KAFKA_SASL_AUTHENTICATE);

	assert_int_equal(play_see(&play, token_answer(&play.answered, &asked, 0, "")),
			 KAFKA_LOGIN_DONE);
	int32_t before = play.login.correlation;

	play_begin(&play, SASL_PLAIN);
	asked = play_asked(&play, KAFKA_SASL_HANDSHAKE);
	assert_int_equal(asked.head.correlation, before + 1);
	assert_int_equal(play_see(&play, handshake_answer(&play.answered, &asked, 0)),
			 KAFKA_LOGIN_SAY);
	asked = play_asked(&play, KAFKA_SASL_AUTHENTICATE);
	assert_int_equal(play_see(&play, token_answer(&play.answered, &asked, 0, "")),
			 KAFKA_LOGIN_DONE);
}

/* A challenge made of our nonce; its answer, and a server that cannot answer that. */
static void test_scram(void **state)
{
	(void)state;
	for (int16_t version = 0; version <= 2; version++) {
		struct play play = { 0 };

		play_until_token(&play, SASL_SCRAM_SHA_512, version);
		struct asked asked = play_asked(&play, KAFKA_SASL_AUTHENTICATE);

		assert_true(span_is(token_of(&play), "n,,n=alice,r=ZWlnaHRlZW4gYnl0ZXMgLi4u"));
		assert_int_equal(
			play_see(&play,
				 token_answer(&play.answered, &asked, 0,
					      "r=ZWlnaHRlZW4gYnl0ZXMgLi4uXY,s=QUJDRA==,i=4096")),
			KAFKA_LOGIN_SAY);
		asked = play_asked(&play, KAFKA_SASL_AUTHENTICATE);
		assert_true(span_starts(token_of(&play), "c=biws,r=ZWlnaHRlZW4gYnl0ZXMgLi4uXY,p="));
		assert_int_equal(play_see(&play, token_answer(&play.answered, &asked, 0, "v=QUJD")),
				 KAFKA_LOGIN_FAILED);
		assert_int_equal(play.seen.fault, KAFKA_LOGIN_IMPOSTOR);
	}
}

static void assert_failed(struct play *play, enum kafka_login_next next,
			  enum kafka_login_fault fault, int16_t error)
{
	assert_int_equal(next, KAFKA_LOGIN_FAILED);
	assert_int_equal(play->seen.fault, fault);
	assert_int_equal(play->seen.error, error);
	assert_true(strlen(kafka_login_fault_text(fault)) > 0);
}

static void test_refused(void **state)
{
	(void)state;
	struct play play = { 0 };

	play_until_token(&play, SASL_PLAIN, 1);
	struct asked asked = play_asked(&play, KAFKA_SASL_AUTHENTICATE);

	assert_failed(&play, play_see(&play, token_answer(&play.answered, &asked, 58, "")),
		      KAFKA_LOGIN_REFUSED, 58);
	assert_int_equal(play.seen.said.len, 2);

	play = (struct play){ 0 };
	play_begin(&play, SASL_PLAIN);
	asked = play_asked(&play, KAFKA_API_VERSIONS);
	assert_int_equal(play_see(&play, versions_answer(&play.answered, &asked, 1, 2)),
			 KAFKA_LOGIN_SAY);
	asked = play_asked(&play, KAFKA_SASL_HANDSHAKE);
	assert_failed(&play, play_see(&play, handshake_answer(&play.answered, &asked, 33)),
		      KAFKA_LOGIN_MECHANISM, 33);

	play_until_token(&(struct play){ 0 }, SASL_PLAIN, 0);
	play = (struct play){ 0 };
	play_begin(&play, SASL_PLAIN);
	asked = play_asked(&play, KAFKA_API_VERSIONS);
	assert_failed(&play, play_see(&play, versions_answer(&play.answered, &asked, 1, -1)),
		      KAFKA_LOGIN_OLD, 0);
	play = (struct play){ 0 };
	play_begin(&play, SASL_PLAIN);
	asked = play_asked(&play, KAFKA_API_VERSIONS);
	assert_failed(&play, play_see(&play, versions_answer(&play.answered, &asked, 0, 2)),
		      KAFKA_LOGIN_OLD, 0);
}

/* Answers to something else, of no size or too much of it, and shorter than what they say. */
static void test_unreadable(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		size_t len;
	} frames[] = {
		{ "\0\0\0\x0a\0\0\0\2\0\0\0\0\0\0", 14 }, /* not our number */
		{ "\xff\xff\xff\xff\0\0\0\1", 8 },	  /* negative */
		{ "\0\0\0\3\0\0\0\1", 8 },		  /* no room for a header */
		{ "\0\0\x40\1\0\0\0\1", 8 },		  /* more than a login is worth */
		{ "\0\0\0\4\0\0\0\1", 8 },		  /* nothing in it */
		{ "\0\0\0\x0a\0\0\0\1\0\0\0\0\0\1", 14 }, /* a list of one, and it is not there */
		{ "\0\0\0\x0a\0\0\0\1\0\0\x7f\xff\xff\xff", 14 }, /* of two thousand million */
		{ "\x15\x03\x03\0\2\2\x32\0", 8 },		  /* an alert: a TLS port */
	};

	for (size_t i = 0; i < COUNT_OF(frames); i++) {
		struct play play = { 0 };
		uint8_t *copy = exact_copy(frames[i].at, frames[i].len);

		play_begin(&play, SASL_PLAIN);
		play.say.len = 0;
		enum kafka_login_next next =
			kafka_login_see(&play.login, &alice, span_of(copy, frames[i].len),
					&play.memo, &play.say, &play.seen);

		assert_failed(&play, next, KAFKA_LOGIN_UNREADABLE, 0);
		assert_int_equal(play.say.len, 0);
		free(copy);
	}
}

/* ---- against the Java client ---------------------------------------------------------------- */

/* The rest of a frame from its body on. */
static void assert_same_body(const struct vector *vector, struct play *play)
{
	size_t size;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	struct span theirs = span_of(frame, size);
	struct asked ours = read_request(sink_written(&play->say));

	assert_true(span_skip(&theirs, (size_t)vector_number(vector, 2)));
	/* Of v2 only up to the tagged fields, of which the vector has some. */
	if (ours.head.version == 2)
		theirs.len = --ours.body.len;
	assert_true(span_equal(ours.body, theirs));
	free(frame);
}

static void see_handshake(const struct vector *vector)
{
	struct play play = { 0 };

	if (vector_number(vector, 0) != 1)
		return;
	play.login.is_known = true;
	play_begin(&play, SASL_SCRAM_SHA_256);
	assert_same_body(vector, &play);
}

static void see_authenticate(const struct vector *vector)
{
	struct play play = { 0 };

	play_until_token(&play, SASL_PLAIN, (int16_t)vector_number(vector, 0));
	assert_same_body(vector, &play);
}

static void test_java(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("sasl_handshake", see_handshake), 2);
	assert_int_equal(vectors_each("sasl_authenticate", see_authenticate), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	   cmocka_unit_test(test_again),
		cmocka_unit_test(test_scram),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unreadable), cmocka_unit_test(test_java),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
