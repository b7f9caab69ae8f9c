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
	.about = "Each of -c consumers has a topic of its own. With --rate it has a publisher too; "
		 "together they send --rate times a second, and latency is from the intended send "
		 "time to the delivery. Without, each topic is filled with --fill MiB and then "
		 "read from its beginning, again and again, as fast as it comes. Consumers go to "
		 "--to, publishers to --publish-to, so that a proxy need not carry both ways. -b "
		 "bytes are one message, or a batch of messages of --payload bytes.\n\nWork: "
		 "requests (deliveries), their messages, and bytes of payload.",
	.takes = OPTION_COMMON | OPTION_PAYLOAD | OPTION_TOPIC | OPTION_NAMESPACE | OPTION_PACE |
		 OPTION_STAY | OPTION_FILL | OPTION_PUBLISH_TO,
	.message_bytes = 64 * 1024,
	.run = load_pulsar_consume_run,
};
