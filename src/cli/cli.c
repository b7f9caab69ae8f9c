/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli: which subcommands end by themselves, and the configuration a command line asks for.
 */
#include <stdio.h>

#include <penstock/cli.h>

bool cli_is_tool(const struct cli *cli)
{
	return cli->command != CLI_RUN && cli->command != CLI_PROXY;
}

int cli_tool(struct cli *cli)
{
	switch (cli->command) {
	case CLI_CHECK:
		return cli_check(cli);
	case CLI_DOCTOR:
		return cli_doctor(cli);
	case CLI_IMPORT:
		return cli_import(cli);
	case CLI_SHOW:
		return cli_show(cli);
	case CLI_VERSION:
		return cli_version();
	case CLI_HELP:
		return cli_help(cli->topic);
	case CLI_DOCS:
		return cli_docs(cli->docs);
	case CLI_RUN:
	case CLI_PROXY:
		break;
	}
	return CLI_USAGE;
}

struct config *cli_load(void *cli, struct config_errors *errors)
{
	const struct cli *asked = cli;

	if (asked->is_proxy)
		return config_load_proxy(&asked->proxy, errors);
	return config_load(asked->config_path, errors);
}
