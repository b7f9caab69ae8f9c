/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_answer: errors said in a broker's place, to calls that may not reach one. Only where a
 * response says its error once, for the call as a whole (kafka_answer.def): where it repeats what
 * was asked for, topic by topic, the request must be read (kafka_refusal.h).
 *
 * Thread:   any (pure functions)
 * Memory:   at most KAFKA_ANSWER_MAX bytes in the caller's sink
 */
#pragma once

#include <penstock/wire/kafka.h>

#define KAFKA_ANSWER_MAX 160

/* The whole response, its error "not authorised". false: there is none for this key and version;
 * the sink is as it was. */
MUST_USE bool kafka_answer_denied(struct sink *sink, const struct kafka_request *request);
