/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An end that has started, on a socket that does what the input says: records sealed as the peer
 * would, of any type and content, whole or in pieces, and bytes that are no records; reads, peeks
 * and discards of any size between them; sends that find room or none. What is read is what was
 * sealed, in its order; nothing is read past a failure; a record that was begun is sent on.
 *
 *     the first byte: the suite and the role; then operations, a byte and what belongs to it
 */
#include "fuzz.h"

#include <errno.h>

#include <penstock/net.h>

#include "../../src/tls/tls_end_priv.h"

#define WIRE_MOST (1u << 20)

/* ---- the socket ----------------------------------------------------------------------------- */

static struct {
	uint8_t bytes[WIRE_MOST];
	size_t from, arrived, len; /* taken, there, sealed */
	size_t wake, room;
	bool is_ended;
} wire;

static uint8_t sent_bytes[WIRE_MOST];

ssize_t net_peek(int fd, void *ret_bytes, size_t size)
{
	size_t n = wire.arrived - wire.from;

	(void)fd;
	if (n == 0)
		return wire.is_ended ? 0 : -EAGAIN;
	n = n < size ? n : size;
	memcpy(ret_bytes, wire.bytes + wire.from, n);
	return (ssize_t)n;
}

ssize_t net_recv(int fd, void *ret_bytes, size_t size)
{
	ssize_t n = net_peek(fd, ret_bytes, size);

	if (n > 0)
		wire.from += (size_t)n;
	return n;
}

ssize_t net_discard(int fd, size_t len)
{
	size_t n = wire.arrived - wire.from;

	(void)fd;
	n = n < len ? n : len;
	wire.from += n;
	return (ssize_t)n;
}

ssize_t net_send(int fd, const void *bytes, size_t len)
{
	size_t n = len < wire.room ? len : wire.room;

	(void)fd;
	if (n == 0)
		return -EAGAIN;
	memcpy(sent_bytes, bytes, n);
	wire.room -= n;
	return (ssize_t)n;
}

void net_wake_at(int fd, size_t bytes)
{
	(void)fd;
	wire.wake = bytes;
}

bool net_is_readable(int fd)
{
	(void)fd;
	/* At times there is no room for the rest. */
	return wire.is_ended || wire.arrived - wire.from >= wire.wake || wire.room % 2 == 1;
}

bool net_is_writable(int fd)
{
	(void)fd;
	return wire.room > 0;
}

bool net_is_ended(int fd)
{
	(void)fd;
	return wire.is_ended;
}

int net_error(int fd)
{
	(void)fd;
	return 0;
}

int net_shutdown_write(int fd)
{
	(void)fd;
	return 0;
}

/* No kernel here knows TLS. */
#define NOT_HERE abort()

void net_close(int fd, bool reset)
{
	(void)fd, (void)reset;
}

int net_ktls_pair(int ret_fds[2])
{
	(void)ret_fds;
	return -ENOSYS;
}

int net_ktls_attach(int fd)
{
	(void)fd;
	NOT_HERE;
}

int net_ktls_set_key(int fd, bool is_send, const struct net_ktls_key *key)
{
	(void)fd, (void)is_send, (void)key;
	NOT_HERE;
}

ssize_t net_ktls_recv(int fd, void *ret_bytes, size_t size, uint8_t *ret_type)
{
	(void)fd, (void)ret_bytes, (void)size, (void)ret_type;
	NOT_HERE;
}

ssize_t net_ktls_send(int fd, uint8_t type, const void *bytes, size_t len)
{
	(void)fd, (void)type, (void)bytes, (void)len;
	NOT_HERE;
}

ssize_t net_splice_in(int fd, int pipe_write, size_t len)
{
	(void)fd, (void)pipe_write, (void)len;
	NOT_HERE;
}

ssize_t net_splice_out(int pipe_read, int fd, size_t len)
{
	(void)fd, (void)pipe_read, (void)len;
	NOT_HERE;
}

/* ---- the peer ------------------------------------------------------------------------------- */

static struct tls *tls;
static struct stat_block stats;

/* What the peer has sealed: content in its order, and the key it seals with. */
static struct {
	uint8_t content[WIRE_MOST];
	size_t len, read;
	struct tls_flow flow;
	bool is_honest; /* so far: nothing may fail */
} peer;

static const uint16_t suites[] = { 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xcca9 };

static void begin(struct tls_end *end, uint8_t how)
{
	memset(&wire.from, 0, sizeof(wire) - offsetof(__typeof__(wire), from));
	wire.wake = 1;
	peer.len = peer.read = 0;
	peer.is_honest = true;
	*end = (struct tls_end){
		.tls = tls,
		.suite = tls_suite_find(suites[how % COUNT_OF(suites)]),
		.is_server = how >= 128,
		.is_started = true,
		.is_agreed = true,
		.rx_wake = 1,
		.record_max = TLS_PLAIN_MAX,
	};
	CHECK(end->suite != NULL);
	end->rx.has_secret = end->tx.has_secret = end->suite->version == TLS_1_3;
	memset(end->rx.secret, 1, sizeof(end->rx.secret));
	memset(end->tx.secret, 2, sizeof(end->tx.secret));
	memset(end->rx.key, 3, sizeof(end->rx.key));
	memset(end->tx.key, 4, sizeof(end->tx.key));
	end->rx.key_id = ++tls->key_ids;
	end->tx.key_id = ++tls->key_ids;
	peer.flow = end->rx;
	peer.flow.key_id = ++tls->key_ids;
}

static void seal(struct tls_end *end, uint8_t type, struct span content)
{
	static const uint8_t update[] = { 24, 0, 0, 1, 0 };

	if (wire.len + content.len + 100 > WIRE_MOST)
		return;
	wire.len += tls_record_seal(tls->aead, end->suite, &peer.flow, peer.flow.seq++, type,
				    content, wire.bytes + wire.len);
	if (type == TLS_TYPE_DATA && content.len > 0 && peer.is_honest) {
		memcpy(peer.content + peer.len, content.at, content.len);
		peer.len += content.len;
	} else if (type == TLS_TYPE_HANDSHAKE && end->suite->version == TLS_1_3 &&
		   content.len == sizeof(update) && memcmp(content.at, update, 4) == 0) {
		CHECK(tls_secret_update(end->suite, &peer.flow));
		peer.flow.key_id = ++tls->key_ids;
		peer.is_honest &= content.at[4] <= 1;
	} else {
		peer.is_honest = false; /* may be refused, or be one too many */
	}
}

/* ---- the lane ------------------------------------------------------------------------------- */

static void took(struct tls_end *end, const uint8_t *bytes, ssize_t n, bool is_peek)
{
	CHECK(n >= 0 || n == -EAGAIN || n == -EPROTO);
	if (n == -EPROTO)
		CHECK(tls_why(end) != TLS_FAIL_NONE && (!peer.is_honest || wire.is_ended));
	if (n <= 0)
		return;
	/* What comes behind something dishonest is not in `content`. */
	CHECK(tls_why(end) == TLS_FAIL_NONE);
	if (peer.read + (size_t)n <= peer.len) {
		CHECK(bytes == NULL || memcmp(bytes, peer.content + peer.read, (size_t)n) == 0);
	} else {
		CHECK(!peer.is_honest);
	}
	if (!is_peek)
		peer.read += (size_t)n;
}

static void read_some(struct tls_end *end, uint8_t what, size_t size)
{
	static uint8_t bytes[65536];
	ssize_t n;

	switch (what % 3) {
	case 0:
		took(end, bytes, tls_recv(end, bytes, size), false);
		return;
	case 1:
		took(end, bytes, tls_peek(end, bytes, size), true);
		return;
	default:
		n = tls_peek(end, bytes, size);
		took(end, bytes, n, true);
		if (n > 0)
			CHECK(tls_discard(end, (size_t)n) == n);
		if (n > 0)
			peer.read += (size_t)n;
		return;
	}
}

/* From a stream of which what is not sent comes again. */
static void send_some(struct tls_end *end, size_t len, size_t room)
{
	static uint8_t stream[65536];

	len = len > end->tx_part_len ? len : end->tx_part_len;
	len = len > 0 ? len : 1;
	wire.room = room;
	if (end->is_tx_closed || end->why != TLS_FAIL_NONE)
		return;

	ssize_t n = tls_send(end, stream, len);

	CHECK(n == -EAGAIN || (n > 0 && (size_t)n <= len));
	CHECK(end->tx_part_len == 0 || end->tx_part_sent > 0);
}

static void finish(struct tls_end *end)
{
	wire.room = 1000;
	if (end->tx_part_len > 0)
		return;
	int ret = tls_shutdown_write(end);

	CHECK(ret == 0 || ret == -EPROTO);
}

/* ---- the input ------------------------------------------------------------------------------ */

static bool step(struct tls_end *end, struct span *script)
{
	uint8_t what, type;
	uint16_t size;
	struct span bytes;

	if (!span_u8(script, &what) || !span_u16(script, &size))
		return false;
	switch (what % 8) {
	case 0: /* data, over and over */
		bytes = span_of(script->at, size < script->len ? size : script->len);
		bytes.len = bytes.len < TLS_PLAIN_MAX ? bytes.len : TLS_PLAIN_MAX;
		for (int i = 0; i < what / 8 + 1; i++)
			seal(end, TLS_TYPE_DATA, bytes);
		return true;
	case 1: /* any record */
		if (!span_u8(script, &type) ||
		    !span_take(script, size % 64 < script->len ? size % 64 : script->len, &bytes))
			return false;
		seal(end, type, bytes);
		return true;
	case 2: { /* a new key */
		const uint8_t update[] = { 24, 0, 0, 1, (uint8_t)(size % 2) };

		end->rekeys = 0;
		if (end->suite->version == TLS_1_3)
			seal(end, TLS_TYPE_HANDSHAKE, span_of(update, sizeof(update)));
		return true;
	}
	case 3: /* bytes */
		if (!span_take(script, size % 64 < script->len ? size % 64 : script->len, &bytes) ||
		    wire.len + bytes.len > WIRE_MOST)
			return false;
		memcpy(wire.bytes + wire.len, bytes.at, bytes.len);
		wire.len += bytes.len;
		peer.is_honest &= bytes.len == 0;
		return true;
	case 4: /* arrive */
		wire.arrived += size < wire.len - wire.arrived ? size : wire.len - wire.arrived;
		return true;
	case 5:
		send_some(end, size, what / 8 * 100u);
		return true;
	case 6:
		if (size == 0xffff)
			wire.is_ended = true;
		else if (size == 0xfffe)
			finish(end);
		return true;
	default:
		read_some(end, what / 8, size > 0 ? size : 65536);
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span script = span_of(data, size);
	struct tls_end end;
	uint8_t how;

	if (tls == NULL)
		CHECK(tls_init(16 << 20) == 0 && tls_new(&tls, 4, 1, &stats) == 0);
	if (!span_u8(&script, &how))
		return 0;
	begin(&end, how);
	while (step(&end, &script))
		;
	/* All that is honest gets through. */
	wire.arrived = wire.len;
	for (int idle = 0; peer.is_honest && idle < 16 && peer.read < peer.len;) {
		size_t before = peer.read;

		end.rekeys = 0;
		read_some(&end, 0, 65536);
		idle = peer.read == before ? idle + 1 : 0;
	}
	CHECK(!peer.is_honest || end.why != TLS_FAIL_NONE || peer.read == peer.len);
	tls_recv_drop_half(&end);
	return 0;
}
