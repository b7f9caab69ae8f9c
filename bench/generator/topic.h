/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names of topics, from --topic and --topics.
 */
#ifndef BENCH_TOPIC_H
#define BENCH_TOPIC_H

#include "options.h"

#include <stddef.h>

enum { TOPIC_NAME_BYTES = 256 };

/* The name of topic `index`, counted round and round: --topic itself when it is the only one. */
void topic_name(const struct options *ask, uint64_t index, char into[TOPIC_NAME_BYTES]);
/* The same as Pulsar's full name, unless --topic is one. */
void topic_name_pulsar(const struct options *ask, uint64_t index, char into[TOPIC_NAME_BYTES]);

#endif
