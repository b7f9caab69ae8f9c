/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_completion: what bash and zsh complete on a command line of penstock, from the tables of
 * commands and flags the parser uses; `make docs` writes packaging/common/completions.
 */
#include "cli_priv.h"

static bool is_of(const struct cli_flag *flag, const struct cli_word *word)
{
	return flag->text != NULL && (flag->commands & (1u << word->command)) != 0;
}

static bool is_path(const char *value)
{
	return strcmp(value, "FILE") == 0;
}

static void config_paths_print(const char *separator)
{
	const char *path;

	for (uint32_t i = 0; (path = config_path(i)) != NULL; i++)
		printf("%s%s=", i > 0 ? separator : "", path);
}

/* ---- bash ----------------------------------------------------------------------------------- */

/* Flags that take a value: what it completes to depends on the word before the cursor. */
static void bash_values_print(void)
{
	printf("    case $before in\n");
	for (uint32_t i = 0; i < cli_flag_count; i++) {
		const struct cli_flag *flag = &cli_flags[i];

		/* --config has a row for each command that has another file for it. */
		if (flag->text == NULL || flag->value == NULL ||
		    (i > 0 && strcmp(flag->name, cli_flags[i - 1].name) == 0))
			continue;
		printf("    %s%s%s) ", flag->name, flag->brief != NULL ? "|" : "",
		       flag->brief != NULL ? flag->brief : "");
		if (is_path(flag->value))
			printf("COMPREPLY=($(compgen -f -- \"$word\")); compopt -o filenames; "
			       "return ;;\n");
		else if (flag->kind == CLI_FLAG_SET)
			printf("COMPREPLY=($(compgen -W \"$paths\" -- \"$word\")); compopt -o "
			       "nospace; return ;;\n");
		else
			printf("return ;;\n");
	}
	printf("    esac\n");
}

static void bash_flags_print(const struct cli_word *word)
{
	bool is_first = true;

	printf("    %s) flags='", word->name);
	for (uint32_t i = 0; i < cli_flag_count; i++) {
		const struct cli_flag *flag = &cli_flags[i];

		if (!is_of(flag, word))
			continue;
		printf("%s%s", is_first ? "" : " ", flag->name);
		if (flag->brief != NULL)
			printf(" %s", flag->brief);
		is_first = false;
	}
	printf("' ;;\n");
}

void cli_completion_bash(void)
{
	printf("# bash completion of penstock. Printed from its tables by `make docs`; do not edit.\n"
	       "\n_penstock() {\n"
	       "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "    local command=${COMP_WORDS[1]} flags=\n"
	       "    local commands='");
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (cli_words[i].text != NULL)
			printf("%s%s", i > 0 ? " " : "", cli_words[i].name);
	printf("'\n    local paths='");
	config_paths_print(" ");
	/* bash takes --config=FILE for three words. */
	printf("'\n\n    COMPREPLY=()\n"
	       "    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
	       "    [[ $word == = ]] && word=\n"
	       "    if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then\n"
	       "        COMPREPLY=($(compgen -W \"$commands\" -- \"$word\"))\n"
	       "        return\n"
	       "    fi\n");
	bash_values_print();
	printf("    case $command in\n"
	       "    help) flags=$commands ;;\n");
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (cli_words[i].text != NULL && cli_words[i].command != CLI_HELP)
			bash_flags_print(&cli_words[i]);
	/* Without a command: those of run. */
	printf("    -*) flags='--config -c --help -h --version' ;;\n"
	       "    esac\n"
	       "    if [[ $command == import && $word != -* ]]; then\n"
	       "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
	       "        compopt -o filenames\n"
	       "        return\n"
	       "    fi\n"
	       "    [[ $command == show && $word != -* ]] && flags=brokers\n"
	       "    COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
	       "}\n"
	       "complete -F _penstock penstock\n");
}

/* ---- zsh ------------------------------------------------------------------------------------ */

/* Inside '...' and inside [...]: what would end either. */
static void zsh_text_print(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			printf("'\\''");
		else if (*text == '[' || *text == ']' || *text == ':')
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

/* '(-c --config)'{-c,--config}'[text]:FILE:_files', as _arguments has it; once, or again and
 * again. */
static void zsh_flag_print(const struct cli_flag *flag)
{
	bool is_many = flag->kind == CLI_FLAG_IGNORE || flag->kind == CLI_FLAG_SET;

	printf(" \\\n            ");
	if (flag->brief != NULL)
		printf("'(%s %s)'{%s,%s}'", flag->brief, flag->name, flag->brief, flag->name);
	else
		printf("'%s%s", is_many ? "*" : "", flag->name);
	printf("[");
	zsh_text_print(flag->text);
	printf("]");
	if (flag->value != NULL) {
		printf(":");
		zsh_text_print(flag->value);
		printf(":%s", is_path(flag->value)	   ? "_files"
			      : flag->kind == CLI_FLAG_SET ? "_penstock_paths"
							   : "");
	}
	printf("'");
}

static void zsh_command_print(const struct cli_word *word)
{
	printf("        %s)\n", word->name);
	if (word->command == CLI_HELP) {
		printf("            _describe command commands\n            ;;\n");
		return;
	}
	printf("            _arguments");
	if (word->command == CLI_SHOW)
		printf(" \\\n            '1:what:(brokers)'");
	for (uint32_t i = 0; i < cli_flag_count; i++)
		if (is_of(&cli_flags[i], word))
			zsh_flag_print(&cli_flags[i]);
	if (word->command == CLI_IMPORT)
		printf(" \\\n            '*:FILE:_files'");
	printf("\n            ;;\n");
}

void cli_completion_zsh(void)
{
	printf("#compdef penstock\n"
	       "# zsh completion of penstock. Printed from its tables by `make docs`; do not edit.\n"
	       "\n_penstock_paths() {\n"
	       "    local -a paths=(\n        ");
	config_paths_print("\n        ");
	printf("\n    )\n"
	       "    compadd -S '' -- $paths\n"
	       "}\n\n"
	       "_penstock() {\n"
	       "    local -a commands=(\n");
	for (uint32_t i = 0; i < cli_word_count; i++) {
		if (cli_words[i].text == NULL)
			continue;
		printf("        '%s:", cli_words[i].name);
		zsh_text_print(cli_words[i].text);
		printf("'\n");
	}
	printf("    )\n"
	       "    local context state line\n"
	       "    typeset -A opt_args\n\n"
	       "    _arguments -C '1:command:->command' '*::flag:->flags'\n"
	       "    case $state in\n"
	       "    command)\n"
	       "        _describe command commands\n"
	       "        ;;\n"
	       "    flags)\n"
	       "        case $line[1] in\n");
	for (uint32_t i = 0; i < cli_word_count; i++)
		if (cli_words[i].text != NULL)
			zsh_command_print(&cli_words[i]);
	printf("        esac\n"
	       "        ;;\n"
	       "    esac\n"
	       "}\n\n"
	       "_penstock \"$@\"\n");
}
