/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_yaml: penstock.yaml into the configuration. libyaml makes nodes with positions of the
 * text; the walk below goes down the schema and reports everything that is wrong, not only the
 * first. Refused because they surprise: tabs, several documents, anchors, aliases, tags, merge
 * keys and keys written twice.
 *
 *     text --scan--> tabs? --events--> anchors, documents? --document--> walk --config_set-->
 */
#include <yaml.h>

#include "config_priv.h"

#define KEY_MAX	  64   /* longer keys are unknown anyway */
#define KEYS_MAX  1000 /* in one mapping: the search for doubles is quadratic */
#define DEPTH_MAX 8    /* of the schema, which bounds the walk */

struct frame {
	enum { FRAME_MAP, FRAME_CLUSTERS, FRAME_LISTENERS } kind;
	enum config_scope scope;
	uint32_t unit;
	char prefix[2 * KEY_MAX]; /* "egress.allow." */
	const yaml_node_t *node;
	uint32_t next; /* pair or item to look at */
};

struct walk {
	struct config_read *read;
	const char *file;
	yaml_document_t *document;
	struct frame frames[DEPTH_MAX];
	uint32_t depth;
};

static struct config_mark mark_of(const char *file, const yaml_mark_t *mark)
{
	return (struct config_mark){ .file = file,
				     .line = (uint32_t)mark->line + 1,
				     .column = (uint32_t)mark->column + 1 };
}

#define REPORT(read, mark, ...) \
	config_error((read)->errors, (mark).file, (mark).line, (mark).column, __VA_ARGS__)

/* ---- before the document --------------------------------------------------------------------- */

/* False if there was a tab outside of comments: YAML forbids them where they matter, and libyaml's
 * own words for it help nobody. */
static bool tabs_check(struct config_read *read, const char *file, struct span text)
{
	struct config_mark mark = { .file = file, .line = 1, .column = 1 };
	bool is_comment = false;
	bool is_fine = true;

	for (size_t i = 0; i < text.len; i++, mark.column++) {
		uint8_t byte = text.at[i];

		if (byte == '\n') {
			mark.line++;
			mark.column = 0;
			is_comment = false;
		} else if (byte == '#' && (mark.column == 1 || text.at[i - 1] == ' ')) {
			is_comment = true;
		} else if (byte == '\t' && !is_comment) {
			REPORT(read, mark, "a tab; write spaces");
			is_fine = false;
			is_comment = true; /* one report a line */
		}
	}
	return is_fine;
}

static void syntax_error(struct config_read *read, const char *file, const yaml_parser_t *parser)
{
	struct config_mark mark = mark_of(file, &parser->problem_mark);
	const char *problem = parser->problem != NULL ? parser->problem : "cannot be understood";

	if (parser->error == YAML_READER_ERROR)
		REPORT(read, mark, "%s (byte %zu); write plain UTF-8", problem,
		       parser->problem_offset);
	else if (parser->context != NULL)
		REPORT(read, mark,
		       "not YAML: %s, %s that began at line %zu, column %zu; check the "
		       "indentation, quotes and brackets",
		       problem, parser->context, parser->context_mark.line + 1,
		       parser->context_mark.column + 1);
	else
		REPORT(read, mark, "not YAML: %s; check the indentation, quotes and brackets",
		       problem);
}

static bool event_check(struct config_read *read, const char *file, const yaml_event_t *event,
			uint32_t *documents)
{
	struct config_mark mark = mark_of(file, &event->start_mark);
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_DOCUMENT_START_EVENT && ++*documents > 1) {
		REPORT(read, mark, "a second document begins; keep one per file");
		return false;
	}
	if (event->type == YAML_ALIAS_EVENT) {
		REPORT(read, mark, "aliases (*%s) are not taken; write the value out",
		       (const char *)event->data.alias.anchor);
		return false;
	}
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor != NULL)
		REPORT(read, mark, "anchors (&%s) are not taken; remove it", (const char *)anchor);
	if (tag != NULL)
		REPORT(read, mark, "tags (%s) are not taken; remove it", (const char *)tag);
	return anchor == NULL && tag == NULL;
}

/* The document API resolves aliases silently, so the events are looked at first. */
static bool events_check(struct config_read *read, const char *file, struct span text)
{
	yaml_parser_t parser;
	uint32_t documents = 0;
	bool is_fine = true;

	CHECK(yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, text.at, text.len);
	for (bool is_done = false; !is_done;) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			syntax_error(read, file, &parser);
			is_fine = false;
			break;
		}
		is_done = event.type == YAML_STREAM_END_EVENT ||
			  (event.type == YAML_DOCUMENT_START_EVENT && documents > 0);
		is_fine &= event_check(read, file, &event, &documents);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return is_fine;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static struct span scalar_of(const yaml_node_t *node)
{
	return span_of(node->data.scalar.value, node->data.scalar.length);
}

/* `key:` with nothing behind it. */
static bool is_nothing(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const char *kind_of(const yaml_node_t *node)
{
	if (node->type == YAML_MAPPING_NODE)
		return "a mapping";
	return node->type == YAML_SEQUENCE_NODE ? "a list" : "a single value";
}

static struct frame *push(struct walk *walk, const yaml_node_t *node, int kind,
			  enum config_scope scope, uint32_t unit, const char *prefix)
{
	CHECK(walk->depth < DEPTH_MAX);
	struct frame *frame = &walk->frames[walk->depth++];

	*frame = (struct frame){ .scope = scope, .unit = unit, .node = node };
	frame->kind = (unsigned)kind;
	snprintf(frame->prefix, sizeof(frame->prefix), "%s", prefix);
	return frame;
}

/* The full name of a key of this frame, safe to show. */
static const char *key_label(const struct walk *walk, const struct frame *frame, struct span key,
			     char *ret_text, size_t size)
{
	char path[4 * KEY_MAX], shown[KEY_MAX];

	config_show(key, shown, sizeof(shown));
	snprintf(path, sizeof(path), "%s%s%s", frame->kind == FRAME_CLUSTERS ? "clusters." : "",
		 frame->prefix, shown);
	return config_label(walk->read, frame->scope, frame->unit, path, ret_text, size);
}

/* Goes down into a section, or says why not. */
static void enter(struct walk *walk, const yaml_node_t *node, int kind, enum config_scope scope,
		  uint32_t unit, const char *path)
{
	yaml_node_type_t wanted = kind == FRAME_LISTENERS ? YAML_SEQUENCE_NODE : YAML_MAPPING_NODE;
	struct config_mark mark = mark_of(walk->file, &node->start_mark);
	char label[200], prefix[2 * KEY_MAX];

	if (is_nothing(node))
		return;
	config_label(walk->read, scope, unit, path, label, sizeof(label));
	if (node->type != wanted) {
		REPORT(walk->read, mark, "%s: this is %s; write %s", label, kind_of(node),
		       wanted == YAML_MAPPING_NODE ? "keys below it, indented"
						   : "a list, each item beginning with '- '");
		return;
	}
	snprintf(prefix, sizeof(prefix), "%s%s", path, path[0] != '\0' ? "." : "");
	push(walk, node, kind, scope, unit, kind == FRAME_MAP ? prefix : "");
}

static void set_list(struct walk *walk, const struct frame *frame, const struct config_row *row,
		     const yaml_node_t *node)
{
	const yaml_node_item_t *items = node->data.sequence.items.start;
	uint32_t count = (uint32_t)(node->data.sequence.items.top - items);
	struct config_mark mark = mark_of(walk->file, &node->start_mark);
	char label[200];

	config_label(walk->read, frame->scope, frame->unit, row->path, label, sizeof(label));
	if (count > row->high) {
		REPORT(walk->read, mark, "%s: %u items; at most %u are taken", label, count,
		       (uint32_t)row->high);
		return;
	}
	if (count == 0)
		config_set_item(walk->read, frame->scope, frame->unit, row, span_of("", 0), 0, 0,
				mark);
	for (uint32_t i = 0; i < count; i++) {
		const yaml_node_t *item = yaml_document_get_node(walk->document, items[i]);
		struct config_mark at = mark_of(walk->file, &item->start_mark);

		if (item->type != YAML_SCALAR_NODE)
			REPORT(walk->read, at, "%s: an item is %s; write a single value", label,
			       kind_of(item));
		else
			config_set_item(walk->read, frame->scope, frame->unit, row, scalar_of(item),
					i, count, at);
	}
	*config_mark(walk->read, frame->scope, frame->unit, row->path) = mark;
}

static void set_value(struct walk *walk, const struct frame *frame, const struct config_row *row,
		      const yaml_node_t *node)
{
	struct config_mark mark = mark_of(walk->file, &node->start_mark);
	bool is_list = config_is_list(row->type);
	char label[200];

	config_label(walk->read, frame->scope, frame->unit, row->path, label, sizeof(label));
	*config_mark(walk->read, frame->scope, frame->unit, row->path) = mark;
	if (is_nothing(node)) {
		REPORT(walk->read, mark, "%s: has no value; write one, or remove the key", label);
	} else if (is_list && node->type == YAML_SEQUENCE_NODE) {
		set_list(walk, frame, row, node);
	} else if (is_list) {
		REPORT(walk->read, mark, "%s: this is %s; write a list, like [a, b]", label,
		       kind_of(node));
	} else if (row->type == CONFIG_TYPE_FIXED && node->type == YAML_MAPPING_NODE) {
		REPORT(walk->read, mark,
		       "%s: a mapping here (%s) is not in this version of "
		       "penstock; write %s",
		       label, row->hint, row->initial);
	} else if (node->type != YAML_SCALAR_NODE) {
		REPORT(walk->read, mark, "%s: this is %s; write a single value", label,
		       kind_of(node));
	} else {
		config_set_item(walk->read, frame->scope, frame->unit, row, scalar_of(node), 0, 1,
				mark);
	}
}

/* The last word of a path below this prefix and above the next dot, or NULL. */
static const char *child_of(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(path, prefix, len) != 0 || strchr(path + len, '.') != NULL)
		return NULL;
	return path + len;
}

/* Suggests a neighbour, or the place of a key that exists elsewhere. */
static void unknown_key(struct walk *walk, const struct frame *frame, struct span key,
			struct config_mark mark)
{
	struct config_guess guess;
	const char *elsewhere = NULL;
	char label[400];

	config_guess_begin(&guess, key);
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT + config_section_count; i++) {
		bool is_row = i < CONFIG_ROW_COUNT;
		const struct config_section *section =
			is_row ? NULL : &config_sections[i - CONFIG_ROW_COUNT];
		const char *path = is_row ? config_rows[i].path : section->path;
		enum config_scope scope = is_row ? config_rows[i].scope : section->scope;
		const char *dot = strrchr(path, '.');

		if (scope == frame->scope && child_of(path, frame->prefix) != NULL)
			config_guess_offer(&guess, child_of(path, frame->prefix));
		if (scope == frame->scope && span_is(key, dot != NULL ? dot + 1 : path))
			elsewhere = path;
	}
	key_label(walk, frame, key, label, sizeof(label));
	if (span_is(key, "<<"))
		REPORT(walk->read, mark, "merge keys (<<) are not taken; write the keys out");
	else if (guess.best != NULL)
		REPORT(walk->read, mark, "%s: unknown key; did you mean %s?", label, guess.best);
	else if (elsewhere != NULL)
		REPORT(walk->read, mark, "%s: unknown key here; did you mean %s?", label,
		       elsewhere);
	else
		REPORT(walk->read, mark,
		       "%s: unknown key; remove it, or see docs/OPTIONS.md for what there is",
		       label);
}

static const struct config_later *later_find(enum config_scope scope, const char *path)
{
	for (uint32_t i = 0; i < config_later_count; i++)
		if (config_laters[i].scope == scope && strcmp(config_laters[i].path, path) == 0)
			return &config_laters[i];
	return NULL;
}

static void map_pair(struct walk *walk, const struct frame *frame, struct span key,
		     struct config_mark mark, const yaml_node_t *value)
{
	char path[4 * KEY_MAX], label[400];
	const struct config_row *row = NULL;
	const struct config_later *later = NULL;

	if (key.len < KEY_MAX && memchr(key.at, '.', key.len) == NULL) {
		snprintf(path, sizeof(path), "%s%.*s", frame->prefix, (int)key.len,
			 (const char *)key.at);
		row = config_row_find(frame->scope, path);
		later = later_find(frame->scope, path);
	} else {
		path[0] = '\0';
	}
	config_label(walk->read, frame->scope, frame->unit, path, label, sizeof(label));
	if (row != NULL) {
		set_value(walk, frame, row, value);
	} else if (later != NULL) {
		config_mark_later(walk->read, frame->scope, frame->unit);
		REPORT(walk->read, mark,
		       "%s: %s is not in this version of penstock; remove the key", label,
		       later->what);
	} else if (path[0] != '\0' && config_is_section(frame->scope, path)) {
		int kind = FRAME_MAP;

		if (frame->scope == CONFIG_SCOPE_TOP && strcmp(path, "clusters") == 0)
			kind = FRAME_CLUSTERS;
		if (frame->scope == CONFIG_SCOPE_TOP && strcmp(path, "listeners") == 0)
			kind = FRAME_LISTENERS;
		enter(walk, value, kind, frame->scope, frame->unit, path);
	} else {
		unknown_key(walk, frame, key, mark);
	}
}

static void cluster_pair(struct walk *walk, struct span name, struct config_mark mark,
			 const yaml_node_t *value)
{
	char shown[80];

	if (!config_is_name(name)) {
		REPORT(walk->read, mark,
		       "clusters: '%s' is not a name; use letters, digits, '-', '_' and '.', "
		       "beginning with a letter or digit, at most 64",
		       config_show(name, shown, sizeof(shown)));
		return;
	}
	if (config_add_cluster(walk->read, name, mark) == NULL)
		return;
	enter(walk, value, FRAME_MAP, CONFIG_SCOPE_CLUSTER, walk->read->config->cluster_count - 1,
	      "");
}

/* False if the key was there before, in the same mapping. */
static bool double_check(struct walk *walk, const struct frame *frame, struct span key,
			 struct config_mark mark)
{
	const yaml_node_pair_t *pairs = frame->node->data.mapping.pairs.start;

	for (uint32_t i = 0; i + 1 < frame->next; i++) {
		const yaml_node_t *other = yaml_document_get_node(walk->document, pairs[i].key);
		char label[400];

		if (other->type != YAML_SCALAR_NODE || !span_equal(scalar_of(other), key))
			continue;
		REPORT(walk->read, mark,
		       "%s: is there twice (first at line %zu); remove one of them",
		       key_label(walk, frame, key, label, sizeof(label)),
		       other->start_mark.line + 1);
		return false;
	}
	return true;
}

static void pair_step(struct walk *walk, struct frame *frame)
{
	const yaml_node_pair_t *pairs = frame->node->data.mapping.pairs.start;
	size_t count = (size_t)(frame->node->data.mapping.pairs.top - pairs);

	if (frame->next == count || count > KEYS_MAX) {
		struct config_mark mark = mark_of(walk->file, &frame->node->start_mark);

		if (count > KEYS_MAX)
			REPORT(walk->read, mark, "%zu keys in one mapping; at most %d are taken",
			       count, KEYS_MAX);
		walk->depth--;
		return;
	}
	const yaml_node_pair_t *pair = &pairs[frame->next++];
	const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
	struct config_mark mark = mark_of(walk->file, &key->start_mark);

	if (key->type != YAML_SCALAR_NODE)
		REPORT(walk->read, mark, "a key that is %s; write a word", kind_of(key));
	else if (!double_check(walk, frame, scalar_of(key), mark))
		return;
	else if (frame->kind == FRAME_CLUSTERS)
		cluster_pair(walk, scalar_of(key), mark, value);
	else
		map_pair(walk, frame, scalar_of(key), mark, value);
}

static void listener_step(struct walk *walk, struct frame *frame)
{
	const yaml_node_item_t *items = frame->node->data.sequence.items.start;

	if (frame->next == (size_t)(frame->node->data.sequence.items.top - items)) {
		walk->depth--;
		return;
	}
	const yaml_node_t *item = yaml_document_get_node(walk->document, items[frame->next++]);
	struct config_mark mark = mark_of(walk->file, &item->start_mark);

	if (item->type != YAML_MAPPING_NODE)
		REPORT(walk->read, mark, "listeners: an item is %s; write { name: ..., bind: ... }",
		       kind_of(item));
	else if (config_add_listener(walk->read, mark) == NULL)
		walk->depth--;
	else
		enter(walk, item, FRAME_MAP, CONFIG_SCOPE_LISTENER,
		      walk->read->config->listener_count - 1, "");
}

static void walk_document(struct walk *walk)
{
	const yaml_node_t *root = yaml_document_get_root_node(walk->document);

	if (root == NULL || is_nothing(root)) {
		config_error(walk->read->errors, walk->file, 1, 1,
			     "the file is empty; write at least admin: and listeners:");
		return;
	}
	if (root->type != YAML_MAPPING_NODE) {
		struct config_mark mark = mark_of(walk->file, &root->start_mark);

		REPORT(walk->read, mark, "the file is %s; write keys: clusters:, listeners:, ...",
		       kind_of(root));
		return;
	}
	push(walk, root, FRAME_MAP, CONFIG_SCOPE_TOP, 0, "");
	while (walk->depth > 0) {
		struct frame *frame = &walk->frames[walk->depth - 1];

		if (frame->kind == FRAME_LISTENERS)
			listener_step(walk, frame);
		else
			pair_step(walk, frame);
	}
}

bool config_yaml_read(struct config_read *read, const char *file, const char *text, size_t len)
{
	struct span span = span_of(text, len);
	struct walk walk = { .read = read, .file = file };
	yaml_document_t document;
	yaml_parser_t parser;

	if (span_starts(span, "\xef\xbb\xbf"))
		span = span_of(span.at + 3, span.len - 3);
	if (!tabs_check(read, file, span) || !events_check(read, file, span))
		return false;
	CHECK(yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, span.at, span.len);
	bool is_loaded = yaml_parser_load(&parser, &document) != 0;

	if (is_loaded) {
		walk.document = &document;
		walk_document(&walk);
		yaml_document_delete(&document);
	} else {
		syntax_error(read, file, &parser);
	}
	yaml_parser_delete(&parser);
	return is_loaded;
}
