/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config: the rows of config.def as a table, the memory of a configuration, its problems as text,
 * and what a reload may not change.
 */
#include <stdarg.h>
#include <stdlib.h>

#include <penstock/config.h>

#include "config_priv.h"

#define CONFIG_STRUCT_TOP      struct config
#define CONFIG_STRUCT_CLUSTER  struct config_cluster
#define CONFIG_STRUCT_LISTENER struct config_listener
#define CONFIG_STRUCT_ROUTE    struct config_route

#define OFF		       CONFIG_FLAG_OFF
#define ZERO		       CONFIG_FLAG_ZERO
#define RESTART		       CONFIG_FLAG_RESTART

#define SECTION		       CONFIG_NO_SECTION
#define OPTION(scope_, path_, type_, field_, initial_, low_, high_, flags_, hint_, text_) \
	{                                                                                 \
		.scope = CONFIG_SCOPE_##scope_,                                           \
		.path = path_,                                                            \
		.type = CONFIG_TYPE_##type_,                                              \
		.offset = (uint32_t)offsetof(CONFIG_STRUCT_##scope_, field_),             \
		.initial = initial_,                                                      \
		.low = low_,                                                              \
		.high = high_,                                                            \
		.flags = flags_,                                                          \
		.hint = hint_,                                                            \
		.text = text_,                                                            \
	},
const struct config_row config_rows[CONFIG_ROW_COUNT] = {
#include <penstock/config/config.def>
};
#undef SECTION
#undef OPTION

#define OPTION CONFIG_NO_OPTION
#define SECTION(scope_, path_, text_) \
	{ .scope = CONFIG_SCOPE_##scope_, .path = path_, .text = text_ },
const struct config_section config_sections[] = {
#include <penstock/config/config.def>
};
const uint32_t config_section_count = COUNT_OF(config_sections);
#undef SECTION

/* ---- problems -------------------------------------------------------------------------------- */

__attribute__((format(printf, 6, 0))) static void print_problem(FILE *out, const char *kind,
								const char *file, uint32_t line,
								uint32_t column, const char *format,
								va_list args)
{
	if (file != NULL && line > 0 && column > 0)
		fprintf(out, "%s:%u:%u: ", file, line, column);
	else if (file != NULL && line > 0)
		fprintf(out, "%s:%u: ", file, line);
	else if (file != NULL)
		fprintf(out, "%s: ", file);
	fputs(kind, out);
	vfprintf(out, format, args);
	fputc('\n', out);
}

void config_error(struct config_errors *errors, const char *file, uint32_t line, uint32_t column,
		  const char *format, ...)
{
	va_list args;

	errors->error_count++;
	if (errors->out == NULL)
		return;
	va_start(args, format);
	print_problem(errors->out, "", file, line, column, format, args);
	va_end(args);
}

void config_warn(struct config_errors *errors, const char *file, uint32_t line, uint32_t column,
		 const char *format, ...)
{
	va_list args;

	errors->warn_count++;
	if (errors->out == NULL)
		return;
	va_start(args, format);
	print_problem(errors->out, "warning: ", file, line, column, format, args);
	va_end(args);
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(16) uint8_t bytes[];
};

#define BLOCK_SIZE ((size_t)8192)

void *config_alloc(struct config *config, size_t size)
{
	struct block *block = config->arena;

	size = (size + 15) & ~(size_t)15;
	if (block == NULL || block->size - block->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = calloc(1, sizeof(*block) + room);
		/* A few kilobytes at start or reload: without them nothing else goes on either. */
		CHECK(block != NULL);
		block->size = room;
		block->next = config->arena;
		config->arena = block;
	}
	void *memory = block->bytes + block->used;

	block->used += size;
	return memory;
}

const char *config_copy(struct config *config, struct span text)
{
	char *copy = config_alloc(config, text.len + 1);

	if (text.len > 0)
		memcpy(copy, text.at, text.len);
	return copy;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		config_clients_free(config->clusters[i].broker_sasl.users);
		config_clients_free(config->clusters[i].ask_sasl.users);
	}
	for (struct block *block = config->arena, *next; block != NULL; block = next) {
		next = block->next;
		explicit_bzero(block->bytes, block->used); /* tokens */
		free(block);
	}
	free(config);
}

/* ---- units ----------------------------------------------------------------------------------- */

static uint32_t unit_number(enum config_scope scope, uint32_t index)
{
	static const uint32_t first[] = {
		[CONFIG_SCOPE_TOP] = 0,
		[CONFIG_SCOPE_CLUSTER] = 1,
		[CONFIG_SCOPE_LISTENER] = 1 + CONFIG_CLUSTERS_MAX,
		[CONFIG_SCOPE_ROUTE] = 1 + CONFIG_CLUSTERS_MAX + CONFIG_LISTENERS_MAX,
	};

	return first[scope] + index;
}

/* Where the unit stands, room for its keys' marks, and its defaults. */
static void unit_begin(struct config_read *read, enum config_scope scope, uint32_t index,
		       struct config_mark mark)
{
	uint32_t unit = unit_number(scope, index);

	read->unit_marks[unit] = mark;
	read->marks[unit] = calloc(CONFIG_ROW_COUNT, sizeof(*read->marks[unit]));
	CHECK(read->marks[unit] != NULL);
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->scope == scope && row->initial != NULL)
			CHECK(config_set(read, scope, index, row->path, row->initial,
					 (struct config_mark){ .file = NULL }));
	}
}

/* ---- reading context ------------------------------------------------------------------------- */

struct config_read *config_read_new(struct config_errors *errors)
{
	struct config_read *read = calloc(1, sizeof(*read));

	CHECK(read != NULL);
	read->config = calloc(1, sizeof(*read->config));
	CHECK(read->config != NULL);
	read->errors = errors;
	unit_begin(read, CONFIG_SCOPE_TOP, 0, (struct config_mark){ .file = NULL });
	return read;
}

struct config *config_read_end(struct config_read *read, uint32_t errors_before)
{
	struct config *config = read->config;

	if (read->errors->error_count > errors_before) {
		config_free(config);
		config = NULL;
	}
	for (uint32_t i = 0; i < CONFIG_UNITS; i++)
		free(read->marks[i]);
	free(read);
	return config;
}

void *config_unit(struct config *config, enum config_scope scope, uint32_t index)
{
	switch (scope) {
	case CONFIG_SCOPE_CLUSTER:
		CHECK(index < CONFIG_CLUSTERS_MAX);
		return &config->clusters[index];
	case CONFIG_SCOPE_LISTENER:
		CHECK(index < CONFIG_LISTENERS_MAX);
		return &config->listeners[index];
	case CONFIG_SCOPE_ROUTE:
		CHECK(index < config->route_count);
		return &config->routes[index];
	case CONFIG_SCOPE_TOP:
		break;
	}
	return config;
}

const struct config_kafka *config_kafka_of(enum config_scope scope, const void *unit)
{
	return scope == CONFIG_SCOPE_ROUTE ? &((const struct config_route *)unit)->kafka
					   : &((const struct config_listener *)unit)->kafka;
}

struct config_mark *config_mark(struct config_read *read, enum config_scope scope, uint32_t index,
				const char *path)
{
	uint32_t unit = unit_number(scope, index);

	if (path == NULL)
		return &read->unit_marks[unit];
	const struct config_row *row = config_row_find(scope, path);

	CHECK(row != NULL);
	return &read->marks[unit][row - config_rows];
}

bool config_is_told(const struct config_read *read, enum config_scope scope, uint32_t index)
{
	return read->is_told[unit_number(scope, index)];
}

bool config_is_set(struct config_read *read, enum config_scope scope, uint32_t index,
		   const char *path)
{
	return config_mark(read, scope, index, path)->file != NULL;
}

void config_mark_told(struct config_read *read, enum config_scope scope, uint32_t index)
{
	read->is_told[unit_number(scope, index)] = true;
}

const char *config_label(const struct config_read *read, enum config_scope scope, uint32_t index,
			 const char *path, char *ret_text, size_t size)
{
	const char *dot = path[0] != '\0' ? "." : "";

	const struct config *config = read->config;

	switch (scope) {
	case CONFIG_SCOPE_CLUSTER:
		snprintf(ret_text, size, "clusters.%s%s%s", config->clusters[index].name, dot,
			 path);
		break;
	case CONFIG_SCOPE_LISTENER:
		snprintf(ret_text, size, "listeners[%u]%s%s", index, dot, path);
		break;
	case CONFIG_SCOPE_ROUTE: {
		uint32_t listener = config->routes[index].listener;

		snprintf(ret_text, size, "listeners[%u].routes[%u]%s%s", listener,
			 index - config->listeners[listener].route_first, dot, path);
		break;
	}
	case CONFIG_SCOPE_TOP:
		snprintf(ret_text, size, "%s", path);
		break;
	}
	return ret_text;
}

/* ---- the table ------------------------------------------------------------------------------- */

const struct config_row *config_row_find(enum config_scope scope, const char *path)
{
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++)
		if (config_rows[i].scope == scope && strcmp(config_rows[i].path, path) == 0)
			return &config_rows[i];
	return NULL;
}

bool config_is_of_routes(const struct config_row *row)
{
	return row->scope == CONFIG_SCOPE_LISTENER &&
	       (strcmp(row->path, "no_sni") == 0 || strcmp(row->path, "unknown") == 0 ||
		strcmp(row->path, "allow_ports") == 0);
}

bool config_is_of_role(const struct config_row *row)
{
	return row->scope == CONFIG_SCOPE_CLUSTER && strncmp(row->path, "credentials.", 12) == 0;
}

bool config_is_of_pulsar(const struct config_row *row)
{
	static const char *const paths[] = {
		"discovery.urls",
		"discovery.zookeeper.global_servers",
		"lookup",
		"credentials",
		"send_proxy_protocol",
		"check_active",
	};

	for (size_t i = 0; row->scope == CONFIG_SCOPE_CLUSTER && i < COUNT_OF(paths); i++)
		if (strcmp(row->path, paths[i]) == 0)
			return true;
	return false;
}

bool config_is_beside_bootstrap(const struct config_row *row)
{
	return strcmp(row->path, "discovery.zookeeper.listener") == 0;
}

bool config_is_of_kafka(const struct config_row *row)
{
	if (row->scope == CONFIG_SCOPE_CLUSTER)
		return row->type == CONFIG_TYPE_BOOTSTRAP || row->type == CONFIG_TYPE_NODES_AT ||
		       config_is_beside_bootstrap(row) ||
		       strcmp(row->path, "discovery.refresh") == 0 ||
		       strncmp(row->path, "discovery.sasl.", 15) == 0 ||
		       strncmp(row->path, "broker_sasl.", 12) == 0 ||
		       strcmp(row->path, "broker_tls.clients_file") == 0;
	return (row->scope == CONFIG_SCOPE_LISTENER || row->scope == CONFIG_SCOPE_ROUTE) &&
	       strncmp(row->path, "kafka.", 6) == 0;
}

bool config_is_section(enum config_scope scope, const char *path)
{
	for (uint32_t i = 0; i < config_section_count; i++)
		if (config_sections[i].scope == scope && strcmp(config_sections[i].path, path) == 0)
			return true;
	return false;
}

struct config_cluster *config_add_cluster(struct config_read *read, struct span name,
					  struct config_mark mark)
{
	struct config *config = read->config;

	if (config->cluster_count == CONFIG_CLUSTERS_MAX) {
		config_error(read->errors, mark.file, mark.line, mark.column,
			     "more than %d clusters; run another penstock for the others",
			     CONFIG_CLUSTERS_MAX);
		return NULL;
	}
	uint32_t index = config->cluster_count++;
	struct config_cluster *cluster = &config->clusters[index];

	cluster->name = config_copy(config, name);
	cluster->line = mark.line;
	unit_begin(read, CONFIG_SCOPE_CLUSTER, index, mark);
	return cluster;
}

struct config_listener *config_add_listener(struct config_read *read, struct config_mark mark)
{
	struct config *config = read->config;

	if (config->listener_count == CONFIG_LISTENERS_MAX) {
		config_error(read->errors, mark.file, mark.line, mark.column,
			     "more than %d listeners; run another penstock for the others",
			     CONFIG_LISTENERS_MAX);
		return NULL;
	}
	uint32_t index = config->listener_count++;
	struct config_listener *listener = &config->listeners[index];

	listener->cluster = -1;
	listener->route_first = config->route_count;
	listener->no_sni_route = listener->unknown_route = -1;
	listener->line = mark.line;
	unit_begin(read, CONFIG_SCOPE_LISTENER, index, mark);
	return listener;
}

struct config_route *config_add_route(struct config_read *read, struct config_mark mark)
{
	struct config *config = read->config;
	struct config_listener *listener = &config->listeners[config->listener_count - 1];

	if (config->route_count == CONFIG_ROUTES_MAX) {
		config_error(read->errors, mark.file, mark.line, mark.column,
			     "more than %d routes; use wildcards, or run another penstock for the "
			     "others",
			     CONFIG_ROUTES_MAX);
		return NULL;
	}
	if (config->route_count == read->route_room) {
		struct config_route *old = config->routes;

		/* The old place stays with the arena: all of them together take as much again. */
		read->route_room = read->route_room > 0 ? 2 * read->route_room : 16;
		config->routes = config_alloc(config, read->route_room * sizeof(*old));
		if (config->route_count > 0)
			memcpy(config->routes, old, config->route_count * sizeof(*old));
	}
	uint32_t index = config->route_count++;
	struct config_route *route = &config->routes[index];

	route->cluster = route->discovered = -1;
	route->kafka.mode = CONFIG_KAFKA_SNI;
	route->listener = config->listener_count - 1;
	route->line = mark.line;
	listener->route_count++;
	unit_begin(read, CONFIG_SCOPE_ROUTE, index, mark);
	return route;
}

/* ---- reload ---------------------------------------------------------------------------------- */

static bool is_same(const struct config_row *row, const struct config *old,
		    const struct config *new)
{
	const struct config *sides[2] = { old, new };
	char *texts[2] = { NULL, NULL };
	size_t sizes[2] = { 0, 0 };

	for (int i = 0; i < 2; i++) {
		FILE *out = open_memstream(&texts[i], &sizes[i]);

		CHECK(out != NULL);
		if (!config_is_empty(row, sides[i]))
			config_types[row->type].print(sides[i], row, sides[i], out);
		CHECK(fclose(out) == 0);
	}
	bool is_equal = sizes[0] == sizes[1] && memcmp(texts[0], texts[1], sizes[0]) == 0;

	free(texts[0]);
	free(texts[1]);
	return is_equal;
}

const char *config_needs_restart(const struct config *old, const struct config *new)
{
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if ((row->flags & CONFIG_FLAG_RESTART) == 0)
			continue;
		/* config_budget_fit may have lowered the one in force. */
		if (strcmp(row->path, "limits.connections") == 0) {
			if (old->limits.connections_asked != new->limits.connections_asked)
				return row->path;
			continue;
		}
		if (!is_same(row, old, new))
			return row->path;
	}
	return NULL;
}
