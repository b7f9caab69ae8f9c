/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_cert: ssl_multicert.config, a certificate a line, and where the files are that ATS
 * names.
 *
 *     dest_ip=* ssl_cert_name=gw.pem ssl_key_name=gw.key
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config_import.h"

/* ---- files ----------------------------------------------------------------------------------- */

/* The folder a file is in, from the root on; NULL: there is none. */
static char *folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	char folder[PATH_MAX];
	size_t len = slash == NULL ? 0 : (size_t)(slash - file) + 1;

	if (len >= sizeof(folder))
		return NULL;
	memcpy(folder, file, len);
	folder[len] = '\0';
	return realpath(len > 0 ? folder : ".", NULL);
}

/* YAML could say others, but not in a way people read. */
static const char *plain(const char *path)
{
	for (const char *at = path; *at != '\0'; at++)
		if (*at < ' ' || *at >= 0x7f)
			return NULL;
	return path;
}

const char *config_import_path(struct config_import *import, enum import_setting folder,
			       const struct import_record *name)
{
	const char *where = folder < IMPORT_SETTINGS ? import->settings[folder].text : NULL;
	char *own = NULL;
	char path[PATH_MAX];

	if (name->text[0] == '\0' || strlen(name->text) >= sizeof(path))
		return NULL;
	if (name->text[0] == '/')
		return plain(name->text);
	/* A relative one begins where ATS is installed, which no file says. */
	if (where != NULL && where[0] != '/')
		return NULL;
	if (where == NULL)
		where = own = folder_of(name->mark.file);
	if (where == NULL)
		return NULL;
	size_t len = strlen(where);
	bool is_open = len > 0 && where[len - 1] == '/';
	int size = snprintf(path, sizeof(path), "%s%s%s", where, is_open ? "" : "/", name->text);

	free(own);
	if (size < 0 || (size_t)size >= sizeof(path) || plain(path) == NULL)
		return NULL;
	return config_copy(import->arena, span_str(path));
}

char *config_import_file(struct config_import *import, const struct import_record *name,
			 size_t *ret_len)
{
	const char *path = config_import_path(import, IMPORT_SETTINGS, name);
	struct config_errors silent = { .out = NULL };
	struct stat info;

	/* A pipe would keep us waiting. */
	if (path == NULL || stat(path, &info) != 0 || !S_ISREG(info.st_mode))
		return NULL;
	return config_file_read(path, IMPORT_FILE_MAX, &silent, ret_len);
}

/* ---- a line ---------------------------------------------------------------------------------- */

struct line {
	struct config_import *import;
	struct config_mark mark;
	struct span certs, keys;
	bool is_default, is_left;
};

/* Fields that a certificate has not here, and what they meant. */
static const struct {
	const char *key, *what;
} cert_meanings[] = {
	{ "ssl_ca_name", "put what leads to the root behind the certificate, in its file" },
	{ "ssl_ocsp_name", "see tls.ocsp_file, which takes DER" },
	{ "ssl_ticket_enabled", "see tls.tickets" },
	{ "ticket_key_name", "keys of tickets are penstock's own, and change" },
};

static void field_take(struct line *line, struct span key, struct span value)
{
	char keys[60], values[80];
	const char *what = "a field that is not known";

	if (span_is(key, "ssl_cert_name")) {
		line->certs = value;
		return;
	}
	if (span_is(key, "ssl_key_name")) {
		line->keys = value;
		return;
	}
	if (span_is(key, "dest_ip") && (span_is(value, "*") || value.len == 0)) {
		line->is_default = true;
		return;
	}
	if (span_is(key, "dest_ip"))
		what = "a certificate by address, for clients without a server name; here they get "
		       "the first one";
	/* A key with a password cannot be read; a tunnel has no certificate. */
	line->is_left |= span_is(key, "ssl_key_dialog") || span_is(key, "action");
	if (line->is_left)
		what = "this certificate is left out: keys are read without a password, and tunnels "
		       "are routes of sni.yaml";
	for (size_t i = 0; i < COUNT_OF(cert_meanings); i++)
		if (span_is(key, cert_meanings[i].key))
			what = cert_meanings[i].what;
	config_import_left(line->import, line->mark, "%s: %s: %s",
			   config_show(key, keys, sizeof(keys)),
			   config_show(value, values, sizeof(values)), what);
}

/* key=value or key="value", up to a blank. */
static bool field_next(struct span *rest, struct span *ret_key, struct span *ret_value)
{
	*rest = span_trim(*rest);
	size_t len = span_find(*rest, '=');

	if (rest->len == 0 || len == rest->len)
		return false;
	*ret_key = span_of(rest->at, len);
	*rest = span_of(rest->at + len + 1, rest->len - len - 1);
	bool is_quoted = rest->len > 0 && rest->at[0] == '"';

	if (is_quoted)
		*rest = span_of(rest->at + 1, rest->len - 1);
	for (len = 0; len < rest->len; len++)
		if (is_quoted ? rest->at[len] == '"'
			      : rest->at[len] == ' ' || rest->at[len] == '\t')
			break;
	*ret_value = span_of(rest->at, len);
	len += len < rest->len;
	*rest = span_of(rest->at + len, rest->len - len);
	return true;
}

static void pair_add(struct line *line, struct span cert, struct span key)
{
	struct config_import *import = line->import;
	struct import_pair pair = {
		.cert = { .text = config_copy(import->arena, cert), .mark = line->mark },
		.key = { .text = key.len > 0 ? config_copy(import->arena, key) : NULL,
			 .mark = line->mark },
	};
	uint32_t at = line->is_default && !import->has_default ? 0 : import->pair_count;

	if (import->pair_count == IMPORT_PAIRS_MAX) {
		config_import_left(import, line->mark,
				   "ssl_cert_name: %s: more than %d certificates", pair.cert.text,
				   IMPORT_PAIRS_MAX);
		return;
	}
	memmove(&import->pairs[at + 1], &import->pairs[at],
		(import->pair_count - at) * sizeof(import->pairs[0]));
	import->pairs[at] = pair;
	import->pair_count++;
	import->has_default |= line->is_default;
}

/* ATS shows one or the other of several, as the client's signatures want it. */
static void pairs_add(struct line *line)
{
	struct span cert, key = span_of("", 0);

	if (!config_import_word(&line->certs, &cert))
		return;
	(void)config_import_word(&line->keys, &key);
	pair_add(line, cert, key);
	if (config_import_word(&line->certs, &cert))
		config_import_left(line->import, line->mark,
				   "ssl_cert_name: the certificates behind the first one: one is "
				   "shown for a name here");
}

static void line_read(struct config_import *import, struct span text, struct config_mark mark)
{
	struct line line = { .import = import, .mark = mark, .certs = span_of("", 0) };
	struct span key, value;
	char shown[60];

	line.keys = line.certs;
	while (field_next(&text, &key, &value))
		field_take(&line, key, value);
	if (text.len > 0 || line.certs.len == 0)
		IMPORT_ERROR(import, mark, "'%s' where ssl_cert_name=FILE should be",
			     config_show(text, shown, sizeof(shown)));
	else if (!line.is_left)
		pairs_add(&line);
}

void config_import_certs(struct config_import *import, struct span text)
{
	struct config_mark mark = { .file = import->file, .line = 0, .column = 1 };

	while (text.len > 0) {
		size_t len = span_find(text, '\n');
		struct span line = span_trim(span_of(text.at, len));

		mark.line++;
		if (line.len > 0 && line.at[0] != '#')
			line_read(import, line, mark);
		len += len < text.len;
		text = span_of(text.at + len, text.len - len);
	}
}
