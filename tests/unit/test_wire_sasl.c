/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/sasl: the examples of RFC 4616 and RFC 7677, one of SHA-512 that Python's hashlib and hmac
 * have made, and servers' messages that are cut, changed in a byte, or lie.
 */
#include "unit.h"

#include <penstock/wire/sasl.h>

static const uint8_t a_random[SASL_RANDOM] = "eighteen bytes ...";

/* A whole SCRAM exchange. */
struct talk {
	enum sasl_mechanism mechanism;
	const char *nonce, *user, *password;
	const char *first, *challenge, *final, *proof;
};

/* RFC 7677, 3. */
static const struct talk pencil = {
	SASL_SCRAM_SHA_256,
	"rOprNGfwEbeRWgbNEkqO",
	"user",
	"pencil",
	"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

static const struct talk commas = {
	SASL_SCRAM_SHA_512,
	"fyko+d2lbbFgONRv9qkxdawL",
	"a,b=c",
	"pa ss,=",
	"n,,n=a=2Cb=3Dc,r=fyko+d2lbbFgONRv9qkxdawL",
	"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=8192",
	"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	"p=40ssNlZr7HMWFFAi25IqiRU+J2InNtuL5qdGpjsJEmjpxwRP7cCG7ivbCSz2f010C1o2nECGBqqN7HQNNPvxeA==",
	"v=Ff6tAt9OAsDVPXzrxG7GgJk2QNGJSiaxOZxRYhZEdcy5SurZ415i26Be5new1rJmgQ+drpBnF0639ta01M1QPQ==",
};

static struct sasl_credential credential_of(const struct talk *talk)
{
	return (struct sasl_credential){ span_str(talk->user), span_str(talk->password) };
}

/* The client after its first message. */
static struct sasl_client begun(const struct talk *talk)
{
	struct sasl_credential credential = credential_of(talk);
	struct sasl_client client;
	uint8_t said[SASL_SAY_MAX];
	struct sink sink = sink_of(said, sizeof(said));

	sasl_begin(&client, talk->mechanism, a_random);
	client.nonce_len = (uint8_t)strlen(talk->nonce);
	memcpy(client.nonce, talk->nonce, client.nonce_len);
	assert_true(sasl_first(&client, &credential, &sink));
	assert_true(span_is(sink_written(&sink), talk->first));
	return client;
}

static enum sasl_next hear(struct sasl_client *client, const struct talk *talk, const char *message,
			   size_t len, struct sasl_memo *memo, const char *expected)
{
	struct sasl_credential credential = credential_of(talk);
	uint8_t said[SASL_SAY_MAX], *copy = exact_copy(message, len);
	struct sink sink = sink_of(said, sizeof(said));
	enum sasl_next next = sasl_hear(client, &credential, span_of(copy, len), memo, &sink);

	assert_false(sink.full);
	if (expected != NULL && next == SASL_SAY)
		assert_true(span_is(sink_written(&sink), expected));
	else if (next != SASL_SAY)
		assert_int_equal(sink.len, 0);
	free(copy);
	return next;
}

static void see_talk(const struct talk *talk, struct sasl_memo *memo)
{
	struct sasl_client client = begun(talk);

	assert_int_equal(hear(&client, talk, talk->challenge, strlen(talk->challenge), memo,
			      talk->final),
			 SASL_SAY);
	assert_int_equal(hear(&client, talk, talk->proof, strlen(talk->proof), memo, NULL),
			 SASL_DONE);
	/* It is over. */
	assert_int_equal(hear(&client, talk, talk->proof, strlen(talk->proof), memo, NULL),
			 SASL_MALFORMED);
}

static void test_scram(void **state)
{
	(void)state;
	struct sasl_memo memo = { 0 }, nothing = { 0 };

	see_talk(&pencil, &memo);
	see_talk(&pencil, &memo); /* out of the memo */
	see_talk(&commas, &memo); /* which is somebody else's now */
	see_talk(&pencil, &memo);
	assert_true(memo.is_set);
	sasl_memo_forget(&memo);
	assert_memory_equal(&memo, &nothing, sizeof(memo));
}

/* A memo is for one password: another one must not pass for it. */
static void test_memo(void **state)
{
	(void)state;
	struct talk other = pencil;
	struct sasl_memo memo = { 0 };
	struct sasl_client client;

	see_talk(&pencil, &memo);
	other.password = "pencil2";
	client = begun(&other);
	assert_int_equal(hear(&client, &other, other.challenge, strlen(other.challenge), &memo,
			      NULL),
			 SASL_SAY);
	assert_int_equal(hear(&client, &other, other.proof, strlen(other.proof), &memo, NULL),
			 SASL_IMPOSTOR);
	/* And with the memo wrongly taken for its own, it would have been DONE. */
	see_talk(&pencil, &memo);
}

/* ---- what servers must not say -------------------------------------------------------------- */

static void see_bad_challenge(const struct talk *talk, const char *message, size_t len)
{
	struct sasl_memo memo = { 0 };
	struct sasl_client client = begun(talk);

	if (hear(&client, talk, message, len, &memo, NULL) != SASL_MALFORMED)
		fail_msg("taken: %.*s", (int)len, message);
	assert_false(memo.is_set);
}

static void test_cut(void **state)
{
	(void)state;
	static const struct talk *const talks[] = { &pencil, &commas };

	for (size_t i = 0; i < COUNT_OF(talks); i++) {
		const char *challenge = talks[i]->challenge, *proof = talks[i]->proof;
		struct sasl_memo memo = { 0 };

		for (size_t len = 0; len < strlen(challenge); len++)
			see_bad_challenge(talks[i], challenge, len);
		for (size_t len = 0; len < strlen(proof); len++) {
			struct sasl_client client = begun(talks[i]);

			assert_int_equal(hear(&client, talks[i], challenge, strlen(challenge),
					      &memo, NULL),
					 SASL_SAY);
			enum sasl_next next = hear(&client, talks[i], proof, len, &memo, NULL);

			assert_true(next == SASL_MALFORMED || next == SASL_IMPOSTOR);
		}
	}
}

#define NONCE "r=rOprNGfwEbeRWgbNEkqOx"
#define SALT  "s=W22ZaJ0SNY7soEsUEjb6gQ=="

static void test_bad_challenges(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"r=rOprNGfwEbeRWgbNEkqO," SALT ",i=4096",  /* nothing of the server's */
		"r=rOprNGfwEbeRWgbNEkqPx," SALT ",i=4096", /* not our nonce */
		"r=rOprNGfwEbeRWgbNEkqO x," SALT ",i=4096",
		NONCE "," SALT ",i=4095",
		NONCE "," SALT ",i=16385",
		NONCE "," SALT ",i=4294971392", /* 4096 in 32 bits */
		NONCE "," SALT ",i=-4096",
		NONCE "," SALT ",i=",
		NONCE "," SALT,
		NONCE ",s=,i=4096",
		NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ=,i=4096",
		NONCE ",s=W22ZaJ0SNY7soEsUEjb6gR==,i=4096", /* bits behind the last byte */
		NONCE ",s=W22ZaJ0SNY7soEsUEjb6g===,i=4096",
		NONCE ",s=W22Z*J0SNY7soEsUEjb6gQ==,i=4096",
		"m=x," NONCE "," SALT ",i=4096", /* an extension that would have to be known */
		SALT "," NONCE ",i=4096",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", /* before any proof */
		"e=unknown-user",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		see_bad_challenge(&pencil, bad[i], strlen(bad[i]));
	static const char zero[] = "r=rOprNGfwEbeRWgbNEkqO\0x," SALT ",i=4096";

	see_bad_challenge(&pencil, zero, sizeof(zero) - 1);
	see_bad_challenge(&pencil, "", 0);
}

/* A salt too long for its place, a message too long for any. */
static void test_long(void **state)
{
	(void)state;
	static char message[SASL_HEAR_MAX + 64];
	struct sasl_memo memo = { 0 };
	struct sasl_client client = begun(&pencil);

	for (size_t letters = 4; letters <= 256; letters += 4) {
		struct sink sink = sink_of(message, sizeof(message));
		enum sasl_next next;

		client = begun(&pencil);
		sink_str(&sink, NONCE ",s=");
		for (size_t i = 0; i < letters; i++)
			sink_u8(&sink, 'A');
		sink_str(&sink, ",i=4096");
		next = hear(&client, &pencil, message, sink.len, &memo, NULL);
		assert_int_equal(next,
				 letters / 4 * 3 <= SASL_SALT_MAX ? SASL_SAY : SASL_MALFORMED);
	}
	memset(message, 'x', sizeof(message));
	memcpy(message, pencil.challenge, strlen(pencil.challenge));
	message[strlen(pencil.challenge)] = ',';
	client = begun(&pencil);
	assert_int_equal(hear(&client, &pencil, message, SASL_HEAR_MAX, &memo, NULL), SASL_SAY);
	client = begun(&pencil);
	assert_int_equal(hear(&client, &pencil, message, SASL_HEAR_MAX + 1, &memo, NULL),
			 SASL_MALFORMED);
}

static void test_bad_proofs(void **state)
{
	(void)state;
	static const struct {
		const char *message;
		enum sasl_next next;
	} proofs[] = {
		{ "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", SASL_DONE },
		{ "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=y", SASL_DONE },
		{ "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", SASL_IMPOSTOR },
		{ "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9", SASL_IMPOSTOR },
		{ "v=", SASL_MALFORMED },
		{ "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4", SASL_MALFORMED },
		{ "e=invalid-proof", SASL_REFUSED },
		{ "x=y", SASL_MALFORMED },
		{ "", SASL_MALFORMED },
	};
	struct sasl_memo memo = { 0 };

	for (size_t i = 0; i < COUNT_OF(proofs); i++) {
		struct sasl_client client = begun(&pencil);

		assert_int_equal(hear(&client, &pencil, pencil.challenge, strlen(pencil.challenge),
				      &memo, NULL),
				 SASL_SAY);
		assert_int_equal(hear(&client, &pencil, proofs[i].message,
				      strlen(proofs[i].message), &memo, NULL),
				 proofs[i].next);
	}
}

/* ---- PLAIN, and what cannot be said --------------------------------------------------------- */

/* RFC 4616, 4. */
static void test_plain(void **state)
{
	(void)state;
	struct sasl_credential tim = { span_str("tim"), span_str("tanstaaftanstaaf") };
	uint8_t said[SASL_SAY_MAX];
	struct sink sink = sink_of(said, sizeof(said));
	struct sasl_memo memo = { 0 };
	struct sasl_client client, nothing = { 0 };

	sasl_begin(&client, SASL_PLAIN, a_random);
	assert_true(sasl_first(&client, &tim, &sink));
	assert_int_equal(sink.len, 21);
	assert_memory_equal(said, "\0tim\0tanstaaftanstaaf", 21);
	sink.len = 0;
	assert_int_equal(sasl_hear(&client, &tim, span_of("", 0), &memo, &sink), SASL_DONE);
	assert_int_equal(sasl_hear(&client, &tim, span_of("", 0), &memo, &sink), SASL_MALFORMED);
	sasl_forget(&client);
	assert_memory_equal(&client, &nothing, sizeof(client));
}

static void test_unsayable(void **state)
{
	(void)state;
	static char big[SASL_PASSWORD_MAX + 2];
	static const enum sasl_mechanism mechanisms[] = { SASL_PLAIN, SASL_SCRAM_SHA_256,
							  SASL_SCRAM_SHA_512 };

	memset(big, 'x', sizeof(big) - 1);
	const struct sasl_credential bad[] = {
		{ span_str(""), span_str("secret") },
		{ span_str("alice"), span_str("") },
		{ span_str("al\xc3\xaf"
			   "ce"),
		  span_str("secret") }, /* would have to be prepared */
		{ span_str("alice"), span_str("se\xcc\x81"
					      "cret") },
		{ span_of("al\0ce", 5), span_str("secret") },
		{ span_str("alice"), span_str("sec\nret") },
		{ span_of(big, SASL_USER_MAX + 1), span_str("secret") },
		{ span_str("alice"), span_of(big, SASL_PASSWORD_MAX + 1) },
	};
	const struct sasl_credential most = { span_of("================", 16),
					      span_of(big, SASL_PASSWORD_MAX) };

	for (size_t i = 0; i < COUNT_OF(mechanisms); i++) {
		uint8_t said[SASL_SAY_MAX];
		struct sink sink = sink_of(said, sizeof(said));
		struct sasl_client client;

		for (size_t k = 0; k < COUNT_OF(bad); k++) {
			sasl_begin(&client, mechanisms[i], a_random);
			assert_false(sasl_first(&client, &bad[k], &sink));
		}
		assert_int_equal(sink.len, 0);
		sasl_begin(&client, mechanisms[i], a_random);
		assert_true(sasl_first(&client, &most, &sink));
		assert_false(sink.full);
	}
}

/* The longest of everything fits where it must. */
static void test_longest(void **state)
{
	(void)state;
	static char user[SASL_USER_MAX + 1], password[SASL_PASSWORD_MAX + 1];
	static char challenge[SASL_HEAR_MAX + 1];
	struct sasl_memo memo = { 0 };
	struct sasl_client client;
	uint8_t said[SASL_SAY_MAX];
	struct sink sink = sink_of(said, sizeof(said));

	memset(user, ',', SASL_USER_MAX);
	memset(password, '~', SASL_PASSWORD_MAX);
	struct sasl_credential credential = { span_str(user), span_str(password) };

	sasl_begin(&client, SASL_SCRAM_SHA_512, a_random);
	assert_true(sasl_first(&client, &credential, &sink));
	assert_int_equal(sink.len, 3 + 2 + 3 * SASL_USER_MAX + 3 + SASL_NONCE);
	sink = sink_of(challenge, SASL_HEAR_MAX);
	sink_str(&sink, "r=");
	sink_bytes(&sink, client.nonce, SASL_NONCE);
	while (sink.len < SASL_HEAR_MAX - 14)
		sink_u8(&sink, 'n');
	sink_str(&sink, ",s=QUJD,i=4096");
	assert_false(sink.full);
	struct span message = sink_written(&sink);

	sink = sink_of(said, sizeof(said));
	assert_int_equal(sasl_hear(&client, &credential, message, &memo, &sink), SASL_SAY);
	assert_false(sink.full);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(sasl_name(SASL_PLAIN), "PLAIN");
	assert_string_equal(sasl_name(SASL_SCRAM_SHA_256), "SCRAM-SHA-256");
	assert_string_equal(sasl_name(SASL_SCRAM_SHA_512), "SCRAM-SHA-512");
	assert_true(sasl_is_text(span_str(" azAZ09~,=")));
	assert_false(sasl_is_text(span_str("\x7f")));
}

/* Another nonce for other random bytes, of letters a message may have. */
static void test_nonce(void **state)
{
	(void)state;
	static const uint8_t zeros[SASL_RANDOM];
	struct sasl_client one, two;

	sasl_begin(&one, SASL_SCRAM_SHA_256, zeros);
	sasl_begin(&two, SASL_SCRAM_SHA_256, a_random);
	assert_memory_equal(one.nonce, "AAAAAAAAAAAAAAAAAAAAAAAA", SASL_NONCE);
	assert_memory_equal(two.nonce, "ZWlnaHRlZW4gYnl0ZXMgLi4u", SASL_NONCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram),	cmocka_unit_test(test_memo),
		cmocka_unit_test(test_cut),	cmocka_unit_test(test_bad_challenges),
		cmocka_unit_test(test_long),	cmocka_unit_test(test_bad_proofs),
		cmocka_unit_test(test_plain),	cmocka_unit_test(test_unsayable),
		cmocka_unit_test(test_longest), cmocka_unit_test(test_names),
		cmocka_unit_test(test_nonce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
