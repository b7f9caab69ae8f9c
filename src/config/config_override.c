/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_override: `--set path=value`, in the words of penstock.yaml: limits.connections=100,
 * clusters.east.lookup=direct, listeners.pulsar.splice=off or listeners[0].splice=off. Lists:
 * egress.allow.ports=6650,6651, with brackets and quotes or without.
 */
#include "config_priv.h"

#define PATH_MAX_LEN 200

struct target {
	enum config_scope scope;
	uint32_t index;
	const char *path;
};

/* Goes over "NAME." at the front of *path. */
static bool skip_name(const char **path, const char *name)
{
	size_t len = name == NULL ? 0 : strlen(name);

	if (len == 0 || strncmp(*path, name, len) != 0 || (*path)[len] != '.')
		return false;
	*path += len + 1;
	return true;
}

static bool find_cluster(const struct config *config, const char *path, struct target *target)
{
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		target->path = path;
		target->index = i;
		if (skip_name(&target->path, config->clusters[i].name))
			return true;
	}
	target->path = NULL;
	return false;
}

static bool find_listener(const struct config *config, const char *path, struct target *target)
{
	for (uint32_t i = 0; i < config->listener_count; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%u", i);
		target->path = path;
		target->index = i;
		if (skip_name(&target->path, config->listeners[i].name) ||
		    skip_name(&target->path, number))
			return true;
	}
	target->path = NULL;
	return false;
}

/* "listeners[0].bind" reads as "listeners.0.bind". */
static void without_brackets(const char *path, char *ret_path)
{
	size_t len = 0;

	for (; *path != '\0' && len < PATH_MAX_LEN - 1; path++) {
		if (*path == ']')
			continue;
		ret_path[len++] = *path == '[' ? '.' : *path;
	}
	ret_path[len] = '\0';
}

static bool find_target(const struct config *config, const char *path, struct target *target)
{
	if (strncmp(path, "clusters.", strlen("clusters.")) == 0) {
		target->scope = CONFIG_SCOPE_CLUSTER;
		return find_cluster(config, path + strlen("clusters."), target);
	}
	if (strncmp(path, "listeners.", strlen("listeners.")) == 0) {
		target->scope = CONFIG_SCOPE_LISTENER;
		return find_listener(config, path + strlen("listeners."), target);
	}
	*target = (struct target){ .scope = CONFIG_SCOPE_TOP, .path = path };
	return true;
}

static void unknown_path(struct config_read *read, const struct config_override *override,
			 const struct target *target)
{
	struct config_guess guess;

	config_guess_begin(&guess, span_str(target->path == NULL ? "" : target->path));
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++)
		if (config_rows[i].scope == target->scope)
			config_guess_offer(&guess, config_rows[i].path);
	if (guess.best != NULL)
		config_error(read->errors, "--set", 0, 0, "%s: unknown key; did you mean %s?",
			     override->path, guess.best);
	else
		config_error(read->errors, "--set", 0, 0,
			     "%s: unknown key; penstock.yaml(5) lists them, with clusters.NAME. or "
			     "listeners.NAME. in front of theirs",
			     override->path);
}

static bool is_around(uint8_t byte)
{
	return byte == ' ' || byte == '"' || byte == '\'';
}

static struct span bare(struct span text)
{
	while (text.len > 0 && is_around(text.at[0]))
		text = span_of(text.at + 1, text.len - 1);
	while (text.len > 0 && is_around(text.at[text.len - 1]))
		text.len--;
	return text;
}

static void set_list(struct config_read *read, const struct target *target,
		     const struct config_row *row, struct span text, struct config_mark mark)
{
	uint32_t count = 1;

	text = bare(text);
	if (text.len >= 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = bare(span_of(text.at + 1, text.len - 2));
	for (size_t i = 0; i < text.len; i++)
		count += text.at[i] == ',';
	if (text.len == 0) {
		config_set_item(read, target->scope, target->index, row, text, 0, 0, mark);
		return;
	}
	for (uint32_t item = 0; item < count; item++) {
		size_t len = span_find(text, ',');

		config_set_item(read, target->scope, target->index, row,
				bare(span_of(text.at, len)), item, count, mark);
		if (len < text.len)
			text = span_of(text.at + len + 1, text.len - len - 1);
	}
}

void config_override_read(struct config_read *read, const struct config_override *override)
{
	struct config_mark mark = { .file = "--set" };
	struct target target = { .scope = CONFIG_SCOPE_TOP };
	const struct config_row *row = NULL;
	char path[PATH_MAX_LEN];

	without_brackets(override->path, path);
	if (find_target(read->config, path, &target))
		row = config_row_find(target.scope, target.path);
	if (row == NULL)
		unknown_path(read, override, &target);
	else if (config_is_list(row->type))
		set_list(read, &target, row, span_str(override->value), mark);
	else
		config_set_item(read, target.scope, target.index, row, span_str(override->value), 0,
				1, mark);
}
