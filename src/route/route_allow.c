/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Patterns of host names, with the wildcards of certificates.
 */
#include <penstock/route.h>

static struct span without_root(struct span name)
{
	if (name.len > 1 && name.at[name.len - 1] == '.')
		name.len--;
	return name;
}

/* One label or more: none of them empty. */
static bool are_labels(struct span labels)
{
	bool was_dot = true;
	for (size_t i = 0; i < labels.len; i++) {
		bool is_dot = labels.at[i] == '.';
		if (is_dot && was_dot)
			return false;
		was_dot = is_dot;
	}
	return !was_dot;
}

bool route_host_matches(struct span host, const char *pattern)
{
	struct span suffix = without_root(span_str(pattern)), labels;
	host = without_root(host);
	if (span_is(suffix, "*"))
		return host.len > 0;
	bool is_deep = span_starts(suffix, "**.");
	if (!is_deep && !span_starts(suffix, "*."))
		return host.len > 0 && span_equal_fold(host, suffix);
	if (!span_skip(&suffix, is_deep ? 2 : 1)) /* leaves ".suffix" */
		return false;
	if (host.len <= suffix.len || !span_take(&host, host.len - suffix.len, &labels))
		return false;
	if (!span_equal_fold(host, suffix) || !are_labels(labels))
		return false;
	return is_deep || span_find(labels, '.') == labels.len;
}
