/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode idle: opens connections up to each of the asked counts, sends one message through every
 * new one and waits for its echo (so that the proxy has its whole session, and has used and given
 * back its buffers), prints one JSON line, and holds still until a line arrives on standard input.
 * Whoever runs it measures the proxy's memory between the lines. End of input ends the run.
 * Mode kafka-idle: the same with connections to a broker of Kafka, which ask for its versions.
 */
#include "kafka_frames.h"
#include "load_channel.h"
#include "tls_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TOUCH_MS_MAX = 5000,
	MESSAGE_BYTES_MAX = 16 * 1024,
};

struct touch {
	uint8_t message[MESSAGE_BYTES_MAX];
	size_t bytes;
	bool is_framed; /* the answer says its size; else it is as long as the message */
};

static bool receive(const struct load_channel *ch, uint8_t *into, size_t size)
{
	for (size_t have = 0; have < size;) {
		struct pollfd ready = { .fd = ch->fd, .events = POLLIN };
		ssize_t n = load_channel_recv(ch, into + have, size - have);

		if (n > 0)
			have += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			return false;
		else if (poll(&ready, 1, TOUCH_MS_MAX) <= 0)
			return false;
	}
	return true;
}

static bool receive_answer(const struct touch *touch, const struct load_channel *ch)
{
	static uint8_t into[MESSAGE_BYTES_MAX];
	uint32_t size = (uint32_t)touch->bytes;

	if (touch->is_framed) {
		struct wire_reader head = { .at = into, .left = FRAMES_SIZE_BYTES };

		if (!receive(ch, into, FRAMES_SIZE_BYTES))
			return false;
		size = wire_take_u32(&head);
	}
	return size <= sizeof(into) && receive(ch, into, size);
}

/* Sends to a whole batch before it waits, so that opening thousands takes no thousand waits. */
static void touch_all(struct load *l, const struct touch *touch, const struct load_channel *all,
		      uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (all[i].fd >= 0 && load_channel_send(&all[i], touch->message, touch->bytes) < 0)
			load_count_error(l, errno);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (all[i].fd < 0)
			continue;
		if (receive_answer(touch, &all[i]))
			l->work[LOAD_ROUND_TRIPS]++;
		else
			l->errors[LOAD_ERROR_EOF]++;
	}
}

static bool wait_for_line(uint64_t ms_max)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[64];

	if (poll(&input, 1, (int)ms_max) <= 0)
		return false;
	return read(STDIN_FILENO, line, sizeof(line)) > 0;
}

static void run(struct load *l, const struct touch *touch)
{
	uint32_t most = l->ask.step[l->ask.step_count - 1];
	struct load_channel *all = load_alloc(most, sizeof(*all));
	struct tls_client *tls = load_channel_tls(l);
	uint32_t have = 0;

	if (tls != NULL)
		tls_client_save_memory(tls);
	load_window_open(l);
	for (uint32_t i = 0; i < l->ask.step_count; i++) {
		uint32_t more = l->ask.step[i] > have ? l->ask.step[i] - have : 0;

		l->work[LOAD_CONNECTIONS] += load_channel_open_all(l, tls, all + have, more);
		touch_all(l, touch, all + have, more);
		have += more;
		printf("{\"mode\":\"%s\",\"open\":%llu,\"touched\":%llu}\n", l->mode->name,
		       (unsigned long long)l->work[LOAD_CONNECTIONS],
		       (unsigned long long)l->work[LOAD_ROUND_TRIPS]);
		fflush(stdout);
		if (!wait_for_line(l->ask.run_ns / 1000000))
			break;
	}
	load_window_finish(l);
	for (uint32_t i = 0; i < have; i++) {
		if (all[i].fd >= 0)
			load_channel_close(&all[i]);
	}
	if (tls != NULL)
		tls_client_note(tls, l);
	tls_client_free(tls);
	free(all);
}

static void load_idle_run(struct load *l)
{
	struct touch touch = { .bytes = l->ask.message_bytes };

	if (touch.bytes > sizeof(touch.message))
		load_refuse("idle takes messages of up to 16384 bytes");
	run(l, &touch);
}

static void load_kafka_idle_run(struct load *l)
{
	struct touch touch = { .is_framed = true };
	struct wire_writer w = WIRE_WRITER(touch.message);

	kafka_put_api_versions(&w, 0);
	touch.bytes = w.size;
	run(l, &touch);
}

const struct load_mode load_idle = {
	.name = "idle",
	.summary = "many connections that do nothing (sink: echo)",
	.about =
		"Opens connections up to each of the counts of -c N,N,... in turn, sends one message through every "
		"new one and waits for its echo, prints a line of JSON, and holds still until a line "
		"arrives on standard input, -t seconds at the most. End of input ends the run."
		"\n\nWork: connections. Whoever runs it measures the proxy's memory between the lines. "
		"beside, with --tls: version, cipher suite and group.",
	.takes = (OPTION_COMMON | OPTION_MAYBE_TLS) & ~(uint32_t)(OPTION_WARM_UP | OPTION_HGRM),
	.message_bytes = 128,
	.takes_steps = true,
	.run = load_idle_run,
};

const struct load_mode load_kafka_idle = {
	.name = "kafka-idle",
	.summary = "many connections to Kafka that do nothing (sink: kafka)",
	.about = "As idle, but a new connection asks for the broker's ApiVersions.\n\nWork: "
		 "connections.",
	.takes = (OPTION_COMMON | OPTION_MAYBE_TLS) &
		 ~(uint32_t)(OPTION_WARM_UP | OPTION_HGRM | OPTION_BYTES),
	.message_bytes = 1,
	.takes_steps = true,
	.run = load_kafka_idle_run,
};
