/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_tls: forward_route and partial_blind_route, which end TLS: what ATS asks of clients
 * and checks of targets, from the keys of an entry, else from records.*. An entry whose demands
 * cannot be kept is left out, lest others get in, or penstock believe more targets.
 */
#include <stdarg.h>

#include "config_import.h"

#define ALPN_MAX 16 /* what tls.alpn takes */

/* ---- keys ------------------------------------------------------------------------------------ */

static const struct {
	const char *key;
	const char *in_tunnel; /* what it means there */
} tls_keys[IMPORT_TLS_KEYS] = {
	[IMPORT_VERIFY_CLIENT] = { "verify_client", "client certificates are asked for where TLS "
						    "ends, and a tunnel ends at the target" },
	[IMPORT_CLIENT_CA] = { "verify_client_ca_certs",
			       "client certificates are asked for where TLS ends, and a tunnel ends at the "
			       "target" },
	[IMPORT_MIN_VERSION] = { "valid_tls_version_min_in",
				 "versions of TLS are the target's business, in a tunnel" },
	[IMPORT_MAX_VERSION] = { "valid_tls_version_max_in",
				 "versions of TLS are the target's business, in a tunnel" },
	[IMPORT_TICKETS] = { "ssl_ticket_enabled",
			     "session tickets are the target's business, in a tunnel" },
	[IMPORT_SUITES] = { "server_cipher_suite",
			    "ciphers are the target's business, in a tunnel" },
	[IMPORT_SUITES_13] = { "server_TLSv1_3_cipher_suites",
			       "ciphers are the target's business, in a tunnel" },
	[IMPORT_ALPN] = { "tunnel_alpn", "ATS only hears it beside a partial_blind_route" },
	[IMPORT_POLICY] = { "verify_server_policy",
			    "checks of the target's certificate are the client's, in a tunnel" },
	[IMPORT_PROPERTIES] = { "verify_server_properties",
				"checks of the target's certificate are the client's, in a tunnel" },
	[IMPORT_OUT_CERT] = { "client_cert",
			      "the certificate shown to the target is the client's, in a tunnel" },
	[IMPORT_OUT_KEY] = { "client_key",
			     "the certificate shown to the target is the client's, in a tunnel" },
	[IMPORT_OUT_NAME] = { "client_sni_policy",
			      "the name sent to the target is the client's own, in a tunnel" },
};

static const char in_clear[] = "behind a forward_route there is no TLS";

static const char *const setting_names[IMPORT_SETTINGS] = {
	[IMPORT_SET_CERT_PATH] = "proxy.config.ssl.server.cert.path",
	[IMPORT_SET_KEY_PATH] = "proxy.config.ssl.server.private_key.path",
	[IMPORT_SET_VERIFY_CLIENT] = "proxy.config.ssl.client.certification_level",
	[IMPORT_SET_CA_PATH] = "proxy.config.ssl.CA.cert.path",
	[IMPORT_SET_CA_FILE] = "proxy.config.ssl.CA.cert.filename",
	[IMPORT_SET_SUITES] = "proxy.config.ssl.server.cipher_suite",
	[IMPORT_SET_SUITES_13] = "proxy.config.ssl.server.TLSv1_3.cipher_suites",
	[IMPORT_SET_OUT_CERT_PATH] = "proxy.config.ssl.client.cert.path",
	[IMPORT_SET_OUT_CERT_FILE] = "proxy.config.ssl.client.cert.filename",
	[IMPORT_SET_OUT_KEY_PATH] = "proxy.config.ssl.client.private_key.path",
	[IMPORT_SET_OUT_KEY_FILE] = "proxy.config.ssl.client.private_key.filename",
	[IMPORT_SET_OUT_CA_PATH] = "proxy.config.ssl.client.CA.cert.path",
	[IMPORT_SET_OUT_CA_FILE] = "proxy.config.ssl.client.CA.cert.filename",
	[IMPORT_SET_OUT_POLICY] = "proxy.config.ssl.client.verify.server.policy",
	[IMPORT_SET_OUT_PROPERTIES] = "proxy.config.ssl.client.verify.server.properties",
	[IMPORT_SET_OUT_NAME] = "proxy.config.ssl.client.sni_policy",
	[IMPORT_SET_OUT_SUITES] = "proxy.config.ssl.client.cipher_suite",
	[IMPORT_SET_OUT_SUITES_13] = "proxy.config.ssl.client.TLSv1_3.cipher_suites",
};

bool config_import_tls_key(struct config_import *import, struct import_rule *rule, struct span key,
			   struct span value, struct config_mark mark)
{
	for (enum import_tls_key i = 0; i < IMPORT_TLS_KEYS; i++) {
		if (!span_is(key, tls_keys[i].key))
			continue;
		if (rule->keys[i].text != NULL)
			IMPORT_ERROR(import, mark, "%s: is there twice; remove one of them",
				     tls_keys[i].key);
		/* verify_client_ca_certs may have `file` and `dir` below it. */
		rule->keys[i] = (struct import_record){
			.text = value.at != NULL ? config_copy(import->arena, span_trim(value))
						 : "...",
			.mark = mark,
		};
		return true;
	}
	return false;
}

bool config_import_tls_record(struct config_import *import, struct span name, struct span value,
			      struct config_mark mark)
{
	for (enum import_setting i = 0; i < IMPORT_SETTINGS; i++) {
		if (!span_is(name, setting_names[i]))
			continue;
		import->settings[i] = (struct import_record){
			.text = config_copy(import->arena, value),
			.mark = mark,
		};
		return true;
	}
	return false;
}

/* ---- who wants them -------------------------------------------------------------------------- */

static bool has_mode(const struct config_import *import, enum import_mode mode)
{
	for (uint32_t i = 0; i < import->rule_count; i++)
		if (!import->rules[i].is_left && import->rules[i].mode == mode)
			return true;
	return false;
}

/* The files of the certificates, now that their folders are known. */
static void pairs_find(struct config_import *import)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < import->pair_count; i++) {
		struct import_pair pair = import->pairs[i];

		pair.cert.text = config_import_path(import, IMPORT_SET_CERT_PATH, &pair.cert);
		pair.key.text =
			pair.key.text == NULL
				? pair.cert.text
				: config_import_path(import, IMPORT_SET_KEY_PATH, &pair.key);
		if (pair.cert.text != NULL && pair.key.text != NULL)
			import->pairs[count++] = pair;
		else
			config_import_left(import, pair.cert.mark,
					   "ssl_cert_name: %s: where that is, or its key, cannot "
					   "be said",
					   import->pairs[i].cert.text);
	}
	import->pair_count = count;
}

void config_import_tls_begin(struct config_import *import)
{
	bool begins = has_mode(import, IMPORT_REENCRYPT);
	bool ends = begins || has_mode(import, IMPORT_TERMINATE);

	for (enum import_setting i = 0; i < IMPORT_SETTINGS; i++) {
		bool is_out = i >= IMPORT_SET_OUT_CERT_PATH;

		if (import->settings[i].text != NULL && !(is_out ? begins : ends))
			config_import_left(import, import->settings[i].mark, "%s: %s",
					   setting_names[i],
					   is_out ? "how ATS does TLS to targets; here the "
						    "client's own TLS reaches them"
						  : "how ATS ends TLS; here TLS passes through, "
						    "without certificates");
	}
	if (!ends && import->pair_count > 0)
		config_import_left(import, import->pairs[0].cert.mark,
				   "certificates: no entry ends TLS, so none is needed");
	pairs_find(import);
}

static void keys_left(struct config_import *import, const struct import_rule *rule, uint32_t from,
		      const char *why)
{
	char shown[80];

	for (uint32_t i = from; i < IMPORT_TLS_KEYS; i++)
		if (rule->keys[i].text != NULL)
			config_import_left(import, rule->keys[i].mark, "%s: %s: %s",
					   tls_keys[i].key,
					   config_show(span_str(rule->keys[i].text), shown,
						       sizeof(shown)),
					   why != NULL ? why : tls_keys[i].in_tunnel);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The key of the entry, else the setting; text NULL: neither. */
static struct import_record either(const struct config_import *import,
				   const struct import_rule *rule, enum import_tls_key key,
				   enum import_setting setting)
{
	return rule->keys[key].text != NULL ? rule->keys[key] : import->settings[setting];
}

static bool is_word(const struct import_record *record, const char *word)
{
	return record->text != NULL && span_equal_fold(span_str(record->text), span_str(word));
}

PRINTF_LIKE(4, 5)
static void rule_left(struct config_import *import, struct import_rule *rule,
		      const struct import_record *record, const char *format, ...)
{
	char text[400], shown[80];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rule->is_left = true;
	config_import_left(import, record->mark, "fqdn %s: '%s': %s, so this route is left out",
			   rule->fqdn, config_show(span_str(record->text), shown, sizeof(shown)),
			   text);
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Where their certificates must come from. */
static void client_ca(struct config_import *import, struct import_rule *rule,
		      const struct import_record *level)
{
	const struct import_record *own = &rule->keys[IMPORT_CLIENT_CA];
	const struct import_record *global = &import->settings[IMPORT_SET_CA_FILE];

	if (own->text != NULL && strcmp(own->text, "...") == 0)
		rule_left(import, rule, own,
			  "verify_client_ca_certs with keys below it; write one file");
	else if (own->text != NULL)
		rule->tls.client_ca_file = config_import_path(import, IMPORT_SETTINGS, own);
	else if (global->text != NULL)
		rule->tls.client_ca_file = config_import_path(import, IMPORT_SET_CA_PATH, global);
	if (!rule->is_left && rule->tls.client_ca_file == NULL)
		rule_left(import, rule, level,
			  "no file says who signs clients' certificates (verify_client_ca_certs)");
}

static void client_auth(struct config_import *import, struct import_rule *rule)
{
	struct import_record level =
		either(import, rule, IMPORT_VERIFY_CLIENT, IMPORT_SET_VERIFY_CLIENT);

	if (level.text == NULL || is_word(&level, "NONE") || is_word(&level, "0"))
		return;
	if (is_word(&level, "MODERATE") || is_word(&level, "1"))
		rule->tls.client_auth = "optional";
	else if (is_word(&level, "STRICT") || is_word(&level, "2"))
		rule->tls.client_auth = "require";
	else
		rule_left(import, rule, &level, "is neither NONE, MODERATE nor STRICT");
	if (rule->tls.client_auth != NULL)
		client_ca(import, rule, &level);
}

/* TLS before 1.2 is never spoken. */
static void versions(struct config_import *import, struct import_rule *rule)
{
	const struct import_record *min = &rule->keys[IMPORT_MIN_VERSION];
	const struct import_record *max = &rule->keys[IMPORT_MAX_VERSION];

	if (is_word(min, "TLSv1_3"))
		rule->tls.min_version = "1.3";
	else if (is_word(min, "TLSv1") || is_word(min, "TLSv1_1"))
		config_import_left(import, min->mark, "%s: %s: penstock speaks TLS from 1.2 on",
				   tls_keys[IMPORT_MIN_VERSION].key, min->text);
	else if (min->text != NULL && !is_word(min, "TLSv1_2"))
		rule_left(import, rule, min, "is no version of TLS");
	if (is_word(max, "TLSv1_2"))
		rule->tls.max_version = "1.2";
	else if (max->text != NULL && !is_word(max, "TLSv1_3"))
		rule_left(import, rule, max, "is no version of TLS that penstock speaks");
	if (rule->tls.min_version != NULL && rule->tls.max_version != NULL)
		rule_left(import, rule, max, "is older than the oldest");
}

static void tickets(struct config_import *import, struct import_rule *rule)
{
	const struct import_record *on = &rule->keys[IMPORT_TICKETS];

	rule->tls.has_no_tickets = is_word(on, "0") || is_word(on, "false") || is_word(on, "off");
	if (on->text != NULL && !rule->tls.has_no_tickets && !is_word(on, "1") &&
	    !is_word(on, "true") && !is_word(on, "on"))
		config_import_left(import, on->mark, "ssl_ticket_enabled: neither 0 nor 1");
}

static void suites(struct config_import *import, struct import_rule *rule)
{
	struct import_record list = either(import, rule, IMPORT_SUITES, IMPORT_SET_SUITES);
	struct import_record list_13 = either(import, rule, IMPORT_SUITES_13, IMPORT_SET_SUITES_13);

	rule->tls.ciphers = config_import_suites(import, &list, &list_13);
}

/* ---- targets --------------------------------------------------------------------------------- */

/* Everything passes where ATS only logs what is wrong, as it does by default. */
static bool is_target_unchecked(const struct import_record *policy,
				const struct import_record *what)
{
	return policy->text == NULL || is_word(policy, "DISABLED") ||
	       is_word(policy, "PERMISSIVE") ||
	       (is_word(policy, "ENFORCED") && is_word(what, "NONE"));
}

static void target_verify(struct config_import *import, struct import_rule *rule)
{
	struct import_record policy = either(import, rule, IMPORT_POLICY, IMPORT_SET_OUT_POLICY);
	struct import_record what =
		either(import, rule, IMPORT_PROPERTIES, IMPORT_SET_OUT_PROPERTIES);
	const struct import_record *ca = &import->settings[IMPORT_SET_OUT_CA_FILE];

	if (is_target_unchecked(&policy, &what)) {
		rule->tls.verify = "off";
		if (!is_word(&policy, "DISABLED"))
			config_import_note(import, rule->routes[rule->mode].mark,
					   "fqdn %s: ATS lets targets pass whatever certificate "
					   "they show; broker_tls: { ca_file: ... } would not",
					   rule->fqdn);
		return;
	}
	rule->tls.verify = is_word(&what, "SIGNATURE") ? "ca" : "full";
	if (!is_word(&policy, "ENFORCED"))
		rule_left(import, rule, &policy, "is neither DISABLED, PERMISSIVE nor ENFORCED");
	else if (what.text != NULL && !is_word(&what, "SIGNATURE") && !is_word(&what, "ALL"))
		rule_left(import, rule, &what,
			  "a name that nobody has signed for cannot be checked alone");
	rule->tls.ca_file = ca->text == NULL
				    ? config_system_cas()
				    : config_import_path(import, IMPORT_SET_OUT_CA_PATH, ca);
	if (rule->tls.ca_file == NULL && !rule->is_left)
		rule_left(import, rule, ca, "where that is cannot be said");
}

/* Words that tls.alpn takes. */
static void alpn(struct config_import *import, struct import_rule *rule)
{
	const struct import_record *list = &rule->keys[IMPORT_ALPN];
	struct span rest, word;
	uint32_t count = 0;
	bool is_good = true;

	if (list->text == NULL)
		return;
	rest = span_str(list->text);
	while (config_import_word(&rest, &word)) {
		is_good &= ++count <= ALPN_MAX && word.len <= 255;
		for (size_t i = 0; i < word.len; i++)
			is_good &= word.at[i] > ' ' && word.at[i] < 0x7f;
	}
	if (is_good && count > 0)
		rule->tls.alpn = list->text;
	else
		config_import_left(import, list->mark, "tunnel_alpn: no list of up to %d protocols",
				   ALPN_MAX);
}

/* A certificate without a key has it in the same file. */
static void target_pair(struct config_import *import, struct import_rule *rule)
{
	struct import_record cert = either(import, rule, IMPORT_OUT_CERT, IMPORT_SET_OUT_CERT_FILE);
	struct import_record key = rule->keys[IMPORT_OUT_KEY];

	if (key.text == NULL && rule->keys[IMPORT_OUT_CERT].text == NULL)
		key = import->settings[IMPORT_SET_OUT_KEY_FILE];
	if (cert.text == NULL)
		return;
	rule->tls.cert_file = config_import_path(import, IMPORT_SET_OUT_CERT_PATH, &cert);
	rule->tls.key_file = key.text == NULL
				     ? rule->tls.cert_file
				     : config_import_path(import, IMPORT_SET_OUT_KEY_PATH, &key);
	if (rule->tls.cert_file == NULL || rule->tls.key_file == NULL)
		rule_left(import, rule, &cert, "where that is cannot be said");
}

static void target_name(struct config_import *import, struct import_rule *rule)
{
	struct import_record name = either(import, rule, IMPORT_OUT_NAME, IMPORT_SET_OUT_NAME);

	rule->tls.is_named_by_client = is_word(&name, "server_name");
	if (name.text != NULL && !rule->tls.is_named_by_client && !is_word(&name, "host") &&
	    !is_word(&name, "remap"))
		rule_left(import, rule, &name, "a name of its own cannot be sent to the target");
}

/* ---- all of it ------------------------------------------------------------------------------- */

void config_import_tls(struct config_import *import, struct import_rule *rule)
{
	if (rule->mode == IMPORT_PASS || rule->mode == IMPORT_MODES) {
		keys_left(import, rule, 0, NULL);
		return;
	}
	if (rule->is_left)
		return;
	if (import->pair_count == 0) {
		rule_left(
			import, rule, &rule->routes[rule->mode],
			"TLS ends here, and there is no certificate; name ssl_multicert.config too");
		return;
	}
	client_auth(import, rule);
	versions(import, rule);
	tickets(import, rule);
	suites(import, rule);
	if (rule->mode == IMPORT_TERMINATE) {
		keys_left(import, rule, IMPORT_ALPN, in_clear);
		return;
	}
	alpn(import, rule);
	rule->tls.out_ciphers =
		config_import_suites(import, &import->settings[IMPORT_SET_OUT_SUITES],
				     &import->settings[IMPORT_SET_OUT_SUITES_13]);
	if (!rule->is_left)
		target_verify(import, rule);
	if (!rule->is_left)
		target_pair(import, rule);
	if (!rule->is_left)
		target_name(import, rule);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void list_write(const struct config_import *import, const char *key, const char *text,
		       FILE *out)
{
	struct span rest, word;
	const char *between = "";

	if (text == NULL)
		return;
	rest = span_str(text);
	fprintf(out, ", %s: [", key);
	while (config_import_word(&rest, &word)) {
		fputs(between, out);
		config_text_print(out, config_copy(import->arena, word));
		between = ", ";
	}
	fputc(']', out);
}

static void text_write(const char *key, const char *text, FILE *out)
{
	if (text == NULL)
		return;
	fprintf(out, ", %s: ", key);
	config_text_print(out, text);
}

void config_import_tls_write_pairs(const struct config_import *import, FILE *out)
{
	static const char *const keys[] = { "cert_file: [", "], key_file: [" };

	for (size_t side = 0; side < COUNT_OF(keys); side++) {
		fputs(keys[side], out);
		for (uint32_t i = 0; i < import->pair_count; i++) {
			const struct import_pair *pair = &import->pairs[i];

			fputs(i > 0 ? ", " : "", out);
			config_text_print(out, side == 0 ? pair->cert.text : pair->key.text);
		}
	}
	fputc(']', out);
}

bool config_import_tls_is_own(const struct import_rule *rule)
{
	const struct import_tls *tls = &rule->tls;

	return tls->client_auth != NULL || tls->min_version != NULL || tls->max_version != NULL ||
	       tls->alpn != NULL || tls->ciphers != NULL || tls->has_no_tickets;
}

static void own_write(const struct config_import *import, const struct import_tls *tls, FILE *out)
{
	fputs(", tls: { ", out);
	config_import_tls_write_pairs(import, out);
	text_write("client_auth", tls->client_auth, out);
	text_write("client_ca_file", tls->client_ca_file, out);
	text_write("min_version", tls->min_version, out);
	text_write("max_version", tls->max_version, out);
	list_write(import, "ciphers", tls->ciphers, out);
	list_write(import, "alpn", tls->alpn, out);
	fputs(tls->has_no_tickets ? ", tickets: false }" : " }", out);
}

void config_import_tls_write(const struct config_import *import, const struct import_rule *rule,
			     FILE *out)
{
	const struct import_tls *tls = &rule->tls;

	if (rule->mode == IMPORT_PASS)
		return;
	fprintf(out, ", mode: %s", rule->mode == IMPORT_TERMINATE ? "terminate" : "reencrypt");
	if (config_import_tls_is_own(rule))
		own_write(import, tls, out);
	if (rule->mode == IMPORT_TERMINATE)
		return;
	fprintf(out, ", broker_tls: { verify: %s", tls->verify != NULL ? tls->verify : "full");
	text_write("ca_file", tls->ca_file, out);
	text_write("cert_file", tls->cert_file, out);
	text_write("key_file", tls->key_file, out);
	list_write(import, "ciphers", tls->out_ciphers, out);
	list_write(import, "alpn", tls->alpn, out);
	fputs(tls->is_named_by_client ? ", name: client }" : " }", out);
}
