/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_scram: SCRAM with libcrypto's HMAC and PBKDF2:
 *
 *     SaltedPassword = PBKDF2(password, salt, i)     (in the memo, as the two keys below)
 *     ClientKey = HMAC(SaltedPassword, "Client Key"),  StoredKey = H(ClientKey)
 *     ServerKey = HMAC(SaltedPassword, "Server Key")
 *     proof = ClientKey XOR HMAC(StoredKey, AuthMessage),  signature = HMAC(ServerKey, AuthMessage)
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "wire_scram.h"

#define BASE64(n)     (((n) + 2) / 3 * 4)
#define BARE_MAX      (8 + 3 * SASL_USER_MAX + SASL_NONCE)
#define MESSAGE_MAX   (BARE_MAX + 2 * SASL_HEAR_MAX + 16)
#define HEADER_BASE64 "biws" /* of "n,,": no channel binding */

/* What a server-first says. */
struct challenge {
	struct span nonce;
	uint8_t salt[SASL_SALT_MAX];
	size_t salt_len;
	uint32_t rounds;
};

static const EVP_MD *hash_of(const struct sasl_client *client)
{
	return client->mechanism == SASL_SCRAM_SHA_512 ? EVP_sha512() : EVP_sha256();
}

static size_t hash_size(const struct sasl_client *client)
{
	return client->mechanism == SASL_SCRAM_SHA_512 ? 64 : 32;
}

/* ---- base64 --------------------------------------------------------------------------------- */

static void put_base64(struct sink *sink, const uint8_t *bytes, size_t len)
{
	uint8_t text[BASE64(SASL_HASH_MAX) + 1];

	CHECK(len <= SASL_HASH_MAX);
	sink_bytes(sink, text, (size_t)EVP_EncodeBlock(text, bytes, (int)len));
}

static int base64_digit(uint8_t letter)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = letter != 0 ? strchr(digits, letter) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* One way only to write a value: whole groups of four, and no bits behind the last byte. */
static bool take_base64(struct span text, uint8_t *ret_bytes, size_t size, size_t *ret_len)
{
	size_t len = 0, pad = 0;
	uint32_t bits = 0;

	if (text.len == 0 || text.len % 4 != 0)
		return false;
	while (pad < 2 && text.at[text.len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < text.len - pad; i++) {
		int digit = base64_digit(text.at[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 == 0)
			continue;
		if (len == size)
			return false;
		ret_bytes[len++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	*ret_len = len;
	return pad == 0 || (bits & (pad == 1 ? 3u : 15u)) == 0;
}

void wire_scram_nonce(const uint8_t random[static SASL_RANDOM], uint8_t nonce[static SASL_NONCE])
{
	uint8_t text[BASE64(SASL_RANDOM) + 1];

	(void)EVP_EncodeBlock(text, random, SASL_RANDOM);
	memcpy(nonce, text, SASL_NONCE);
}

/* ---- messages ------------------------------------------------------------------------------- */

static void put_bare(const struct sasl_client *client, struct span user, struct sink *sink)
{
	sink_str(sink, "n=");
	for (size_t i = 0; i < user.len; i++) {
		if (user.at[i] == '=')
			sink_str(sink, "=3D");
		else if (user.at[i] == ',')
			sink_str(sink, "=2C");
		else
			sink_u8(sink, user.at[i]);
	}
	sink_str(sink, ",r=");
	sink_bytes(sink, client->nonce, client->nonce_len);
}

void wire_scram_first(const struct sasl_client *client, struct span user, struct sink *sink)
{
	sink_str(sink, "n,,");
	put_bare(client, user, sink);
}

/* "x=value" off the front, and the comma behind it. */
static bool take_attribute(struct span *rest, char name, struct span *ret_value)
{
	char head[3] = { name, '=', '\0' };

	if (!span_starts(*rest, head) || !span_skip(rest, 2) ||
	    !span_take(rest, span_find(*rest, ','), ret_value))
		return false;
	return rest->len == 0 || span_skip(rest, 1);
}

static bool is_nonce(struct span nonce, const struct sasl_client *client)
{
	if (nonce.len <= client->nonce_len ||
	    memcmp(nonce.at, client->nonce, client->nonce_len) != 0)
		return false;
	for (size_t i = 0; i < nonce.len; i++)
		if (nonce.at[i] <= ' ' || nonce.at[i] > '~')
			return false;
	return true;
}

/* Extensions may follow, and mean nothing; one in front ("m=") would have to be understood. */
static bool take_challenge(const struct sasl_client *client, struct span message,
			   struct challenge *ret)
{
	struct span salt, rounds;
	uint64_t number = 0;

	if (!take_attribute(&message, 'r', &ret->nonce) || !is_nonce(ret->nonce, client) ||
	    !take_attribute(&message, 's', &salt) || !take_attribute(&message, 'i', &rounds))
		return false;
	if (!take_base64(salt, ret->salt, sizeof(ret->salt), &ret->salt_len) ||
	    !span_to_u64(rounds, &number))
		return false;
	if (number < SASL_ROUNDS_MIN || number > SASL_ROUNDS_MAX)
		return false;
	ret->rounds = (uint32_t)number;
	return true;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void hmac(const struct sasl_client *client, const uint8_t *key, struct span text,
		 uint8_t ret[static SASL_HASH_MAX])
{
	unsigned int len = 0;

	CHECK(HMAC(hash_of(client), key, (int)hash_size(client), text.at, text.len, ret, &len) !=
	      NULL);
	CHECK(len == hash_size(client));
}

static void digest(const EVP_MD *hash, const uint8_t *bytes, size_t len, uint8_t *ret)
{
	CHECK(EVP_Digest(bytes, len, ret, NULL, hash, NULL) == 1);
}

/* What the keys of a memo are the keys of. */
static void fingerprint(const struct sasl_client *client, struct span password,
			const struct challenge *challenge, uint8_t ret[static 32])
{
	uint8_t text[SASL_PASSWORD_MAX + SASL_SALT_MAX + 16];
	struct sink sink = sink_of(text, sizeof(text));

	sink_u8(&sink, client->mechanism);
	sink_u32(&sink, challenge->rounds);
	sink_u32(&sink, (uint32_t)challenge->salt_len);
	sink_bytes(&sink, challenge->salt, challenge->salt_len);
	sink_span(&sink, password);
	CHECK(!sink.full);
	digest(EVP_sha256(), text, sink.len, ret);
	OPENSSL_cleanse(text, sizeof(text));
}

static void derive(const struct sasl_client *client, struct span password,
		   const struct challenge *challenge, struct sasl_memo *memo)
{
	uint8_t salted[SASL_HASH_MAX], of[32];

	fingerprint(client, password, challenge, of);
	if (memo->is_set && CRYPTO_memcmp(memo->of, of, sizeof(of)) == 0)
		return;
	CHECK(PKCS5_PBKDF2_HMAC((const char *)password.at, (int)password.len, challenge->salt,
				(int)challenge->salt_len, (int)challenge->rounds, hash_of(client),
				(int)hash_size(client), salted) == 1);
	hmac(client, salted, span_str("Client Key"), memo->client_key);
	hmac(client, salted, span_str("Server Key"), memo->server_key);
	memcpy(memo->of, of, sizeof(of));
	memo->is_set = true;
	OPENSSL_cleanse(salted, sizeof(salted));
}

/* ---- proof and signature -------------------------------------------------------------------- */

/* *ret_proof; client->signature. */
static void prove(struct sasl_client *client, const struct sasl_memo *memo, struct span message,
		  uint8_t ret_proof[static SASL_HASH_MAX])
{
	uint8_t stored[SASL_HASH_MAX] = { 0 };

	digest(hash_of(client), memo->client_key, hash_size(client), stored);
	hmac(client, stored, message, ret_proof);
	for (size_t i = 0; i < hash_size(client); i++)
		ret_proof[i] ^= memo->client_key[i];
	hmac(client, memo->server_key, message, client->signature);
	OPENSSL_cleanse(stored, sizeof(stored));
}

enum sasl_next wire_scram_challenged(struct sasl_client *client,
				     const struct sasl_credential *credential, struct span message,
				     struct sasl_memo *memo, struct sink *sink)
{
	uint8_t text[MESSAGE_MAX], proof[SASL_HASH_MAX];
	struct sink auth = sink_of(text, sizeof(text));
	struct challenge challenge;

	if (!take_challenge(client, message, &challenge))
		return SASL_MALFORMED;
	derive(client, credential->password, &challenge, memo);
	put_bare(client, credential->user, &auth);
	sink_u8(&auth, ',');
	sink_span(&auth, message);
	sink_u8(&auth, ',');
	size_t final = auth.len;

	sink_str(&auth, "c=" HEADER_BASE64 ",r=");
	sink_span(&auth, challenge.nonce);
	CHECK(!auth.full);
	prove(client, memo, sink_written(&auth), proof);
	sink_bytes(sink, text + final, auth.len - final);
	sink_str(sink, ",p=");
	put_base64(sink, proof, hash_size(client));
	OPENSSL_cleanse(proof, sizeof(proof));
	return SASL_SAY;
}

enum sasl_next wire_scram_verify(const struct sasl_client *client, struct span message)
{
	uint8_t signature[SASL_HASH_MAX];
	struct span value;
	size_t len = 0;

	if (take_attribute(&message, 'e', &value))
		return SASL_REFUSED;
	if (!take_attribute(&message, 'v', &value) ||
	    !take_base64(value, signature, sizeof(signature), &len))
		return SASL_MALFORMED;
	if (len != hash_size(client) || CRYPTO_memcmp(signature, client->signature, len) != 0)
		return SASL_IMPOSTOR;
	return SASL_DONE;
}
