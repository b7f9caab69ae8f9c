/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode crr: connect, request, response, close.
 */
#include "load_slots.h"

#include <stdlib.h>
#include <string.h>

static void load_crr_run(struct load *l)
{
	uint8_t *message = load_alloc(1, l->ask.message_bytes);
	struct load_slots_plain plain = { .request = message,
					  .request_bytes = l->ask.message_bytes,
					  .answer_bytes = l->ask.message_bytes };

	memset(message, 'p', l->ask.message_bytes);
	load_slots_run_plain(l, &plain);
	free(message);
}

const struct load_mode load_crr = {
	.name = "crr",
	.summary = "connect, one echo, close, again and again (sink: echo)",
	.about =
		"Keeps N connections going, each over after one message of -b bytes and its echo."
		"\n\nWork: connections that ended with both FINs. Latency: from connect(2) to the complete echo.",
	.takes = OPTION_COMMON,
	.message_bytes = 128,
	.run = load_crr_run,
};
