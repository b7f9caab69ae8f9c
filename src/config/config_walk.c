/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_walk: a YAML document into the configuration. It goes down the schema, with a stack that
 * the schema's depth bounds, and reports everything that is wrong, not only the first. libyaml's
 * scalars are raw: what they mean is said by the key's row.
 */
#include "config_yaml.h"

#define KEY_MAX	  64   /* longer keys are unknown anyway */
#define KEYS_MAX  1000 /* in one mapping: the search for doubles is quadratic */
#define DEPTH_MAX 8    /* of the schema, which bounds the walk */

enum frame_kind { FRAME_MAP, FRAME_CLUSTERS, FRAME_LISTENERS, FRAME_ROUTES };

struct frame {
	enum frame_kind kind;
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

static struct frame *push(struct walk *walk, const yaml_node_t *node, enum frame_kind kind,
			  enum config_scope scope, uint32_t unit, const char *prefix)
{
	CHECK(walk->depth < DEPTH_MAX);
	struct frame *frame = &walk->frames[walk->depth++];

	*frame = (struct frame){ .kind = kind, .scope = scope, .unit = unit, .node = node };
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

static bool is_list(enum frame_kind kind)
{
	return kind == FRAME_LISTENERS || kind == FRAME_ROUTES;
}

/* Goes down into a section, or says why not. */
static void enter(struct walk *walk, const yaml_node_t *node, enum frame_kind kind,
		  enum config_scope scope, uint32_t unit, const char *path)
{
	yaml_node_type_t wanted = is_list(kind) ? YAML_SEQUENCE_NODE : YAML_MAPPING_NODE;
	struct config_mark mark = config_yaml_mark(walk->file, &node->start_mark);
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
	struct config_mark mark = config_yaml_mark(walk->file, &node->start_mark);
	bool is_flat = true;
	char label[200];

	config_label(walk->read, frame->scope, frame->unit, row->path, label, sizeof(label));
	if (count > row->high) {
		REPORT(walk->read, mark, "%s: %u items; at most %u are taken", label, count,
		       (uint32_t)row->high);
		return;
	}
	/* All of it or nothing: the first item is what makes room for the others. */
	for (uint32_t i = 0; i < count; i++) {
		const yaml_node_t *item = yaml_document_get_node(walk->document, items[i]);

		if (item->type == YAML_SCALAR_NODE)
			continue;
		is_flat = false;
		REPORT(walk->read, config_yaml_mark(walk->file, &item->start_mark),
		       "%s: an item is %s; write a single value", label, kind_of(item));
	}
	if (count == 0)
		config_set_item(walk->read, frame->scope, frame->unit, row, span_of("", 0), 0, 0,
				mark);
	for (uint32_t i = 0; i < count && is_flat; i++) {
		const yaml_node_t *item = yaml_document_get_node(walk->document, items[i]);

		config_set_item(walk->read, frame->scope, frame->unit, row, scalar_of(item), i,
				count, config_yaml_mark(walk->file, &item->start_mark));
	}
	*config_mark(walk->read, frame->scope, frame->unit, row->path) = mark;
}

static void set_value(struct walk *walk, const struct frame *frame, const struct config_row *row,
		      const yaml_node_t *node)
{
	struct config_mark mark = config_yaml_mark(walk->file, &node->start_mark);
	bool is_one = node->type == YAML_SCALAR_NODE && config_is_list_or_one(row->type);
	bool wants_list = config_is_list(row->type) && !is_one;
	char label[200];

	config_label(walk->read, frame->scope, frame->unit, row->path, label, sizeof(label));
	*config_mark(walk->read, frame->scope, frame->unit, row->path) = mark;
	if (is_nothing(node)) {
		REPORT(walk->read, mark, "%s: has no value; write one, or remove the key", label);
	} else if (wants_list && node->type == YAML_SEQUENCE_NODE) {
		set_list(walk, frame, row, node);
	} else if (wants_list) {
		REPORT(walk->read, mark, "%s: this is %s; write a list, like [a, b]", label,
		       kind_of(node));
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
		       "%s: unknown key; remove it, or see penstock.yaml(5) for what there is",
		       label);
}

static enum frame_kind kind_of_section(enum config_scope scope, const char *path)
{
	static const struct {
		enum config_scope scope;
		const char *path;
		enum frame_kind kind;
	} rows[] = {
		{ CONFIG_SCOPE_TOP, "clusters", FRAME_CLUSTERS },
		{ CONFIG_SCOPE_TOP, "listeners", FRAME_LISTENERS },
		{ CONFIG_SCOPE_LISTENER, "routes", FRAME_ROUTES },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].scope == scope && strcmp(rows[i].path, path) == 0)
			return rows[i].kind;
	return FRAME_MAP;
}

/* A key that may be a word or a mapping: the mapping is the last word written out. */
static void set_mapping(struct walk *walk, const struct frame *frame, const struct config_row *row,
			const yaml_node_t *node)
{
	struct config_mark mark = config_yaml_mark(walk->file, &node->start_mark);
	struct span word = span_str(strrchr(row->hint, '|') + 1);

	*config_mark(walk->read, frame->scope, frame->unit, row->path) = mark;
	config_set_item(walk->read, frame->scope, frame->unit, row, word, 0, 1, mark);
	enter(walk, node, FRAME_MAP, frame->scope, frame->unit, row->path);
}

static void map_pair(struct walk *walk, const struct frame *frame, struct span key,
		     struct config_mark mark, const yaml_node_t *value)
{
	char path[4 * KEY_MAX], label[400];
	const struct config_row *row = NULL;

	if (key.len < KEY_MAX && memchr(key.at, '.', key.len) == NULL) {
		snprintf(path, sizeof(path), "%s%.*s", frame->prefix, (int)key.len,
			 (const char *)key.at);
		row = config_row_find(frame->scope, path);
	} else {
		path[0] = '\0';
	}
	config_label(walk->read, frame->scope, frame->unit, path, label, sizeof(label));
	if (row != NULL && value->type == YAML_MAPPING_NODE &&
	    config_is_section(frame->scope, path)) {
		set_mapping(walk, frame, row, value);
	} else if (row != NULL) {
		set_value(walk, frame, row, value);
	} else if (path[0] != '\0' && config_is_section(frame->scope, path)) {
		enter(walk, value, kind_of_section(frame->scope, path), frame->scope, frame->unit,
		      path);
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
		struct config_mark mark = config_yaml_mark(walk->file, &frame->node->start_mark);

		if (count > KEYS_MAX)
			REPORT(walk->read, mark, "%zu keys in one mapping; at most %d are taken",
			       count, KEYS_MAX);
		walk->depth--;
		return;
	}
	const yaml_node_pair_t *pair = &pairs[frame->next++];
	const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
	struct config_mark mark = config_yaml_mark(walk->file, &key->start_mark);

	if (key->type != YAML_SCALAR_NODE)
		REPORT(walk->read, mark, "a key that is %s; write a word", kind_of(key));
	else if (!double_check(walk, frame, scalar_of(key), mark))
		return;
	else if (frame->kind == FRAME_CLUSTERS)
		cluster_pair(walk, scalar_of(key), mark, value);
	else
		map_pair(walk, frame, scalar_of(key), mark, value);
}

static void listener_item(struct walk *walk, const yaml_node_t *item, struct config_mark mark)
{
	if (item->type != YAML_MAPPING_NODE)
		REPORT(walk->read, mark, "listeners: an item is %s; write { name: ..., bind: ... }",
		       kind_of(item));
	else if (config_add_listener(walk->read, mark) == NULL)
		walk->depth--;
	else
		enter(walk, item, FRAME_MAP, CONFIG_SCOPE_LISTENER,
		      walk->read->config->listener_count - 1, "");
}

static void route_item(struct walk *walk, const yaml_node_t *item, struct config_mark mark)
{
	const struct config *config = walk->read->config;

	if (item->type != YAML_MAPPING_NODE)
		REPORT(walk->read, mark,
		       "listeners[%u].routes: an item is %s; write { host: ..., forward: ... }",
		       config->listener_count - 1, kind_of(item));
	else if (config_add_route(walk->read, mark) == NULL)
		walk->depth--;
	else
		enter(walk, item, FRAME_MAP, CONFIG_SCOPE_ROUTE, config->route_count - 1, "");
}

static void item_step(struct walk *walk, struct frame *frame)
{
	const yaml_node_item_t *items = frame->node->data.sequence.items.start;

	if (frame->next == (size_t)(frame->node->data.sequence.items.top - items)) {
		walk->depth--;
		return;
	}
	const yaml_node_t *item = yaml_document_get_node(walk->document, items[frame->next++]);
	struct config_mark mark = config_yaml_mark(walk->file, &item->start_mark);

	if (frame->kind == FRAME_LISTENERS)
		listener_item(walk, item, mark);
	else
		route_item(walk, item, mark);
}

bool config_walk(struct config_read *read, const char *file, yaml_document_t *document)
{
	struct walk state = { .read = read, .file = file, .document = document };
	struct walk *walk = &state;
	const yaml_node_t *root = yaml_document_get_root_node(document);

	if (root == NULL || is_nothing(root)) {
		config_error(walk->read->errors, walk->file, 1, 1,
			     "the file is empty; write at least admin: and listeners:");
		return false;
	}
	if (root->type != YAML_MAPPING_NODE) {
		struct config_mark mark = config_yaml_mark(walk->file, &root->start_mark);

		REPORT(walk->read, mark, "the file is %s; write keys: clusters:, listeners:, ...",
		       kind_of(root));
		return false;
	}
	push(walk, root, FRAME_MAP, CONFIG_SCOPE_TOP, 0, "");
	while (walk->depth > 0) {
		struct frame *frame = &walk->frames[walk->depth - 1];

		if (is_list(frame->kind))
			item_step(walk, frame);
		else
			pair_step(walk, frame);
	}
	return true;
}
