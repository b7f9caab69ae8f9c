/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_recv: what OpenSSL seals, arriving in pieces cut at every offset, read in pieces of every
 * size, with records between that are no data, and with everything that may be wrong with one.
 */
#define _GNU_SOURCE
#include "tls_talk.h"

#define MOST 150000

static uint8_t wire[MOST], sent[MOST], got[MOST];

#define EACH_TALK(suite, is_server)                            \
	for (size_t suite = 0; (suite) < TALK_SUITES; suite++) \
		for (int is_server = 0; (is_server) < 2; is_server++)

/* ---- records cut anywhere ------------------------------------------------------------------- */

/* What came before a cut: the content of all records that are whole. */
static size_t content_before(const size_t *parts, size_t count, size_t overhead, size_t cut)
{
	size_t at = 0, content = 0;

	for (size_t i = 0; i < count; i++) {
		size_t size = at + TLS_HEADER_BYTES + (size_t)(wire[at + 3] << 8 | wire[at + 4]);

		if (cut < size)
			return content;
		/* A key update is as long as a record of 5 bytes. */
		if (parts[i] != 0)
			content += size - at - overhead;
		at = size;
	}
	return content;
}

/* Is there part of a record, but not all of it, before the cut? */
static bool is_inside(size_t cut)
{
	size_t at = 0;

	while (at < cut)
		at += TLS_HEADER_BYTES + (size_t)(wire[at + 3] << 8 | wire[at + 4]);
	return at > cut;
}

/* Records with so much content; 0 is a change of keys. Returns their size. */
static size_t seal_parts(struct talk *talk, const size_t *parts, size_t count, size_t *ret_content)
{
	size_t content = 0;

	for (size_t i = 0; i < count; i++) {
		if (parts[i] == 0) {
			talk_update_key(talk, false);
		} else {
			talk_write(talk, sent + content, parts[i]);
			content += parts[i];
		}
	}
	*ret_content = content;
	return talk_sealed(talk, wire, sizeof(wire));
}

static void check_cut(struct talk *talk, const size_t *parts, size_t count, size_t cut, size_t size,
		      size_t content)
{
	size_t overhead = tls_record_sealed_size(talk->end->suite, 0);
	ssize_t last;

	memset(got, 0, content);
	talk_arrive(talk, wire, cut);
	size_t first = talk_drain(talk, got, MOST, 65536, &last);

	assert_int_equal(last, -EAGAIN);
	assert_int_equal(first, content_before(parts, count, overhead, cut));
	/* Half a record stays where it is, and wakes nobody until the rest is there. */
	assert_int_equal(talk_queued(talk) > 0, is_inside(cut));
	assert_false(talk_is_readable(talk));
	talk_arrive(talk, wire + cut, size - cut);
	if (cut < size)
		assert_true(talk_is_readable(talk));
	size_t second = talk_drain(talk, got + first, MOST - first, 65536, &last);

	assert_int_equal(last, -EAGAIN);
	assert_int_equal(first + second, content);
	assert_memory_equal(got, sent, content);
	assert_int_equal(talk_queued(talk), 0);
}

static void records_cut_anywhere(void **state)
{
	static const size_t tls12[] = { 1, 37, 200, 2 };
	static const size_t tls13[] = { 1, 0, 37, 0, 0, 200, 2, 0 };

	(void)state;
	EACH_TALK(suite, is_server)
	{
		bool is_tls13 = talk_suites[suite].version == TLS_1_3;
		const size_t *parts = is_tls13 ? tls13 : tls12;
		size_t count = is_tls13 ? COUNT_OF(tls13) : COUNT_OF(tls12);
		struct talk talk;
		size_t size = 1, content;

		talk_open(&talk, suite, is_server);
		for (size_t cut = 0; cut <= size; cut++) {
			bench_fill(sent, 300, (uint32_t)cut);
			size = seal_parts(&talk, parts, count, &content);
			check_cut(&talk, parts, count, cut, size, content);
		}
		talk_close(&talk);
	}
}

/* The largest records, cut at every offset of the first 100 and the last 100 bytes of each. */
static void long_records_cut_anywhere(void **state)
{
	static const size_t parts[] = { 16384, 16384, 3 };

	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;
		size_t size = 1, content;

		talk_open(&talk, suite, is_server);
		size_t record = tls_record_sealed_size(talk.end->suite, 16384);
		for (size_t cut = 0; cut <= size; cut++) {
			if (cut % record > 100 && cut % record < record - 100)
				cut += cut % 2 == 0 ? 4001 : 3000;
			bench_fill(sent, 40000, (uint32_t)cut);
			size = seal_parts(&talk, parts, COUNT_OF(parts), &content);
			check_cut(&talk, parts, COUNT_OF(parts), cut < size ? cut : size, size,
				  content);
		}
		talk_close(&talk);
	}
}

static void byte_by_byte(void **state)
{
	static const size_t parts[] = { 1, 200, 5, 60 };

	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;
		size_t content, len = 0;
		ssize_t last;

		talk_open(&talk, suite, is_server);
		bench_fill(sent, 2000, 7);
		size_t size = seal_parts(&talk, parts, COUNT_OF(parts), &content);
		for (size_t i = 0; i < size; i++) {
			talk_arrive(&talk, wire + i, 1);
			len += talk_drain(&talk, got + len, MOST - len, 100, &last);
			assert_int_equal(last, -EAGAIN);
		}
		assert_int_equal(len, content);
		assert_memory_equal(got, sent, content);
		talk_close(&talk);
	}
}

/* Half a record stays in the socket, however often it is looked at, until there is no room for the
 * rest: with every byte in a segment of its own that is soon. */
static void half_a_record_is_held_late(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;
		size_t at = 0;
		ssize_t last;

		talk_open(&talk, suite, is_server);
		bench_fill(sent, 4000, 5);
		talk_write(&talk, sent, 4000);
		talk_write(&talk, sent, 10);
		size_t size = talk_sealed(&talk, wire, sizeof(wire));
		do {
			talk_arrive(&talk, wire + at++, 1);
			assert_int_equal(tls_recv(talk.end, got, MOST), -EAGAIN);
			if (talk_is_readable(&talk))
				break;
			assert_int_equal(tls_recv(talk.end, got, MOST), -EAGAIN);
			assert_int_equal(tls_recv(talk.end, got, MOST), -EAGAIN);
			assert_null(talk.end->half);
		} while (at < 3000);
		assert_true(at > 20 && at < 3000);
		assert_int_equal(tls_recv(talk.end, got, MOST), -EAGAIN);
		assert_non_null(talk.end->half);
		assert_int_equal(talk_queued(&talk), 0);
		assert_false(talk_is_readable(&talk));
		assert_int_equal(bench_count(STAT_TLS_HALVES_IN_USE), 1);
		talk_arrive(&talk, wire + at, size - at);
		assert_int_equal(tls_peek(talk.end, got, 100), 100);
		assert_int_equal(tls_discard(talk.end, 60), 60);
		assert_int_equal(talk_drain(&talk, got + 60, MOST - 60, 999, &last), 3950);
		assert_memory_equal(got, sent, 4000);
		assert_memory_equal(got + 4000, sent, 10);
		assert_int_equal(last, -EAGAIN);
		assert_null(talk.end->half);
		assert_int_equal(bench_count(STAT_TLS_HALVES_IN_USE), 0);
		talk_close(&talk);
	}
}

/* ---- pieces of records ---------------------------------------------------------------------- */

static void read_in_pieces(void **state)
{
	static const size_t parts[] = { 16384, 1, 700, 16384, 16383, 9, 5000 };
	static const size_t chunks[] = { 1,	7,     699,   700,   701,  4096,
					 16383, 16384, 16385, 40000, 65536 };

	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		for (size_t i = 0; i < COUNT_OF(chunks); i++) {
			size_t content;
			ssize_t last;

			bench_fill(sent, 60000, (uint32_t)i);
			size_t size = seal_parts(&talk, parts, COUNT_OF(parts), &content);
			talk_arrive(&talk, wire, size);
			assert_int_equal(talk_drain(&talk, got, MOST, chunks[i], &last), content);
			assert_int_equal(last, -EAGAIN);
			assert_memory_equal(got, sent, content);
		}
		talk_close(&talk);
	}
}

/* Two connections of one worker share its scratch: pieces of both, in turn. */
static void two_read_in_turn(void **state)
{
	static uint8_t sent_too[20000], got_too[20000];

	(void)state;
	for (size_t suite = 0; suite < TALK_SUITES; suite++) {
		struct talk one, other;

		talk_open(&one, suite, true);
		talk_open(&other, suite, false);
		bench_fill(sent, 16000, 1);
		bench_fill(sent_too, 16000, 2);
		talk_write(&one, sent, 16000);
		talk_write(&other, sent_too, 16000);
		talk_arrive(&one, wire, talk_sealed(&one, wire, sizeof(wire)));
		talk_arrive(&other, wire, talk_sealed(&other, wire, sizeof(wire)));
		for (size_t at = 0; at < 16000; at += 1000) {
			assert_int_equal(tls_recv(one.end, got + at, 1000), 1000);
			assert_int_equal(tls_peek(other.end, got_too + at, 1000), 1000);
			assert_int_equal(tls_recv(other.end, got_too + at, 1000), 1000);
		}
		assert_memory_equal(got, sent, 16000);
		assert_memory_equal(got_too, sent_too, 16000);
		talk_close(&one);
		talk_close(&other);
	}
}

/* Looked at, then taken off, in other pieces. */
static void peeked_and_discarded(void **state)
{
	static const size_t parts[] = { 100, 16384, 1, 30, 16384 };

	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;
		size_t content, at = 0;

		talk_open(&talk, suite, is_server);
		bench_fill(sent, 40000, 3);
		size_t size = seal_parts(&talk, parts, COUNT_OF(parts), &content);
		talk_arrive(&talk, wire, size);
		for (size_t i = 0; at < content; i++) {
			size_t want = 1 + i * 977 % 9000;
			ssize_t seen = tls_peek(talk.end, got, want);

			assert_true(seen > 0);
			assert_memory_equal(got, sent + at, (size_t)seen);
			size_t take = (size_t)seen - (i % 3 == 0 ? (size_t)seen / 2 : 0);
			assert_int_equal(tls_discard(talk.end, take), take);
			at += take;
		}
		assert_int_equal(tls_peek(talk.end, got, 1), -EAGAIN);
		talk_close(&talk);
	}
}

/* What was seen can be taken off in one go, however small the records are (relay_copy.c relies on
 * it). */
static void small_records_are_discarded(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;
		size_t size = 0;

		talk_open(&talk, suite, is_server);
		for (size_t i = 0; i < 2500; i++)
			size += talk_seal(&talk, TLS_TYPE_DATA, "x", 1, wire + size);
		assert_true(size <= sizeof(wire));
		talk_arrive(&talk, wire, size);
		for (size_t at = 0; at < 2500;) {
			ssize_t seen = tls_peek(talk.end, got, 65536);

			assert_true(seen > 0);
			assert_int_equal(tls_discard(talk.end, (size_t)seen), seen);
			at += (size_t)seen;
		}
		talk_close(&talk);
	}
}

/* ---- records that are no data --------------------------------------------------------------- */

static void put(struct talk *talk, uint8_t type, const void *bytes, size_t len)
{
	talk_arrive(talk, wire, talk_seal(talk, type, bytes, len, wire));
	talk->ahead--; /* for who takes it before the next one is put */
}

#define PUT(talk, type, text) put(talk, type, text, sizeof(text) - 1)

static void expect(struct talk *talk, ssize_t ret, enum tls_fail why, int alert)
{
	ssize_t last;
	size_t len = talk_drain(talk, got, MOST, 65536, &last);

	if (len != 0 || last != ret || tls_why(talk->end) != why ||
	    tls_why_alert(talk->end) != alert)
		fail_msg("%zu bytes, then %zd, %s, alert %d", len, last,
			 tls_fail_rows[tls_why(talk->end)].name, tls_why_alert(talk->end));
}

/* And OpenSSL hears of it. */
static void expect_told(struct talk *talk, enum tls_fail why, int alert)
{
	expect(talk, -EPROTO, why, alert);
	assert_int_equal(tls_recv(talk->end, got, 1), -EPROTO);
	assert_int_equal(tls_send(talk->end, "x", 1), -EPROTO);
	assert_int_equal(tls_shutdown_write(talk->end), -EPROTO);
	ERR_clear_error();
	assert_true(SSL_read(talk->ssl, got, 1) <= 0);
	if (alert != 100) /* a warning in TLS 1.2 */
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + alert);
	ERR_clear_error();
}

/* Empty ones, warnings and tickets change nothing about the data around them. */
static void harmless_records(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		bool is_tls13 = talk_suites[suite].version == TLS_1_3;
		struct talk talk;
		ssize_t last;

		talk_open(&talk, suite, is_server);
		for (int turn = 0; turn < 50; turn++) {
			size_t size = talk_seal(&talk, TLS_TYPE_DATA, "", 0, wire);
			size += talk_seal(&talk, TLS_TYPE_DATA, "ab", 2, wire + size);
			/* user_canceled; in TLS 1.2 any warning */
			size += talk_seal(&talk, TLS_TYPE_ALERT, is_tls13 ? "\1\132" : "\1\156", 2,
					  wire + size);
			size += talk_seal(&talk, TLS_TYPE_DATA, "", 0, wire + size);
			if (is_tls13 && !is_server)
				size += talk_seal(&talk, TLS_TYPE_HANDSHAKE,
						  "\4\0\0\3abc\4\0\0\2ab", 13, wire + size);
			for (int i = 0; i < 8; i++)
				size += talk_seal(&talk, TLS_TYPE_DATA, "", 0, wire + size);
			size += talk_seal(&talk, TLS_TYPE_DATA, "c", 1, wire + size);
			talk_arrive(&talk, wire, size);
			assert_int_equal(talk_drain(&talk, got, 100, 50, &last), 3);
			assert_int_equal(last, -EAGAIN);
			assert_memory_equal(got, "abc", 3);
			talk.ahead = 0;
		}
		talk_close(&talk);
	}
}

/* A ticket longer than a record, as Java's may be. */
static void long_tickets(void **state)
{
	static uint8_t ticket[40004] = { 4, 0, 40000 >> 8, 40000 & 255 };

	(void)state;
	for (size_t suite = 0; suite < 3; suite++) {
		struct talk talk;
		size_t size = 0;
		ssize_t last;

		talk_open(&talk, suite, false);
		for (size_t at = 0; at < sizeof(ticket); at += 16000) {
			size_t part = sizeof(ticket) - at < 16000 ? sizeof(ticket) - at : 16000;

			size += talk_seal(&talk, TLS_TYPE_HANDSHAKE, ticket + at, part,
					  wire + size);
		}
		size += talk_seal(&talk, TLS_TYPE_DATA, "data", 4, wire + size);
		talk_arrive(&talk, wire, size);
		assert_int_equal(talk_drain(&talk, got, MOST, 65536, &last), 4);
		assert_int_equal(last, -EAGAIN);
		talk_close(&talk);
	}
}

static void what_may_not_come(void **state)
{
	static const struct {
		uint8_t type;
		const char *bytes;
		size_t len;
		enum tls_fail why;
		int alert;
		char roles; /* 's': to servers only */
	} tls13[] = {
		{ TLS_TYPE_HANDSHAKE, "\30\0\0\1\2", 5, TLS_FAIL_ILLEGAL, 47, 0 },
		{ TLS_TYPE_HANDSHAKE, "\30\0\0\0", 4, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_HANDSHAKE, "\30\0\0\2\0\0", 6, TLS_FAIL_DECODE, 50, 0 },
		/* RFC 8446 5.1: a key change ends its record */
		{ TLS_TYPE_HANDSHAKE, "\30\0\0\1\0\30\0\0\1\0", 10, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_HANDSHAKE, "\30\0\0", 3, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_HANDSHAKE, "\30\0\0\1", 4, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_HANDSHAKE, "\4\0\0\2ab", 6, TLS_FAIL_UNEXPECTED, 10, 's' },
		{ TLS_TYPE_HANDSHAKE, "\1\0\0\2ab", 6, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ TLS_TYPE_HANDSHAKE, "\0\0\0\0", 4, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ TLS_TYPE_HANDSHAKE, "\15\0\0\0", 4, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ TLS_TYPE_HANDSHAKE, "", 0, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ TLS_TYPE_ALERT, "", 0, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ TLS_TYPE_ALERT, "\2", 1, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_ALERT, "\2\50\1", 3, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_CCS, "\1", 1, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ 0, "", 0, TLS_FAIL_UNEXPECTED, 10, 0 }, /* only zeros */
		{ 24, "\1", 1, TLS_FAIL_UNEXPECTED, 10, 0 },
	}, tls12[] = {
		{ TLS_TYPE_HANDSHAKE, "\0\0\0\0", 4, TLS_FAIL_RENEGOTIATION, 100, 0 },
		{ TLS_TYPE_HANDSHAKE, "\1\0\0\2ab", 6, TLS_FAIL_RENEGOTIATION, 100, 0 },
		{ TLS_TYPE_HANDSHAKE, "", 0, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ TLS_TYPE_ALERT, "", 0, TLS_FAIL_UNEXPECTED, 10, 0 },
		{ TLS_TYPE_ALERT, "\2", 1, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_ALERT, "\2\50\1", 3, TLS_FAIL_DECODE, 50, 0 },
		{ TLS_TYPE_CCS, "\1", 1, TLS_FAIL_UNEXPECTED, 10, 0 },
	};

	(void)state;
	EACH_TALK(suite, is_server)
	{
		bool is_tls13 = talk_suites[suite].version == TLS_1_3;
		size_t count = is_tls13 ? COUNT_OF(tls13) : COUNT_OF(tls12);

		for (size_t i = 0; i < count; i++) {
			struct talk talk;
			uint8_t type = is_tls13 ? tls13[i].type : tls12[i].type;

			if (is_tls13 && tls13[i].roles == 's' && !is_server)
				continue;
			talk_open(&talk, suite, is_server);
			put(&talk, type, is_tls13 ? tls13[i].bytes : tls12[i].bytes,
			    is_tls13 ? tls13[i].len : tls12[i].len);
			expect_told(&talk, is_tls13 ? tls13[i].why : tls12[i].why,
				    is_tls13 ? tls13[i].alert : tls12[i].alert);
			talk_close(&talk);
		}
	}
}

static void alerts_of_the_peer(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		PUT(&talk, TLS_TYPE_ALERT, "\2\120");
		expect(&talk, -EPROTO, TLS_FAIL_PEER_ALERT, 80);
		talk_close(&talk);

		/* RFC 8446 6.2: whatever its level says. */
		talk_open(&talk, suite, is_server);
		if (talk_suites[suite].version == TLS_1_3) {
			PUT(&talk, TLS_TYPE_ALERT, "\1\61");
			expect(&talk, -EPROTO, TLS_FAIL_PEER_ALERT, 49);
		}
		talk_close(&talk);
	}
}

static void floods(void **state)
{
	static const struct {
		uint8_t type;
		const char *bytes;
		size_t len;
	} kinds[] = {
		{ TLS_TYPE_DATA, "", 0 }, { TLS_TYPE_ALERT, "\1\132", 2 }, /* user_canceled */
	};

	(void)state;
	for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
		EACH_TALK(suite, is_server)
		{
			struct talk talk;

			talk_open(&talk, suite, is_server);
			for (int i = 0; i < 32; i++)
				put(&talk, kinds[kind].type, kinds[kind].bytes, kinds[kind].len),
					expect(&talk, -EAGAIN, TLS_FAIL_NONE, 0);
			put(&talk, kinds[kind].type, kinds[kind].bytes, kinds[kind].len);
			expect_told(&talk, TLS_FAIL_FLOOD, 10);
			talk_close(&talk);
		}
	}
}

static void too_many_keys(void **state)
{
	(void)state;
	for (size_t suite = 0; suite < 3; suite++) {
		struct talk talk;
		ssize_t last = -EAGAIN;
		int keys = 0;

		talk_open(&talk, suite, true);
		for (; keys < 300 && last == -EAGAIN; keys++) {
			assert_int_equal(SSL_key_update(talk.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
			talk_write(&talk, "x", 1);
			talk_arrive(&talk, wire, talk_sealed(&talk, wire, sizeof(wire)));
			(void)talk_drain(&talk, got, 10, 5, &last);
		}
		/* More than 100 only if this took longer than a second. */
		if (last == -EAGAIN)
			talk.end->rekeys = 100;
		expect_told(&talk, TLS_FAIL_FLOOD, 10);
		assert_true(keys >= 100);
		talk_close(&talk);
	}
}

/* ---- broken records ------------------------------------------------------------------------- */

/* Every bit of the bytes of a record flipped: refused, and another connection does not mind. */
static void flipped_bits(void **state)
{
	static const uint8_t alerts[] = { 20, 22, 10, 50 };
	struct talk bystander;

	(void)state;
	talk_open(&bystander, 0, true);
	for (size_t suite = 0; suite < TALK_SUITES; suite++) {
		size_t size = 1;

		for (size_t at = 0; at < size; at++) {
			struct talk talk;
			uint8_t bit = (uint8_t)(1u << at % 8);
			ssize_t last;

			talk_open(&talk, suite, at % 2 == 0);
			talk_write(&talk, "0123456789", 10);
			size = talk_sealed(&talk, wire, sizeof(wire));
			wire[at] ^= bit;
			/* Enough behind it for any length it may claim now. */
			memset(wire + size, 0, 20000);
			talk_arrive(&talk, wire, size + 20000);
			assert_int_equal(talk_drain(&talk, got, MOST, 65536, &last), 0);
			assert_int_equal(last, -EPROTO);
			assert_non_null(memchr(alerts, tls_why_alert(talk.end), sizeof(alerts)));
			if (at >= TLS_HEADER_BYTES || at == 4)
				assert_int_equal(tls_why(talk.end), TLS_FAIL_BAD_RECORD);
			expect_told(&talk, tls_why(talk.end), tls_why_alert(talk.end));
			talk_close(&talk);
		}
	}
	talk_write(&bystander, "fine", 4);
	talk_arrive(&bystander, wire, talk_sealed(&bystander, wire, sizeof(wire)));
	assert_int_equal(tls_recv(bystander.end, got, 10), 4);
	talk_close(&bystander);
}

/* A record left out, one twice, and two in the wrong order. */
static void order_of_records(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		for (int kind = 0; kind < 3; kind++) {
			struct talk talk;
			uint8_t second[100];

			talk_open(&talk, suite, is_server);
			talk_write(&talk, "one", 3);
			size_t size = talk_sealed(&talk, wire, sizeof(wire));
			talk_write(&talk, "two", 3);
			size_t size_too = talk_sealed(&talk, second, sizeof(second));
			if (kind > 0) {
				talk_arrive(&talk, kind == 1 ? wire : second, size);
				if (kind == 1)
					assert_int_equal(tls_recv(talk.end, got, 10), 3);
				talk_arrive(&talk, wire, size);
			} else {
				talk_arrive(&talk, second, size_too);
			}
			expect_told(&talk, TLS_FAIL_BAD_RECORD, 20);
			talk_close(&talk);
		}
	}
}

static void headers_that_lie(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum tls_fail why;
		int alert;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n", 16, TLS_FAIL_UNEXPECTED, 10 },
		{ "\31", 1, TLS_FAIL_UNEXPECTED, 10 },
		{ "\27\3\4\0\1", 5, TLS_FAIL_DECODE, 50 },
		{ "\27\2\3\0\1", 5, TLS_FAIL_DECODE, 50 },
		{ "\27\3\3\101\1", 5, TLS_FAIL_RECORD_SIZE, 22 },
		{ "\27\3\3\377\377", 5, TLS_FAIL_RECORD_SIZE, 22 },
		{ "\27\3\3\0\0", 5, TLS_FAIL_BAD_RECORD, 20 },
		{ "\27\3\3\0\1x", 6, TLS_FAIL_BAD_RECORD, 20 },
		{ "\27\3\3\0\30"
		  "012345678901234567890123",
		  29, TLS_FAIL_BAD_RECORD, 20 },
	};

	(void)state;
	EACH_TALK(suite, is_server)
	{
		for (size_t i = 0; i < COUNT_OF(rows); i++) {
			struct talk talk;

			talk_open(&talk, suite, is_server);
			talk_arrive(&talk, (const uint8_t *)rows[i].bytes, rows[i].len);
			expect_told(&talk, rows[i].why, rows[i].alert);
			talk_close(&talk);
		}
	}
}

/* 16384 bytes of content are the most, whatever is padded. */
static void content_too_long(void **state)
{
	(void)state;
	for (size_t suite = 0; suite < 3; suite++) {
		struct talk talk;
		uint8_t nonce[12];

		talk_open(&talk, suite, true);
		struct tls_end *end = talk.end;
		memset(got, 'x', 16385);
		got[16385] = TLS_TYPE_DATA;
		memcpy(wire, "\27\3\3", 3);
		wire[3] = (16386 + TLS_TAG_BYTES) >> 8;
		wire[4] = (16386 + TLS_TAG_BYTES) & 255;
		memcpy(nonce, end->rx.iv, 12);
		for (int i = 0; i < 8; i++)
			nonce[11 - i] ^= (uint8_t)(end->rx.seq >> (8 * i));
		tls_aead_seal(end->tls->aead, end->suite->cipher, &end->rx, nonce,
			      span_of(wire, TLS_HEADER_BYTES), span_of(got, 16386),
			      span_of(NULL, 0), wire + TLS_HEADER_BYTES);
		talk_arrive(&talk, wire, TLS_HEADER_BYTES + 16386 + TLS_TAG_BYTES);
		expect_told(&talk, TLS_FAIL_RECORD_SIZE, 22);
		talk_close(&talk);
	}
}

/* ---- the end -------------------------------------------------------------------------------- */

static void finish(struct talk *talk)
{
	struct pollfd pollfd = { .fd = talk->bench.fd, .events = POLLRDHUP };

	assert_int_equal(net_shutdown_write(talk->bench.peer_fd), 0);
	assert_true(poll(&pollfd, 1, 5000) > 0);
}

/* A FIN at every offset of two records and close_notify: the end only behind all of it. */
static void cut_short_anywhere(void **state)
{
	(void)state;
	for (size_t suite = 0; suite < TALK_SUITES; suite++) {
		size_t size = 1;

		for (size_t cut = 0; cut <= size; cut++) {
			struct talk talk;
			ssize_t last;

			talk_open(&talk, suite, cut % 2 == 0);
			talk_write(&talk, "0123", 4);
			talk_write(&talk, "4567", 4);
			assert_int_equal(SSL_shutdown(talk.ssl), 0);
			size = talk_sealed(&talk, wire, sizeof(wire));
			/* With the FIN right behind it, and with one that takes its time. */
			talk_arrive(&talk, wire, cut);
			if (cut % 4 < 2) {
				size_t some = talk_drain(&talk, got, 100, 50, &last);

				finish(&talk);
				if (last == -EAGAIN)
					assert_int_equal(talk_drain(&talk, got + some, 50, 50,
								    &last),
							 0);
			} else {
				finish(&talk);
				(void)talk_drain(&talk, got, 100, 50, &last);
			}
			if (cut == size) {
				assert_int_equal(last, 0);
				assert_memory_equal(got, "01234567", 8);
				assert_int_equal(tls_recv(talk.end, got, 1), 0);
			} else {
				assert_int_equal(last, -EPROTO);
				assert_int_equal(tls_why(talk.end), TLS_FAIL_TRUNCATED);
			}
			talk_close(&talk);
		}
	}
}

/* Behind close_notify nothing is read, and we may go on sending. */
static void closed_one_way(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		assert_int_equal(SSL_shutdown(talk.ssl), 0);
		size_t size = talk_sealed(&talk, wire, sizeof(wire));
		memset(wire + size, 0xff, 100);
		talk_arrive(&talk, wire, size + 100);
		assert_int_equal(tls_recv(talk.end, got, 10), 0);
		assert_int_equal(tls_recv(talk.end, got, 10), 0);
		assert_int_equal(tls_send(talk.end, "more", 4), 4);
		assert_int_equal(tls_shutdown_write(talk.end), 0);
		assert_int_equal(bench_peer_read(&talk.bench, got, 4), 4);
		assert_int_equal(SSL_shutdown(talk.ssl), 1);
		talk_close(&talk);
	}
}

static void reset_is_no_end(void **state)
{
	(void)state;
	struct talk talk;

	talk_open(&talk, 0, true);
	talk_write(&talk, "0123456789", 10);
	size_t size = talk_sealed(&talk, wire, sizeof(wire));
	talk_arrive(&talk, wire, size - 1);
	assert_int_equal(tls_recv(talk.end, got, 10), -EAGAIN);
	net_close(talk.bench.peer_fd, true);
	bench_wait(talk.bench.fd, POLLIN);
	assert_int_equal(tls_recv(talk.end, got, 10), -ECONNRESET);
	talk.bench.peer_fd = dup(talk.bench.fd);
	talk_close(&talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_cut_anywhere),
		cmocka_unit_test(long_records_cut_anywhere),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(half_a_record_is_held_late),
		cmocka_unit_test(read_in_pieces),
		cmocka_unit_test(two_read_in_turn),
		cmocka_unit_test(peeked_and_discarded),
		cmocka_unit_test(small_records_are_discarded),
		cmocka_unit_test(harmless_records),
		cmocka_unit_test(long_tickets),
		cmocka_unit_test(what_may_not_come),
		cmocka_unit_test(alerts_of_the_peer),
		cmocka_unit_test(floods),
		cmocka_unit_test(too_many_keys),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(order_of_records),
		cmocka_unit_test(headers_that_lie),
		cmocka_unit_test(content_too_long),
		cmocka_unit_test(cut_short_anywhere),
		cmocka_unit_test(closed_one_way),
		cmocka_unit_test(reset_is_no_end),
	};

	(void)alarm(300); /* not for ever */
	return cmocka_run_group_tests(tests, talk_set_up, talk_tear_down);
}
