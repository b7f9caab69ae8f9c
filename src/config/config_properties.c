/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_properties: the file format of proxy.conf, java.util.Properties: `key=value`, `key: value`
 * or `key value`, # and ! comments, backslash escapes and lines continued by a backslash. Bytes are
 * taken as UTF-8 where the whole file is, else as ISO-8859-1, which is what Java reads.
 *
 *     file --natural lines--> logical line --split, unescape--> key, value
 */
#include <stdlib.h>

#include "config_proxy.h"

struct reader {
	struct span rest;
	uint32_t line; /* of the natural line `rest` begins with */
	bool is_latin;
	char *logical; /* room for the whole file */
	size_t len;
	char *text; /* key and value, decoded: at most twice the bytes of the line */
};

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\f';
}

/* One natural line without its end. */
static struct span natural_line(struct reader *reader)
{
	struct span rest = reader->rest;
	size_t len = 0;

	while (len < rest.len && rest.at[len] != '\n' && rest.at[len] != '\r')
		len++;
	size_t end = len;

	if (end < rest.len)
		end += rest.at[end] == '\r' && end + 1 < rest.len && rest.at[end + 1] == '\n' ? 2
											      : 1;
	reader->rest = span_of(rest.at + end, rest.len - end);
	reader->line++;
	while (len > 0 && is_blank(rest.at[0])) {
		rest.at++;
		len--;
	}
	return span_of(rest.at, len);
}

/* The next logical line into reader->logical; false at the end. *ret_line: where it began. */
static bool logical_line(struct reader *reader, uint32_t *ret_line)
{
	bool is_begun = false;

	reader->len = 0;
	while (reader->rest.len > 0) {
		struct span line = natural_line(reader);
		size_t slashes = 0;

		if (!is_begun && (line.len == 0 || line.at[0] == '#' || line.at[0] == '!'))
			continue;
		if (!is_begun)
			*ret_line = reader->line;
		is_begun = true;
		while (slashes < line.len && line.at[line.len - 1 - slashes] == '\\')
			slashes++;
		size_t kept = line.len - slashes % 2;

		memcpy(reader->logical + reader->len, line.at, kept);
		reader->len += kept;
		if (slashes % 2 == 0)
			return true;
	}
	return is_begun;
}

static size_t put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		to[0] = (char)(0xc0 | code >> 6);
		to[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		to[0] = (char)(0xe0 | code >> 12);
		to[1] = (char)(0x80 | (code >> 6 & 0x3f));
		to[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | code >> 18);
	to[1] = (char)(0x80 | (code >> 12 & 0x3f));
	to[2] = (char)(0x80 | (code >> 6 & 0x3f));
	to[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static bool hex4(struct span digits, uint32_t *ret_code)
{
	uint32_t code = 0;

	if (digits.len < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		const char *hex = "0123456789abcdef";
		const char *at = memchr(hex, digits.at[i] | 0x20, 16);

		if (at == NULL)
			return false;
		code = code << 4 | (uint32_t)(at - hex);
	}
	*ret_code = code;
	return true;
}

/* What follows "\u": one unit, or a pair that makes one character. */
static bool unicode_escape(struct span *rest, uint32_t *ret_code)
{
	uint32_t low;

	if (!hex4(*rest, ret_code) || !span_skip(rest, 4))
		return false;
	if (*ret_code >= 0xd800 && *ret_code < 0xdc00 && span_starts(*rest, "\\u") &&
	    hex4(span_of(rest->at + 2, rest->len - 2), &low) && low >= 0xdc00 && low < 0xe000) {
		*ret_code = 0x10000 + ((*ret_code - 0xd800) << 10) + (low - 0xdc00);
		return span_skip(rest, 6);
	}
	if (*ret_code >= 0xd800 && *ret_code < 0xe000)
		*ret_code = 0xfffd;
	return *ret_code != 0;
}

/* Undoes the escapes of `raw` into `to`, with a NUL; NULL for a broken \u. */
static char *unescape(const struct reader *reader, struct span raw, char *to)
{
	uint8_t byte;

	while (span_u8(&raw, &byte)) {
		uint32_t code = byte;

		if (byte >= 0x80 && !reader->is_latin) {
			*to++ = (char)byte;
			continue;
		}
		if (byte == '\\' && span_u8(&raw, &byte)) {
			code = byte == 't'   ? '\t'
			       : byte == 'n' ? '\n'
			       : byte == 'r' ? '\r'
			       : byte == 'f' ? '\f'
					     : byte;
			if (byte == 'u' && !unicode_escape(&raw, &code))
				return NULL;
			if (byte >= 0x80 && !reader->is_latin) {
				*to++ = (char)byte;
				continue;
			}
		}
		to += put_utf8(to, code);
	}
	*to++ = '\0';
	return to;
}

/* Splits at the first unescaped '=', ':' or blank. */
static void split(struct span line, struct span *ret_key, struct span *ret_value)
{
	size_t key = 0;
	bool has_sign = false;

	while (key < line.len && line.at[key] != '=' && line.at[key] != ':' &&
	       !is_blank(line.at[key]))
		key += line.at[key] == '\\' && key + 1 < line.len ? 2 : 1;
	size_t value = key;

	for (; value < line.len; value++) {
		bool is_sign = line.at[value] == '=' || line.at[value] == ':';

		if (!is_blank(line.at[value]) && (!is_sign || has_sign))
			break;
		has_sign |= is_sign;
	}
	*ret_key = span_of(line.at, key);
	*ret_value = span_of(line.at + value, line.len - value);
}

/* As Java does: control characters, too. */
static struct span java_trim(struct span text)
{
	while (text.len > 0 && text.at[0] <= ' ')
		text = span_of(text.at + 1, text.len - 1);
	while (text.len > 0 && text.at[text.len - 1] <= ' ')
		text.len--;
	return text;
}

void config_properties_read(struct span text, config_property_fn *fn, void *context)
{
	struct reader reader = { .rest = text, .is_latin = !span_is_utf8(text) };
	uint32_t line = 0;

	reader.logical = calloc(1, text.len + 1);
	reader.text = calloc(1, 2 * text.len + 8);
	CHECK(reader.logical != NULL && reader.text != NULL);
	while (logical_line(&reader, &line)) {
		struct span key, value;

		split(span_of(reader.logical, reader.len), &key, &value);
		char *second = unescape(&reader, key, reader.text);

		if (second == NULL || unescape(&reader, value, second) == NULL) {
			fn(context, (struct span){ .at = NULL }, key, line);
			continue;
		}
		/* Pulsar trims what it reads. */
		fn(context, span_str(reader.text), java_trim(span_str(second)), line);
	}
	free(reader.text);
	free(reader.logical);
}
