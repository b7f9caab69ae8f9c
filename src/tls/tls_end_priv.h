/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_end_priv: the state of a worker, of an end, and of a handshake.
 */
#pragma once

#include <penstock/wire/hello.h>

#include "tls_priv.h"

/* Looked at, or sealed, at once. */
#define TLS_CIPHER_BYTES ((TLS_BATCH + 1) * TLS_RECORD_MAX)
/* A hello in several records is put together here, a record is opened here. */
#define TLS_PLAIN_BYTES	 65536

/* Answers and alerts that wait for the socket: a certificate chain and then some. */
#define TLS_OUT_BYTES	 (2 * TLS_RECORD_MAX)
#define TLS_TEXT_BYTES	 4096

/* Of a worker: 17 MB at the most, none until one is needed. */
#define TLS_HALVES_MAX	 1024

/* Half a record the socket had no room to make whole. */
struct tls_half {
	uint32_t len;
	uint8_t bytes[TLS_RECORD_MAX];
};

/* Records in a row without data: OpenSSL's bound as well. */
#define TLS_IDLE_RECORDS_MAX 32

struct tls {
	struct pool ends;
	struct pool slots;
	struct pool halves;
	struct tls_aead *aead;
	struct stat_block *stats;
	uint64_t key_ids; /* handed out */
	/* Scratch: between two calls only `plain` means anything, and only what `opened` says. */
	uint8_t *cipher; /* TLS_CIPHER_BYTES: records as they are in the socket, or will be */
	uint8_t *plain;	 /* TLS_PLAIN_BYTES */
	/* The record `plain` holds, for a reader that takes it in pieces. */
	struct {
		uint64_t key_id; /* 0: none */
		uint64_t seq;
		uint32_t len;
	} opened;
};

/* A record that is no data and waits to be sent. */
struct tls_control {
	uint8_t type;
	uint8_t len; /* 0: none */
	uint8_t bytes[5];
};

struct tls_end {
	struct tls *tls;
	struct tls_context *context;
	struct tls_handshake *slot; /* until tls_start, once the hello is there */
	/* Of a client that has not had its session ticket yet: 58 KB, until the first data. */
	struct WOLFSSL *ticket_ssl;
	struct tls_flow ticket_flow; /* the key wolfSSL still has */
	const struct tls_suite *suite;
	int fd;
	bool is_server;
	bool is_started;
	bool is_agreed;	     /* the handshake is done */
	bool is_alpn_chosen; /* of clients: only `alpn` is offered */
	struct span alpn;    /* of the context's; of servers: what was agreed on */

	/* What went wrong. */
	enum tls_fail why;
	uint8_t alert;
	const char *detail;

	struct span replay;
	struct span
		joined; /* in `cipher`, for the call that found it: the hello in other records */
	struct hello_reader hello;
	char host[HOST_MAX]; /* of clients: whom we mean to speak to */

	/* ---- receiving ---- */
	struct tls_flow rx;
	bool is_rx_closed;     /* close_notify */
	bool is_rx_drained;    /* tls_is_drained */
	uint8_t idle_records;  /* in a row, without data */
	uint8_t idle_wakes;    /* in a row, without a byte of the hello */
	uint16_t rx_offset;    /* of the first record, bytes that were taken */
	struct tls_half *half; /* the first record, if it is not in the socket */
	uint32_t rx_wake;      /* bytes the socket wakes us for; 1 */
	uint32_t rx_seen;      /* bytes of half a record that were there last time */
	uint32_t skip;	       /* bytes of a handshake message that are of no interest */
	/* Key changes in the second that began then. */
	uint64_t rekey_from_ns;
	uint32_t rekeys;

	/* ---- sending ---- */
	struct tls_flow tx;
	uint16_t record_max;   /* bytes of content */
	uint16_t tx_part_len;  /* a record of so many bytes of content is on its way, */
	uint16_t tx_part_sent; /* and so much of the record is sent already; 0: none is */
	bool is_tx_part_control;
	bool is_tx_slow; /* the socket was full: one record at a time */
	bool is_tx_closed;
	bool is_rekey_owed; /* once control[0], a KeyUpdate, is out */
	struct tls_control control;
};

struct tls_handshake {
	struct WOLFSSL *ssl;
	struct tls_end *end;
	const struct tls_identity *identity;
	bool is_old;	/* the client does not speak TLS 1.3 */
	bool was_short; /* of memory, at some step */
	struct tls_transcript transcript;
	struct tls_result result;
	struct sink texts;   /* what result's spans are into */
	int err;	     /* of the socket */
	uint64_t hello_tail; /* the last bytes of what the client said in clear */
	uint8_t cuts; /* lengths of records it has asked for, as of tls_identity.uncuttable */
	uint32_t in_len;
	uint32_t out_from, out_len;
	uint32_t
		out_last; /* where the last thing wolfSSL sent begins, or the first of its alerts */
	char detail[256];
	uint8_t text_bytes[TLS_TEXT_BYTES];
	uint8_t in[TLS_RECORD_MAX]; /* the record being received */
	uint8_t out[TLS_OUT_BYTES];
};

/* ---- tls_end.c ------------------------------------------------------------------------------ */

/* Leases a slot; false: all are in use. */
MUST_USE bool tls_end_slot_get(struct tls_end *end, const struct tls_identity *identity);
/* Ends the handshake's part, whether it is done or not. */
void tls_end_slot_put(struct tls_end *end);
/* Remembers the first failure only; -EPROTO. */
int tls_end_fail(struct tls_end *end, enum tls_fail why);
/* The same, and the peer is told if it can be. */
int tls_end_abort(struct tls_end *end, enum tls_fail why);

/* ---- tls_hello.c: the first flight of a client ---------------------------------------------- */

/* TLS_DONE: the slot has an identity and a server name. */
enum tls_progress tls_hello_read(struct tls_end *end);

/* ---- tls_io.c: what wolfSSL sends and receives ---------------------------------------------- */

/* 0: all is sent; -EAGAIN; or what the socket says. */
MUST_USE int tls_io_flush(struct tls_handshake *slot);
/* An alert sealed as TLS 1.3 does; one in clear is shorter. */
#define TLS_IO_ALERT_BYTES (TLS_HEADER_BYTES + 3 + TLS_TAG_BYTES)
/* Is it an alert, or several of them? */
bool tls_io_is_alert(const uint8_t *records, size_t len);
/* The alert in clear that wolfSSL has stopped at; -1: that is not what it has stopped at. A TLS 1.3
 * client that refuses the server's flight may have no keys to seal one with (OpenSSL's has not; RFC
 * 8446 6), and wolfSSL takes it for a broken record. Nobody vouches for it, but the handshake is
 * over one way or the other. */
int tls_io_clear_alert(struct tls_handshake *slot);

/* ---- tls_handover.c: wolfSSL's keys, and the end of its part -------------------------------- */

/* Key and iv in force for records from the server or the client. */
void tls_handover_key(struct WOLFSSL *ssl, const struct tls_suite *suite, bool is_from_server,
		      struct tls_flow *ret_flow);
const struct tls_suite *tls_handover_suite(struct WOLFSSL *ssl);
/* Takes all that the end needs out of wolfSSL. */
void tls_handover(struct tls_handshake *slot);
/* And lets go of it. */
void tls_handover_free(struct WOLFSSL *ssl);

/* ---- tls_recv.c ----------------------------------------------------------------------------- */

/* Forgets the record that was taken off the socket, if one was. */
void tls_recv_drop_half(struct tls_end *end);

/* ---- tls_control.c: records that are no data ------------------------------------------------ */

/* 0: go on; 1: the peer has closed; -EPROTO. */
MUST_USE int tls_control_take(struct tls_end *end, uint8_t type, struct span content);
/* Sends a control record, or remembers to. */
void tls_control_send(struct tls_end *end, uint8_t type, struct span bytes);
/* 0: nothing waits any more; -EAGAIN; or what the socket says. */
MUST_USE int tls_control_flush(struct tls_end *end);

/* ---- tls_ktls.c: keys for the kernel -------------------------------------------------------- */

/* Tries to give both directions to the kernel, as the context wants it; -EPROTO: it must and
 * cannot.
 */
MUST_USE int tls_ktls_start(struct tls_end *end);
/* The next key of a direction the kernel has; false: this kernel cannot. */
MUST_USE bool tls_ktls_rekey(struct tls_end *end, bool is_send);

/* ---- tls_session.c: sessions with brokers ---------------------------------------------------- */

/* Offers the session kept for the host. */
void tls_session_offer(struct tls_handshake *slot);
/* Keeps the session, or wolfSSL until its ticket comes. */
void tls_session_keep(struct tls_end *end);
/* That ticket: a NewSessionTicket message. */
void tls_session_feed(struct tls_end *end, struct span message);
/* The handshake it was offered in has failed, perhaps because of it: wolfSSL offers no other
 * version than the session's. */
void tls_session_forget(struct tls_end *end);
/* It is not waited for any longer. */
void tls_session_drop(struct tls_end *end);
