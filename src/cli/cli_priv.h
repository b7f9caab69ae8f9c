/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_priv: the tables of subcommands and flags, which the parser and the help texts share.
 */
#pragma once

#include <penstock/cli.h>

enum cli_flag_kind {
	CLI_FLAG_TEXT,	 /* const char * at `offset` */
	CLI_FLAG_BOOL,	 /* bool at `offset` */
	CLI_FLAG_IGNORE, /* one more --ignore */
	CLI_FLAG_SET,	 /* one more path=value */
	CLI_FLAG_PRESET, /* a value for the path in `preset` */
	CLI_FLAG_HELP,
	CLI_FLAG_DOCS, /* the Java proxy's --generate-docs */
};

struct cli_flag {
	const char *name;  /* --zookeeper-servers */
	const char *brief; /* -zk, or NULL */
	uint32_t commands; /* a bit per enum cli_command */
	enum cli_flag_kind kind;
	uint32_t offset;
	const char *preset;
	const char *value; /* what it takes, for the help; NULL: nothing */
	const char *text;  /* NULL: understood, but not in the help */
};

struct cli_word {
	const char *name;
	enum cli_command command;
	const char *text; /* NULL: not in the help */
	/* What stands behind the name, for the usage line; NULL: flags. */
	const char *operands;
	/* What else there is to say, for the help and the manual (roff_prose); NULL: nothing. */
	const char *more;
};

extern const struct cli_flag cli_flags[];
extern const uint32_t cli_flag_count;
extern const struct cli_word cli_words[];
extern const uint32_t cli_word_count;

/* What `penstock docs` prints besides docs/: the manual page penstock(1), and completion. */
void cli_man(void);
void cli_completion_bash(void);
void cli_completion_zsh(void);
