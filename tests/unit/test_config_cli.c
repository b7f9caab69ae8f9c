/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The command line: every flag in every spelling, and what is said about a wrong one.
 */
#include <fcntl.h>

#include <penstock/cli.h>

#include "config_help.h"

#define WORDS_MAX 12

/* Splits at blanks into argv; `words` stays the storage. */
static int split(char *words, char **argv)
{
	int argc = 0;

	for (char *word = words; word != NULL && argc < WORDS_MAX - 1;) {
		argv[argc++] = word;
		word = strchr(word, ' ');
		if (word != NULL)
			*word++ = '\0';
	}
	argv[argc] = NULL;
	return argc;
}

/* What goes to a descriptor while it is redirected. */
struct capture {
	int target, saved, file;
};

static void capture_begin(struct capture *capture, int target)
{
	fflush(NULL);
	capture->target = target;
	capture->saved = dup(target);
	capture->file = open("captured", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(capture->saved >= 0 && capture->file >= 0);
	assert_int_equal(dup2(capture->file, target), target);
}

static const char *capture_end(struct capture *capture)
{
	static char text[65536];

	fflush(NULL);
	assert_int_equal(dup2(capture->saved, capture->target), capture->target);
	close(capture->saved);
	ssize_t len = pread(capture->file, text, sizeof(text) - 1, 0);

	close(capture->file);
	assert_true(len >= 0);
	text[len] = '\0';
	return text;
}

static int parse(const char *line, struct cli *cli, const char **ret_said)
{
	static char words[400];
	char *argv[WORDS_MAX];
	struct capture capture;

	snprintf(words, sizeof(words), "%s", line);
	int argc = split(words, argv);

	capture_begin(&capture, 2);
	int ret = cli_parse(argc, argv, cli);

	*ret_said = capture_end(&capture);
	return ret;
}

static struct cli cli;

static void test_commands(void **state)
{
	static const struct {
		const char *line;
		enum cli_command command;
		bool is_tool;
	} rows[] = {
		{ "penstock", CLI_RUN, false },
		{ "penstock run", CLI_RUN, false },
		{ "penstock -c x", CLI_RUN, false },
		{ "penstock run --config=x", CLI_RUN, false },
		{ "penstock proxy -zk z", CLI_PROXY, false },
		{ "penstock proxy -zk z --dump", CLI_CHECK, true },
		{ "penstock check -c x", CLI_CHECK, true },
		{ "penstock doctor --json -c x", CLI_DOCTOR, true },
		{ "penstock import sni.yaml", CLI_IMPORT, true },
		{ "penstock import a b -h", CLI_HELP, true },
		{ "penstock version", CLI_VERSION, true },
		{ "penstock --version", CLI_VERSION, true },
		{ "penstock help", CLI_HELP, true },
		{ "penstock -h", CLI_HELP, true },
		{ "penstock proxy -zk z -h --bogus", CLI_HELP, true },
		{ "penstock docs yaml", CLI_DOCS, true },
		{ "penstock proxy -g", CLI_DOCS, true },
	};
	const char *said;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(parse(rows[i].line, &cli, &said), 0);
		assert_string_equal(said, "");
		assert_int_equal(cli.command, rows[i].command);
		assert_int_equal(cli_is_tool(&cli), rows[i].is_tool);
	}
	assert_int_equal(parse("penstock", &cli, &said), 0);
	assert_string_equal(cli.config_path, "/etc/penstock/penstock.yaml");
	assert_int_equal(parse("penstock check -c a -q --dump", &cli, &said), 0);
	assert_string_equal(cli.config_path, "a");
	assert_true(cli.is_quiet && cli.is_dump && !cli.is_proxy);
	assert_int_equal(parse("penstock doctor -c a --json", &cli, &said), 0);
	assert_true(cli.is_json && !cli.is_sysctl);
	assert_string_equal(cli.config_path, "a");
	assert_int_equal(parse("penstock doctor --sysctl", &cli, &said), 0);
	assert_true(cli.is_sysctl && !cli.is_json);
	assert_string_equal(cli.config_path, "/etc/penstock/penstock.yaml");
}

static void test_proxy_flags(void **state)
{
	static const struct {
		const char *flag, *value;
		size_t offset;
	} rows[] = {
		{ "-c", "v", offsetof(struct config_proxy_args, file) },
		{ "--config", "v", offsetof(struct config_proxy_args, file) },
		{ "-zk", "v", offsetof(struct config_proxy_args, zookeeper) },
		{ "--zookeeper-servers", "v", offsetof(struct config_proxy_args, zookeeper) },
		{ "-gzk", "v", offsetof(struct config_proxy_args, global_zookeeper) },
		{ "--global-zookeeper-servers", "v",
		  offsetof(struct config_proxy_args, global_zookeeper) },
		{ "-cs", "v", offsetof(struct config_proxy_args, configuration_servers) },
		{ "--configuration-store-servers", "v",
		  offsetof(struct config_proxy_args, configuration_servers) },
		{ "-md", "v", offsetof(struct config_proxy_args, metadata_store) },
		{ "--metadata-store", "v", offsetof(struct config_proxy_args, metadata_store) },
		{ "--metadata-store-url", "v", offsetof(struct config_proxy_args, metadata_store) },
		{ "-cms", "v", offsetof(struct config_proxy_args, configuration_store) },
		{ "--configuration-metadata-store", "v",
		  offsetof(struct config_proxy_args, configuration_store) },
		{ "--bind", "h:1", offsetof(struct config_proxy_args, bind) },
		{ "--web", "off", offsetof(struct config_proxy_args, web) },
		{ "--admin", "unix:/x", offsetof(struct config_proxy_args, admin) },
	};
	const char *said;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int way = 0; way < 2; way++) {
			char line[200];

			snprintf(line, sizeof(line), "penstock proxy %s%s%s", rows[i].flag,
				 way == 0 ? " " : "=", rows[i].value);
			assert_int_equal(parse(line, &cli, &said), 0);
			assert_true(cli.is_proxy);
			struct config_proxy_args args = cli.proxy;
			const char **field =
				(const char **)(void *)((uint8_t *)&args + rows[i].offset);

			assert_non_null(*field);
			assert_string_equal(*field, rows[i].value);
			/* And nothing else. */
			*field = NULL;
			args.ignore = NULL;
			args.overrides = NULL;
			assert_memory_equal(&args, &(struct config_proxy_args){ 0 }, sizeof(args));
		}
	}
}

static void test_repeated(void **state)
{
	const char *said;

	(void)state;
	assert_int_equal(parse("penstock proxy --ignore a --set x.y=1=2 --workers 3 --ignore=b "
			       "--cpus=0-1",
			       &cli, &said),
			 0);
	assert_int_equal(cli.proxy.ignore_count, 2);
	assert_string_equal(cli.proxy.ignore[0], "a");
	assert_string_equal(cli.proxy.ignore[1], "b");
	assert_int_equal(cli.proxy.override_count, 3);
	assert_string_equal(cli.proxy.overrides[0].path, "x.y");
	assert_string_equal(cli.proxy.overrides[0].value, "1=2");
	assert_string_equal(cli.proxy.overrides[1].path, "process.workers");
	assert_string_equal(cli.proxy.overrides[1].value, "3");
	assert_string_equal(cli.proxy.overrides[2].path, "process.cpus");
	/* The last one counts. */
	assert_int_equal(parse("penstock proxy -zk a -zk b", &cli, &said), 0);
	assert_string_equal(cli.proxy.zookeeper, "b");
	char *argv[2 * CLI_REPEAT_MAX + 5] = { (char[]){ "penstock" }, (char[]){ "proxy" } };
	char flag[] = "--ignore", key[] = "k";
	struct capture capture;

	for (int i = 0; i <= CLI_REPEAT_MAX; i++) {
		argv[2 + 2 * i] = flag;
		argv[3 + 2 * i] = key;
	}
	assert_int_equal(cli_parse(2 + 2 * CLI_REPEAT_MAX, argv, &cli), 0);
	capture_begin(&capture, 2);
	int ret = cli_parse(4 + 2 * CLI_REPEAT_MAX, argv, &cli);

	assert_string_equal(capture_end(&capture),
			    "penstock: more than 64 times --ignore; put them into a file\n");
	assert_int_equal(ret, CLI_USAGE);
}

static void test_wrong(void **state)
{
	static const char *const rows[][2] = {
		{ "penstock prox", "penstock: there is no command 'prox'; did you mean proxy?; see "
				   "penstock help\n" },
		{ "penstock qqqqqqqq", "penstock: there is no command 'qqqqqqqq'; see penstock "
				       "help\n" },
		{ "penstock show", "penstock show: what? Try: penstock show brokers\n" },
		{ "penstock show broker", "penstock show: what? Try: penstock show brokers\n" },
		{ "penstock show brokers x", "penstock show: unknown argument x; see penstock show "
					     "--help\n" },
		{ "penstock top",
		  "penstock: there is no 'top' yet: scrape /metrics of admin.listen\n" },
		{ "penstock drain",
		  "penstock: there is no 'drain' yet: send SIGTERM, or systemctl stop penstock\n" },
		{ "penstock reload",
		  "penstock: there is no 'reload' yet: send SIGHUP, or systemctl reload penstock\n" },
		{ "penstock upgrade",
		  "penstock: there is no 'upgrade' yet: install the new program, then send SIGUSR2, or systemctl reload penstock\n" },
		{ "penstock import", "penstock import: name files, like sni.yaml and "
				     "records.config\n" },
		{ "penstock import a --ignore",
		  "penstock import: unknown flag --ignore; see penstock "
		  "import --help\n" },
		{ "penstock help toast", "penstock: there is no command 'toast'; see penstock "
					 "help\n" },
		{ "penstock run --conifg x", "penstock run: unknown flag --conifg; did you mean "
					     "--config?; see penstock run --help\n" },
		{ "penstock run -zk x", "penstock run: unknown flag -zk; see penstock run "
					"--help\n" },
		{ "penstock proxy --zookeper-servers=x",
		  "penstock proxy: unknown flag --zookeper-servers; did you mean "
		  "--zookeeper-servers?; see penstock proxy --help\n" },
		{ "penstock proxy -zk", "penstock proxy: -zk needs a value: --zookeeper-servers "
					"LIST\n" },
		{ "penstock proxy x", "penstock proxy: unknown argument x; see penstock proxy "
				      "--help\n" },
		{ "penstock proxy --dump=1", "penstock proxy: --dump takes no value\n" },
		{ "penstock proxy --set x", "penstock proxy: --set x: write PATH=VALUE, like "
					    "limits.connections=1000\n" },
		{ "penstock proxy --set =x", "penstock proxy: --set =x: write PATH=VALUE, like "
					     "limits.connections=1000\n" },
		{ "penstock check --ignore x",
		  "penstock check: unknown flag --ignore; see penstock "
		  "check --help\n" },
	};
	const char *said;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(parse(rows[i][0], &cli, &said), CLI_USAGE);
		assert_string_equal(said, rows[i][1]);
	}
}

static int run(const char *line, int target, const char **ret_said)
{
	struct capture capture;

	assert_int_equal(parse(line, &cli, ret_said), 0);
	assert_true(cli_is_tool(&cli));
	capture_begin(&capture, target);
	int ret = cli_tool(&cli);

	*ret_said = capture_end(&capture);
	return ret;
}

static void test_check(void **state)
{
	static const char good[] = "admin: { listen: off }\nlimits: { connections: 100 }\n";
	static const char bad[] = "admin: { listen: x }\nlimit: { connections: 100 }\n";
	const char *said;

	(void)state;
	help_write("good.yaml", good, strlen(good));
	help_write("bad.yaml", bad, strlen(bad));
	assert_int_equal(run("penstock check -c good.yaml", 1, &said), CLI_FINE);
	assert_int_equal(strncmp(said, "fine: 0 clusters, 0 listeners, ", 31), 0);
	assert_int_equal(run("penstock check -q -c good.yaml", 1, &said), CLI_FINE);
	assert_string_equal(said, "");
	assert_int_equal(run("penstock check -c bad.yaml", 1, &said), CLI_CONFIG);
	assert_string_equal(said, "");
	assert_int_equal(run("penstock check -c bad.yaml", 2, &said), CLI_CONFIG);
	assert_non_null(strstr(said, "bad.yaml:1:18: admin.listen: "));
	assert_non_null(strstr(said, "bad.yaml:2:1: limit: unknown key; did you mean limits?\n"));
	assert_non_null(strstr(said, "penstock: 2 errors\n"));
	assert_int_equal(run("penstock check -c missing.yaml", 2, &said), CLI_CONFIG);
	assert_int_equal(run("penstock check --dump -c good.yaml", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "  connections: 100\n"));
	/* What it prints checks. */
	help_write("again.yaml", said, strlen(said));
	assert_int_equal(run("penstock check -c again.yaml", 1, &said), CLI_FINE);
	assert_int_equal(run("penstock proxy -zk z --bind 127.0.0.1:7 --dump", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "    bind: \"127.0.0.1:7\"\n"));
	assert_int_equal(run("penstock proxy --dump", 2, &said), CLI_CONFIG);
}

/* The exit code says whether all of it was carried over. */
static void test_import(void **state)
{
	static const char sni[] = "sni:\n- { fqdn: a.b, tunnel_route: c:1 }\n";
	static const char ports[] = "CONFIG proxy.config.http.server_ports STRING 443:ssl\n";
	const char *said;

	(void)state;
	help_write("sni.yaml", sni, strlen(sni));
	help_write("records.config", ports, strlen(ports));
	assert_int_equal(run("penstock import sni.yaml records.config", 2, &said), CLI_FINE);
	assert_string_equal(said, "");
	assert_int_equal(run("penstock import sni.yaml records.config", 1, &said), CLI_FINE);
	assert_non_null(
		strstr(said, "      - { host: \"a.b\", forward: \"c:1\" }  # sni.yaml:2\n"));
	help_write("again.yaml", said, strlen(said));
	assert_int_equal(run("penstock check -c again.yaml", 1, &said), CLI_FINE);
	assert_int_equal(run("penstock import sni.yaml", 2, &said), CLI_FAILURE);
	assert_non_null(strstr(said, "penstock: 1 setting was not carried over\n"));
	assert_int_equal(run("penstock import missing", 2, &said), CLI_CONFIG);
	assert_non_null(strstr(said, "missing: cannot be opened: "));
	assert_non_null(strstr(said, "penstock: 1 error\n"));
	char *argv[CLI_REPEAT_MAX + 4] = { (char[]){ "penstock" }, (char[]){ "import" } };
	char file[] = "f";
	struct capture capture;

	for (int i = 0; i <= CLI_REPEAT_MAX; i++)
		argv[2 + i] = file;
	assert_int_equal(cli_parse(2 + CLI_REPEAT_MAX, argv, &cli), 0);
	assert_int_equal(cli.file_count, CLI_REPEAT_MAX);
	capture_begin(&capture, 2);
	int ret = cli_parse(3 + CLI_REPEAT_MAX, argv, &cli);

	assert_string_equal(capture_end(&capture),
			    "penstock import: more than 64 files; import them in parts\n");
	assert_int_equal(ret, CLI_USAGE);
}

static void test_texts(void **state)
{
	const char *said;

	(void)state;
	assert_int_equal(run("penstock help", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "\n  proxy     "));
	assert_int_equal(run("penstock help proxy", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "\n  -zk, --zookeeper-servers LIST "));
	assert_null(strstr(said, "--metadata-store-url"));
	assert_int_equal(run("penstock run --help", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "\n  -c, --config FILE "));
	assert_null(strstr(said, "-zk"));
	assert_int_equal(run("penstock import --help", 1, &said), CLI_FINE);
	assert_int_equal(strncmp(said, "usage: penstock import FILE...\n", 31), 0);
	assert_int_equal(run("penstock version", 1, &said), CLI_FINE);
	static const char *const words[] = { "penstock ",
					     "compiler: ",
					     "liburing",
					     "zookeeper",
					     "libyaml",
					     "jansson",
					     "libmicrohttpd",
					     "c-ares",
					     "zlib",
					     "kernel",
					     "io_uring",
					     "RLIMIT_NOFILE",
					     "fs.pipe-user-pages-soft" };

	for (size_t i = 0; i < COUNT_OF(words); i++)
		assert_non_null(strstr(said, words[i]));
	assert_int_equal(run("penstock docs options", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "# Options\n"));
	assert_int_equal(run("penstock docs metrics", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "| `client_fin` | `-` | no |"));
	assert_int_equal(run("penstock docs yaml", 1, &said), CLI_FINE);
	assert_int_equal(run("penstock docs bash", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "\ncomplete -F _penstock penstock\n"));
	assert_int_equal(run("penstock docs zsh", 1, &said), CLI_FINE);
	assert_int_equal(strncmp(said, "#compdef penstock\n", 18), 0);
	assert_int_equal(run("penstock docs x", 2, &said), CLI_USAGE);
}

/* Every command, every flag and every key stand in a manual page, and nothing is taken for a
 * request of roff. */
static void test_manual(void **state)
{
	const char *said;

	(void)state;
	assert_int_equal(run("penstock docs man1", 1, &said), CLI_FINE);
	assert_non_null(strstr(said, "\n.SS \"check\"\n"));
	assert_non_null(strstr(said, "\n.TP\n\\fB\\-zk\\fR, \\fB\\-\\-zookeeper\\-servers\\fR "
				     "\\fILIST\\fR\n"));
	assert_null(strstr(said, "metadata\\-store\\-url"));
	assert_null(strstr(said, "generate\\-docs"));
	assert_int_equal(run("penstock docs man5", 1, &said), CLI_FINE);
	for (uint32_t i = 0; config_path(i) != NULL; i++) {
		char line[100];

		snprintf(line, sizeof(line), "\n.TP\n\\fB%s\\fR\n", config_path(i));
		assert_non_null(strstr(said, line));
	}
	/* One of each scope, with what it may be; a mapping stands in front of its keys. */
	assert_non_null(strstr(said,
			       "Values: 1 to 256, or auto. Default: \\fBauto\\fR. Changing it "
			       "needs a restart.\n"));
	assert_non_null(strstr(said, "\n\\fBdiscovery.urls\\fR\n"));
	assert_non_null(strstr(said, "\n\\fBbroker_tls.name\\fR\n"));
	assert_true(strstr(said, "\n\\fBlimits\\fR\n") < strstr(said, "\n\\fBlimits.connections"));
	/* And what becomes of each key of proxy.conf, to which messages about them point. */
	assert_non_null(strstr(said, "\n.TP\n\\fBbrokerServiceURL\\fR\n"));
	assert_non_null(strstr(said, "no effect, with a warning"));
	/* No line begins with an apostrophe or with a dot that is no request of ours. */
	for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++)
		assert_true(at[1] != '\'' && (at[1] != '.' || strchr("STPRnabf", at[2]) != NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands), cmocka_unit_test(test_proxy_flags),
		cmocka_unit_test(test_repeated), cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_check),	 cmocka_unit_test(test_texts),
		cmocka_unit_test(test_import),	 cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, help_setup, NULL);
}
