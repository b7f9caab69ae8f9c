/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pieces of Kafka's flexible encoding: compact texts and arrays, whose length is a varint one
 * too high (0: null), and tagged fields.
 */
#ifndef BENCH_KAFKA_WIRE_H
#define BENCH_KAFKA_WIRE_H

#include "wire.h"

void kafka_put_text(struct wire_writer *w, const char *text);
void kafka_put_part(struct wire_writer *w, const struct wire_reader *part); /* as a text */
void kafka_put_count(struct wire_writer *w, uint64_t count);
void kafka_put_null(struct wire_writer *w);
void kafka_put_no_tags(struct wire_writer *w);
/* Sets the size in front of the frame that began at `at`; `more_bytes` of it are not in `w`. */
void kafka_put_size(struct wire_writer *w, size_t at, size_t more_bytes);

uint64_t kafka_take_count(struct wire_reader *r); /* null is 0 */
struct wire_reader kafka_take_text(struct wire_reader *r);
void kafka_skip_tags(struct wire_reader *r);

#endif
