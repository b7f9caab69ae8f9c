/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode hello: what a layer-4 SNI router does for a connection, without the cost of TLS at either
 * end. The client sends the ClientHello of a TLS 1.3 client (RFC 8446 4.1.2, with the server name
 * of RFC 6066 3), sink hello answers any whole record with a warning alert, both close.
 */
#include "load_slots.h"
#include "sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	RECORD_HEADER_BYTES = 5,
	RECORD_BYTES_MAX = 16384, /* RFC 8446 5.1; a longer hello would need a second record */
	PADDING_HEADER_BYTES = 4,
	RANDOM_BYTES = 32,
	NAME_BYTES_MAX = 255,

	EXT_SERVER_NAME = 0,
	EXT_SUPPORTED_GROUPS = 10,
	EXT_SIGNATURE_ALGORITHMS = 13,
	EXT_ALPN = 16,
	EXT_PADDING = 21, /* RFC 7685 */
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_PSK_KEY_EXCHANGE_MODES = 45,
	EXT_KEY_SHARE = 51,
};

/* Bytes under way, and the starts of the length fields that are still open. */
struct hello {
	size_t size;
	uint8_t bytes[RECORD_HEADER_BYTES + RECORD_BYTES_MAX];
};

static void put(struct hello *h, const void *bytes, size_t size)
{
	memcpy(h->bytes + h->size, bytes, size);
	h->size += size;
}

static void put_number(struct hello *h, uint32_t value, size_t size)
{
	while (size-- > 0)
		h->bytes[h->size++] = (uint8_t)(value >> (8 * size));
}

/* Numbers of two bytes each, up to a 0. */
static void put_list(struct hello *h, const uint16_t *values)
{
	for (; *values != 0; values++)
		put_number(h, *values, 2);
}

static void put_random(struct hello *h)
{
	uint8_t random[RANDOM_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		load_die("getrandom");
	put(h, random, sizeof(random));
}

/* A length field of `size` bytes before what is put until it is closed; returns its place. */
static size_t open_length(struct hello *h, size_t size)
{
	h->size += size;
	return h->size - size;
}

static void close_length(struct hello *h, size_t at, size_t size)
{
	size_t end = h->size;

	h->size = at;
	put_number(h, (uint32_t)(end - at - size), size);
	h->size = end;
}

static size_t open_extension(struct hello *h, uint32_t type)
{
	put_number(h, type, 2);
	return open_length(h, 2);
}

static void put_server_name(struct hello *h, const char *name)
{
	size_t extension = open_extension(h, EXT_SERVER_NAME);
	size_t list = open_length(h, 2);

	put_number(h, 0, 1); /* host_name */
	size_t host = open_length(h, 2);
	put(h, name, strlen(name));
	close_length(h, host, 2);
	close_length(h, list, 2);
	close_length(h, extension, 2);
}

static void put_alpn(struct hello *h, const char *name)
{
	size_t extension = open_extension(h, EXT_ALPN);
	size_t list = open_length(h, 2);
	size_t one = open_length(h, 1);

	put(h, name, strlen(name));
	close_length(h, one, 1);
	close_length(h, list, 2);
	close_length(h, extension, 2);
}

static void put_listed(struct hello *h, uint32_t type, size_t length_bytes, const uint16_t *values)
{
	size_t extension = open_extension(h, type);
	size_t list = open_length(h, length_bytes);

	put_list(h, values);
	close_length(h, list, length_bytes);
	close_length(h, extension, 2);
}

static void put_key_share(struct hello *h)
{
	static const uint32_t x25519 = 0x001d;
	size_t extension = open_extension(h, EXT_KEY_SHARE);
	size_t list = open_length(h, 2);

	put_number(h, x25519, 2);
	size_t key = open_length(h, 2);
	put_random(h); /* any 32 bytes are a public key of X25519 */
	close_length(h, key, 2);
	close_length(h, list, 2);
	close_length(h, extension, 2);
}

static void put_extensions(struct hello *h, const struct options *ask)
{
	static const uint16_t groups[] = { 0x001d, 0x0017, 0x0018, 0 };
	static const uint16_t signatures[] = { 0x0403, 0x0804, 0x0401, 0x0503,
					       0x0805, 0x0501, 0x0806, 0 };
	static const uint16_t versions[] = { 0x0304, 0x0303, 0 };

	put_server_name(h, ask->sni);
	put_listed(h, EXT_SUPPORTED_GROUPS, 2, groups);
	if (ask->alpn != NULL)
		put_alpn(h, ask->alpn);
	put_listed(h, EXT_SIGNATURE_ALGORITHMS, 2, signatures);
	put_key_share(h);
	size_t modes = open_extension(h, EXT_PSK_KEY_EXCHANGE_MODES);
	put_number(h, 0x0101, 2); /* one mode: psk_dhe_ke */
	close_length(h, modes, 2);
	put_listed(h, EXT_SUPPORTED_VERSIONS, 1, versions);
}

static void put_padding(struct hello *h, size_t wanted)
{
	if (h->size == wanted)
		return;
	if (wanted < h->size + PADDING_HEADER_BYTES || wanted > sizeof(h->bytes)) {
		fprintf(stderr, "penstock-bench: this ClientHello can have from %zu to %zu bytes\n",
			h->size + PADDING_HEADER_BYTES, sizeof(h->bytes));
		exit(2);
	}
	size_t extension = open_extension(h, EXT_PADDING);
	memset(h->bytes + h->size, 0, wanted - h->size);
	h->size = wanted;
	close_length(h, extension, 2);
}

static void put_hello(struct hello *h, const struct options *ask)
{
	static const uint16_t ciphers[] = { 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f,
					    0xc02c, 0xc030, 0xcca9, 0xcca8, 0 };

	put_number(h, 22, 1);	  /* a record: handshake, */
	put_number(h, 0x0301, 2); /* with the version that first hellos carry */
	size_t record = open_length(h, 2);
	put_number(h, 1, 1); /* client_hello */
	size_t message = open_length(h, 3);
	put_number(h, 0x0303, 2);
	put_random(h);
	put_number(h, RANDOM_BYTES, 1);
	put_random(h); /* session id: middlebox compatibility */
	size_t suites = open_length(h, 2);
	put_list(h, ciphers);
	close_length(h, suites, 2);
	put_number(h, 0x0100, 2); /* no compression */
	size_t extensions = open_length(h, 2);
	put_extensions(h, ask);
	put_padding(h, ask->message_bytes);
	close_length(h, extensions, 2);
	close_length(h, message, 3);
	close_length(h, record, 2);
}

static void load_hello_run(struct load *l)
{
	static struct hello h;
	struct load_slots_plain plain = { .request = h.bytes,
					  .answer = sink_hello_answer,
					  .answer_bytes = SINK_HELLO_ANSWER_BYTES };

	if (l->ask.sni == NULL)
		load_refuse("load hello needs --sni NAME");
	if (strlen(l->ask.sni) > NAME_BYTES_MAX ||
	    (l->ask.alpn != NULL && strlen(l->ask.alpn) > NAME_BYTES_MAX))
		load_refuse("a name in a ClientHello has up to 255 bytes");
	put_hello(&h, &l->ask);
	plain.request_bytes = h.size;
	load_slots_run_plain(l, &plain);
}

const struct load_mode load_hello = {
	.name = "hello",
	.summary = "connect, a TLS ClientHello with a server name, close (sink: hello)",
	.about =
		"Like crr, with a ClientHello of TLS 1.3 as the message: for layer-4 proxies that "
		"route by its server name. -b pads it; it is one record always. The sink answers it "
		"with a warning alert of seven bytes, so that the cost of TLS itself is in nobody's "
		"figures. An answer that is not the sink's is an error, protocol."
		"\n\nWork: connections that ended with both FINs. Latency: from connect(2) to the answer.",
	.takes = OPTION_COMMON | OPTION_SNI | OPTION_ALPN,
	.message_bytes = 517,
	.run = load_hello_run,
};
