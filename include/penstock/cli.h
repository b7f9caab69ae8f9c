/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli: the command line, and the subcommands that are tools: check, doctor, import, show, version,
 * help, docs.
 *
 *     cli_parse --> cli_is_tool? --> cli_tool: exit code
 *                        no      --> cli_load --> serve
 *
 * Thread:   main, before any other thread; cli_load also later, for SIGHUP
 * Memory:   struct cli keeps pointers into argv and into itself: do not copy it
 * Errors:   exit codes: 0 fine, 1 run-time failure (import: something is not carried over), 2
 * usage, 78 bad configuration
 */
#pragma once

#include <penstock/config.h>

#define CLI_REPEAT_MAX	64 /* --ignore, --set, files */
#define CLI_SET_MAX	256
#define CLI_CONFIG_FILE "/etc/penstock/penstock.yaml"

enum cli_exit { CLI_FINE = 0, CLI_FAILURE = 1, CLI_USAGE = 2, CLI_CONFIG = 78 };

enum cli_command {
	CLI_RUN,
	CLI_PROXY,
	CLI_CHECK,
	CLI_DOCTOR,
	CLI_IMPORT,
	CLI_SHOW,
	CLI_VERSION,
	CLI_HELP,
	CLI_DOCS,
};

struct cli {
	enum cli_command command;
	enum cli_command topic;	 /* of CLI_HELP; CLI_HELP itself: the overview */
	const char *config_path; /* run, check, doctor, show */
	struct config_proxy_args proxy;
	bool is_proxy; /* the configuration is that of `penstock proxy` (proxy, check of proxy
			  --dump) */
	bool is_dump, is_quiet;
	bool is_json;			   /* doctor, show */
	bool is_sysctl;			   /* doctor */
	const char *subject;		   /* show: what; NULL: nothing */
	const char *admin;		   /* show: where; NULL: as the configuration says */
	const char *docs;		   /* a page of cli_docs.c */
	const char *files[CLI_REPEAT_MAX]; /* import */
	uint32_t file_count;

	const char *ignores[CLI_REPEAT_MAX];
	struct config_override overrides[CLI_REPEAT_MAX];
	char override_paths[CLI_REPEAT_MAX][CLI_SET_MAX];
};

/* 0, or CLI_USAGE after a line on standard error that says what is wrong. */
MUST_USE int cli_parse(int argc, char **argv, struct cli *ret_cli);

/* Does the command end by itself, without serving? */
bool cli_is_tool(const struct cli *cli);
/* Runs it; returns the exit code. */
MUST_USE int cli_tool(struct cli *cli);

/* The configuration the command line asks for; NULL and errors if there is none. `cli` is a
 * struct cli *: the signature is that of control_args.reload. */
struct config *cli_load(void *cli, struct config_errors *errors);

int cli_check(struct cli *cli);
int cli_doctor(const struct cli *cli);
int cli_import(const struct cli *cli);
/* Asks a penstock that runs. */
int cli_show(struct cli *cli);
int cli_version(void);
int cli_docs(const char *what);
int cli_help(enum cli_command topic);
