/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of server names: one hash table for names and suffixes alike, each key with the three
 * values it can have. Finding broker-1.east.example.com asks for the keys
 *
 *     broker-1.east.example.com    its value as a name
 *              east.example.com    its value for `*.`, then for `**.`
 *                   example.com    its value for `**.`
 *                           com    its value for `**.`
 *
 * and the first value there is wins. Keys of more labels than any in the table has are not asked
 * for, so that a name of a hundred labels costs what the configuration makes it cost.
 *
 *     block: | struct route_sni | keys, an open-addressing index | texts |
 */
#include <penstock/route/sni.h>

#include "route_priv.h"

#define NONE UINT32_MAX

enum kind { KIND_NAME, KIND_ONE, KIND_DEEP, KINDS, KIND_ANY };

struct key {
	uint32_t text;	 /* its first byte in the texts */
	uint32_t length; /* 0: a free place */
	uint32_t values[KINDS];
};

struct route_sni {
	uint32_t mask; /* places - 1 */
	uint32_t key_count, key_room;
	uint32_t text_size, text_room;
	uint32_t labels_most; /* of any key */
	uint32_t any;	      /* the value of `*` */
	struct key keys[];
};

/* A power of two and twice the keys or more: a search for what is not there ends soon. */
static uint32_t places_for(uint32_t count)
{
	uint32_t places = 2;
	while (places < 2 * count)
		places *= 2;
	return places;
}

static struct span key_text(const struct route_sni *sni, const struct key *key)
{
	const char *texts = (const char *)&sni->keys[sni->mask + 1];
	return span_of(texts + key->text, key->length);
}

/* Where the key stands, or the free place it would take. */
static uint32_t place_of(const struct route_sni *sni, struct span text)
{
	uint32_t place = (uint32_t)span_hash(text, 0) & sni->mask;
	while (sni->keys[place].length != 0 && !span_equal(key_text(sni, &sni->keys[place]), text))
		place = (place + 1) & sni->mask;
	return place;
}

static uint32_t count_labels(struct span host)
{
	uint32_t count = 1;
	for (size_t i = 0; i < host.len; i++)
		count += host.at[i] == '.';
	return count;
}

/* In the one spelling names are compared in. */
static bool normalize(struct span name, char ret_host[static HOST_MAX])
{
	return route_host_normal(name, ret_host) && !addr_is_ip_like(span_str(ret_host));
}

/* ---- filling -------------------------------------------------------------------------------- */

size_t route_sni_size(uint32_t count, size_t text_size)
{
	return sizeof(struct route_sni) + places_for(count) * sizeof(struct key) + text_size;
}

struct route_sni *route_sni_init(void *at, uint32_t count, size_t text_size)
{
	CHECK(count < UINT32_MAX / 4 && text_size < UINT32_MAX);
	struct route_sni *sni = memset(at, 0, route_sni_size(count, text_size));
	sni->mask = places_for(count) - 1;
	sni->key_room = count;
	sni->text_room = (uint32_t)text_size;
	sni->any = NONE;
	return sni;
}

static struct key *add_key(struct route_sni *sni, struct key *key, struct span text)
{
	CHECK(sni->key_count < sni->key_room && text.len <= sni->text_room - sni->text_size);
	char *texts = (char *)&sni->keys[sni->mask + 1];
	*key = (struct key){ .text = sni->text_size,
			     .length = (uint32_t)text.len,
			     .values = { NONE, NONE, NONE } };
	memcpy(texts + key->text, text.at, text.len);
	sni->text_size += key->length;
	sni->key_count++;
	uint32_t labels = count_labels(text);
	if (labels > sni->labels_most)
		sni->labels_most = labels;
	return key;
}

static enum kind take_wildcard(struct span *pattern)
{
	if (span_is(*pattern, "*"))
		return KIND_ANY;
	if (span_starts(*pattern, "**.") && span_skip(pattern, 3))
		return KIND_DEEP;
	if (span_starts(*pattern, "*.") && span_skip(pattern, 2))
		return KIND_ONE;
	return KIND_NAME;
}

enum route_sni_put route_sni_put(struct route_sni *sni, struct span pattern, uint32_t value,
				 uint32_t *ret_value)
{
	char host[HOST_MAX];
	enum kind kind = take_wildcard(&pattern);
	uint32_t *place = &sni->any;
	CHECK(value != NONE);
	if (kind != KIND_ANY) {
		if (!normalize(pattern, host))
			return ROUTE_SNI_BAD;
		struct span text = span_str(host);
		struct key *key = &sni->keys[place_of(sni, text)];
		if (key->length == 0)
			key = add_key(sni, key, text);
		place = &key->values[kind];
	}
	enum route_sni_put put = *place == NONE ? ROUTE_SNI_DONE : ROUTE_SNI_TAKEN;
	if (put == ROUTE_SNI_DONE)
		*place = value;
	*ret_value = *place;
	return put;
}

/* ---- finding -------------------------------------------------------------------------------- */

/* The value of what is left of a name after `cut` labels in front. */
static uint32_t value_of(const struct route_sni *sni, struct span suffix, uint32_t cut)
{
	const struct key *key = &sni->keys[place_of(sni, suffix)];
	if (key->length == 0)
		return NONE;
	if (cut == 0)
		return key->values[KIND_NAME];
	if (cut == 1 && key->values[KIND_ONE] != NONE)
		return key->values[KIND_ONE];
	return key->values[KIND_DEEP];
}

bool route_sni_find(const struct route_sni *sni, struct span name,
		    struct route_sni_match *ret_match)
{
	char host[HOST_MAX];
	if (!normalize(name, host))
		return false;
	struct span suffix = span_str(host), capture = span_of(name.at, 0);
	uint32_t labels = count_labels(suffix);
	for (uint32_t cut = 0; cut < labels; cut++) {
		uint32_t value = NONE;
		if (labels - cut <= sni->labels_most)
			value = value_of(sni, suffix, cut);
		if (value != NONE) {
			*ret_match = (struct route_sni_match){ value, capture };
			return true;
		}
		size_t dot = span_find(suffix, '.');
		capture.len += cut > 0 ? dot + 1 : dot;
		if (!span_skip(&suffix, dot + 1))
			break;
	}
	if (sni->any == NONE)
		return false;
	*ret_match = (struct route_sni_match){ sni->any, capture };
	return true;
}

void route_sni_expand(struct sink *sink, struct span text, struct span capture)
{
	uint8_t byte;
	for (;;) {
		if (span_starts(text, "{1}") && span_skip(&text, 3))
			sink_span(sink, capture);
		else if (span_u8(&text, &byte))
			sink_u8(sink, byte);
		else
			return;
	}
}
