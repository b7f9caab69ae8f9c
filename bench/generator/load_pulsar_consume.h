/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The two ways of mode pulsar-consume.
 */
#ifndef BENCH_LOAD_PULSAR_CONSUME_H
#define BENCH_LOAD_PULSAR_CONSUME_H

#include "load.h"

/* Publishes at a rate and times every message until it is delivered. */
void load_pulsar_consume_live(struct load *l);
/* Fills the topics, then reads them again and again. */
void load_pulsar_consume_drain(struct load *l);

#endif
