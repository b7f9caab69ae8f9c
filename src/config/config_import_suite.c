/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_suite: cipher lists of OpenSSL as `ciphers`: the suites they name that penstock
 * speaks. It has no classes (HIGH), and no operators on them (!aNULL).
 */
#include <strings.h>

#include "config_import.h"

#define LIST_SIZE 1024 /* all names, with room to spare */

static const struct {
	const char *name, *registered;
	bool is_13;
} spoken[] = {
#define SUITE(NAME, number, tls_version, aead, size, digest, text, iana) \
	{ .name = (text), .registered = (iana), .is_13 = (number) >> 8 == 0x13 },
#include <penstock/tls/suite.def>
#undef SUITE
};

/* The number of a suite of this version, or COUNT_OF(spoken). */
static size_t suite_find(struct span name, bool is_13)
{
	size_t i = 0;

	while (i < COUNT_OF(spoken) && (spoken[i].is_13 != is_13 ||
					(!span_equal_fold(name, span_str(spoken[i].name)) &&
					 !span_equal_fold(name, span_str(spoken[i].registered)))))
		i++;
	return i;
}

/* Names are parted by a colon, a comma or a blank. */
static bool name_next(struct span *rest, struct span *ret_name)
{
	size_t len = 0;

	if (!config_import_word(rest, ret_name))
		return false;
	len = span_find(*ret_name, ':');
	if (len == ret_name->len)
		return true;
	rest->len += ret_name->len - len - 1;
	rest->at -= ret_name->len - len - 1;
	ret_name->len = len;
	return true;
}

/* HIGH, ECDHE, AESGCM, ECDHE+AESGCM: what is in it depends on OpenSSL. */
static bool is_class(struct span name)
{
	return name.at[0] != '!' && name.at[0] != '-' && name.at[0] != '+' && name.at[0] != '@' &&
	       span_find(name, '-') == name.len && !span_starts(name, "TLS_");
}

/* A setting is asked about for each entry that it is for. */
static bool is_said(const struct config_import *import, struct config_mark mark)
{
	for (uint32_t i = 0; i < import->finding_count; i++)
		if (import->findings[i].mark.file == mark.file &&
		    import->findings[i].mark.line == mark.line &&
		    import->findings[i].mark.column == mark.column)
			return true;
	return false;
}

/* The suites of one version that a list allows. */
static uint32_t suites_of(struct config_import *import, const struct import_record *list,
			  bool is_13)
{
	struct span rest, name, lost = span_of(NULL, 0);
	uint32_t found = 0, all = 0, lost_count = 0;
	bool has_class = false;
	char shown[80];

	for (size_t i = 0; i < COUNT_OF(spoken); i++)
		all |= spoken[i].is_13 == is_13 ? 1u << i : 0;
	if (list->text == NULL)
		return all;
	rest = span_str(list->text);
	while (name_next(&rest, &name)) {
		size_t suite = suite_find(name, is_13);

		if (name.len == 0)
			continue;
		if (suite < COUNT_OF(spoken)) {
			found |= 1u << suite;
			continue;
		}
		has_class |= is_class(name);
		lost = lost_count++ == 0 ? name : lost;
	}
	if (lost_count > 0 && !is_said(import, list->mark))
		config_import_left(
			import, list->mark, "ciphers: '%s'%s: %s; see tls.ciphers",
			config_show(lost, shown, sizeof(shown)),
			lost_count > 1 ? " and others" : "",
			has_class || found == 0
				? "not a suite that is spoken here, so all those are taken"
				: "not a suite that is spoken here");
	return has_class || found == 0 ? all : found;
}

const char *config_import_suites(struct config_import *import, const struct import_record *list,
				 const struct import_record *list_13)
{
	char text[LIST_SIZE];
	struct sink sink = sink_of(text, sizeof(text));
	uint32_t set = suites_of(import, list, false) | suites_of(import, list_13, true);

	if (set == (1u << COUNT_OF(spoken)) - 1)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(spoken); i++)
		if ((set >> i & 1) != 0)
			sink_printf(&sink, "%s%s", sink.len > 0 ? "," : "", spoken[i].registered);
	return config_copy(import->arena, sink_written(&sink));
}
