/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_args: argv into struct cli, by one table of flags. Flags are --name VALUE, --name=VALUE and
 * the Java proxy's one-dash names (-zk VALUE); getopt_long knows no one-dash words.
 */
#include <stdio.h>

#include "cli_priv.h"

#define RUN    (1u << CLI_RUN)
#define PROXY  (1u << CLI_PROXY)
#define CHECK_ (1u << CLI_CHECK)
#define DOCTOR (1u << CLI_DOCTOR)
#define SHOW   (1u << CLI_SHOW)
#define ALL    (~0u)
#define AT(f)  ((uint32_t)offsetof(struct cli, f))

#define TEXT_FLAG(name_, brief_, commands_, field_, value_, text_)                            \
	{                                                                                     \
		.name = name_, .brief = brief_, .commands = commands_, .kind = CLI_FLAG_TEXT, \
		.offset = AT(field_), .value = value_, .text = text_,                         \
	}
#define OTHER_FLAG(kind_, name_, brief_, commands_, preset_, value_, text_)                      \
	{                                                                                        \
		.name = name_, .brief = brief_, .commands = commands_, .kind = CLI_FLAG_##kind_, \
		.preset = preset_, .value = value_, .text = text_,                               \
	}
#define BOOL_FLAG(name_, brief_, commands_, field_, text_)                                    \
	{                                                                                     \
		.name = name_, .brief = brief_, .commands = commands_, .kind = CLI_FLAG_BOOL, \
		.offset = AT(field_), .text = text_,                                          \
	}

const struct cli_flag cli_flags[] = {
	TEXT_FLAG("--config", "-c", RUN | CHECK_ | DOCTOR | SHOW, config_path, "FILE",
		  "penstock.yaml (" CLI_CONFIG_FILE ")"),
	TEXT_FLAG("--config", "-c", PROXY, proxy.file, "FILE", "the Java proxy's proxy.conf"),
	TEXT_FLAG("--zookeeper-servers", "-zk", PROXY, proxy.zookeeper, "LIST",
		  "ZooKeeper of the cluster: host[:port],...[/chroot]"),
	TEXT_FLAG("--global-zookeeper-servers", "-gzk", PROXY, proxy.global_zookeeper, "LIST",
		  "global ZooKeeper (the same as the cluster's)"),
	TEXT_FLAG("--configuration-store-servers", "-cs", PROXY, proxy.configuration_servers,
		  "LIST", "newer name of the global ZooKeeper; wins over -gzk"),
	TEXT_FLAG("--metadata-store", "-md", PROXY, proxy.metadata_store, "URL",
		  "zk:host[:port],...[/chroot]; wins over -zk"),
	TEXT_FLAG("--metadata-store-url", NULL, PROXY, proxy.metadata_store, "URL", NULL),
	TEXT_FLAG("--configuration-metadata-store", "-cms", PROXY, proxy.configuration_store, "URL",
		  "newest name of the global ZooKeeper; wins over -cs"),
	TEXT_FLAG("--bind", NULL, PROXY, proxy.bind, "HOST:PORT",
		  "where clients connect (0.0.0.0:6650)"),
	TEXT_FLAG("--web", NULL, PROXY, proxy.web, "HOST:PORT|off",
		  "/status.html and /metrics (0.0.0.0:8080)"),
	TEXT_FLAG("--admin", NULL, PROXY, proxy.admin, "WHERE",
		  "HOST:PORT, unix:/path or off (127.0.0.1:9180)"),
	TEXT_FLAG("--admin", NULL, SHOW, admin, "WHERE",
		  "HOST:PORT or unix:/path of the penstock to ask (as its configuration says)"),
	OTHER_FLAG(IGNORE, "--ignore", NULL, PROXY, NULL, "KEY",
		   "start although this key of proxy.conf is not honoured; may end in *"),
	OTHER_FLAG(PRESET, "--workers", NULL, PROXY, "process.workers", "N",
		   "worker threads (one per CPU)"),
	OTHER_FLAG(PRESET, "--cpus", NULL, PROXY, "process.cpus", "LIST",
		   "pin workers, like 2-5,8"),
	OTHER_FLAG(SET, "--set", NULL, PROXY, NULL, "PATH=VALUE",
		   "any key of penstock.yaml, like limits.connections=1000"),
	BOOL_FLAG("--dump", NULL, PROXY | CHECK_, is_dump,
		  "print the effective configuration as YAML, do not serve"),
	BOOL_FLAG("--quiet", "-q", CHECK_, is_quiet, "print problems only"),
	BOOL_FLAG("--json", NULL, DOCTOR | SHOW, is_json, "print JSON"),
	BOOL_FLAG("--sysctl", NULL, DOCTOR, is_sysctl,
		  "print the sysctls it would change, as a file for /etc/sysctl.d"),
	OTHER_FLAG(DOCS, "--generate-docs", "-g", PROXY, NULL, NULL, NULL),
	OTHER_FLAG(HELP, "--help", "-h", ALL, NULL, NULL, "this text"),
};
const uint32_t cli_flag_count = COUNT_OF(cli_flags);

static const char proxy_more[] =
	"The command line wins over the file. penstock.yaml(5) says what becomes of each\n"
	"key of proxy.conf; --dump prints the same configuration as penstock.yaml.\n";

static const char doctor_more[] =
	"One line for each thing looked at: ok, warn or fail, and what to do about it.\n"
	"Nothing is changed. It looks at the kernel, io_uring, limits (of the penstock\n"
	"that runs with this file, else of this shell), pipes, memory, the kernel's TLS\n"
	"and clock, the addresses to listen on and sysctls of the network; where\n"
	"process.cpus pins workers, at these CPUs and the network's interrupts; at the\n"
	"configuration, how long certificates last, ZooKeeper, and every broker and\n"
	"target it can find (of Kafka those of discovery.bootstrap): name, connection,\n"
	"TLS; no login is tried. Exit code: 78 if penstock would not start, 1 if\n"
	"something will fail, else 0. For `penstock proxy` give it what --dump prints:\n\n"
	"  penstock proxy -zk zk-0 --dump >proxy.yaml && penstock doctor -c proxy.yaml\n";

static const char import_more[] =
	"FILE is sni.yaml, ssl_server_name.config (Lua or YAML), ssl_multicert.config,\n"
	"records.config or records.yaml; give all that belong together. penstock.yaml\n"
	"goes to standard output. What cannot be carried over is listed on standard\n"
	"error and in its comments; then the exit code is 1.\n\n"
	"  penstock import sni.yaml records.config >penstock.yaml\n";

static const char show_more[] =
	"brokers: of each cluster, where its brokers are, and where that is known from:\n"
	"ZooKeeper, a bootstrap broker that was asked, what brokers told clients\n"
	"(learned), the last run (file) or the configuration. A node of Kafka that is\n"
	"leaving is no longer listed.\n";

const struct cli_word cli_words[] = {
	{ "run", CLI_RUN, "serve what penstock.yaml says (the default)", NULL, NULL },
	{ "proxy", CLI_PROXY, "serve in place of the Java proxy, with its flags and proxy.conf",
	  NULL, proxy_more },
	{ "check", CLI_CHECK, "check penstock.yaml and say everything that is wrong with it", NULL,
	  NULL },
	{ "doctor", CLI_DOCTOR,
	  "check this host, the configuration and all it names, and say what to fix", NULL,
	  doctor_more },
	{ "import", CLI_IMPORT, "turn files of Apache Traffic Server into penstock.yaml", "FILE...",
	  import_more },
	{ "show", CLI_SHOW, "ask a running penstock, and print its answer", "brokers [FLAGS]",
	  show_more },
	{ "version", CLI_VERSION, "versions of penstock, its libraries, and what the kernel offers",
	  NULL, NULL },
	{ "help", CLI_HELP, "this text, or that of a command", "[COMMAND]", NULL },
	{ "docs", CLI_DOCS, NULL, NULL, NULL },
};
const uint32_t cli_word_count = COUNT_OF(cli_words);

/* Commands that may yet come, and what does it now. */
static const struct {
	const char *name, *now;
} later_words[] = {
	{ "top", "scrape /metrics of admin.listen" },
	{ "drain", "send SIGTERM, or systemctl stop penstock" },
	{ "reload", "send SIGHUP, or systemctl reload penstock" },
	{ "upgrade", "install the new program, then send SIGUSR2, or systemctl reload penstock" },
};

static const char *word_name(enum cli_command command)
{
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (cli_words[i].command == command)
			return cli_words[i].name;
	return "";
}

/* ---- the command ----------------------------------------------------------------------------- */

static int unknown_word(const char *word)
{
	const char *best = NULL;

	for (size_t i = 0; i < COUNT_OF(later_words); i++)
		if (strcmp(word, later_words[i].name) == 0) {
			fprintf(stderr, "penstock: there is no '%s' yet: %s\n", word,
				later_words[i].now);
			return CLI_USAGE;
		}
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (cli_words[i].text != NULL)
			best = config_nearer(word, best, cli_words[i].name);
	fprintf(stderr, "penstock: there is no command '%s'%s%s%s; see penstock help\n", word,
		best != NULL ? "; did you mean " : "", best != NULL ? best : "",
		best != NULL ? "?" : "");
	return CLI_USAGE;
}

static const struct cli_word *word_find(const char *name)
{
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (strcmp(cli_words[i].name, name) == 0)
			return &cli_words[i];
	return NULL;
}

/* ---- flags ----------------------------------------------------------------------------------- */

/* Does `arg` name this flag, with or without "=value"? *ret_value: what follows '=', or NULL. */
static bool is_flag(const struct cli_flag *flag, const char *arg, const char **ret_value)
{
	const char *names[2] = { flag->name, flag->brief };

	for (int i = 0; i < 2; i++) {
		size_t len = names[i] == NULL ? 0 : strlen(names[i]);

		if (len == 0 || strncmp(arg, names[i], len) != 0)
			continue;
		if (arg[len] != '\0' && arg[len] != '=')
			continue;
		*ret_value = arg[len] == '=' ? arg + len + 1 : NULL;
		return true;
	}
	return false;
}

static const struct cli_flag *flag_find(const struct cli *cli, const char *arg,
					const char **ret_value)
{
	for (uint32_t i = 0; i < cli_flag_count; i++)
		if ((cli_flags[i].commands & (1u << cli->command)) != 0 &&
		    is_flag(&cli_flags[i], arg, ret_value))
			return &cli_flags[i];
	return NULL;
}

static int unknown_flag(const struct cli *cli, const char *arg)
{
	const char *best = NULL;
	const char *name = word_name(cli->command);
	size_t len = strcspn(arg, "=");
	char bare[80];

	snprintf(bare, sizeof(bare), "%.*s", (int)len, arg);
	for (uint32_t i = 0; i < cli_flag_count; i++) {
		if ((cli_flags[i].commands & (1u << cli->command)) == 0)
			continue;
		best = config_nearer(bare, best, cli_flags[i].name);
		if (cli_flags[i].brief != NULL && len > 3)
			best = config_nearer(bare, best, cli_flags[i].brief);
	}
	fprintf(stderr, "penstock %s: unknown %s %s%s%s%s; see penstock %s --help\n", name,
		arg[0] == '-' ? "flag" : "argument", bare, best != NULL ? "; did you mean " : "",
		best != NULL ? best : "", best != NULL ? "?" : "", name);
	return CLI_USAGE;
}

static int too_many(const char *name)
{
	fprintf(stderr, "penstock: more than %d times %s; put them into a file\n", CLI_REPEAT_MAX,
		name);
	return CLI_USAGE;
}

static int override_add(struct cli *cli, const char *path, size_t path_len, const char *value)
{
	uint32_t i = cli->proxy.override_count;

	if (i == CLI_REPEAT_MAX)
		return too_many("--set");
	if (path_len >= CLI_SET_MAX) {
		fprintf(stderr, "penstock: --set with a path of more than %d bytes\n",
			CLI_SET_MAX - 1);
		return CLI_USAGE;
	}
	memcpy(cli->override_paths[i], path, path_len);
	cli->override_paths[i][path_len] = '\0';
	cli->overrides[i] =
		(struct config_override){ .path = cli->override_paths[i], .value = value };
	cli->proxy.override_count++;
	return 0;
}

static int set_add(struct cli *cli, const char *text)
{
	const char *sign = strchr(text, '=');

	if (sign == NULL || sign == text) {
		fprintf(stderr,
			"penstock proxy: --set %s: write PATH=VALUE, like "
			"limits.connections=1000\n",
			text);
		return CLI_USAGE;
	}
	return override_add(cli, text, (size_t)(sign - text), sign + 1);
}

static int flag_take(struct cli *cli, const struct cli_flag *flag, const char *value)
{
	void *field = (uint8_t *)cli + flag->offset;

	switch (flag->kind) {
	case CLI_FLAG_TEXT:
		*(const char **)field = value;
		return 0;
	case CLI_FLAG_BOOL:
		*(bool *)field = true;
		return 0;
	case CLI_FLAG_IGNORE:
		if (cli->proxy.ignore_count == CLI_REPEAT_MAX)
			return too_many("--ignore");
		cli->ignores[cli->proxy.ignore_count++] = value;
		return 0;
	case CLI_FLAG_SET:
		return set_add(cli, value);
	case CLI_FLAG_PRESET:
		return override_add(cli, flag->preset, strlen(flag->preset), value);
	case CLI_FLAG_HELP:
		cli->topic = cli->command;
		cli->command = CLI_HELP;
		return 0;
	case CLI_FLAG_DOCS:
		cli->command = CLI_DOCS;
		cli->docs = "options";
		return 0;
	}
	return CLI_USAGE;
}

/* A word that is no flag: a file of `import`. */
static int file_take(struct cli *cli, const char *path)
{
	if (cli->file_count == CLI_REPEAT_MAX) {
		fprintf(stderr, "penstock import: more than %d files; import them in parts\n",
			CLI_REPEAT_MAX);
		return CLI_USAGE;
	}
	cli->files[cli->file_count++] = path;
	return 0;
}

static int flags_parse(struct cli *cli, int argc, char **argv, int at)
{
	enum cli_command command = cli->command;

	while (at < argc) {
		const char *arg = argv[at++];
		const char *value = NULL;
		const struct cli_flag *flag = flag_find(cli, arg, &value);

		if (flag == NULL && command == CLI_SHOW && arg[0] != '-' && cli->subject == NULL) {
			cli->subject = arg;
			continue;
		}
		if (flag == NULL && command == CLI_IMPORT && arg[0] != '-') {
			if (file_take(cli, arg) != 0)
				return CLI_USAGE;
			continue;
		}
		if (flag == NULL)
			return unknown_flag(cli, arg);
		if (flag->value == NULL && value != NULL) {
			fprintf(stderr, "penstock %s: %s takes no value\n", word_name(command),
				flag->name);
			return CLI_USAGE;
		}
		if (flag->value != NULL && value == NULL) {
			if (at == argc) {
				fprintf(stderr, "penstock %s: %s needs a value: %s %s\n",
					word_name(command), arg, flag->name, flag->value);
				return CLI_USAGE;
			}
			value = argv[at++];
		}
		int ret = flag_take(cli, flag, value);

		/* Help wins over whatever else stands there. */
		if (ret != 0 || cli->command != command)
			return ret;
	}
	return 0;
}

/* `help` and `docs` take a word, not flags. */
static int word_take(struct cli *cli, int argc, char **argv, int at)
{
	if (cli->command == CLI_DOCS) {
		cli->docs = at < argc ? argv[at] : "";
		return 0;
	}
	cli->topic = CLI_HELP;
	if (at < argc) {
		const struct cli_word *word = word_find(argv[at]);

		if (word == NULL)
			return unknown_word(argv[at]);
		cli->topic = word->command;
	}
	return 0;
}

int cli_parse(int argc, char **argv, struct cli *ret_cli)
{
	struct cli *cli = ret_cli;
	int at = 1;

	*cli = (struct cli){ .command = CLI_RUN, .config_path = CLI_CONFIG_FILE };
	cli->proxy.ignore = cli->ignores;
	cli->proxy.overrides = cli->overrides;
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		cli->command = CLI_HELP;
		cli->topic = CLI_HELP;
		return 0;
	}
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		cli->command = CLI_VERSION;
		return 0;
	}
	if (argc > 1 && argv[1][0] != '-') {
		const struct cli_word *word = word_find(argv[at++]);

		if (word == NULL)
			return unknown_word(argv[1]);
		cli->command = word->command;
	}
	if (cli->command == CLI_HELP || cli->command == CLI_DOCS)
		return word_take(cli, argc, argv, at);
	cli->is_proxy = cli->command == CLI_PROXY;
	int ret = flags_parse(cli, argc, argv, at);

	if (ret == 0 && cli->command == CLI_IMPORT && cli->file_count == 0) {
		fprintf(stderr, "penstock import: name files, like sni.yaml and records.config\n");
		return CLI_USAGE;
	}
	if (ret == 0 && cli->command == CLI_SHOW &&
	    (cli->subject == NULL || strcmp(cli->subject, "brokers") != 0)) {
		fprintf(stderr, "penstock show: what? Try: penstock show brokers\n");
		return CLI_USAGE;
	}
	if (ret == 0 && cli->command == CLI_PROXY && cli->is_dump)
		cli->command = CLI_CHECK;
	return ret;
}
