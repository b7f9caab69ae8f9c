/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tables of suites and of failures, from tls/suite.def and tls/fail.def.
 */
#include "tls_priv.h"

static const struct tls_suite suites[] = {
#define SUITE(NAME, number, tls_version, aead, size, digest, text) \
	{ .id = (number),                                          \
	  .version = (tls_version),                                \
	  .cipher = (aead),                                        \
	  .hash = (digest),                                        \
	  .key_bytes = (size),                                     \
	  .name = (text) },
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

void tls_suite_list(struct sink *sink, enum tls_version version_min, enum tls_version version_max)
{
	for (size_t i = 0; i < COUNT_OF(suites); i++) {
		if (suites[i].version < version_min || suites[i].version > version_max)
			continue;
		if (sink->len > 0)
			sink_str(sink, ":");
		sink_str(sink, suites[i].name);
	}
}
