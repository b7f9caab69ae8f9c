/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/hello: the ClientHello a TLS connection begins with, read to route by it. Nothing is
 * answered, kept or changed: the same bytes go on to whoever takes the connection.
 *
 *     record     type 22 | version 3.x | u16 length | fragment of a message, 1 to 16384 bytes
 *     message    type 1 | u24 length | version | random 32 | session id | cipher suites |
 *                compression | extensions
 *
 * A message may be cut into records anywhere, and records arrive in pieces cut anywhere. Fields are
 * read once the message is whole, so no route is ever chosen by half a hello. What is refused and
 * with which alert is in hello.def; the rules behind it:
 *
 *     RFC 8446 5     what is no handshake record ends the connection; 5.1: one of 2^14 bytes is the
 *                    longest, none is empty, no other type comes in between, a ClientHello ends
 *                    where its record ends, and the version of a record says nothing (RFC 5246 E.1:
 *                    its major number is 3)
 *     RFC 8446 4.1.2 the fields, and RFC 5246 7.4.1.2: extensions may be missing altogether
 *     RFC 8446 4.2   no extension twice; unknown ones are skipped, those of GREASE too (RFC 8701 4)
 *     RFC 8446 4.2.1 where supported_versions stands, legacy_version says nothing
 *     RFC 6066 3     one host_name, in ASCII, which is no address
 *     RFC 1123 2.1   what a host name is made of ('_' is let through, container networks use it)
 *     RFC 7301 3.1   ALPN: names of 1 to 255 bytes, at least one
 *     RFC 9849 5     with Encrypted ClientHello all of this is about the outer one
 *     RFC 8446 D.5   SSL 2.0's ClientHello need not be understood: it is only recognised
 *
 * Thread:   any (pure functions over spans)
 * Memory:   a hello in one record is read where it is; one in several is put together in `scratch`
 * Errors:   WIRE_MORE with hello->need, WIRE_BAD with hello->fault
 */
#pragma once

#include <penstock/base/span.h>
#include <penstock/wire/wire.h>

#define HELLO_ALERT_BYTES 7

/* The alerts a router has to give, RFC 8446 6.2. */
enum hello_alert {
	HELLO_ALERT_UNEXPECTED_MESSAGE = 10,
	HELLO_ALERT_RECORD_OVERFLOW = 22,
	HELLO_ALERT_HANDSHAKE_FAILURE = 40,
	HELLO_ALERT_ILLEGAL_PARAMETER = 47,
	HELLO_ALERT_ACCESS_DENIED = 49, /* a valid client the route does not let in */
	HELLO_ALERT_DECODE_ERROR = 50,
	HELLO_ALERT_PROTOCOL_VERSION = 70,
	HELLO_ALERT_INTERNAL_ERROR = 80, /* no target can be reached */
	HELLO_ALERT_MISSING_EXTENSION = 109,
	HELLO_ALERT_UNRECOGNIZED_NAME = 112,	   /* RFC 6066 3 */
	HELLO_ALERT_NO_APPLICATION_PROTOCOL = 120, /* RFC 7301 3.2 */
};

enum hello_fault {
	HELLO_FINE,
#define HELLO(NAME, name, ALERT, text) HELLO_##NAME,
#include <penstock/wire/hello.def>
#undef HELLO
	HELLO_FAULTS,
};

struct hello_fault_row {
	const char *name;
	const char *text;
	enum hello_alert alert;
};

extern const struct hello_fault_row hello_faults[HELLO_FAULTS];

/* How far the records have been followed, so that each is looked at once however many pieces they
 * come in. Kept between calls, 16 bytes. */
struct hello_reader {
	uint32_t most;	   /* bytes, records and all, that a hello may take */
	uint32_t end;	   /* where the last record whose header was seen ends */
	uint32_t promised; /* bytes of the message in the records up to there */
	uint32_t size;	   /* of the message with its head; 0: not known yet */
};

/* What a hello says. Spans are into the bytes read or into the scratch. */
struct hello {
	size_t size;		/* WIRE_OK: bytes it takes, to the end of its last record */
	size_t need;		/* WIRE_MORE: bytes wanted in all */
	enum hello_fault fault; /* WIRE_BAD */
	struct span name;	/* host_name without its last dot, in any case; at == NULL: none */
	bool is_literal;  /* it is an IP address (or inet_aton takes it for one): no route has it */
	bool has_ech;	  /* or GREASE that looks like it */
	struct span alpn; /* for hello_alpn_next; empty: none */
	uint16_t version; /* the highest offered of SSL 3.0 to TLS 1.x: 0x0300 and up; 0: none */
	bool has_tls12, has_tls13; /* is among those offered */
};

/* `most`: what the caller's buffer holds, 16 and up. */
void hello_begin(struct hello_reader *reader, uint32_t most);
/* `bytes` is all there is so far, always from the first byte on; `scratch`, elsewhere, has room for
 * `most` bytes. WIRE_OK and WIRE_BAD are last answers: what follows changes neither. */
enum wire hello_read(struct hello_reader *reader, struct span bytes, uint8_t *scratch,
		     struct hello *ret_hello);

/* The next protocol of hello->alpn; false at its end. */
bool hello_alpn_next(struct span *rest, struct span *ret_protocol);

/* What a client without a server name is told where one is needed (RFC 8446 9.2; TLS 1.2 does not
 * know that alert). */
enum hello_alert hello_no_name_alert(const struct hello *hello);
/* A fatal alert as the whole of our answer: HELLO_ALERT_BYTES. `hello` is what hello_read left. */
void hello_write_alert(struct sink *sink, const struct hello *hello, enum hello_alert alert);
