/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_man: penstock.yaml(5), from the rows the parser uses (config.def); `make man` writes it.
 */
#include <stdlib.h>

#include <penstock/base/roff.h>

#include "config_proxy.h"

/* The same rows as in OPTIONS.md, as a list. */
static void key_print(FILE *out, const struct config_row *row)
{
	roff_item(out);
	roff_bold(out, row->path);
	fputs("\n\\&", out);
	roff_inline(out, row->text);
	fputs("\n.br\n", out);

	char *range = NULL;
	size_t size = 0;
	FILE *words = open_memstream(&range, &size);

	if (words == NULL)
		return;
	config_docs_range(words, row);
	if (fclose(words) == 0) {
		fputs("Values: ", out);
		roff_inline(out, range);
	}
	free(range);
	fputs(". Default: ", out);
	if (row->initial != NULL)
		roff_bold(out, row->initial);
	else
		fputs("none", out);
	fputs(".", out);
	if (row->flags & CONFIG_FLAG_RESTART)
		fputs(" Changing it needs a restart.", out);
	if (row->type != CONFIG_TYPE_CHOICE && row->hint != NULL) {
		fputs(" Example: ", out);
		roff_bold(out, row->hint);
	}
	fputc('\n', out);
}

static bool is_below(const struct config_row *row, const struct config_section *section)
{
	size_t len = strlen(section->path);

	return row->scope == section->scope && strncmp(row->path, section->path, len) == 0 &&
	       row->path[len] == '.';
}

/* Has it no keys of its own here: clusters, listeners, routes? */
static bool is_empty(const struct config_section *section)
{
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++)
		if (is_below(&config_rows[i], section))
			return false;
	return true;
}

static void section_print(FILE *out, const struct config_section *section)
{
	roff_item(out);
	roff_bold(out, section->path);
	fputc('\n', out);
	roff_text(out, section->text);
}

/* Each mapping in front of its first key. */
static void scope_print(FILE *out, enum config_scope scope, const char *title)
{
	const struct config_row *last = NULL;

	roff_section(out, title);
	for (uint32_t i = 0; i < config_section_count; i++)
		if (config_sections[i].scope == scope && is_empty(&config_sections[i]))
			section_print(out, &config_sections[i]);
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->scope != scope)
			continue;
		for (uint32_t j = 0; j < config_section_count; j++)
			if (is_below(row, &config_sections[j]) &&
			    (last == NULL || !is_below(last, &config_sections[j])))
				section_print(out, &config_sections[j]);
		key_print(out, row);
		last = row;
	}
}

/* Lines may be broken behind a dot: names of classes are longer than they are. */
static void java_print(FILE *out, const char *text)
{
	fputs("\\fB", out);
	for (; *text != '\0'; text++) {
		roff_byte(out, *text);
		if (*text == '.')
			fputs("\\:", out);
	}
	fputs("\\fR", out);
}

static void proxy_key_print(FILE *out, const struct proxy_row *row)
{
	char *becomes = NULL;
	size_t size = 0;
	FILE *words = open_memstream(&becomes, &size);

	if (words == NULL)
		return;
	config_docs_becomes(words, row);
	roff_item(out);
	roff_bold(out, row->key);
	fputs("\n\\&", out);
	if (row->java[0] != '\0') {
		fputs("Java's default: ", out);
		java_print(out, row->java);
		fputs(". Here: ", out);
	}
	if (fclose(words) == 0)
		roff_inline(out, becomes);
	free(becomes);
	fputc('\n', out);
}

static void proxy_print(FILE *out)
{
	roff_section(out, "KEYS OF THE JAVA PROXY'S proxy.conf");
	roff_text(out, config_docs_proxy);
	for (uint32_t i = 0; i < PROXY_KEY_COUNT; i++)
		proxy_key_print(out, &config_proxy_rows[i]);
	roff_item(out);
	roff_bold(out, "brokerClient_*, httpReverseProxy.*");
	fputc('\n', out);
	roff_text(out, "no effect, with a warning");
}

static const char about[] =
	"The configuration of penstock(1): YAML, of which this is used: mappings, lists, plain and "
	"quoted\nwords, comments. Unknown keys, keys written twice, tabs, anchors, aliases, tags and "
	"second documents\nare errors. All errors are reported at once, each with file, line and "
	"column, by\n\n"
	"  penstock check -c /etc/penstock/penstock.yaml\n\n"
	"which is also what a start and a reload do first. A reload (SIGHUP) is all or nothing: if "
	"there is an\nerror, or a key has changed that needs a restart, the configuration in force "
	"stays.\n\n"
	"Durations need a unit: 250ms, 10s, 5m, 2h, 1d. Sizes too: 64KiB, 1MiB. Paths below are "
	"written with\ndots: limits.connections is the key connections of the mapping limits.\n";

static const char example[] = "  clusters:\n"
			      "    east:\n"
			      "      discovery: { zookeeper: { servers: \"zk-0,zk-1,zk-2\" } }\n"
			      "  listeners:\n"
			      "    - { name: pulsar, bind: \"0.0.0.0:6650\", cluster: east }\n"
			      "  admin: { listen: \"127.0.0.1:9180\" }\n";

void config_man(FILE *out)
{
	roff_title(out, "penstock.yaml", 5, "configuration of penstock", PENSTOCK_VERSION);
	roff_section(out, "DESCRIPTION");
	roff_prose(out, about);
	roff_section(out, "EXAMPLE");
	roff_text(out, "Brokers of one Pulsar cluster, found in ZooKeeper, behind one address:");
	roff_prose(out, example);
	scope_print(out, CONFIG_SCOPE_TOP, "THE FILE");
	scope_print(out, CONFIG_SCOPE_CLUSTER, "BELOW clusters.NAME");
	scope_print(out, CONFIG_SCOPE_LISTENER, "AN ITEM OF listeners");
	scope_print(out, CONFIG_SCOPE_ROUTE, "AN ITEM OF A LISTENER'S routes");
	proxy_print(out);
	roff_section(out, "FILES");
	roff_item(out);
	roff_bold(out, "/etc/penstock/penstock.yaml");
	fputc('\n', out);
	roff_text(out, "As installed it has every key with its default, in comments.");
	roff_section(out, "SEE ALSO");
	roff_text(out, "penstock(1), penstock-bench(1)");
}

const char *config_path(uint32_t index)
{
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++)
		if (config_rows[i].scope == CONFIG_SCOPE_TOP && index-- == 0)
			return config_rows[i].path;
	return NULL;
}
