/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_docs: docs/OPTIONS.md and conf/penstock.yaml, printed from the rows the parser uses, so
 * that neither can say what is not so. `make docs` writes them, tests/lint/tables.sh compares.
 */
#include "config_proxy.h"

/* ---- docs/OPTIONS.md: penstock.yaml ---------------------------------------------------------- */

void config_docs_range(FILE *out, const struct config_row *row)
{
	const char *none = (row->flags & (CONFIG_FLAG_OFF | CONFIG_FLAG_ZERO)) ? ", or off" : "";

	if (row->type == CONFIG_TYPE_DURATION) {
		config_duration_print(out, row->low);
		fputs(" to ", out);
		config_duration_print(out, row->high);
		fputs(none, out);
	} else if (row->type == CONFIG_TYPE_SIZE) {
		config_size_print(out, row->low);
		fputs(" to ", out);
		config_size_print(out, row->high);
	} else if (row->type == CONFIG_TYPE_COUNT || row->type == CONFIG_TYPE_SMALL ||
		   row->type == CONFIG_TYPE_WORKERS) {
		fprintf(out, "%llu to %llu%s", (unsigned long long)row->low,
			(unsigned long long)row->high, none);
		if (row->type == CONFIG_TYPE_WORKERS)
			fputs(", or auto", out);
	} else if (row->type == CONFIG_TYPE_CHOICE) {
		for (const char *at = row->hint; *at != '\0'; at++)
			if (*at == '|')
				fputs(", ", out);
			else
				fputc(*at, out);
	} else {
		fputs(config_types[row->type].name, out);
	}
}

static void table_print(FILE *out, enum config_scope scope)
{
	fputs("| Key | Values | Default | Reload | Meaning |\n|---|---|---|---|---|\n", out);
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->scope != scope)
			continue;
		fprintf(out, "| `%s` | ", row->path);
		config_docs_range(out, row);
		if (row->initial != NULL)
			fprintf(out, " | `%s`", row->initial);
		else
			fputs(" | none", out);
		fprintf(out, " | %s | %s", row->flags & CONFIG_FLAG_RESTART ? "restart" : "yes",
			row->text);
		if (row->type != CONFIG_TYPE_CHOICE && row->hint != NULL)
			fprintf(out, " Example: `%s`", row->hint);
		fputs(" |\n", out);
	}
	fputc('\n', out);
}

/* ---- docs/OPTIONS.md: proxy.conf ------------------------------------------------------------- */

static void parents_print(FILE *out, const struct proxy_row *row)
{
	fputs(" (", out);
	for (const char *at = row->parents; *at != '\0'; at++)
		if (*at == '|')
			fputs(", ", out);
		else
			fputc(*at, out);
	fputs(row->is_inert || row->class == PROXY_PART ? "; without it Java ignores the key too)"
							: ")",
	      out);
}

void config_docs_becomes(FILE *out, const struct proxy_row *row)
{
	static const char *const below[] = { "", "clusters.<name>.", "listeners[]." };

	switch (row->class) {
	case PROXY_SET:
		fprintf(out, "`%s%s`%s%s", below[row->scope], row->path,
			row->note[0] != '\0' ? "; " : "", row->note);
		break;
	case PROXY_CODE:
	case PROXY_PART:
	case PROXY_FINE:
		fputs(row->note, out);
		break;
	case PROXY_GUARD:
		fprintf(out, "stops the start unless ignored: %s", row->note);
		break;
	case PROXY_NONE:
		fprintf(out, "no effect, with a warning%s%s", row->note[0] != '\0' ? ": " : "",
			row->note);
		break;
	}
	if (row->parents != NULL && row->parents[0] != '\0')
		parents_print(out, row);
}

const char config_docs_proxy[] =
	"`penstock proxy -c proxy.conf` reads the Java proxy's file. A key set to Java's own "
	"default never complains. A key whose loss would weaken security stops the start with "
	"exit code 78 unless `--ignore KEY` names it, or the key it belongs to (in "
	"parentheses); `--ignore 'tls*'` works too. Precedence: `--set`, command line, file.";

static void proxy_print(FILE *out)
{
	fprintf(out,
		"## Keys of the Java proxy's proxy.conf\n\n%s\n\n"
		"| Key | Java's default | What becomes of it |\n|---|---|---|\n",
		config_docs_proxy);
	for (uint32_t i = 0; i < PROXY_KEY_COUNT; i++) {
		const struct proxy_row *row = &config_proxy_rows[i];

		fprintf(out, "| `%s` | ", row->key);
		if (row->java[0] != '\0')
			fprintf(out, "`%s`", row->java);
		fputs(" | ", out);
		config_docs_becomes(out, row);
		fputs(" |\n", out);
	}
	fputs("| `brokerClient_*`, `httpReverseProxy.*` |  | no effect, with a warning |\n", out);
}

void config_docs_options(FILE *out)
{
	fputs("# Options\n\n"
	      "Printed from `include/penstock/config/*.def` by `make docs`; do not edit.\n\n"
	      "Durations need a unit: `250ms`, `10s`, `5m`, `2h`, `1d`. Sizes too: `64KiB`, `1MiB`. "
	      "Unknown keys, keys written twice, tabs, anchors, aliases, tags and second documents "
	      "are errors; all errors are reported at once (`penstock check -c FILE`), exit code "
	      "78. \"restart\": a reload (SIGHUP) that changes the key is refused as a whole.\n\n"
	      "## The file\n\n",
	      out);
	table_print(out, CONFIG_SCOPE_TOP);
	fputs("## clusters.&lt;name&gt;\n\n", out);
	table_print(out, CONFIG_SCOPE_CLUSTER);
	fputs("## listeners[]\n\n", out);
	table_print(out, CONFIG_SCOPE_LISTENER);
	fputs("## listeners[].routes[]\n\n", out);
	table_print(out, CONFIG_SCOPE_ROUTE);
	proxy_print(out);
}

/* ---- conf/penstock.yaml ---------------------------------------------------------------------- */

#define WIDTH 96

/* A comment, broken into lines: "# text". */
static void prose_print(FILE *out, int indent, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (column == 0 || column + 1 + word > WIDTH) {
			fprintf(out, "%s%*s#", column > 0 ? "\n" : "", indent, "");
			column = (size_t)indent + 1;
		}
		fprintf(out, " %.*s", (int)word, text);
		column += 1 + word;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

/* The value one would write for a key without a default. */
static void example_print(FILE *out, const struct config_row *row)
{
	if (row->type == CONFIG_TYPE_CLUSTER || row->type == CONFIG_TYPE_NAME ||
	    row->type == CONFIG_TYPE_PATH || row->type == CONFIG_TYPE_TEXT) {
		fputs(row->hint, out);
	} else if (config_is_list(row->type)) {
		struct span rest = span_str(row->initial != NULL ? row->initial : row->hint);

		for (bool is_first = true; rest.len > 0; is_first = false) {
			size_t len = span_find(rest, ',');
			bool is_number = row->type == CONFIG_TYPE_PORTS && rest.at[0] != '*';

			while (len > 0 && rest.at[0] == ' ') {
				rest = span_of(rest.at + 1, rest.len - 1);
				len--;
			}
			fprintf(out, "%s%s%.*s%s", is_first ? "[" : ", ", is_number ? "" : "\"",
				(int)len, (const char *)rest.at, is_number ? "" : "\"");
			len += len < rest.len;
			rest = span_of(rest.at + len, rest.len - len);
		}
		fputc(']', out);
	} else {
		fprintf(out, "\"%s\"", row->hint);
	}
}

/* Keys that stand beside another of which only one may be there. */
static bool is_alternative(const struct config_row *row)
{
	static const struct {
		enum config_scope scope;
		const char *path;
	} rows[] = {
		{ CONFIG_SCOPE_CLUSTER, "discovery.urls" },
		{ CONFIG_SCOPE_LISTENER, "forward" },
		{ CONFIG_SCOPE_ROUTE, "cluster" },
		{ CONFIG_SCOPE_ROUTE, "discovered" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (row->scope == rows[i].scope && strcmp(row->path, rows[i].path) == 0)
			return true;
	return false;
}

/* A value other than the default, where that would make nonsense of the keys beside it. */
static const char *value_beside(const struct config_row *row)
{
	if (strcmp(row->path, "tls.client_auth") == 0)
		return "require";
	if (row->scope == CONFIG_SCOPE_ROUTE && strcmp(row->path, "mode") == 0)
		return "reencrypt";
	return NULL;
}

static bool is_quoted(const struct config_row *row)
{
	return row->type == CONFIG_TYPE_ADMIN || row->type == CONFIG_TYPE_WEB ||
	       row->type == CONFIG_TYPE_ADDR;
}

/* One key, commented: "#key: value" with its indentation behind the '#', so that removing the '#'
 * of a key and of the mappings above it is all there is to do. */
static void key_print(FILE *out, const struct config_row *row, int indent, int level, bool is_item)
{
	const char *dot = strrchr(row->path, '.');
	const char *key = dot != NULL ? dot + 1 : row->path;
	const char *dash = is_item ? "- " : "";
	int spaces = indent + 2 * level - (is_item ? 2 : 0);

	prose_print(out, indent + 2 * level, row->text);
	if (is_alternative(row)) {
		fprintf(out, "%*s# Instead: %s: ", indent + 2 * level, "", key);
		example_print(out, row);
		fputc('\n', out);
		return;
	}
	if (value_beside(row) != NULL)
		fprintf(out, "%*s# Default: %s\n", indent + 2 * level, "", row->initial);
	fprintf(out, "#%*s%s%s: ", spaces, "", dash, key);
	if (value_beside(row) != NULL)
		fputs(value_beside(row), out);
	else if (row->initial == NULL || config_is_list(row->type))
		example_print(out, row);
	else if (is_quoted(row) && strcmp(row->initial, "off") != 0)
		fprintf(out, "\"%s\"", row->initial);
	else
		fputs(row->initial, out);
	fputc('\n', out);
}

/* The mappings above a path that are not open yet. Returns the level of the path. */
static int sections_print(FILE *out, const struct config_row *row, const char *open, int indent)
{
	const char *path = row->path;
	size_t same = 0, last = 0;
	int level = 0;

	for (size_t i = 0; path[i] != '\0' && path[i] == open[i]; i++)
		if (path[i] == '.')
			same = i + 1;
	for (const char *dot = strchr(path, '.'); dot != NULL;
	     dot = strchr(dot + 1, '.'), level++) {
		size_t end = (size_t)(dot - path);

		for (uint32_t i = 0; end >= same && i < config_section_count; i++) {
			const struct config_section *section = &config_sections[i];

			if (section->scope != row->scope || strlen(section->path) != end ||
			    strncmp(section->path, path, end) != 0)
				continue;
			if (level == 0 && row->scope == CONFIG_SCOPE_TOP)
				fputc('\n', out);
			prose_print(out, indent + 2 * level, section->text);
		}
		if (end >= same)
			fprintf(out, "#%*s%.*s:\n", indent + 2 * level, "", (int)(end - last),
				path + last);
		last = end + 1;
	}
	return level;
}

/* Role mode is a mapping where `pass` is a word: its keys cannot stand beside that. */
static void role_print(FILE *out, const struct config_row *row, int indent)
{
	prose_print(out, indent, row->text);
	fprintf(out, "%*s# Instead: credentials: { role: { %s: ", indent, "",
		strrchr(row->path, '.') + 1);
	if (row->initial != NULL)
		fputs(row->initial, out);
	else
		example_print(out, row);
	fputs(", ... } }\n", out);
}

static void unit_print(FILE *out, enum config_scope scope, int indent)
{
	const char *open = "";
	bool is_item = scope == CONFIG_SCOPE_LISTENER || scope == CONFIG_SCOPE_ROUTE;

	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		/* The example has a key of its own, uncommented; and a listener with routes. */
		if (row->scope != scope || strncmp(row->path, "admin.", 6) == 0 ||
		    config_is_of_routes(row) || config_is_of_kafka(row))
			continue;
		if (config_is_of_role(row)) {
			role_print(out, row, indent);
			continue;
		}
		int level = sections_print(out, row, open, indent);

		if (level == 0 && scope == CONFIG_SCOPE_TOP)
			fputc('\n', out);
		key_print(out, row, indent, level, is_item);
		is_item = false;
		open = row->path;
	}
}

static const char *section_text(const char *path)
{
	for (uint32_t i = 0; i < config_section_count; i++)
		if (strcmp(config_sections[i].path, path) == 0)
			return config_sections[i].text;
	return "";
}

/* A key that goes with ZooKeeper in place of bootstrap. */
static void zookeeper_print(FILE *out, const struct config_row *row, int indent)
{
	prose_print(out, indent, row->text);
	fprintf(out, "%*s# Instead of bootstrap: zookeeper: { servers: \"zk-0,zk-1/kafka\", %s: ",
		indent, "", strrchr(row->path, '.') + 1);
	example_print(out, row);
	fputs(" }\n", out);
}

static void zookeeper_keys_print(FILE *out, enum config_scope scope, int indent)
{
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++)
		if (config_rows[i].scope == scope && config_is_beside_bootstrap(&config_rows[i]))
			zookeeper_print(out, &config_rows[i], indent + 2);
}

static bool is_below_discovery(const char *path)
{
	return strncmp(path, "discovery.", strlen("discovery.")) == 0;
}

/* The keys of Kafka in a scope. What goes with ZooKeeper ends those of discovery, where it belongs.
 */
static void kafka_keys_print(FILE *out, enum config_scope scope, int indent)
{
	const char *open = "";

	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->scope != scope || !config_is_of_kafka(row) ||
		    config_is_beside_bootstrap(row))
			continue;
		if (is_below_discovery(open) && !is_below_discovery(row->path))
			zookeeper_keys_print(out, scope, indent);
		int level = sections_print(out, row, open, indent);

		key_print(out, row, indent, level, false);
		open = row->path;
	}
}

static void kafka_cluster_print(FILE *out)
{
	fputs("\n#  orders:\n#    protocol: kafka\n", out);
	kafka_keys_print(out, CONFIG_SCOPE_CLUSTER, 4);
}

static void kafka_listener_print(FILE *out)
{
	fputs("\n#  - name: kafka\n#    bind: \"0.0.0.0:9092\"\n#    cluster: orders\n", out);
	kafka_keys_print(out, CONFIG_SCOPE_LISTENER, 4);
}

static void kafka_route_print(FILE *out)
{
	fputs("\n#      - host: \"*.kafka.example.com\"\n#        cluster: orders\n"
	      "#        mode: terminate\n#        tls: { cert_file: /etc/penstock/tls/gw.pem, "
	      "key_file: /etc/penstock/tls/gw.key }\n",
	      out);
	kafka_keys_print(out, CONFIG_SCOPE_ROUTE, 8);
}

/* A second listener, since one has either routes or a cluster. */
static void routes_print(FILE *out)
{
	fputs("\n#  - name: edge\n#    bind: \"0.0.0.0:443\"\n", out);
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++)
		if (config_is_of_routes(&config_rows[i]))
			key_print(out, &config_rows[i], 4, 0, false);
	prose_print(out, 4, section_text("routes"));
	fputs("#    routes:\n", out);
	unit_print(out, CONFIG_SCOPE_ROUTE, 8);
	kafka_route_print(out);
}

void config_docs_yaml(FILE *out)
{
	fputs("# penstock.yaml: every key with its default, or with an example where it has none.\n"
	      "# Remove the '#' right at the beginning of a line to use it; lines with \"# \" are text.\n"
	      "# Printed from include/penstock/config/config.def by `make docs`; penstock.yaml(5) has the\n"
	      "# ranges. Check with: penstock check -c penstock.yaml\n\n",
	      out);
	prose_print(out, 0, section_text("clusters"));
	fputs("#clusters:\n#  east:\n", out);
	unit_print(out, CONFIG_SCOPE_CLUSTER, 4);
	kafka_cluster_print(out);
	fputc('\n', out);
	prose_print(out, 0, section_text("listeners"));
	fputs("#listeners:\n", out);
	unit_print(out, CONFIG_SCOPE_LISTENER, 4);
	kafka_listener_print(out);
	routes_print(out);
	unit_print(out, CONFIG_SCOPE_TOP, 0);
	fputc('\n', out);
	prose_print(out, 0, section_text("admin"));
	prose_print(out, 0, config_row_find(CONFIG_SCOPE_TOP, "admin.listen")->text);
	fprintf(out, "admin:\n  listen: \"%s\"\n",
		config_row_find(CONFIG_SCOPE_TOP, "admin.listen")->initial);
}
