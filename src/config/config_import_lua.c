/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_lua: ssl_server_name.config as it was before it was YAML: one table of tables,
 * which is data in all but its clothes, so that no interpreter is needed.
 *
 *     server_config = {
 *       { fqdn = 'broker-1.example.com', tunnel_route = 'broker-1:6651' },  -- or "#"
 *     }
 */
#include <ctype.h>

#include "config_import.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WRONG, /* reported already */
	TOKEN_NAME,
	TOKEN_TEXT,
	TOKEN_NUMBER,
	TOKEN_SIGN, /* any other byte */
};

struct token {
	enum token_kind kind;
	struct span text;
	struct config_mark mark;
};

struct lua {
	struct config_import *import;
	struct span rest;
	struct config_mark mark; /* of the first byte of `rest` */
	struct token token;	 /* the one to look at */
};

/* ---- words ----------------------------------------------------------------------------------- */

static void skip(struct lua *lua, size_t count)
{
	for (; count > 0 && lua->rest.len > 0; count--) {
		bool is_end = lua->rest.at[0] == '\n';

		lua->mark.line += is_end;
		lua->mark.column = is_end ? 1 : lua->mark.column + 1;
		lua->rest = span_of(lua->rest.at + 1, lua->rest.len - 1);
	}
}

/* How long the comment is that begins here; 0: none does. */
static size_t comment_len(struct span rest)
{
	if (span_starts(rest, "--[[")) {
		size_t len = strlen("--[[");

		while (len < rest.len && !span_starts(span_of(rest.at + len, rest.len - len), "]]"))
			len++;
		return len + 2 < rest.len ? len + 2 : rest.len;
	}
	return span_starts(rest, "--") || span_starts(rest, "#") ? span_find(rest, '\n') : 0;
}

static void blanks_skip(struct lua *lua)
{
	for (;;) {
		size_t len = comment_len(lua->rest);

		if (len == 0 && lua->rest.len > 0 && isspace(lua->rest.at[0]))
			len = 1;
		if (len == 0)
			return;
		skip(lua, len);
	}
}

/* A text between quotes, taken as it stands. */
static void text_take(struct lua *lua, struct token *token)
{
	struct span rest = lua->rest;
	size_t len = 1;

	while (len < rest.len && rest.at[len] != rest.at[0] && rest.at[len] != '\n' &&
	       rest.at[len] != '\\')
		len++;
	token->text = span_of(rest.at + 1, len - 1);
	if (len < rest.len && rest.at[len] == rest.at[0]) {
		token->kind = TOKEN_TEXT;
		skip(lua, len + 1);
		return;
	}
	token->kind = TOKEN_WRONG;
	IMPORT_ERROR(lua->import, token->mark,
		     len < rest.len && rest.at[len] == '\\'
			     ? "a backslash in a text; write the character itself"
			     : "a text that does not end in its line; close its quote");
}

static size_t word_len(struct span rest)
{
	size_t len = 0;

	while (len < rest.len &&
	       (isalnum(rest.at[len]) || rest.at[len] == '_' || rest.at[len] == '.'))
		len++;
	return len;
}

/* The next token into lua->token. */
static void next(struct lua *lua)
{
	struct token *token = &lua->token;

	blanks_skip(lua);
	*token = (struct token){ .kind = TOKEN_END, .mark = lua->mark };
	if (lua->rest.len == 0)
		return;
	uint8_t byte = lua->rest.at[0];
	size_t len = word_len(lua->rest);

	if (byte == '\'' || byte == '"') {
		text_take(lua, token);
		return;
	}
	token->kind = len == 0 ? TOKEN_SIGN : isdigit(byte) ? TOKEN_NUMBER : TOKEN_NAME;
	token->text = span_of(lua->rest.at, len > 0 ? len : 1);
	skip(lua, token->text.len);
}

static bool is_sign(const struct lua *lua, const char *sign)
{
	return lua->token.kind == TOKEN_SIGN && span_is(lua->token.text, sign);
}

static bool is_separator(const struct lua *lua)
{
	return is_sign(lua, ",") || is_sign(lua, ";");
}

/* Says what should have been here; false for the caller to pass on. */
static bool wrong(struct lua *lua, const char *wanted)
{
	char shown[60];

	if (lua->token.kind == TOKEN_END)
		IMPORT_ERROR(lua->import, lua->token.mark, "the file ends where %s should be",
			     wanted);
	else if (lua->token.kind != TOKEN_WRONG)
		IMPORT_ERROR(lua->import, lua->token.mark,
			     "'%s' where %s should be; only a table of plain values can be "
			     "imported",
			     config_show(lua->token.text, shown, sizeof(shown)), wanted);
	return false;
}

static bool sign_take(struct lua *lua, const char *sign, const char *wanted)
{
	if (!is_sign(lua, sign))
		return wrong(lua, wanted);
	next(lua);
	return true;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* name = value, or ["name"] = value */
static bool field_read(struct lua *lua, struct import_rule *rule)
{
	bool is_bracket = is_sign(lua, "[");

	if (is_bracket)
		next(lua);
	struct token key = lua->token;

	if (key.kind != (is_bracket ? TOKEN_TEXT : TOKEN_NAME))
		return wrong(lua, "a key, like fqdn,");
	next(lua);
	if (is_bracket && !sign_take(lua, "]", "']'"))
		return false;
	if (!sign_take(lua, "=", "'='"))
		return false;
	const struct token *value = &lua->token;
	bool is_word = value->kind == TOKEN_NAME &&
		       (span_is(value->text, "true") || span_is(value->text, "false") ||
			span_is(value->text, "nil"));

	if (value->kind != TOKEN_TEXT && value->kind != TOKEN_NUMBER && !is_word)
		return wrong(lua, "a text in quotes or a number");
	if (!span_is(value->text, "nil") || value->kind == TOKEN_TEXT)
		config_import_rule_key(lua->import, rule, key.text, value->text, key.mark);
	next(lua);
	return true;
}

/* Behind the last of them there need not be one. */
static bool separator_take(struct lua *lua)
{
	if (is_separator(lua))
		next(lua);
	else if (!is_sign(lua, "}"))
		return wrong(lua, "',' or '}'");
	return true;
}

/* { field, field; ... } */
static bool entry_read(struct lua *lua)
{
	struct import_rule rule = { .mark = lua->token.mark };

	if (!sign_take(lua, "{", "'{', the beginning of an entry,"))
		return false;
	while (!is_sign(lua, "}")) {
		if (!field_read(lua, &rule))
			return false;
		if (!separator_take(lua))
			return false;
	}
	next(lua);
	return config_import_rule_end(lua->import, &rule);
}

static bool table_read(struct lua *lua)
{
	if (lua->token.kind != TOKEN_NAME || !span_is(lua->token.text, "server_config"))
		return wrong(lua, "server_config");
	next(lua);
	if (!sign_take(lua, "=", "'='") || !sign_take(lua, "{", "'{'"))
		return false;
	while (!is_sign(lua, "}")) {
		if (!entry_read(lua))
			return false;
		if (!separator_take(lua))
			return false;
	}
	next(lua);
	if (is_sign(lua, ";"))
		next(lua);
	return lua->token.kind == TOKEN_END || wrong(lua, "the end");
}

void config_import_lua(struct config_import *import, struct span text)
{
	struct lua lua = {
		.import = import,
		.rest = text,
		.mark = { .file = import->file, .line = 1, .column = 1 },
	};

	next(&lua);
	/* A file of comments only has nothing to say. */
	if (lua.token.kind != TOKEN_END)
		(void)table_read(&lua);
}
