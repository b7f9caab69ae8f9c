/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Telling what else speaks to a Pulsar or a Kafka port, so that the log says "TLS" and not "frame
 * too long". It is asked only about bytes that are no good frame, and answers only when it is sure.
 */
#include <penstock/wire/kafka.h>
#include <penstock/wire/proxy.h>
#include <penstock/wire/pulsar.h>

#define KAFKA_SIZE_MOST (1024 * 1024)
#define KAFKA_KEY_MOST	100
#define KAFKA_API_MOST	20

static bool is_http(struct span bytes)
{
	/* Requests, an answer, and HTTP/2's preface "PRI * HTTP/2.0". */
	static const char *const begins[] = { "GET ", "POST", "HTTP", "PUT ", "HEAD",
					      "OPTI", "CONN", "DELE", "PATC", "PRI " };
	for (size_t i = 0; i < COUNT_OF(begins); i++) {
		if (span_starts(bytes, begins[i]))
			return true;
	}
	return false;
}

/* A handshake record of SSL 3.0 to TLS 1.3. */
static bool is_tls(struct span bytes)
{
	uint8_t type, major;
	return span_u8(&bytes, &type) && span_u8(&bytes, &major) && type == 22 && major == 3;
}

/* u32 size, u16 api key, u16 api version, u32 correlation, i16 length of the client id: where
 * Pulsar has its commandSize, Kafka has key and version. */
static bool is_kafka(struct span bytes)
{
	uint32_t size, api, correlation;
	uint16_t id_len;
	if (!span_u32(&bytes, &size) || !span_u32(&bytes, &api))
		return false;
	if (size < 8 || size >= KAFKA_SIZE_MOST || api >> 16 > KAFKA_KEY_MOST ||
	    (api & 0xffff) > KAFKA_API_MOST)
		return false;
	if (api <= size - 4)
		return false; /* a commandSize that fits */
	if (!span_u32(&bytes, &correlation) || !span_u16(&bytes, &id_len))
		return true;
	return id_len == UINT16_MAX || (size >= 10 && id_len <= size - 10);
}

/* u32 total, u32 commandSize, and the field every command begins with. */
static bool is_pulsar(struct span bytes)
{
	uint32_t total, command;
	uint8_t field;
	return span_u32(&bytes, &total) && span_u32(&bytes, &command) && span_u8(&bytes, &field) &&
	       command >= 2 && command < total && total - command >= 4 && field == 0x08;
}

enum pulsar_mistake pulsar_mistake(struct span bytes)
{
	if (is_http(bytes))
		return PULSAR_MISTAKE_HTTP;
	if (is_tls(bytes))
		return PULSAR_MISTAKE_TLS;
	if (span_starts(bytes, "SSH-"))
		return PULSAR_MISTAKE_SSH;
	if (bytes.len >= 6 && proxy_may_begin(bytes))
		return PULSAR_MISTAKE_PROXY;
	return is_kafka(bytes) ? PULSAR_MISTAKE_KAFKA : PULSAR_MISTAKE_NONE;
}

enum kafka_mistake kafka_mistake(struct span bytes)
{
	if (is_http(bytes))
		return KAFKA_MISTAKE_HTTP;
	if (is_tls(bytes))
		return KAFKA_MISTAKE_TLS;
	if (span_starts(bytes, "SSH-"))
		return KAFKA_MISTAKE_SSH;
	if (bytes.len >= 6 && proxy_may_begin(bytes))
		return KAFKA_MISTAKE_PROXY;
	return is_pulsar(bytes) ? KAFKA_MISTAKE_PULSAR : KAFKA_MISTAKE_NONE;
}

bool kafka_is_tls_alert(struct span bytes)
{
	uint8_t type, major, minor;
	uint16_t size;
	return span_u8(&bytes, &type) && span_u8(&bytes, &major) && span_u8(&bytes, &minor) &&
	       span_u16(&bytes, &size) && type == 21 && major == 3 && size == 2;
}
