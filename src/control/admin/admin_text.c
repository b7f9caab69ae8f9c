/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_text: a text that grows by doubling, and the two ways of quoting.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin_priv.h"

#define FIRST_SIZE 4096

static bool reserve(struct admin_text *text, size_t more)
{
	size_t size = text->size == 0 ? FIRST_SIZE : text->size;

	if (text->is_failed)
		return false;
	while (size - text->len <= more && size <= ADMIN_TEXT_MAX)
		size *= 2;
	if (size > ADMIN_TEXT_MAX) {
		text->is_failed = true;
		return false;
	}
	if (size == text->size)
		return true;
	char *at = realloc(text->at, size);

	if (at == NULL) {
		text->is_failed = true;
		return false;
	}
	text->at = at;
	text->size = size;
	return true;
}

void admin_text_add(struct admin_text *text, const char *bytes, size_t len)
{
	if (!reserve(text, len))
		return;
	memcpy(text->at + text->len, bytes, len);
	text->len += len;
	text->at[text->len] = '\0';
}

void admin_text_printf(struct admin_text *text, const char *format, ...)
{
	char piece[1024];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(piece, sizeof(piece), format, args);

	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(piece))
		text->is_failed = true; /* half a line would be worse than none */
	else
		admin_text_add(text, piece, (size_t)len);
}

void admin_text_json(struct admin_text *text, const char *value)
{
	if (value == NULL) {
		admin_text_add(text, "null", 4);
		return;
	}
	admin_text_add(text, "\"", 1);
	for (const char *at = value; *at != '\0'; at++) {
		unsigned char byte = (unsigned char)*at;

		if (byte == '"' || byte == '\\')
			admin_text_printf(text, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f) /* bytes of unknown encoding as Latin-1 */
			admin_text_printf(text, "\\u%04x", byte);
		else
			admin_text_add(text, at, 1);
	}
	admin_text_add(text, "\"", 1);
}

void admin_text_label(struct admin_text *text, const char *value)
{
	admin_text_add(text, "\"", 1);
	for (const char *at = value == NULL ? "" : value; *at != '\0'; at++) {
		if (*at == '"' || *at == '\\')
			admin_text_printf(text, "\\%c", *at);
		else if (*at == '\n')
			admin_text_add(text, "\\n", 2);
		else
			admin_text_add(text, at, 1);
	}
	admin_text_add(text, "\"", 1);
}

void admin_text_fini(struct admin_text *text)
{
	free(text->at);
	*text = (struct admin_text){ .at = NULL };
}
