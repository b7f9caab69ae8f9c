/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_records: records.config, lines of `CONFIG name TYPE value`, and what becomes of
 * each setting, whichever form of records it stood in.
 */
#include "config_import.h"

#define ERRORS_MAX 20 /* of one file: with more it is another kind of file */

/* ---- settings -------------------------------------------------------------------------------- */

/* What becomes of settings; the first that the name begins with counts. NULL: nothing is lost. */
static const struct {
	const char *start, *what;
} meanings[] = {
	{ "proxy.config.ssl.servername.filename", NULL }, /* these two are named by hand */
	{ "proxy.config.ssl.server.multicert.filename", NULL },
	{ "proxy.config.config_update_interval", NULL },
	{ "proxy.config.ssl.handshake_timeout_in",
	  "the time for a ClientHello is timeouts.hello here" },
	{ "proxy.config.ssl.client.", "how ATS does TLS to targets; see broker_tls of a route" },
	{ "proxy.config.ssl.", "how ATS does TLS; see tls of a listener" },
	{ "proxy.config.http.connect_attempts_timeout",
	  "the time to connect to a target is timeouts.connect here" },
	{ "proxy.config.http.transaction_no_activity_timeout",
	  "ATS cuts silent tunnels by it; see timeouts.idle (Pulsar clients ping every 30 s)" },
	{ "proxy.config.http.proxy_protocol_",
	  "networks whose PROXY header is believed are proxy_protocol.trusted of a listener here" },
	{ "proxy.config.http.", "about HTTP, which penstock does not look into" },
	{ "proxy.config.tunnel.", "silent connections are closed by timeouts.idle here" },
	{ "proxy.config.net.connections_throttle", "see limits.connections" },
	{ "proxy.config.net.per_client.", "see limits.per_ip" },
	{ "proxy.config.net.", "of ATS's own sockets" },
	{ "proxy.config.exec_thread.", "see process.workers" },
	{ "proxy.config.cache.", "about a cache, which penstock has not" },
	{ "proxy.config.log.", "see log.access" },
	{ "proxy.config.diags.", "see log.level" },
	{ "proxy.config.dns.", "names are resolved as /etc/resolv.conf says" },
	{ "proxy.config.hostdb.", "names are resolved as /etc/resolv.conf says" },
};

void config_import_record(struct config_import *import, struct span name, struct span value,
			  struct config_mark mark)
{
	struct import_record record = { .mark = mark };
	const char *what = "has no counterpart here";
	char shown[120];

	value = span_trim(value);
	if (value.len == 0 || span_is(value, "NULL"))
		return;
	/* The last one counts, in ATS too. */
	if (span_is(name, "proxy.config.http.server_ports")) {
		record.text = config_copy(import->arena, value);
		import->server_ports = record;
		return;
	}
	if (span_is(name, "proxy.config.http.connect_ports")) {
		record.text = config_copy(import->arena, value);
		import->connect_ports = record;
		return;
	}
	if (config_import_tls_record(import, name, value, mark))
		return;
	for (size_t i = 0; i < COUNT_OF(meanings); i++)
		if (span_starts(name, meanings[i].start)) {
			what = meanings[i].what;
			break;
		}
	if (what != NULL)
		config_import_left(import, mark, "%s: %s", config_show(name, shown, sizeof(shown)),
				   what);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The next word, up to a blank. */
static struct span word_take(struct span *line)
{
	size_t len = 0;

	while (len < line->len && line->at[len] != ' ' && line->at[len] != '\t')
		len++;
	struct span word = span_of(line->at, len);

	*line = span_trim(span_of(line->at + len, line->len - len));
	return word;
}

static bool is_one_of(struct span word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_is(word, words[i]))
			return true;
	return false;
}

static bool line_read(struct config_import *import, struct span line, struct config_mark mark)
{
	static const char *const scopes[] = { "CONFIG", "LOCAL" };
	static const char *const types[] = { "STRING", "INT", "FLOAT", "COUNTER" };
	char shown[60];

	config_show(line, shown, sizeof(shown));
	struct span scope = word_take(&line);
	struct span name = word_take(&line);
	struct span type = word_take(&line);

	if (!is_one_of(scope, scopes, COUNT_OF(scopes)) || name.len == 0 ||
	    !is_one_of(type, types, COUNT_OF(types))) {
		IMPORT_ERROR(import, mark,
			     "'%s' is no setting; write CONFIG name TYPE value, where TYPE is "
			     "STRING, INT or FLOAT",
			     shown);
		return false;
	}
	config_import_record(import, name, line, mark);
	return true;
}

void config_import_records(struct config_import *import, struct span text)
{
	struct config_mark mark = { .file = import->file, .line = 0, .column = 1 };
	uint32_t error_count = 0;

	while (text.len > 0 && error_count < ERRORS_MAX) {
		size_t len = span_find(text, '\n');
		struct span line = span_trim(span_of(text.at, len));

		mark.line++;
		if (line.len > 0 && line.at[0] != '#')
			error_count += !line_read(import, line, mark);
		len += len < text.len;
		text = span_of(text.at + len, text.len - len);
	}
}
