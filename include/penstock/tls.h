/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls: TLS 1.2 and 1.3 for either end of a connection. wolfSSL makes the handshake; the keys then
 * go to the kernel (kTLS), each direction for itself, or to our own records (libcrypto's AEADs); in
 * both cases wolfSSL's object, 58 KB of it, is gone (docs/adr/0012), and records that are no data
 * are understood in one place (tls_control.c).
 *
 * How a lane uses an end:
 *
 *     tls_begin_server / _client      an end of the worker's pool
 *     tls_handshake                   until TLS_DONE; TLS_WANT_* say what to wait for. Between the
 *                                     whole ClientHello and tls_start it holds one of the worker's
 *                                     handshake slots
 *     tls_result                      version, names, the peer's certificate: for access rules
 *     tls_refuse  or  tls_start       no: alert and why;  yes: the slot goes back, data may flow
 *     tls_recv, tls_send, ...         as net_recv, net_send, ... and with the same meaning of
 *                                     -EAGAIN: wait for the socket to be readable (recv, peek,
 *                                     splice_in) or writable (send, splice_out, shutdown_write)
 *     tls_end_put                     then net_close, as ever
 *
 * After -EPROTO the connection is to be reset on the other side: tls_why says what happened.
 * Nothing is read that is not TLS's: what stands in the socket behind the handshake is still there
 * for the kernel, and half a record is left there and looked at again when it is whole, so that an
 * end holds no buffer; only where the socket has no room for the rest is the half taken off it, to
 * one of the worker's 1,024 places.
 * Thread:   worker (struct tls and its ends); tls_init, tls_fini: the first and last of the process
 * Memory:   ends and handshake slots from pools sized by tls_new; wolfSSL's own from a counted heap
 *           with a bound (tls_init), libcrypto's from malloc
 * Errors:   -errno; -EPROTO: tls_why
 * See:      docs/adr/0012, tls/context.h
 */
#pragma once

#include <sys/types.h>

#include <penstock/base/span.h>
#include <penstock/base/stat.h>

struct tls;
struct tls_end;
struct tls_context;

enum tls_version { TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };
enum tls_cipher { TLS_AES_128_GCM, TLS_AES_256_GCM, TLS_CHACHA20_POLY1305, TLS_CIPHERS };

enum tls_fail {
	TLS_FAIL_NONE,
#define TLS_FAIL(NAME, name, alert, alert12, text) TLS_FAIL_##NAME,
#include <penstock/tls/fail.def>
#undef TLS_FAIL
	TLS_FAIL_COUNT,
};

struct tls_fail_row {
	const char *name;
	const char *text;
	uint8_t alert;
	uint8_t alert12;
};

extern const struct tls_fail_row tls_fail_rows[TLS_FAIL_COUNT];

/* ---- process: tls_init.c, tls_memory.c, tls_ktls.c ------------------------------------------ */

/* What the kernel's TLS takes, found out on a connection to ourselves. */
struct tls_features {
	int err;		       /* 0, or why there is none: -ENOENT no module, ... */
	bool can_rekey;		       /* takes a second key (Linux 6.14) */
	bool can_send[2][TLS_CIPHERS]; /* [is TLS 1.3] */
	bool can_recv[2][TLS_CIPHERS];
};

/* Before any other call and before any other use of libcrypto. `memory_max`: bytes all handshakes
 * and contexts together may take. 0 or -errno. */
MUST_USE int tls_init(size_t memory_max);
void tls_fini(void);

/* What certificates and handshakes take of it, in bytes. Any thread. */
struct tls_memory {
	uint64_t used, peak, most;
	uint64_t refused; /* allocations that would have been too much */
};

void tls_memory(struct tls_memory *ret_memory);
const struct tls_features *tls_features(void);
/* The library that seals and opens records of this cipher outside the kernel. */
const char *tls_aead_name(enum tls_cipher cipher);

/* ---- worker: tls_end.c ---------------------------------------------------------------------- */

/* `ends` and `handshakes` at once. 0 or -ENOMEM. */
MUST_USE int tls_new(struct tls **ret_tls, uint32_t ends, uint32_t handshakes,
		     struct stat_block *stats);
void tls_free(struct tls *tls);

/* ---- an end: tls_end.c, tls_handshake.c ----------------------------------------------------- */

/* Takes a reference on the context. `replay` are bytes the peer sent that somebody has read already
 * (the ClientHello routing looked at, what stood behind a PROXY header), at most 64 KiB: they stay
 * the caller's, and stay in place until tls_replay_left says 0. -EAGAIN: all ends are in use. */
MUST_USE int tls_begin_server(struct tls *tls, struct tls_context *context, int fd,
			      struct span replay, struct tls_end **ret_end);
size_t tls_replay_left(const struct tls_end *end);
/* `host` is a name or an address without a port: sent as SNI where it is a name, and what the
 * peer's certificate must be for, unless the context leaves that out. */
MUST_USE int tls_begin_client(struct tls *tls, struct tls_context *context, int fd,
			      const char *host, struct tls_end **ret_end);
/* Of the protocols of a client's context only this one is offered; none if it is not among them.
 * Before the handshake. */
void tls_offer_only(struct tls_end *end, struct span alpn);
/* What a server's end has agreed on by ALPN; empty: on nothing. False: it has no protocols, so the
 * client was not asked. The text is good as long as the end. */
bool tls_alpn(const struct tls_end *end, struct span *ret_alpn);
/* Wipes the keys. The socket stays the caller's. */
void tls_end_put(struct tls_end *end);

enum tls_progress {
	TLS_DONE,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_WANT_SLOT, /* all are in use: again when another handshake has ended */
	TLS_FAILED,    /* the alert is sent, tls_why says what is wrong */
};

/* Goes on with the handshake. After TLS_FAILED close with a FIN and read what is there first: a RST
 * would overtake the alert. */
enum tls_progress tls_handshake(struct tls_end *end);

enum tls_name_kind { TLS_NAME_DNS, TLS_NAME_IP, TLS_NAME_URI, TLS_NAME_EMAIL };

#define TLS_PEER_NAMES 32
#define TLS_PEER_UNITS 8

/* A certificate's subject alternative names as text, in the certificate's order; names that hold a
 * NUL or that do not fit are left out. */
struct tls_peer {
	bool has_certificate;
	bool is_cut; /* there are more names or units */
	uint32_t name_count;
	struct tls_peer_name {
		enum tls_name_kind kind;
		struct span text;
	} names[TLS_PEER_NAMES];
	struct span subject; /* RFC 2253: "CN=client,OU=dev,O=acme" */
	struct span common_name;
	uint32_t unit_count;
	struct span units[TLS_PEER_UNITS];
};

/* What the handshake agreed on; valid until tls_start. */
struct tls_result {
	enum tls_version version;
	enum tls_cipher cipher;
	const char *suite;
	bool is_resumed;
	struct span server_name; /* the client's SNI, folded to lower case; empty: none */
	struct span alpn;	 /* empty: none */
	struct tls_peer peer;
};

const struct tls_result *tls_result(const struct tls_end *end);

/* Refuses a peer whose handshake is DONE; best effort. */
void tls_refuse(struct tls_end *end, enum tls_fail why);

/* Hands the keys on and gives the slot back. 0, or -EPROTO (ktls: require). */
MUST_USE int tls_start(struct tls_end *end);

/* Why the last call answered TLS_FAILED or -EPROTO; the alert we sent or, for PEER_ALERT, got; and
 * a sentence for the log, empty where the reason's own text says it all. */
enum tls_fail tls_why(const struct tls_end *end);
uint8_t tls_why_alert(const struct tls_end *end);
const char *tls_why_detail(const struct tls_end *end);

/* ---- data: tls_recv.c, tls_send.c ----------------------------------------------------------- */

/* 0: the peer's close_notify. Ask for RELAY_BUF_BYTES: what of a record does not fit is opened
 * again next time. Bytes behind the count returned may have been written to. */
MUST_USE ssize_t tls_recv(struct tls_end *end, void *ret_bytes, size_t size);
MUST_USE ssize_t tls_peek(struct tls_end *end, void *ret_bytes, size_t size);
MUST_USE ssize_t tls_discard(struct tls_end *end, size_t len);
/* After -EAGAIN of those above and of tls_splice_in. True: wait for the next edge, since half a
 * record in a socket that the kernel opens keeps it readable. False: wait for the level: records
 * may be left that no edge tells of. */
bool tls_is_drained(const struct tls_end *end);
/* After bytes were read. True: read on until -EAGAIN or the end before anything is waited for. A
 * kernel that can change keys opens a KeyUpdate together with the data before it, keeps it for the
 * next read, and calls the socket unreadable until then (Linux 6.14, tls_sk_poll()). */
bool tls_must_read_on(const struct tls_end *end);
/* Fewer bytes than `len` are sent, or -EAGAIN: the rest must come again, the same bytes first, as
 * it does from a buffer that is sent from front to back. */
MUST_USE ssize_t tls_send(struct tls_end *end, const void *bytes, size_t len);
/* close_notify, then FIN; -EAGAIN: again when writable. */
MUST_USE int tls_shutdown_write(struct tls_end *end);
/* The same where it is possible at once, for an end that is about to be closed anyhow: without
 * close_notify its peer would take the end for a cut (RFC 8446 6.1). */
void tls_goodbye(struct tls_end *end);
/* Has tls_start been successful? */
bool tls_is_started(const struct tls_end *end);
/* Does its handshake hold one of the worker's slots: has the hello come, and is there no end? */
bool tls_has_slot(const struct tls_end *end);

/* May this side be spliced? Only while the kernel has its keys. */
bool tls_can_splice_in(const struct tls_end *end);
bool tls_can_splice_out(const struct tls_end *end);
/* As net_splice_in; records that are no data are dealt with on the way. */
MUST_USE ssize_t tls_splice_in(struct tls_end *end, int pipe_write, size_t len);
MUST_USE ssize_t tls_splice_out(struct tls_end *end, int pipe_read, size_t len);
