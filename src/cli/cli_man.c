/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_man: penstock(1), from the tables of commands and flags the parser uses.
 */
#include <penstock/base/roff.h>

#include "cli_priv.h"

static const char about[] =
	"penstock stands between clients and the brokers of private Apache Pulsar and Kafka "
	"clusters: it finds\nthe broker for each connection (in ZooKeeper, among fixed URLs, by what "
	"brokers say of each other,\nor by the TLS server name a client asks for), changes the few "
	"bytes that would lead clients around it,\nand moves everything else with io_uring and "
	"splice(2). TLS can end here, begin here, or pass through.\n\n"
	"Without a COMMAND it runs. It stays in the foreground, logs to standard error and tells "
	"systemd when\nit is ready. Its workers, one per CPU, share nothing but counters.\n";

struct item {
	const char *what, *text;
};

static const struct item exits[] = {
	{ "0", "fine" },
	{ "1", "a failure at run time; of import: a setting was not carried over" },
	{ "2", "a command line that cannot be understood" },
	{ "78",
	  "a configuration with errors, or a host that penstock cannot run on. After this and 2 "
	  "systemd does not try again (RestartPreventExitStatus=)" },
};

static const struct item signals[] = {
	{ "SIGHUP",
	  "read the configuration and all files of TLS again. All or nothing: with an error in any "
	  "of them, everything stays as it was, and a metric says so. Where the program's file has "
	  "been replaced since the start, the same as SIGUSR2" },
	{ "SIGUSR2",
	  "start the program anew, from its file, and hand the listening sockets to it: nobody is "
	  "refused. This process drains as soon as the new one serves; if that does not get ready, it "
	  "goes on as if nothing had been" },
	{ "SIGTERM, SIGINT",
	  "drain: /readyz answers 503, new connections are taken for drain.lame_duck, lookup "
	  "connections and those of Kafka are closed over drain.spread, and what is left after "
	  "timeouts.drain is reset. A second one ends it at once" },
	{ "SIGQUIT", "end at once: everything that is open is reset" },
	{ "SIGUSR1", "nothing: the log needs no reopening" },
};

static const struct item files[] = {
	{ CLI_CONFIG_FILE, "the configuration, see penstock.yaml(5)" },
	{ "/usr/share/doc/penstock", "examples; the tables of options, metrics and close reasons" },
};

static void flag_print(const struct cli_flag *flag)
{
	roff_item(stdout);
	if (flag->brief != NULL) {
		roff_bold(stdout, flag->brief);
		fputs(", ", stdout);
	}
	roff_bold(stdout, flag->name);
	if (flag->value != NULL) {
		fputc(' ', stdout);
		roff_italic(stdout, flag->value);
	}
	fputc('\n', stdout);
	roff_text(stdout, flag->text);
}

static void command_print(const struct cli_word *word)
{
	roff_subsection(stdout, word->name);
	roff_text(stdout, word->text);
	for (uint32_t i = 0; i < cli_flag_count; i++)
		if ((cli_flags[i].commands & (1u << word->command)) != 0 &&
		    cli_flags[i].text != NULL && word->command != CLI_HELP)
			flag_print(&cli_flags[i]);
	if (word->more == NULL)
		return;
	roff_paragraph(stdout);
	roff_prose(stdout, word->more);
}

static void synopsis_print(void)
{
	roff_section(stdout, "SYNOPSIS");
	for (uint32_t i = 0; i < cli_word_count; i++) {
		const struct cli_word *word = &cli_words[i];

		if (word->text == NULL)
			continue;
		roff_bold(stdout, "penstock");
		fputc(' ', stdout);
		roff_bold(stdout, word->name);
		fputc(' ', stdout);
		roff_italic(stdout, word->operands != NULL ? word->operands : "[FLAGS]");
		fputs("\n.br\n", stdout);
	}
}

static void list_print(const char *title, const struct item *items, size_t count)
{
	roff_section(stdout, title);
	for (size_t i = 0; i < count; i++) {
		roff_item(stdout);
		roff_bold(stdout, items[i].what);
		fputc('\n', stdout);
		roff_text(stdout, items[i].text);
	}
}

void cli_man(void)
{
	roff_title(stdout, "penstock", 1,
		   "a proxy in front of private Apache Pulsar and Kafka brokers", PENSTOCK_VERSION);
	synopsis_print();
	roff_section(stdout, "DESCRIPTION");
	roff_prose(stdout, about);
	roff_section(stdout, "COMMANDS");
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (cli_words[i].text != NULL)
			command_print(&cli_words[i]);
	list_print("SIGNALS", signals, COUNT_OF(signals));
	list_print("EXIT STATUS", exits, COUNT_OF(exits));
	list_print("FILES", files, COUNT_OF(files));
	roff_section(stdout, "EXAMPLES");
	roff_prose(stdout, "  penstock proxy --zookeeper-servers zk-0,zk-1,zk-2\n"
			   "  penstock check -c penstock.yaml && systemctl reload penstock\n"
			   "  penstock import sni.yaml records.config >penstock.yaml\n");
	roff_section(stdout, "SEE ALSO");
	roff_text(stdout, "penstock.yaml(5), penstock-bench(1), io_uring(7), splice(2)");
}
