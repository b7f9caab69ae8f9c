/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_kafka: node ids into names and back.
 */
#include <penstock/config/kafka.h>

#include <penstock/base/addr.h>

#define DIGITS_MAX   10 /* of an int32_t */
#define RACK_UNKNOWN "unknown"

/* ---- templates ---- */

enum part_kind { PART_TEXT, PART_ID, PART_RACK, PART_CLUSTER };

struct part {
	enum part_kind kind;
	struct span text; /* as written */
	uint32_t digits;  /* PART_ID: at least so many */
};

static size_t run_length(struct span text, uint8_t byte)
{
	size_t len = 0;

	while (len < text.len && text.at[len] == byte)
		len++;
	return len;
}

static size_t plain_length(struct span text)
{
	size_t brace = span_find(text, '{'), hash = span_find(text, '#');

	return brace < hash ? brace : hash;
}

/* The next part off the front. false: none, or a brace that means nothing. */
static bool take_part(struct span *rest, struct part *ret)
{
	static const struct {
		const char *text;
		enum part_kind kind;
	} words[] = {
		{ "{id}", PART_ID },
		{ "{rack}", PART_RACK },
		{ "{cluster}", PART_CLUSTER },
	};
	size_t hashes = run_length(*rest, '#');

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (!span_starts(*rest, words[i].text))
			continue;
		*ret = (struct part){ .kind = words[i].kind, .digits = 1 };
		return span_take(rest, strlen(words[i].text), &ret->text);
	}
	*ret = (struct part){ .kind = hashes > 0 ? PART_ID : PART_TEXT,
			      .digits = (uint32_t)hashes };
	size_t len = hashes > 0 ? hashes : plain_length(*rest);

	return len > 0 && span_take(rest, len, &ret->text);
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* Can it be seen where one part ends and the next begins? Racks and clusters may have digits. */
static bool are_apart(const struct part *before, const struct part *part)
{
	if (before->kind == PART_ID)
		return part->kind == PART_TEXT && !is_digit(part->text.at[0]);
	return before->kind != PART_RACK || part->kind != PART_ID;
}

bool config_kafka_is_template(struct span text)
{
	char sample[HOST_MAX];
	struct sink sink = sink_of(sample, sizeof(sample));
	uint32_t count[PART_CLUSTER + 1] = { 0 };
	struct part before = { .kind = PART_TEXT }, part;

	for (; text.len > 0 && take_part(&text, &part); before = part) {
		count[part.kind]++;
		if (part.digits > DIGITS_MAX || !are_apart(&before, &part))
			return false;
		if (part.kind == PART_TEXT)
			sink_span(&sink, part.text);
		else
			sink_str(&sink,
				 "x"); /* of what is no plain text any host name can be made */
	}
	return text.len == 0 && count[PART_ID] == 1 && count[PART_RACK] <= 1 && !sink.full &&
	       addr_is_host(sink_written(&sink));
}

/* ---- nodes into names ---- */

static void put_id(struct sink *sink, int32_t node, uint32_t digits)
{
	sink_printf(sink, "%0*d", (int)digits, (int)node);
}

static bool is_of_host(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || is_digit(byte) ||
	       byte == '-';
}

static void put_rack(struct sink *sink, struct span rack)
{
	uint8_t byte;

	if (rack.len == 0)
		sink_str(sink, RACK_UNKNOWN);
	while (span_u8(&rack, &byte))
		sink_u8(sink, is_of_host(byte) ? byte : '-');
}

void config_kafka_host(struct span template, const char *cluster, int32_t node, struct span rack,
		       struct sink *sink)
{
	struct part part;

	while (take_part(&template, &part)) {
		switch (part.kind) {
		case PART_TEXT:
			sink_span(sink, part.text);
			break;
		case PART_ID:
			put_id(sink, node, part.digits);
			break;
		case PART_RACK:
			put_rack(sink, rack);
			break;
		case PART_CLUSTER:
			sink_str(sink, cluster);
			break;
		}
	}
}

static bool has_port(const struct config_kafka *kafka, int32_t node)
{
	for (uint32_t i = 0; i < kafka->id_count; i++)
		if (node >= kafka->ids[i].first && node <= kafka->ids[i].last)
			return true;
	return false;
}

static uint16_t port_of(const struct config_kafka *kafka, int32_t node)
{
	int64_t port = kafka->advertise_port;

	if (kafka->mode == CONFIG_KAFKA_PORT)
		port = has_port(kafka, node) ? port + node : 0;
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

bool config_kafka_name(const struct config_kafka *kafka, const char *cluster, int32_t node,
		       struct span rack, struct sink *host, uint16_t *ret_port)
{
	if (kafka->mode == CONFIG_KAFKA_SNI)
		config_kafka_host(span_str(kafka->advertise), cluster, node, rack, host);
	else
		sink_str(host, kafka->advertise);
	if (host->full)
		return false;
	*ret_port = port_of(kafka, node);
	return true;
}

/* ---- ports ---- */

static uint32_t width(const struct config_kafka_ids *ids)
{
	return (uint32_t)(ids->last - ids->first) + 1;
}

uint32_t config_kafka_port_count(const struct config_kafka *kafka)
{
	uint32_t count = 0;

	for (uint32_t i = 0; kafka->mode == CONFIG_KAFKA_PORT && i < kafka->id_count; i++)
		count += width(&kafka->ids[i]);
	return count;
}

uint16_t config_kafka_port(const struct config_kafka *kafka, uint32_t n)
{
	uint32_t i = 0;

	for (; n >= width(&kafka->ids[i]); i++)
		n -= width(&kafka->ids[i]);
	CHECK(i < kafka->id_count);
	return (uint16_t)(kafka->base_port + (uint32_t)kafka->ids[i].first + n);
}

/* ---- and back ---- */

bool config_kafka_node_at(const struct config_kafka *kafka, uint16_t port, int32_t *ret_node)
{
	int32_t node = (int32_t)port - (int32_t)kafka->base_port;

	if (kafka->mode != CONFIG_KAFKA_PORT || !has_port(kafka, node))
		return false;
	*ret_node = node;
	return true;
}

/* A node id as put_id would have written it. */
static bool take_id(struct span *rest, uint32_t digits, int32_t *ret_node)
{
	char text[DIGITS_MAX + 1];
	struct sink sink = sink_of(text, sizeof(text));
	struct span written = { 0 };
	uint64_t node;
	size_t len = 0;

	while (len < rest->len && is_digit(rest->at[len]))
		len++;
	if (!span_take(rest, len, &written) || !span_to_u64(written, &node) || node > INT32_MAX)
		return false;
	put_id(&sink, (int32_t)node, digits);
	if (!span_equal(sink_written(&sink), written))
		return false;
	*ret_node = (int32_t)node;
	return true;
}

static bool take_same(struct span *rest, struct span text)
{
	struct span head;

	return span_take(rest, text.len, &head) && span_equal_fold(head, text);
}

/* Is `host` what the template makes of some node, with a rack of that length? */
static bool is_name(struct span template, const char *cluster, struct span host, size_t rack_len,
		    int32_t *ret_node, struct span *ret_rack)
{
	struct span rack = span_of(NULL, 0);
	struct part part;
	int32_t node = -1;

	while (take_part(&template, &part)) {
		bool is_same = false;

		switch (part.kind) {
		case PART_TEXT:
			is_same = take_same(&host, part.text);
			break;
		case PART_ID:
			is_same = take_id(&host, part.digits, &node);
			break;
		case PART_RACK:
			is_same = span_take(&host, rack_len, &rack) &&
				  span_find(rack, '.') == rack.len;
			break;
		case PART_CLUSTER:
			is_same = take_same(&host, span_str(cluster));
			break;
		}
		if (!is_same)
			return false;
	}
	if (host.len > 0)
		return false;
	*ret_node = node;
	*ret_rack = rack;
	return true;
}

bool config_kafka_has_rack(struct span template)
{
	struct part part = { 0 };

	while (part.kind != PART_RACK && take_part(&template, &part))
		continue;
	return part.kind == PART_RACK;
}

static bool read_name(const struct config_kafka *kafka, const char *cluster, struct span host,
		      int32_t *ret_node, struct span *ret_rack)
{
	struct span template = span_str(kafka->advertise);

	if (kafka->mode != CONFIG_KAFKA_SNI)
		return false;
	if (host.len > 0 && host.at[host.len - 1] == '.')
		host.len--;
	/* Where the rack ends only what is behind it can tell. */
	size_t longest = config_kafka_has_rack(template) ? host.len : 1;

	for (size_t rack_len = 1; rack_len <= longest; rack_len++)
		if (is_name(template, cluster, host, rack_len, ret_node, ret_rack))
			return true;
	return false;
}

bool config_kafka_node_named(const struct config_kafka *kafka, const char *cluster,
			     struct span host, int32_t *ret_node)
{
	struct span rack;

	return read_name(kafka, cluster, host, ret_node, &rack);
}

struct span config_kafka_rack_named(const struct config_kafka *kafka, const char *cluster,
				    struct span host)
{
	struct span rack;
	int32_t node;

	if (!read_name(kafka, cluster, host, &node, &rack) ||
	    span_equal_fold(rack, span_str(RACK_UNKNOWN)))
		return span_of(NULL, 0);
	return rack;
}

static bool is_bootstrap(const struct config_kafka *kafka, struct span host)
{
	if (host.len > 0 && host.at[host.len - 1] == '.')
		host.len--;
	return kafka->bootstrap != NULL && span_equal_fold(host, span_str(kafka->bootstrap));
}

enum config_kafka_wanted config_kafka_wanted(const struct config_kafka *kafka, const char *cluster,
					     struct span host, int32_t *ret_node)
{
	if (config_kafka_node_named(kafka, cluster, host, ret_node))
		return CONFIG_KAFKA_NODE;
	return kafka->unknown == CONFIG_KAFKA_UNKNOWN_BOOTSTRAP || is_bootstrap(kafka, host)
		       ? CONFIG_KAFKA_ANY
		       : CONFIG_KAFKA_NOBODY;
}
