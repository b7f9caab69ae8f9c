/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What --help says.
 */
#ifndef BENCH_LOAD_HELP_H
#define BENCH_LOAD_HELP_H

#include <stdbool.h>

struct load_mode;
struct sink_kind;

void load_help(void);
void load_help_mode(const struct load_mode *mode);
void load_help_sink(const struct sink_kind *kind);

/* penstock-bench(1), and completion for either shell (load_completion.c). */
void load_help_man(void);
void load_help_completion(bool is_zsh);

#endif
