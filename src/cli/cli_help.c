/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_help: help texts, printed from the tables the parser uses.
 */
#include <stdio.h>

#include "cli_priv.h"

static void overview(void)
{
	printf("penstock " PENSTOCK_VERSION
	       ": a proxy in front of private Apache Pulsar and Kafka brokers\n\n"
	       "usage: penstock [COMMAND] [FLAGS]\n\n");
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (cli_words[i].text != NULL)
			printf("  %-9s %s\n", cli_words[i].name, cli_words[i].text);
	printf("\n  penstock proxy --zookeeper-servers zk-0,zk-1,zk-2\n"
	       "  penstock run -c penstock.yaml\n\n"
	       "penstock COMMAND --help says more. Exit codes: 0 fine, 1 run-time failure, 2 usage,\n"
	       "78 bad configuration or unusable host.\n");
}

int cli_help(enum cli_command topic)
{
	if (topic == CLI_HELP || topic == CLI_DOCS) {
		overview();
		return CLI_FINE;
	}
	const struct cli_word *word = cli_words;

	while (word->command != topic)
		word++;
	printf("usage: penstock %s %s\n%s\n\n", word->name,
	       word->operands != NULL ? word->operands : "[FLAGS]", word->text);
	for (uint32_t i = 0; i < cli_flag_count; i++) {
		const struct cli_flag *flag = &cli_flags[i];
		char left[80];

		if ((flag->commands & (1u << topic)) == 0 || flag->text == NULL)
			continue;
		snprintf(left, sizeof(left), "%s%s%s%s%s", flag->brief != NULL ? flag->brief : "",
			 flag->brief != NULL ? ", " : "", flag->name,
			 flag->value != NULL ? " " : "", flag->value != NULL ? flag->value : "");
		printf("  %-42s %s\n", left, flag->text);
	}
	if (word->more != NULL)
		printf("\n%s", word->more);
	return CLI_FINE;
}
