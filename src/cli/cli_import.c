/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_import: `penstock import`: the routing of an Apache Traffic Server as penstock.yaml.
 */
#include <stdio.h>

#include <penstock/cli.h>
#include <penstock/config/import.h>

int cli_import(const struct cli *cli)
{
	struct config_errors errors = { .out = stderr };
	uint32_t left = 0;

	if (!config_import(cli->files, cli->file_count, &errors, stdout, &left)) {
		fprintf(stderr, "penstock: %u error%s\n", errors.error_count,
			errors.error_count == 1 ? "" : "s");
		return CLI_CONFIG;
	}
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		fprintf(stderr, "penstock: standard output cannot be written\n");
		return CLI_FAILURE;
	}
	if (left == 0)
		return CLI_FINE;
	fprintf(stderr, "penstock: %u setting%s not carried over\n", left,
		left == 1 ? " was" : "s were");
	return CLI_FAILURE;
}
