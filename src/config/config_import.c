/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import: which kind of file this is, the findings, and config_import itself.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "config_import.h"

/* ---- findings -------------------------------------------------------------------------------- */

/* Text for a comment of YAML, which takes no control characters and no broken UTF-8. */
static const char *plain_copy(struct config_import *import, const char *text)
{
	char *copy = config_alloc(import->arena, strlen(text) + 1);

	for (size_t i = 0; text[i] != '\0'; i++)
		copy[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	return copy;
}

static void finding_add(struct config_import *import, struct config_mark mark, bool is_note,
			const char *text)
{
	if (!is_note) {
		import->left_count++;
		config_warn(import->errors, mark.file, mark.line, mark.column, "%s", text);
	}
	if (import->finding_count == IMPORT_FINDINGS_MAX)
		return;
	if (import->finding_count == import->finding_room) {
		struct import_finding *old = import->findings;

		import->finding_room = import->finding_room > 0 ? 2 * import->finding_room : 64;
		import->findings = config_alloc(import->arena, import->finding_room * sizeof(*old));
		if (import->finding_count > 0)
			memcpy(import->findings, old, import->finding_count * sizeof(*old));
	}
	import->findings[import->finding_count++] = (struct import_finding){
		.mark = mark,
		.text = plain_copy(import, text),
		.is_note = is_note,
	};
}

void config_import_left(struct config_import *import, struct config_mark mark, const char *format,
			...)
{
	char text[800];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	finding_add(import, mark, false, text);
}

void config_import_note(struct config_import *import, struct config_mark mark, const char *format,
			...)
{
	char text[800];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	finding_add(import, mark, true, text);
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_between(uint8_t byte)
{
	return isspace(byte) || byte == ',';
}

bool config_import_word(struct span *rest, struct span *ret_word)
{
	size_t len = 0;

	while (rest->len > 0 && is_between(rest->at[0]))
		*rest = span_of(rest->at + 1, rest->len - 1);
	if (rest->len == 0)
		return false;
	while (len < rest->len && !is_between(rest->at[len]))
		len++;
	*ret_word = span_of(rest->at, len);
	*rest = span_of(rest->at + len, rest->len - len);
	return true;
}

bool config_import_range(struct span text, struct import_range *ret_range)
{
	size_t dash = span_find(text, '-');
	uint64_t low, high;

	if (!span_to_u64(span_of(text.at, dash), &low))
		return false;
	high = low;
	if (dash < text.len &&
	    !span_to_u64(span_of(text.at + dash + 1, text.len - dash - 1), &high))
		return false;
	/* Nobody connects to port 0. */
	if (low == 0 && high > 0)
		low = 1;
	if (low == 0 || low > high || high > UINT16_MAX)
		return false;
	*ret_range = (struct import_range){ .low = (uint16_t)low, .high = (uint16_t)high };
	return true;
}

/* ---- kinds of files -------------------------------------------------------------------------- */

enum import_kind { IMPORT_UNKNOWN, IMPORT_YAML, IMPORT_LUA, IMPORT_RECORDS, IMPORT_CERTS };

/* How the first line that says something begins, and what the file is then. */
static const struct {
	const char *start;
	enum import_kind kind;
} import_starts[] = {
	{ "CONFIG ", IMPORT_RECORDS },
	{ "CONFIG\t", IMPORT_RECORDS },
	{ "LOCAL ", IMPORT_RECORDS },
	{ "LOCAL\t", IMPORT_RECORDS },
	{ "sni:", IMPORT_YAML },
	{ "server_config:", IMPORT_YAML },
	{ "records:", IMPORT_YAML },
	{ "---", IMPORT_YAML },
	{ "%YAML", IMPORT_YAML },
	{ "{", IMPORT_YAML },
	{ "- ", IMPORT_YAML },
	{ "server_config", IMPORT_LUA },
	{ "dest_ip=", IMPORT_CERTS },
	{ "ssl_cert_name=", IMPORT_CERTS },
	{ "ssl_key_name=", IMPORT_CERTS },
};

/* What a name says, where the contents say nothing. */
static const struct {
	const char *part;
	enum import_kind kind;
} import_names[] = {
	{ ".yaml", IMPORT_YAML },
	{ ".yml", IMPORT_YAML },
	{ "ssl_server_name", IMPORT_LUA },
	{ "ssl_multicert", IMPORT_CERTS },
	{ ".lua", IMPORT_LUA },
	{ "records", IMPORT_RECORDS },
};

/* The first line that is neither empty nor a comment. */
static struct span first_line(struct span text)
{
	while (text.len > 0) {
		size_t len = span_find(text, '\n');
		struct span line = span_trim(span_of(text.at, len));
		bool is_comment = span_starts(line, "#") ||
				  (span_starts(line, "--") && !span_starts(line, "---"));

		if (line.len > 0 && !is_comment)
			return line;
		len += len < text.len;
		text = span_of(text.at + len, text.len - len);
	}
	return text;
}

static enum import_kind kind_of(const char *file, struct span text)
{
	struct span line = first_line(text);
	const char *slash = strrchr(file, '/');

	for (size_t i = 0; i < COUNT_OF(import_starts); i++)
		if (span_starts(line, import_starts[i].start))
			return import_starts[i].kind;
	for (size_t i = 0; i < COUNT_OF(import_names); i++)
		if (strstr(slash != NULL ? slash : file, import_names[i].part) != NULL)
			return import_names[i].kind;
	return IMPORT_UNKNOWN;
}

void config_import_text(struct config_import *import, const char *file, const char *text,
			size_t len)
{
	struct span span = span_of(text, len);

	import->file = plain_copy(import, file);
	if (span_starts(span, "\xef\xbb\xbf"))
		span = span_of(span.at + 3, span.len - 3);
	switch (kind_of(file, span)) {
	case IMPORT_YAML:
		config_import_yaml(import, span);
		break;
	case IMPORT_LUA:
		config_import_lua(import, span);
		break;
	case IMPORT_RECORDS:
		config_import_records(import, span);
		break;
	case IMPORT_CERTS:
		config_import_certs(import, span);
		break;
	case IMPORT_UNKNOWN:
		config_error(import->errors, import->file, 0, 0,
			     "is none of the files that can be imported; name sni.yaml, "
			     "ssl_server_name.config, ssl_multicert.config, records.config or "
			     "records.yaml of Apache Traffic Server");
		break;
	}
}

/* ---- all of it ------------------------------------------------------------------------------- */

void config_import_begin(struct config_import *import, struct config_errors *errors)
{
	*import = (struct config_import){ .errors = errors, .errors_before = errors->error_count };
	import->arena = calloc(1, sizeof(*import->arena));
	CHECK(import->arena != NULL);
}

/* A file that config_load would find too long is no use. */
static void result_write(struct config_import *import, FILE *out)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	CHECK(memory != NULL);
	config_import_write(import, memory);
	CHECK(fclose(memory) == 0);
	if (size > IMPORT_FILE_MAX)
		config_error(import->errors, NULL, 0, 0,
			     "penstock.yaml would be longer than %zu bytes; import fewer entries, "
			     "for several penstocks",
			     IMPORT_FILE_MAX);
	else
		(void)fwrite(text, 1, size, out); /* the caller looks at `out` */
	free(text);
}

bool config_import_end(struct config_import *import, FILE *out, uint32_t *ret_left)
{
	const struct config_errors *errors = import->errors;

	if (errors->error_count == import->errors_before)
		config_import_ports(import);
	if (errors->error_count == import->errors_before)
		result_write(import, out);
	bool is_fine = errors->error_count == import->errors_before;

	if (is_fine)
		*ret_left = import->left_count;
	config_free(import->arena);
	return is_fine;
}

bool config_import(const char *const *paths, uint32_t count, struct config_errors *errors,
		   FILE *out, uint32_t *ret_left)
{
	struct config_import import;

	config_import_begin(&import, errors);
	for (uint32_t i = 0; i < count; i++) {
		size_t len;
		char *text = config_file_read(paths[i], IMPORT_FILE_MAX, errors, &len);

		if (text != NULL)
			config_import_text(&import, paths[i], text, len);
		free(text);
	}
	return config_import_end(&import, out, ret_left);
}
