/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy_file: proxy.conf read into one value per key, and the verdict on keys that are not
 * honoured: a lost safeguard stops the start, everything else is named once.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "config_proxy.h"

#define FILE_SIZE_MAX ((size_t)1 << 20)
#define GUESSES_MAX   20

#define SET(key_, java_, how_, scope_, path_, note_)           \
	[PROXY_KEY_##key_] = { .key = #key_,                   \
			       .java = java_,                  \
			       .class = PROXY_SET,             \
			       .how = PROXY_HOW_##how_,        \
			       .scope = CONFIG_SCOPE_##scope_, \
			       .path = path_,                  \
			       .note = note_ },
#define CODE(key_, java_, note_) \
	[PROXY_KEY_##key_] = { .key = #key_, .java = java_, .class = PROXY_CODE, .note = note_ },
#define PART(key_, java_, parents_, note_)          \
	[PROXY_KEY_##key_] = { .key = #key_,        \
			       .java = java_,       \
			       .class = PROXY_PART, \
			       .parents = parents_, \
			       .note = note_ },
#define GUARD(key_, java_, parents_, is_inert_, note_) \
	[PROXY_KEY_##key_] = { .key = #key_,           \
			       .java = java_,          \
			       .class = PROXY_GUARD,   \
			       .parents = parents_,    \
			       .is_inert = is_inert_,  \
			       .note = note_ },
#define FINE(key_, java_, note_) \
	[PROXY_KEY_##key_] = { .key = #key_, .java = java_, .class = PROXY_FINE, .note = note_ },
#define NONE(key_, java_, note_) \
	[PROXY_KEY_##key_] = { .key = #key_, .java = java_, .class = PROXY_NONE, .note = note_ },
const struct proxy_row config_proxy_rows[PROXY_KEY_COUNT] = {
#include <penstock/config/proxy_conf.def>
};

static enum proxy_key key_find(struct span key)
{
	enum proxy_key i = 0;

	while (i < PROXY_KEY_COUNT && !span_is(key, config_proxy_rows[i].key))
		i++;
	return i;
}

static const char *key_guess(struct span key)
{
	struct config_guess guess;

	config_guess_begin(&guess, key);
	for (enum proxy_key i = 0; i < PROXY_KEY_COUNT; i++)
		config_guess_offer(&guess, config_proxy_rows[i].key);
	return guess.best;
}

/* ---- values ---------------------------------------------------------------------------------- */

const char *config_proxy_text(const struct proxy *proxy, enum proxy_key key)
{
	const char *text = proxy->values[key].text;

	return text != NULL && text[0] != '\0' ? text : NULL;
}

/* An empty text is Java's way to say "default", but for ports, where it says "none". */
bool config_proxy_is_changed(const struct proxy *proxy, enum proxy_key key)
{
	const char *text = config_proxy_text(proxy, key);

	return text != NULL &&
	       !span_equal_fold(span_str(text), span_str(config_proxy_rows[key].java));
}

struct config_mark config_proxy_mark(const struct proxy *proxy, enum proxy_key key)
{
	uint32_t line = proxy->values[key].line;

	return (struct config_mark){ .file = proxy->file,
				     .line = line,
				     .column = line > 0 ? 1 : 0 };
}

void config_proxy_error(struct proxy *proxy, enum proxy_key key, const char *format, ...)
{
	struct config_mark mark = config_proxy_mark(proxy, key);
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	config_error(proxy->errors, mark.file, mark.line, mark.column, "%s: %s",
		     config_proxy_rows[key].key, text);
}

void config_proxy_warn(struct proxy *proxy, enum proxy_key key, const char *format, ...)
{
	struct config_mark mark = config_proxy_mark(proxy, key);
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	config_warn(proxy->errors, mark.file, mark.line, mark.column, "%s: %s",
		    config_proxy_rows[key].key, text);
}

bool config_proxy_set_at(struct proxy *proxy, enum proxy_key key, enum config_scope scope,
			 uint32_t index, const char *path, const char *text)
{
	proxy->read->alias = config_proxy_rows[key].key;
	bool is_fine =
		config_set(proxy->read, scope, index, path, text, config_proxy_mark(proxy, key));

	proxy->read->alias = NULL;
	return is_fine;
}

bool config_proxy_set(struct proxy *proxy, enum proxy_key key, enum config_scope scope,
		      const char *path, const char *text)
{
	uint32_t count = scope == CONFIG_SCOPE_LISTENER ? proxy->listener_count : 1;
	bool is_fine = true;

	for (uint32_t i = 0; i < count && is_fine; i++)
		is_fine = config_proxy_set_at(proxy, key, scope, i, path, text);
	return is_fine;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Keys with a part of one's own choice in their names. */
static bool has_known_prefix(struct span key)
{
	return span_starts(key, "brokerClient_") || span_starts(key, "httpReverseProxy.");
}

static void none_add(struct proxy *proxy, const char *key)
{
	fprintf(proxy->none, "%s%s", proxy->none_count++ > 0 ? ", " : "", key);
}

/* `pattern` is a key, or the beginning of keys and a '*'. */
static bool is_ignoring(const char *pattern, const char *key)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(pattern, key, len - 1) == 0;
	return strcmp(pattern, key) == 0;
}

static bool is_key_ignored(const struct proxy *proxy, const char *key)
{
	for (uint32_t i = 0; i < proxy->args->ignore_count; i++)
		if (is_ignoring(proxy->args->ignore[i], key))
			return true;
	return false;
}

static void on_property(void *context, struct span name, struct span value, uint32_t line)
{
	struct proxy *proxy = context;
	const char *file = proxy->file;
	char shown[80];

	if (name.at == NULL) {
		config_error(proxy->errors, file, line, 1,
			     "'%s': a broken \\u escape; write four hexadecimal digits other than "
			     "0000",
			     config_show(value, shown, sizeof(shown)));
		return;
	}
	enum proxy_key key = key_find(name);

	config_show(name, shown, sizeof(shown));
	if (key == PROXY_KEY_COUNT) {
		/* Where more are unknown it is another kind of file, not a slip. */
		bool is_slip = !has_known_prefix(name) && proxy->unknown_count++ < GUESSES_MAX;
		const char *best = is_slip ? key_guess(name) : NULL;

		if (is_key_ignored(proxy, shown))
			return;
		if (best != NULL)
			config_warn(proxy->errors, file, line, 1,
				    "%s: unknown key, as to the Java proxy; did you mean %s?",
				    shown, best);
		else
			none_add(proxy, shown);
		return;
	}
	if (proxy->values[key].text != NULL)
		config_warn(proxy->errors, file, line, 1,
			    "%s: is there twice (first at line %u); the last one counts, as in "
			    "Java",
			    shown, proxy->values[key].line);
	proxy->values[key].text = config_copy(proxy->read->config, value);
	proxy->values[key].line = line;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* Goes through "a|b": the parents of a key. *ret_parent: the next one. */
static bool next_parent(struct span *rest, enum proxy_key *ret_parent)
{
	if (rest->len == 0)
		return false;
	size_t len = span_find(*rest, '|');

	*ret_parent = key_find(span_of(rest->at, len));
	CHECK(*ret_parent < PROXY_KEY_COUNT);
	len += len < rest->len;
	*rest = span_of(rest->at + len, rest->len - len);
	return true;
}

/* Parents of a key that are set. */
struct family {
	enum proxy_key set; /* the last of them; PROXY_KEY_COUNT: none */
	bool is_ignored;    /* one of them, or one of theirs */
};

static struct family family_of(const struct proxy *proxy, enum proxy_key key)
{
	struct family family = { .set = PROXY_KEY_COUNT };
	struct span rest = span_str(config_proxy_rows[key].parents);
	enum proxy_key parent;

	while (next_parent(&rest, &parent)) {
		if (!config_proxy_is_changed(proxy, parent))
			continue;
		family.set = parent;
		family.is_ignored |= proxy->values[parent].is_ignored;
	}
	return family;
}

/* Two generations: tlsKeyStore, tlsEnabledWithKeyStore, servicePortTls. */
static struct family elders_of(const struct proxy *proxy, enum proxy_key key)
{
	struct family family = family_of(proxy, key);

	if (family.set == PROXY_KEY_COUNT || !config_proxy_rows[family.set].is_inert)
		return family;
	struct family above = family_of(proxy, family.set);

	if (above.set == PROXY_KEY_COUNT)
		return above;
	family.is_ignored |= above.is_ignored;
	return family;
}

static void guard(struct proxy *proxy, enum proxy_key key)
{
	const struct proxy_row *row = &config_proxy_rows[key];
	struct family family = elders_of(proxy, key);

	if (proxy->values[key].is_ignored || family.is_ignored)
		return;
	if (config_proxy_is_of_role(key) && config_proxy_is_role(proxy))
		return;
	if (row->is_inert && family.set == PROXY_KEY_COUNT)
		none_add(proxy, row->key);
	else if (family.set != PROXY_KEY_COUNT)
		config_proxy_error(proxy, key,
				   "%s; remove it, or start with --ignore %s, which "
				   "covers it",
				   row->note, config_proxy_rows[family.set].key);
	else
		config_proxy_error(proxy, key, "%s; remove it, or start with --ignore %s",
				   row->note, row->key);
}

/* Without its parents a key is as little heard as in Java. */
static void part(struct proxy *proxy, enum proxy_key key)
{
	if (!proxy->values[key].is_ignored && family_of(proxy, key).set == PROXY_KEY_COUNT)
		none_add(proxy, config_proxy_rows[key].key);
}

static void ignores_check(struct proxy *proxy)
{
	for (uint32_t i = 0; i < proxy->args->ignore_count; i++) {
		const char *pattern = proxy->args->ignore[i];
		bool is_known = has_known_prefix(span_str(pattern));
		const char *best = key_guess(span_str(pattern));

		for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++) {
			if (!is_ignoring(pattern, config_proxy_rows[key].key))
				continue;
			is_known = true;
			proxy->values[key].is_ignored = true;
		}
		if (!is_known && best != NULL)
			config_error(proxy->errors, "--ignore", 0, 0,
				     "there is no key %s; did you mean %s?", pattern, best);
		else if (!is_known)
			config_error(proxy->errors, "--ignore", 0, 0,
				     "there is no key %s; penstock.yaml(5) lists them", pattern);
	}
}

/* What was to be ignored is as if it were not there. */
static void drop_ignored(struct proxy *proxy)
{
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++)
		if (proxy->values[key].is_ignored)
			proxy->values[key].text = NULL;
}

void config_proxy_file(struct proxy *proxy)
{
	const char *file = proxy->args->file;
	char *names = NULL;
	size_t names_size = 0, len;

	ignores_check(proxy);
	if (file == NULL)
		return;
	char *text = config_file_read(file, FILE_SIZE_MAX, proxy->errors, &len);

	if (text == NULL)
		return;
	proxy->none = open_memstream(&names, &names_size);
	CHECK(proxy->none != NULL);
	config_properties_read(span_of(text, len), on_property, proxy);
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++) {
		enum proxy_class class = config_proxy_rows[key].class;

		if (!config_proxy_is_changed(proxy, key))
			continue;
		if (class == PROXY_GUARD)
			guard(proxy, key);
		else if (class == PROXY_PART)
			part(proxy, key);
		else if (class == PROXY_NONE && !proxy->values[key].is_ignored)
			none_add(proxy, config_proxy_rows[key].key);
	}
	CHECK(fclose(proxy->none) == 0);
	if (proxy->none_count > 0)
		config_warn(proxy->errors, file, 0, 0,
			    "these keys have no effect here: %s; penstock.yaml(5) says why", names);
	drop_ignored(proxy);
	free(names);
	free(text);
}
