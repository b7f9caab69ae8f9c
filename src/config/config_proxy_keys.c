/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy_keys: the keys of proxy.conf that set one key of penstock.yaml, by the conversion
 * their row names, and those that need a few lines of their own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "config_proxy.h"

/* What Java adds to maxMessageSize for a frame's other parts. */
#define FRAME_EXTRA 10240

bool config_proxy_bool(struct proxy *proxy, enum proxy_key key, bool *ret_value)
{
	struct span text = span_str(proxy->values[key].text);
	char shown[60];

	if (!span_equal_fold(text, span_str("true")) && !span_equal_fold(text, span_str("false"))) {
		config_proxy_error(proxy, key, "'%s' is neither true nor false; write one of them",
				   config_show(text, shown, sizeof(shown)));
		proxy->values[key].text = NULL; /* said once, whoever asks again */
		return false;
	}
	*ret_value = span_equal_fold(text, span_str("true"));
	return true;
}

bool config_proxy_int(struct proxy *proxy, enum proxy_key key, int64_t *ret_value)
{
	const char *text = proxy->values[key].text;
	char shown[60];
	char *end = NULL;

	errno = 0;
	long long number = strtoll(text, &end, 10);

	/* Java's int is what the Java proxy reads. */
	if (end == text || *end != '\0' || errno != 0 || number < INT32_MIN || number > INT32_MAX) {
		config_proxy_error(proxy, key, "'%s' is not a whole number; write one",
				   config_show(span_str(text), shown, sizeof(shown)));
		return false;
	}
	*ret_value = number;
	return true;
}

/* Sets a number with a unit behind it; `most`: 0 means "as long as possible". */
static void set_number(struct proxy *proxy, enum proxy_key key, int64_t number, const char *unit)
{
	const struct proxy_row *row = &config_proxy_rows[key];
	char text[40];

	snprintf(text, sizeof(text), "%" PRId64 "%s", number, unit);
	config_proxy_set(proxy, key, row->scope, row->path, text);
}

static void set_most(struct proxy *proxy, enum proxy_key key)
{
	const struct proxy_row *row = &config_proxy_rows[key];
	uint64_t most = config_row_find(row->scope, row->path)->high;

	config_proxy_warn(proxy, key,
			  "0 (off) is not offered here; the longest, %" PRIu64 " s, is taken",
			  (uint64_t)(most / NS_PER_S));
	set_number(proxy, key, (int64_t)(most / NS_PER_S), "s");
}

static void set_int(struct proxy *proxy, enum proxy_key key)
{
	const struct proxy_row *row = &config_proxy_rows[key];
	bool is_ms = row->how == PROXY_HOW_MS || row->how == PROXY_HOW_MS_MOST ||
		     row->how == PROXY_HOW_MS_OFF;
	bool is_seconds = row->how == PROXY_HOW_SECONDS || row->how == PROXY_HOW_SECONDS_MOST;
	int64_t number;

	if (!config_proxy_int(proxy, key, &number))
		return;
	if (number == 0 && (row->how == PROXY_HOW_MS_MOST || row->how == PROXY_HOW_SECONDS_MOST))
		set_most(proxy, key);
	else if ((number == 0 && row->how == PROXY_HOW_MS_OFF) ||
		 (number <= 0 && row->how == PROXY_HOW_COUNT_OFF))
		config_proxy_set(proxy, key, row->scope, row->path, "off");
	else if (number <= 0 && row->how == PROXY_HOW_COUNT_OURS)
		config_proxy_warn(proxy, key,
				  "unlimited is not offered here; the default of %s, "
				  "%s, is taken",
				  row->path, config_row_find(row->scope, row->path)->initial);
	else if (key == PROXY_KEY_maxMessageSize)
		set_number(proxy, key, number + FRAME_EXTRA, "B");
	else
		set_number(proxy, key, number, is_ms ? "ms" : is_seconds ? "s" : "");
}

static void set_row(struct proxy *proxy, enum proxy_key key)
{
	const struct proxy_row *row = &config_proxy_rows[key];
	const char *text = config_proxy_text(proxy, key);
	bool is_true;

	if (row->class != PROXY_SET || text == NULL)
		return;
	if (row->how == PROXY_HOW_TEXT)
		config_proxy_set(proxy, key, row->scope, row->path, text);
	else if (row->how != PROXY_HOW_BOOL)
		set_int(proxy, key);
	else if (config_proxy_bool(proxy, key, &is_true))
		config_proxy_set(proxy, key, row->scope, row->path, is_true ? "true" : "false");
}

/* An old name, in force when above 0. */
static void old_name(struct proxy *proxy, enum proxy_key key, const char *path, const char *unit)
{
	char text[40];
	int64_t number;

	if (config_proxy_text(proxy, key) == NULL || !config_proxy_int(proxy, key, &number) ||
	    number <= 0)
		return;
	snprintf(text, sizeof(text), "%" PRId64 "%s", number, unit);
	config_proxy_set(proxy, key, CONFIG_SCOPE_CLUSTER, path, text);
}

/* Java looks at every connection when it is 0; here nobody can tell that from every second. */
static void refresh_set(struct proxy *proxy)
{
	const enum proxy_key key = PROXY_KEY_tlsCertRefreshCheckDurationSec;
	char text[40];
	int64_t number;

	if (config_proxy_text(proxy, key) == NULL || !config_proxy_int(proxy, key, &number))
		return;
	snprintf(text, sizeof(text), "%" PRId64 "s", number == 0 ? 1 : number);
	config_proxy_set(proxy, key, CONFIG_SCOPE_TOP, "certificates.refresh", text);
}

void config_proxy_keys(struct proxy *proxy)
{
	const enum proxy_key haproxy = PROXY_KEY_haProxyProtocolEnabled;
	const enum proxy_key splice = PROXY_KEY_proxyZeroCopyModeEnabled;
	bool is_true;

	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++)
		set_row(proxy, key);
	refresh_set(proxy);
	old_name(proxy, PROXY_KEY_zookeeperSessionTimeoutMs, "discovery.zookeeper.session_timeout",
		 "ms");
	old_name(proxy, PROXY_KEY_zooKeeperCacheExpirySeconds, "discovery.zookeeper.resync", "s");
	if (config_proxy_text(proxy, splice) != NULL && config_proxy_bool(proxy, splice, &is_true))
		config_proxy_set(proxy, splice, CONFIG_SCOPE_LISTENER, "splice",
				 is_true ? "auto" : "off");
	if (config_proxy_text(proxy, haproxy) == NULL ||
	    !config_proxy_bool(proxy, haproxy, &is_true) || !is_true)
		return;
	config_proxy_set(proxy, haproxy, CONFIG_SCOPE_LISTENER, "proxy_protocol.mode", "optional");
	config_proxy_set(proxy, haproxy, CONFIG_SCOPE_LISTENER, "proxy_protocol.trusted",
			 "0.0.0.0/0,::/0");
	config_proxy_set(proxy, haproxy, CONFIG_SCOPE_CLUSTER, "send_proxy_protocol", "v1");
	config_proxy_warn(proxy, haproxy,
			  "believes a PROXY header from anybody, as the Java proxy "
			  "does; in penstock.yaml, proxy_protocol.trusted names who is believed");
}
