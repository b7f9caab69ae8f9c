/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_set: one text into one field, by the row's type; whatever is wrong with it becomes one
 * line with the key's full name and its position.
 */
#include <stdarg.h>

#include "config_priv.h"

bool config_bad(struct config_value *value, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(value->why, sizeof(value->why), format, args);
	va_end(args);
	return false;
}

bool config_set_item(struct config_read *read, enum config_scope scope, uint32_t index,
		     const struct config_row *row, struct span text, uint32_t item, uint32_t count,
		     struct config_mark mark)
{
	uint8_t *unit = config_unit(read->config, scope, index);
	struct config_value value = {
		.read = read,
		.row = row,
		.index = index,
		.unit = unit,
		.field = unit + row->offset,
		.text = text,
		.item = item,
		.count = count,
	};
	char label[200];

	CHECK(row->scope == scope);
	*config_mark(read, scope, index, row->path) = mark;
	if (config_types[row->type].parse(&value))
		return true;
	config_label(read, scope, index, row->path, label, sizeof(label));
	if (read->alias != NULL)
		config_error(read->errors, mark.file, mark.line, mark.column, "%s (%s): %s",
			     read->alias, label, value.why);
	else
		config_error(read->errors, mark.file, mark.line, mark.column, "%s: %s", label,
			     value.why);
	return false;
}

bool config_set(struct config_read *read, enum config_scope scope, uint32_t index, const char *path,
		const char *text, struct config_mark mark)
{
	const struct config_row *row = config_row_find(scope, path);
	struct span rest = span_str(text);
	uint32_t count = 1;
	bool is_fine = true;

	CHECK(row != NULL);
	if (!config_is_list(row->type))
		return config_set_item(read, scope, index, row, rest, 0, 1, mark);
	for (size_t i = 0; i < rest.len; i++)
		count += rest.at[i] == ',';
	for (uint32_t item = 0; item < count; item++) {
		size_t len = span_find(rest, ',');

		is_fine &= config_set_item(read, scope, index, row,
					   span_trim(span_of(rest.at, len)), item, count, mark);
		rest = item + 1 < count ? span_of(rest.at + len + 1, rest.len - len - 1) : rest;
	}
	return is_fine;
}
