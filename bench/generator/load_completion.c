/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What bash and zsh complete on a command line of penstock-bench: modes, kinds, and the options
 * each of them takes. `make docs` writes packaging/common/completions.
 */
#include "load_help.h"

#include "load.h"
#include "sink.h"

#include <stdio.h>

/* The words of one shell, where they differ from the other's. */
struct shell {
	const char *head;
	const char *give;  /* offers the words of $offer */
	const char *files; /* offers files */
	const char *first, *second, *third, *before;
	const char *tail;
};

static const struct shell bash = {
	.head = "# bash completion of penstock-bench.",
	.give = "COMPREPLY=($(compgen -W \"$offer\" -- \"${COMP_WORDS[COMP_CWORD]}\"))",
	.files = "COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\")); compopt -o filenames",
	.first = "$COMP_CWORD",
	.second = "${COMP_WORDS[1]}",
	.third = "${COMP_WORDS[2]}",
	.before = "${COMP_WORDS[COMP_CWORD-1]}",
	.tail = "complete -F _penstock_bench penstock-bench\n",
};

static const struct shell zsh = {
	.head = "#compdef penstock-bench\n# zsh completion of penstock-bench.",
	.give = "compadd -- ${=offer}",
	.files = "_files",
	.first = "$((CURRENT - 1))",
	.second = "$words[2]",
	.third = "$words[3]",
	.before = "$words[CURRENT-1]",
	.tail = "_penstock_bench \"$@\"\n",
};

static void print_names(void)
{
	printf("        case %s in\n        load) offer='", "$verb");
	for (int i = 0; load_modes[i] != NULL; i++)
		printf("%s%s", i > 0 ? " " : "", load_modes[i]->name);
	printf("' ;;\n        sink) offer='");
	for (int i = 0; sink_kinds[i] != NULL; i++)
		printf("%s%s", i > 0 ? " " : "", sink_kinds[i]->name);
	printf("' ;;\n        esac\n");
}

static void print_flags(const char *verb, const char *name, uint32_t takes)
{
	printf("    '%s %s') offer='--help", verb, name);
	options_names(takes, stdout);
	printf("' ;;\n");
}

void load_help_completion(bool is_zsh)
{
	const struct shell *shell = is_zsh ? &zsh : &bash;

	printf("%s Printed from its tables by `make docs`; do not edit.\n\n"
	       "_penstock_bench() {\n"
	       "    local offer= verb=%s\n\n",
	       shell->head, shell->second);
	if (!is_zsh)
		printf("    COMPREPLY=()\n");
	printf("    if ((%s == 1)); then\n"
	       "        offer='load sink --help'\n"
	       "    elif ((%s == 2)); then\n",
	       shell->first, shell->first);
	print_names();
	printf("    else\n    case %s in\n    ", shell->before);
	options_with_value(true, stdout);
	printf(") %s; return ;;\n    --schedule) offer='uniform poisson' ;;\n    ", shell->files);
	options_with_value(false, stdout);
	printf(") return ;;\n    *) case \"$verb %s\" in\n", shell->third);
	for (int i = 0; load_modes[i] != NULL; i++)
		print_flags("load", load_modes[i]->name, load_modes[i]->takes);
	for (int i = 0; sink_kinds[i] != NULL; i++)
		print_flags("sink", sink_kinds[i]->name, sink_kinds[i]->takes);
	printf("    esac ;;\n    esac\n    fi\n    %s\n}\n\n%s", shell->give, shell->tail);
}
