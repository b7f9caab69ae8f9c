/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pulsar-consume: one of two ways, by whether there is a rate.
 */
#include "load_pulsar_consume.h"

static void load_pulsar_consume_run(struct load *l)
{
	l->ask.topics = l->ask.conn_count; /* one each: a second consumer would be sent all again */
	if (l->ask.rate > 0)
		load_pulsar_consume_live(l);
	else
		load_pulsar_consume_drain(l);
}

const struct load_mode load_pulsar_consume = {
	.name = "pulsar-consume",
	.summary = "consume Pulsar topics, end to end or a backlog (sink: pulsar)",
	.about =
		"Each of -c consumers has a topic of its own. With --rate it has a publisher too; together those send --rate "
		"times a second, and latency is\nfrom the intended send time to the delivery. "
		"Without, each topic is filled with --fill MiB, and then read from\nits beginning "
		"again and again, as fast as it comes. Publishers go to --publish-to, so that the "
		"proxy need not\ncarry both ways; consumers to --to. A message is -b bytes, or a "
		"batch of --payload bytes each.\nWork: requests (deliveries), their messages and "
		"payload bytes.",
	.takes = OPTION_COMMON | OPTION_PAYLOAD | OPTION_TOPIC | OPTION_NAMESPACE | OPTION_PACE |
		 OPTION_STAY | OPTION_FILL | OPTION_PUBLISH_TO | OPTION_WINDOW,
	.message_bytes = 64 * 1024,
	.run = load_pulsar_consume_run,
};
