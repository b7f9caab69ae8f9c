/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_type: the value types that are numbers and words: text to field and back. YAML's own idea
 * of types plays no part: `no`, `08` and `1e3` are what the row of the key says.
 */
#include <ctype.h>
#include <inttypes.h>

#include "config_priv.h"

/* ---- durations and sizes --------------------------------------------------------------------- */

struct unit {
	const char *name;
	uint64_t factor;
};

/* Ascending: the printer takes the largest that divides. */
static const struct unit duration_units[] = {
	{ "us", NS_PER_US },	{ "ms", NS_PER_MS },	  { "s", NS_PER_S },
	{ "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S }, { "d", 86400 * NS_PER_S },
};
static const struct unit size_units[] = {
	{ "B", 1 },
	{ "KiB", 1024 },
	{ "MiB", 1024 * 1024 },
	{ "GiB", 1024 * 1024 * 1024 },
};

static bool quantity_parse(struct span text, const struct unit *units, size_t unit_count,
			   uint64_t *ret_value)
{
	size_t digits = 0;
	uint64_t number;

	while (digits < text.len && isdigit(text.at[digits]))
		digits++;
	if (!span_to_u64(span_of(text.at, digits), &number))
		return false;
	struct span unit = span_of(text.at + digits, text.len - digits);

	for (size_t i = 0; i < unit_count; i++) {
		uint64_t value;

		if (!span_is(unit, units[i].name))
			continue;
		if (__builtin_mul_overflow(number, units[i].factor, &value))
			return false;
		*ret_value = value;
		return true;
	}
	return false;
}

static void quantity_print(FILE *out, uint64_t value, const struct unit *units, size_t unit_count)
{
	const struct unit *unit = &units[0];

	for (size_t i = 1; i < unit_count && value != 0; i++)
		if (value % units[i].factor == 0)
			unit = &units[i];
	if (value == 0 && unit_count > 2)
		unit = units == duration_units ? &units[2] : unit;
	fprintf(out, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

bool config_duration_parse(struct span text, uint64_t *ret_ns)
{
	return quantity_parse(text, duration_units, COUNT_OF(duration_units), ret_ns);
}

bool config_size_parse(struct span text, uint64_t *ret_bytes)
{
	return quantity_parse(text, size_units, COUNT_OF(size_units), ret_bytes);
}

void config_duration_print(FILE *out, uint64_t ns)
{
	quantity_print(out, ns, duration_units, COUNT_OF(duration_units));
}

void config_size_print(FILE *out, uint64_t bytes)
{
	quantity_print(out, bytes, size_units, COUNT_OF(size_units));
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void number_print(FILE *out, enum config_type type, uint64_t number)
{
	if (type == CONFIG_TYPE_DURATION)
		config_duration_print(out, number);
	else if (type == CONFIG_TYPE_SIZE)
		config_size_print(out, number);
	else
		fprintf(out, "%" PRIu64, number);
}

static bool out_of_range(struct config_value *value)
{
	const struct config_row *row = value->row;
	char bounds[2][40];
	char shown[60];

	for (int i = 0; i < 2; i++) {
		FILE *out = fmemopen(bounds[i], sizeof(bounds[i]), "w");

		CHECK(out != NULL);
		number_print(out, row->type, i == 0 ? row->low : row->high);
		fclose(out);
	}
	config_show(value->text, shown, sizeof(shown));
	return config_bad(value, "'%s' is out of range; write something from %s to %s", shown,
			  bounds[0], bounds[1]);
}

static bool no_number(struct config_value *value)
{
	const struct config_row *row = value->row;
	bool has_off = (row->flags & (CONFIG_FLAG_OFF | CONFIG_FLAG_ZERO)) != 0;
	const char *or_off = has_off ? ", or off" : "";
	char shown[60];
	uint64_t number;

	config_show(value->text, shown, sizeof(shown));
	bool is_plain = span_to_u64(value->text, &number);

	if (row->type == CONFIG_TYPE_DURATION && is_plain)
		return config_bad(value, "'%s' has no unit; write %sms, %ss, %sm or %sh%s", shown,
				  shown, shown, shown, shown, or_off);
	if (row->type == CONFIG_TYPE_DURATION)
		return config_bad(value,
				  "'%s' is not a duration; write a whole number with us, "
				  "ms, s, m, h or d (250ms, 10s, 5m, 2h)%s",
				  shown, or_off);
	if (row->type == CONFIG_TYPE_SIZE && is_plain)
		return config_bad(value, "'%s' has no unit; write %sB, %sKiB or %sMiB", shown,
				  shown, shown, shown);
	if (row->type == CONFIG_TYPE_SIZE)
		return config_bad(value,
				  "'%s' is not a size; write a whole number with B, KiB, "
				  "MiB or GiB (64KiB, 1MiB)",
				  shown);
	return config_bad(value,
			  "'%s' is not a whole number; write one from %" PRIu64 " to %" PRIu64 "%s",
			  shown, row->low, row->high,
			  row->type == CONFIG_TYPE_WORKERS ? ", or auto" : or_off);
}

static bool number_parse(struct config_value *value, uint64_t *ret_number)
{
	const struct config_row *row = value->row;
	uint64_t number;
	bool is_fine;

	if (span_is(value->text, "off") && (row->flags & (CONFIG_FLAG_OFF | CONFIG_FLAG_ZERO))) {
		*ret_number = row->flags & CONFIG_FLAG_OFF ? CONFIG_OFF : 0;
		return true;
	}
	if (row->type == CONFIG_TYPE_DURATION)
		is_fine = config_duration_parse(value->text, &number);
	else if (row->type == CONFIG_TYPE_SIZE)
		is_fine = config_size_parse(value->text, &number);
	else
		is_fine = span_to_u64(value->text, &number);
	if (!is_fine)
		return no_number(value);
	if (number < row->low || number > row->high)
		return out_of_range(value);
	*ret_number = number;
	return true;
}

static bool wide_parse(struct config_value *value)
{
	return number_parse(value, value->field);
}

static bool small_parse(struct config_value *value)
{
	uint64_t number;

	if (!number_parse(value, &number))
		return false;
	*(uint32_t *)value->field = (uint32_t)number;
	return true;
}

static bool workers_parse(struct config_value *value)
{
	if (!span_is(value->text, "auto"))
		return small_parse(value);
	*(uint32_t *)value->field = 0;
	return true;
}

static const void *field_of(const struct config_row *row, const void *unit)
{
	return (const uint8_t *)unit + row->offset;
}

static void wide_print(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out)
{
	uint64_t number = *(const uint64_t *)field_of(row, unit);

	(void)config;
	if ((row->flags & CONFIG_FLAG_OFF && number == CONFIG_OFF) ||
	    (row->flags & CONFIG_FLAG_ZERO && number == 0))
		fputs("off", out);
	else
		number_print(out, row->type, number);
}

static void small_print(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out)
{
	uint32_t number = *(const uint32_t *)field_of(row, unit);

	(void)config;
	if (row->type == CONFIG_TYPE_WORKERS && number == 0)
		fputs("auto", out);
	else
		fprintf(out, "%" PRIu32, number);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* The next of "one|two|three"; false: that was the last. */
static bool next_word(struct span *rest, struct span *ret_word)
{
	size_t end = span_find(*rest, '|');

	*ret_word = span_of(rest->at, end);
	if (rest->len == 0)
		return false;
	*rest = end < rest->len ? span_of(rest->at + end + 1, rest->len - end - 1)
				: span_of(NULL, 0);
	return true;
}

static bool choice_parse(struct config_value *value)
{
	struct span rest = span_str(value->row->hint), word;
	char shown[60], words[100];
	size_t len = 0;

	for (uint32_t index = 0; next_word(&rest, &word); index++) {
		if (span_equal(word, value->text)) {
			*(uint32_t *)value->field = index;
			return true;
		}
		len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%.*s",
					len == 0 ? "" : (rest.len == 0 ? " or " : ", "),
					(int)word.len, (const char *)word.at);
	}
	return config_bad(value, "'%s' is none of its words; write %s",
			  config_show(value->text, shown, sizeof(shown)), words);
}

static void choice_print(const struct config *config, const struct config_row *row,
			 const void *unit, FILE *out)
{
	struct span rest = span_str(row->hint), word;
	uint32_t index = *(const uint32_t *)field_of(row, unit);

	(void)config;
	do
		CHECK(next_word(&rest, &word));
	while (index-- > 0);
	fprintf(out, "%.*s", (int)word.len, (const char *)word.at);
}

static bool bool_parse(struct config_value *value)
{
	char shown[60];

	if (!span_is(value->text, "true") && !span_is(value->text, "false"))
		return config_bad(value, "'%s' is neither true nor false; write one of them",
				  config_show(value->text, shown, sizeof(shown)));
	*(bool *)value->field = span_is(value->text, "true");
	return true;
}

static void bool_print(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out)
{
	(void)config;
	fputs(*(const bool *)field_of(row, unit) ? "true" : "false", out);
}

/* ---- texts ----------------------------------------------------------------------------------- */

bool config_is_name(struct span text)
{
	if (text.len == 0 || text.len > 64 || !isalnum(text.at[0]))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!isalnum(text.at[i]) && memchr("-_.", text.at[i], 3) == NULL)
			return false;
	return true;
}

static bool text_parse(struct config_value *value)
{
	const struct config_row *row = value->row;
	char shown[60];

	config_show(value->text, shown, sizeof(shown));
	for (size_t i = 0; i < value->text.len; i++)
		if (value->text.at[i] < ' ' || value->text.at[i] == 0x7f)
			return config_bad(value, "'%s' holds a control character; remove it",
					  shown);
	if (value->text.len < row->low || value->text.len > row->high)
		return config_bad(value,
				  "'%s' is too %s; write %" PRIu64 " to %" PRIu64 " characters",
				  shown, value->text.len < row->low ? "short" : "long", row->low,
				  row->high);
	if (row->type == CONFIG_TYPE_PATH && value->text.at[0] != '/')
		return config_bad(value, "'%s' is not an absolute path; begin it with /", shown);
	if (row->type == CONFIG_TYPE_NAME && !config_is_name(value->text))
		return config_bad(value,
				  "'%s' is not a name; use letters, digits, '-', '_' and "
				  "'.', beginning with a letter or digit, at most 64",
				  shown);
	*(const char **)value->field = config_copy(value->read->config, value->text);
	return true;
}

/* Plain where YAML would read it back as the same characters, else in double quotes. */
void config_text_print(FILE *out, const char *text)
{
	bool is_plain = isalnum((unsigned char)text[0]) || text[0] == '/';

	for (const char *at = text; *at != '\0'; at++)
		if (!isalnum((unsigned char)*at) && strchr("-_./", *at) == NULL)
			is_plain = false;
	if (is_plain) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '"' || *at == '\\')
			fputc('\\', out);
		fputc(*at, out);
	}
	fputc('"', out);
}

static void text_print(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out)
{
	(void)config;
	config_text_print(out, *(const char *const *)field_of(row, unit));
}

/* The name only: which cluster it is shows when all are known (config_check). */
static bool cluster_parse(struct config_value *value)
{
	struct config_read *read = value->read;
	char shown[60];

	if (!config_is_name(value->text))
		return config_bad(value, "'%s' is not the name of a cluster; write one of clusters",
				  config_show(value->text, shown, sizeof(shown)));
	struct config_wanted *wanted = config_alloc(read->config, sizeof(*wanted));

	*wanted = (struct config_wanted){
		.next = read->wanted,
		.row = value->row,
		.index = value->index,
		.name = config_copy(read->config, value->text),
	};
	read->wanted = wanted;
	return true;
}

static void cluster_print(const struct config *config, const struct config_row *row,
			  const void *unit, FILE *out)
{
	int32_t index = *(const int32_t *)field_of(row, unit);

	config_text_print(out, config->clusters[index].name);
}

bool config_is_empty(const struct config_row *row, const void *unit)
{
	const void *field = field_of(row, unit);

	switch ((unsigned)row->type) {
	case CONFIG_TYPE_TEXT:
	case CONFIG_TYPE_PATH:
	case CONFIG_TYPE_NAME:
	case CONFIG_TYPE_HOST:
	case CONFIG_TYPE_SERVERS:
	case CONFIG_TYPE_FORWARD:
	case CONFIG_TYPE_NODES_AT:
	case CONFIG_TYPE_ADVERTISE:
	case CONFIG_TYPE_URLS:
	case CONFIG_TYPE_BOOTSTRAP:
	case CONFIG_TYPE_IDS:
	case CONFIG_TYPE_TARGETS:
		return *(const void *const *)field == NULL;
	case CONFIG_TYPE_CLUSTER:
		return *(const int32_t *)field < 0;
	case CONFIG_TYPE_CPUS:
		return ((const struct cpu_list *)field)->count == 0;
	case CONFIG_TYPE_HOSTS:
	case CONFIG_TYPE_WORDS:
	case CONFIG_TYPE_RULES:
	case CONFIG_TYPE_PATHS:
		return ((const struct config_names *)field)->count == 0;
	case CONFIG_TYPE_CIDRS:
		return ((const struct config_cidrs *)field)->count == 0;
	default:
		return false;
	}
}

const struct config_type_row config_types[CONFIG_TYPE_LAST] = {
	[CONFIG_TYPE_COUNT] = { wide_parse, wide_print, "number" },
	[CONFIG_TYPE_SMALL] = { small_parse, small_print, "number" },
	[CONFIG_TYPE_DURATION] = { wide_parse, wide_print, "duration" },
	[CONFIG_TYPE_SIZE] = { wide_parse, wide_print, "size" },
	[CONFIG_TYPE_CHOICE] = { choice_parse, choice_print, "word" },
	[CONFIG_TYPE_BOOL] = { bool_parse, bool_print, "true or false" },
	[CONFIG_TYPE_TEXT] = { text_parse, text_print, "text" },
	[CONFIG_TYPE_PATH] = { text_parse, text_print, "path" },
	[CONFIG_TYPE_NAME] = { text_parse, text_print, "name" },
	[CONFIG_TYPE_HOST] = { config_type_host, text_print, "server name" },
	[CONFIG_TYPE_ADDR] = { config_type_addr, config_print_addr, "address:port" },
	[CONFIG_TYPE_ADMIN] = { config_type_admin, config_print_admin, "address:port" },
	[CONFIG_TYPE_WEB] = { config_type_web, config_print_web, "address:port" },
	[CONFIG_TYPE_SERVERS] = { config_type_servers, text_print, "servers" },
	[CONFIG_TYPE_FORWARD] = { config_type_forward, config_print_forward, "host:port" },
	[CONFIG_TYPE_CLUSTER] = { cluster_parse, cluster_print, "name of a cluster" },
	[CONFIG_TYPE_WORKERS] = { workers_parse, small_print, "number or auto" },
	[CONFIG_TYPE_CPUS] = { config_type_cpus, config_print_cpus, "CPU list" },
	[CONFIG_TYPE_HOSTS] = { config_type_hosts, config_print_hosts, "list of names" },
	[CONFIG_TYPE_CIDRS] = { config_type_cidrs, config_print_cidrs, "list of networks" },
	[CONFIG_TYPE_PORTS] = { config_type_ports, config_print_ports, "list of ports" },
	[CONFIG_TYPE_URLS] = { config_type_urls, config_print_urls, "list of URLs" },
	[CONFIG_TYPE_WORDS] = { config_type_words, config_print_hosts, "list of words" },
	[CONFIG_TYPE_RULES] = { config_type_rules, config_print_hosts, "list of rules" },
	[CONFIG_TYPE_PATHS] = { config_type_paths, config_print_hosts, "path, or a list of them" },
	[CONFIG_TYPE_TARGETS] = { config_type_targets, config_print_targets,
				  "host:port, or a list of them" },
	[CONFIG_TYPE_NODES_AT] = { config_type_nodes_at, config_print_nodes_at, "host:port" },
	[CONFIG_TYPE_ADVERTISE] = { config_type_advertise, config_print_advertise, "host:port" },
	[CONFIG_TYPE_BOOTSTRAP] = { config_type_bootstrap, config_print_bootstrap,
				    "host:port, or a list of them" },
	[CONFIG_TYPE_IDS] = { config_type_ids, config_print_ids,
			      "number or range, or a list of them" },
};
