/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_priv: what the files of src/tls share. wolfSSL's headers and libcrypto's define the same
 * names and cannot meet in one file: here both are incomplete types.
 *
 * wolfSSL's: tls_handshake.c, tls_handover.c, tls_io.c, tls_callbacks.c, tls_context_wolf.c,
 * tls_session.c, tls_memory.c, tls_random.c, tls_init.c.
 *
 * libcrypto's: tls_aead_*.c, tls_secret.c, tls_transcript.c, tls_cert*.c, tls_sign.c, tls_ticket.c.
 */
#pragma once

#include <stdatomic.h>

#include <penstock/base/addr.h>
#include <penstock/base/pool.h>
#include <penstock/tls.h>
#include <penstock/tls/context.h>

struct WOLFSSL;
struct WOLFSSL_CTX;
struct evp_pkey_st;
struct evp_md_ctx_st;
struct tls_aead;

#define TLS_TAG_BYTES	 16
#define TLS_HEADER_BYTES 5
#define TLS_PLAIN_MAX	 16384
/* The longest record there may be, and with it every buffer for one. */
#define TLS_RECORD_MAX	 (TLS_HEADER_BYTES + TLS_PLAIN_MAX + 256)
/* Records sealed before a send, and looked at in one peek: 64 KiB of data, as a lane's buffer. */
#define TLS_BATCH	 4

enum tls_type { TLS_TYPE_CCS = 20, TLS_TYPE_ALERT, TLS_TYPE_HANDSHAKE, TLS_TYPE_DATA };
enum tls_hash { TLS_SHA256, TLS_SHA384 };

#define TLS_HASH_MAX 48

struct tls_suite {
	uint16_t id;
	enum tls_version version;
	enum tls_cipher cipher;
	enum tls_hash hash;
	uint8_t key_bytes;
	const char *name, *iana;
};

/* NULL: none of ours. */
const struct tls_suite *tls_suite_find(uint16_t id);
/* Sets context->suites by the names, and takes versions out that have no suite then. False: nothing
 * is left. */
MUST_USE bool tls_suite_choose(const struct tls_common *common, const struct tls_report *report,
			       struct tls_context *context);
/* The names of those of the set for these versions, as wolfSSL takes them. */
void tls_suite_list(struct sink *sink, uint32_t set, enum tls_version version_min,
		    enum tls_version version_max);

/* One direction of a connection: its key, and the number of the next record. */
struct tls_flow {
	uint64_t seq;
	uint64_t key_id; /* of this key alone, among all a worker ever has */
	uint8_t key[32];
	uint8_t iv[12];
	bool is_kernel;
	bool has_secret;
	uint8_t secret[TLS_HASH_MAX]; /* TLS 1.3: what key, iv and the next secret are made from */
};

/* ---- tls_aead.c: AEADs, one state a cipher and direction for a whole worker ----------------- */

/* NULL: out of memory. */
struct tls_aead *tls_aead_new(void);
/* By libcrypto alone: what other CPUs get, for tests. */
struct tls_aead *tls_aead_new_portable(void);
void tls_aead_free(struct tls_aead *aead);
/* out: the pieces' bytes together and the tag; it may be where the first piece is. */
void tls_aead_seal(struct tls_aead *aead, enum tls_cipher cipher, const struct tls_flow *flow,
		   const uint8_t nonce[static 12], struct span aad, struct span plain,
		   struct span plain_end, uint8_t *out);
/* out: sealed.len - TLS_TAG_BYTES bytes; it may be where `sealed` is. */
MUST_USE bool tls_aead_open(struct tls_aead *aead, enum tls_cipher cipher,
			    const struct tls_flow *flow, const uint8_t nonce[static 12],
			    struct span aad, struct span sealed, uint8_t *out);

/* ---- tls_memory.c: wolfSSL's heap ----------------------------------------------------------- */

/* 0, or less than 0. Before wolfSSL's first use; later only the bound changes. */
MUST_USE int tls_memory_init(size_t memory_max);
/* Half of it is taken: the rest is for handshakes. */
bool tls_memory_is_scarce(void);
/* Allocations of this thread that were refused so far: wolfSSL does not always say that this is
 * why it goes no further. */
uint64_t tls_memory_refused(void);

/* ---- tls_record.c: records of both versions ------------------------------------------------- */

size_t tls_record_sealed_size(const struct tls_suite *suite, size_t len);
/* Returns the size of the record written. */
size_t tls_record_seal(struct tls_aead *aead, const struct tls_suite *suite,
		       const struct tls_flow *flow, uint64_t seq, uint8_t type, struct span bytes,
		       uint8_t *out);
/* The bytes of content, or minus the enum tls_fail. `out` holds record.len - TLS_HEADER_BYTES. */
MUST_USE int tls_record_open(struct tls_aead *aead, const struct tls_suite *suite,
			     const struct tls_flow *flow, uint64_t seq, struct span record,
			     uint8_t *out, uint8_t *ret_type);
/* What the header says: the size of the whole record, 0: not all of the header is there, or minus
 * the enum tls_fail. */
int tls_record_size(struct span bytes);

/* ---- tls_secret.c: TLS 1.3's key schedule from the traffic secrets on (RFC 8446 7) ---------- */

/* False: out of memory, here and below. */
size_t tls_secret_hash_size(enum tls_hash hash);
/* Derive-Secret with the hash of the messages. */
MUST_USE bool tls_secret_derive(enum tls_hash hash, const uint8_t *secret, const char *label,
				const uint8_t *messages_hash, uint8_t *ret_secret);
/* Key and iv for the secret in the flow, counting from 0. */
MUST_USE bool tls_secret_to_key(const struct tls_suite *suite, struct tls_flow *flow);
/* The next generation. */
MUST_USE bool tls_secret_update(const struct tls_suite *suite, struct tls_flow *flow);

/* ---- tls_transcript.c: the hash of a TLS 1.3 handshake up to the server's Finished ---------- */

/* wolfSSL hides its traffic secrets; with this hash they follow from the master secret, which it
 * shows. Fed with the records as they stand on the wire; of the sealed ones only the server's. */
struct tls_transcript {
	struct evp_md_ctx_st *md[2]; /* by enum tls_hash; the first hello does not say which */
	const struct tls_suite *suite;
	struct tls_flow flow;
	bool is_broken;	  /* not understood: there will be no secrets, and no key changes */
	bool is_sealed;	  /* the first sealed record is in */
	bool is_complete; /* Finished is in */
	uint8_t hash[TLS_HASH_MAX];
	/* The message the next bytes belong to. */
	uint8_t head[4];
	uint8_t head_len;
	uint32_t body_left;
};

MUST_USE int tls_transcript_init(struct tls_transcript *transcript);
void tls_transcript_fini(struct tls_transcript *transcript);
void tls_transcript_start(struct tls_transcript *transcript);
/* Content of a record that is not encrypted. */
void tls_transcript_clear(struct tls_transcript *transcript, struct span content);
/* The server's handshake key, before the first record sealed with it. */
void tls_transcript_key(struct tls_transcript *transcript, const struct tls_suite *suite,
			const struct tls_flow *flow);
void tls_transcript_sealed(struct tls_transcript *transcript, struct tls_aead *aead,
			   struct span record, uint8_t *scratch);

/* ---- tls_file.c: files, and what is wrong with them ----------------------------------------- */

struct tls_file {
	const char *name;
	uint8_t *bytes;
	size_t size;
};

PRINTF_LIKE(3, 4)
void tls_report_say(const struct tls_report *report, bool is_error, const char *format, ...);
#define tls_mistake(report, ...) tls_report_say(report, true, __VA_ARGS__)
#define tls_doubt(report, ...)	 tls_report_say(report, false, __VA_ARGS__)

/* The whole file; false: the report has been told. */
MUST_USE bool tls_file_read(struct tls_file *file, const char *name,
			    const struct tls_report *report);
/* The same, for what nobody else may have read: one that everybody may is refused. */
MUST_USE bool tls_file_read_key(struct tls_file *file, const char *name,
				const struct tls_report *report);
/* Wipes: it may have been a key. */
void tls_file_forget(struct tls_file *file);

/* ---- tls_cert.c: a certificate of our own with its key -------------------------------------- */

struct tls_pair {
	struct evp_pkey_st *key;
	struct tls_file chain; /* PEM, rewritten: certificates only */
	struct tls_file key_der;
	uint8_t *leaf_der;
	size_t leaf_size;
	time_t expires;
	uint8_t uncuttable; /* as of struct tls_identity */
};

/* Reads both files and compares them; false: the report has been told. */
MUST_USE bool tls_pair_read(struct tls_pair *pair, const char *cert_file, const char *key_file,
			    const struct tls_report *report);
void tls_pair_forget(struct tls_pair *pair);

/* ---- tls_cert_names.c: what a certificate says about whose it is ---------------------------- */

/* Texts go to the store; false: no certificate. */
MUST_USE bool tls_cert_peer(struct span der, struct tls_peer *ret_peer, struct sink *store);
/* Writes its DNS names, each with a NUL; returns how many. A sink of the certificate's size will
 * do. */
uint32_t tls_cert_dns_names(struct span der, struct sink *names);
/* Is it for this name or address (RFC 9525: no wildcard but a whole first label)? */
bool tls_cert_is_for(struct span der, const char *host);

/* ---- tls_cert_trust.c: what others are judged by -------------------------------------------- */

/* Tells the report what is wrong or doubtful; false: not to be used. */
MUST_USE bool tls_cert_check_cas(const struct tls_file *file, const struct tls_report *report);
/* Is the authority in it that signed the certificate? */
bool tls_cert_has_issuer(const struct tls_file *file, struct span leaf_der);
MUST_USE bool tls_cert_check_crls(const struct tls_file *file, const struct tls_report *report);
MUST_USE bool tls_cert_check_staple(const struct tls_file *file, struct span leaf_der,
				    const struct tls_report *report);

/* ---- tls_sign.c: our own key, by libcrypto (docs/adr/0012) ---------------------------------- */

/* Size in, size out; false: this key cannot. */
MUST_USE bool tls_sign_ecdsa(struct evp_pkey_st *key, struct span digest, uint8_t *ret_signature,
			     size_t *size);
/* `encoded` is a DigestInfo. */
MUST_USE bool tls_sign_rsa(struct evp_pkey_st *key, struct span encoded, uint8_t *ret_signature,
			   size_t *size);
MUST_USE bool tls_sign_rsa_pss(struct evp_pkey_st *key, struct span digest, uint8_t *ret_signature,
			       size_t *size);

/* ---- tls_ticket.c --------------------------------------------------------------------------- */

#define TLS_TICKET_NAME_BYTES 16
#define TLS_TICKET_IV_BYTES   16
#define TLS_TICKET_MAC_BYTES  32

/* A ticket in wolfSSL's memory. */
struct tls_ticket {
	uint8_t *name, *iv, *mac;
	uint8_t *bytes; /* sealed and opened in place */
	size_t len;
	const char *scope;
	struct span server_name;
};

MUST_USE bool tls_ticket_seal(struct tls_tickets *tickets, const struct tls_ticket *ticket);
MUST_USE bool tls_ticket_open(struct tls_tickets *tickets, const struct tls_ticket *ticket);

/* ---- tls_context.c -------------------------------------------------------------------------- */

/* One certificate with all that wolfSSL needs to use it; one without a key for clients that show
 * none. */
struct tls_identity {
	struct WOLFSSL_CTX *ctx;
	struct WOLFSSL_CTX *ctx_staple; /* NULL: there is nothing to staple */
	struct tls_context *context;
	struct evp_pkey_st *key;
	struct tls_file staple;
	const char *file;
	time_t expires;
	/* A bit for each max_fragment_length (RFC 6066 4: 1 is 512 bytes) with which wolfSSL must
	 * not be let cut the chain into records in TLS 1.3 (tls_cert.c, tls_io.c). */
	uint8_t uncuttable;
};

struct tls_context {
	_Atomic uint32_t refs;
	bool is_server;
	enum tls_version version_min, version_max;
	uint32_t suites; /* a bit for each, in the order of suite.def */
	enum tls_ktls ktls_send, ktls_recv;
	bool is_rekey_fatal;
	struct span *alpn;
	uint32_t alpn_count;

	struct tls_identity *identities;
	uint32_t identity_count;

	/* Of servers. */
	struct route_sni *names; /* to indexes of identities */
	bool is_unknown_name_refused, is_name_required;
	enum tls_client_auth client_auth;
	struct tls_tickets *tickets;
	const char *ticket_scope;

	/* Of clients. */
	bool is_name_unchecked, is_peer_unchecked;
	struct tls_sessions *sessions;

	struct sink texts; /* strings of ours */
};

/* The identity for a client's hello; NULL: refused. */
const struct tls_identity *tls_context_choose(const struct tls_context *context, struct span name,
					      enum tls_fail *ret_why);
/* Our first protocol that the client offers too; empty: none of either; false: none in common. */
MUST_USE bool tls_context_choose_alpn(const struct tls_context *context, struct span offered,
				      struct span *ret_alpn);

/* ---- tls_session.c: sessions a client may resume -------------------------------------------- */

struct tls_sessions *tls_sessions_new(uint32_t count);
void tls_sessions_free(struct tls_sessions *sessions);
