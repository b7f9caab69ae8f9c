/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_yaml: sni.yaml (`sni:`, in old files server_config: or a bare list) and
 * records.yaml
 * (`records:`), told apart by their top keys.
 */
#include "config_import.h"
#include "config_yaml.h"

#define DEPTH_MAX   16	/* of records.yaml */
#define SETTING_MAX 256 /* proxy.config.a.b.c */

struct reader {
	struct config_import *import;
	yaml_document_t *document;
};

static struct span scalar_of(const yaml_node_t *node)
{
	return span_of(node->data.scalar.value, node->data.scalar.length);
}

/* Nothing behind the colon, or one of the words for it. */
static bool is_nothing(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (node->data.scalar.length == 0 || span_is(scalar_of(node), "~") ||
		span_is(scalar_of(node), "null"));
}

static struct config_mark mark_of(const struct reader *reader, const yaml_node_t *node)
{
	return config_yaml_mark(reader->import->file, &node->start_mark);
}

/* ---- sni ------------------------------------------------------------------------------------- */

/* A value, or a list of them with commas between; at NULL: neither. */
static struct span value_of(const struct reader *reader, const yaml_node_t *node)
{
	struct config *arena = reader->import->arena;
	size_t size = 1;

	if (node->type == YAML_SCALAR_NODE)
		return scalar_of(node);
	if (node->type != YAML_SEQUENCE_NODE)
		return (struct span){ .at = NULL };
	const yaml_node_item_t *items = node->data.sequence.items.start;
	size_t count = (size_t)(node->data.sequence.items.top - items);

	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *item = yaml_document_get_node(reader->document, items[i]);

		if (item->type != YAML_SCALAR_NODE)
			return (struct span){ .at = NULL };
		size += item->data.scalar.length + 1;
	}
	struct sink list = sink_of(config_alloc(arena, size), size);

	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *item = yaml_document_get_node(reader->document, items[i]);

		sink_str(&list, i > 0 ? "," : "");
		sink_span(&list, scalar_of(item));
	}
	return sink_written(&list);
}

/* `verify_client_ca_certs: { file: ca.pem }` is one file; with a `dir` it stays what it is. */
static const yaml_node_t *file_of(const struct reader *reader, const yaml_node_t *node)
{
	const yaml_node_t *file = node;

	if (node->type != YAML_MAPPING_NODE)
		return node;
	const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
	size_t count = (size_t)(node->data.mapping.pairs.top - pairs);

	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *key = yaml_document_get_node(reader->document, pairs[i].key);
		const yaml_node_t *value = yaml_document_get_node(reader->document, pairs[i].value);

		if (is_nothing(value))
			continue;
		if (key->type != YAML_SCALAR_NODE || !span_is(scalar_of(key), "file") ||
		    value->type != YAML_SCALAR_NODE)
			return node;
		file = value;
	}
	return file;
}

static bool entry_read(const struct reader *reader, const yaml_node_t *node)
{
	struct import_rule rule = { .mark = mark_of(reader, node) };

	if (node->type != YAML_MAPPING_NODE) {
		IMPORT_ERROR(reader->import, rule.mark,
			     "an entry that is no mapping; write fqdn: and tunnel_route: below "
			     "its '- '");
		return false;
	}
	const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
	size_t count = (size_t)(node->data.mapping.pairs.top - pairs);

	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *key = yaml_document_get_node(reader->document, pairs[i].key);
		const yaml_node_t *value = yaml_document_get_node(reader->document, pairs[i].value);

		if (key->type != YAML_SCALAR_NODE)
			IMPORT_ERROR(reader->import, mark_of(reader, key),
				     "a key that is no word; write one, like fqdn");
		else if (!is_nothing(value))
			config_import_rule_key(reader->import, &rule, scalar_of(key),
					       value_of(reader, file_of(reader, value)),
					       mark_of(reader, key));
	}
	return config_import_rule_end(reader->import, &rule);
}

static void entries_read(const struct reader *reader, const yaml_node_t *node)
{
	if (is_nothing(node))
		return;
	if (node->type != YAML_SEQUENCE_NODE) {
		IMPORT_ERROR(reader->import, mark_of(reader, node),
			     "no list; write entries that begin with '- fqdn: '");
		return;
	}
	const yaml_node_item_t *items = node->data.sequence.items.start;
	size_t count = (size_t)(node->data.sequence.items.top - items);

	for (size_t i = 0; i < count; i++)
		if (!entry_read(reader, yaml_document_get_node(reader->document, items[i])))
			return;
}

/* ---- records --------------------------------------------------------------------------------- */

struct frame {
	const yaml_node_t *node;
	size_t next;	 /* pair to look at */
	size_t name_len; /* of the name down to here */
};

struct walk {
	const struct reader *reader;
	struct frame frames[DEPTH_MAX];
	uint32_t depth;
	char name[SETTING_MAX];
};

/* Puts the key behind the name of its frame. */
static bool name_add(struct walk *walk, const struct frame *frame, const yaml_node_t *key,
		     size_t *ret_len)
{
	struct sink name = sink_of(walk->name + frame->name_len, SETTING_MAX - frame->name_len);

	if (key->type == YAML_SCALAR_NODE) {
		sink_str(&name, ".");
		sink_span(&name, scalar_of(key));
	}
	*ret_len = frame->name_len + name.len;
	if (key->type == YAML_SCALAR_NODE && !name.full)
		return true;
	IMPORT_ERROR(walk->reader->import, mark_of(walk->reader, key),
		     "a key that is no word, or too long a one; write a setting of ATS");
	return false;
}

static void records_step(struct walk *walk)
{
	const struct reader *reader = walk->reader;
	struct frame *frame = &walk->frames[walk->depth - 1];
	const yaml_node_pair_t *pairs = frame->node->data.mapping.pairs.start;

	if (frame->next == (size_t)(frame->node->data.mapping.pairs.top - pairs)) {
		walk->depth--;
		return;
	}
	const yaml_node_pair_t *pair = &pairs[frame->next++];
	const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
	size_t len;

	if (!name_add(walk, frame, key, &len) || is_nothing(value))
		return;
	if (value->type == YAML_SCALAR_NODE) {
		config_import_record(reader->import, span_of(walk->name, len), scalar_of(value),
				     mark_of(reader, key));
	} else if (value->type == YAML_MAPPING_NODE && walk->depth < DEPTH_MAX) {
		walk->frames[walk->depth++] = (struct frame){ .node = value, .name_len = len };
	} else {
		IMPORT_ERROR(reader->import, mark_of(reader, value), "%s; write single values",
			     value->type == YAML_MAPPING_NODE ? "keys below keys, too deep"
							      : "a list");
	}
}

static void records_read(const struct reader *reader, const yaml_node_t *node)
{
	struct walk walk = { .reader = reader, .depth = 1, .name = "proxy.config" };

	if (is_nothing(node))
		return;
	if (node->type != YAML_MAPPING_NODE) {
		IMPORT_ERROR(reader->import, mark_of(reader, node),
			     "no mapping; write settings below records:, indented");
		return;
	}
	walk.frames[0] = (struct frame){ .node = node, .name_len = strlen(walk.name) };
	while (walk.depth > 0)
		records_step(&walk);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void top_read(const struct reader *reader, const yaml_node_t *root)
{
	const yaml_node_pair_t *pairs = root->data.mapping.pairs.start;
	size_t count = (size_t)(root->data.mapping.pairs.top - pairs);

	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *key = yaml_document_get_node(reader->document, pairs[i].key);
		const yaml_node_t *value = yaml_document_get_node(reader->document, pairs[i].value);
		bool is_word = key->type == YAML_SCALAR_NODE;

		if (is_word &&
		    (span_is(scalar_of(key), "sni") || span_is(scalar_of(key), "server_config")))
			entries_read(reader, value);
		else if (is_word && span_is(scalar_of(key), "records"))
			records_read(reader, value);
		else if (is_word && span_is(scalar_of(key), "ssl_multicert"))
			config_import_left(reader->import, mark_of(reader, key),
					   "ssl_multicert: only ssl_multicert.config is read, a "
					   "certificate a line");
		else
			IMPORT_ERROR(reader->import, mark_of(reader, key),
				     "neither sni: nor records:; name sni.yaml or records.yaml of "
				     "Apache Traffic Server");
	}
}

void config_import_yaml(struct config_import *import, struct span text)
{
	yaml_document_t document;
	struct reader reader = { .import = import, .document = &document };

	if (!config_yaml_load(import->errors, import->file, text, true, &document))
		return;
	const yaml_node_t *root = yaml_document_get_root_node(&document);

	if (root == NULL || is_nothing(root)) {
		/* All comments: nothing is set. */
	} else if (root->type == YAML_MAPPING_NODE) {
		top_read(&reader, root);
	} else if (root->type == YAML_SEQUENCE_NODE) {
		entries_read(&reader, root);
	} else {
		IMPORT_ERROR(import, mark_of(&reader, root),
			     "a single value; name sni.yaml or records.yaml of Apache Traffic "
			     "Server");
	}
	yaml_document_delete(&document);
}
