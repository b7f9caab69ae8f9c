/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tables of suites and of failures, from tls/suite.def and tls/fail.def.
 */
#include <strings.h>

#include "tls_priv.h"

static const struct tls_suite suites[] = {
#define SUITE(NAME, number, tls_version, aead, size, digest, text, registered) \
	{ .id = (number),                                                      \
	  .version = (tls_version),                                            \
	  .cipher = (aead),                                                    \
	  .hash = (digest),                                                    \
	  .key_bytes = (size),                                                 \
	  .name = (text),                                                      \
	  .iana = (registered) },
#include <penstock/tls/suite.def>
#undef SUITE
};

const struct tls_fail_row tls_fail_rows[TLS_FAIL_COUNT] = {
	[TLS_FAIL_NONE] = { .name = "tls_none", .text = "nothing wrong" },
#define TLS_FAIL(NAME, word, code, code12, sentence) \
	[TLS_FAIL_##NAME] = {                        \
		.name = #word,                       \
		.text = (sentence),                  \
		.alert = (code),                     \
		.alert12 = (code12),                 \
	},
#include <penstock/tls/fail.def>
#undef TLS_FAIL
};

const struct tls_suite *tls_suite_find(uint16_t id)
{
	for (size_t i = 0; i < COUNT_OF(suites); i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
}

static bool has_version(uint32_t set, enum tls_version version)
{
	for (size_t i = 0; i < COUNT_OF(suites); i++)
		if ((set >> i & 1) != 0 && suites[i].version == version)
			return true;
	return false;
}

static uint32_t suite_by_name(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(suites); i++)
		if (strcasecmp(suites[i].name, name) == 0 || strcasecmp(suites[i].iana, name) == 0)
			return 1u << i;
	return 0;
}

bool tls_suite_choose(const struct tls_common *common, const struct tls_report *report,
		      struct tls_context *context)
{
	context->suites = common->suite_count == 0 ? UINT32_MAX : 0;
	for (uint32_t i = 0; i < common->suite_count; i++) {
		uint32_t suite = suite_by_name(common->suites[i]);

		if (suite == 0)
			tls_doubt(report, "ciphers: %s is not spoken here: left out",
				  common->suites[i]);
		context->suites |= suite;
	}
	/* A version without a suite is not offered, or clients would come to grief with it. */
	if (!has_version(context->suites, TLS_1_3) && context->version_max == TLS_1_3)
		context->version_max = TLS_1_2;
	if (!has_version(context->suites, TLS_1_2) && context->version_min == TLS_1_2)
		context->version_min = TLS_1_3;
	if (context->version_min <= context->version_max)
		return true;
	tls_mistake(report, "ciphers: none of these is spoken here in the versions of TLS that "
			    "are allowed; penstock.yaml(5) names those that are");
	return false;
}

void tls_suite_list(struct sink *sink, uint32_t set, enum tls_version version_min,
		    enum tls_version version_max)
{
	for (size_t i = 0; i < COUNT_OF(suites); i++) {
		if ((set >> i & 1) == 0 || suites[i].version < version_min ||
		    suites[i].version > version_max)
			continue;
		if (sink->len > 0)
			sink_str(sink, ":");
		sink_str(sink, suites[i].name);
	}
}
