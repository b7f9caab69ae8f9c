/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * TLS on both sides of the relay: OpenSSL, an end of ours, two lanes, another end of ours, OpenSSL;
 * both directions at once, as fast as sockets with little room let them, and keys that change on
 * the way. Nothing may be lost, and nothing may stop.
 */
#define _GNU_SOURCE
#include <penstock/worker/relay.h>

#include "tls_talk.h"

#define TOTAL	(3u << 20)
#define STALL_S 10

/* How an endpoint behaves. */
struct manner {
	const char *name;
	size_t write_max, read_max; /* bytes a call, chosen below that */
	int read_every;		    /* turns; 1: always */
	int key_every;		    /* bytes sent between two changes of keys; 0: never */
	int send_buf, recv_buf;	    /* SO_SNDBUF and SO_RCVBUF of its socket; 0: as it is */
};

struct endpoint {
	SSL *ssl;
	int fd;
	const struct manner *manner;
	uint32_t number, seed, turn;
	size_t sent, got, since_key;
	size_t again; /* what OpenSSL did not take must come again */
	bool is_closed, saw_close;
};

struct pair {
	struct talk client, broker;
	struct endpoint endpoints[2];
	struct relay relay;
	struct lane lanes[LANES];
	enum relay_status status[LANES];
	bool is_done[LANES];
};

static uint8_t pattern_at(size_t offset, uint32_t seed)
{
	return (uint8_t)((offset + seed) * 2654435761u >> 13);
}

static size_t some(struct endpoint *endpoint, size_t most)
{
	endpoint->seed = endpoint->seed * 1664525u + 1013904223u;
	return 1 + (endpoint->seed >> 8) % most;
}

/* ---- OpenSSL's ends ------------------------------------------------------------------------- */

static void check_io(struct endpoint *endpoint, int ret)
{
	int error = SSL_get_error(endpoint->ssl, ret);

	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		fail_msg("%s: OpenSSL: error %d, %s", endpoint->manner->name, error,
			 ERR_error_string(ERR_peek_error(), NULL));
}

static bool endpoint_send(struct endpoint *endpoint)
{
	static uint8_t bytes[65536];
	const struct manner *manner = endpoint->manner;
	size_t len = endpoint->again > 0 ? endpoint->again : some(endpoint, manner->write_max);

	if (endpoint->sent == TOTAL) {
		if (endpoint->is_closed)
			return false;
		int ret = SSL_shutdown(endpoint->ssl);

		if (ret < 0)
			check_io(endpoint, ret);
		endpoint->is_closed = ret >= 0;
		if (ret >= 0)
			assert_int_equal(net_shutdown_write(endpoint->fd), 0);
		return ret >= 0;
	}
	if (endpoint->again == 0 && manner->key_every > 0 &&
	    endpoint->since_key >= (size_t)manner->key_every &&
	    SSL_version(endpoint->ssl) == TLS1_3_VERSION &&
	    SSL_key_update(endpoint->ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
		endpoint->since_key = 0;
	if (len > TOTAL - endpoint->sent)
		len = TOTAL - endpoint->sent;
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern_at(endpoint->sent + i, endpoint->number);
	ERR_clear_error();
	int n = SSL_write(endpoint->ssl, bytes, (int)len);

	endpoint->again = n <= 0 ? len : 0;
	if (n <= 0) {
		check_io(endpoint, n);
		return false;
	}
	endpoint->sent += (size_t)n;
	endpoint->since_key += (size_t)n;
	return true;
}

static bool endpoint_recv(struct endpoint *endpoint)
{
	static uint8_t bytes[65536];

	if (endpoint->saw_close || endpoint->turn++ % (uint32_t)endpoint->manner->read_every != 0)
		return false;
	ERR_clear_error();
	int n = SSL_read(endpoint->ssl, bytes, (int)some(endpoint, endpoint->manner->read_max));

	if (n <= 0) {
		endpoint->saw_close = SSL_get_error(endpoint->ssl, n) == SSL_ERROR_ZERO_RETURN;
		if (!endpoint->saw_close)
			check_io(endpoint, n);
		return endpoint->saw_close;
	}
	for (int i = 0; i < n; i++)
		if (bytes[i] != pattern_at(endpoint->got + (size_t)i, 1 - endpoint->number))
			fail_msg("byte %zu is wrong", endpoint->got + (size_t)i);
	endpoint->got += (size_t)n;
	return true;
}

static bool endpoint_turn(struct endpoint *endpoint)
{
	bool is_busy = endpoint_send(endpoint);

	return endpoint_recv(endpoint) || is_busy;
}

/* ---- the lanes, as a session runs them ------------------------------------------------------ */

static bool is_ready(const struct lane *lane, enum relay_status status)
{
	struct pollfd pollfd = { .fd = status == RELAY_WAIT_SINK ? lane->sink : lane->source,
				 .events = status == RELAY_WAIT_SINK ? POLLOUT : POLLIN };

	return status == RELAY_AGAIN || poll(&pollfd, 1, 0) > 0;
}

static bool lane_turn(struct pair *pair, int id)
{
	struct lane *lane = &pair->lanes[id];
	uint64_t before = lane->bytes;

	if (pair->is_done[id] || !is_ready(lane, pair->status[id]))
		return false;
	enum relay_status status = relay_move(&pair->relay, lane);

	switch ((int)status) {
	case RELAY_WAIT_SOURCE:
	case RELAY_DRAINED:
	case RELAY_WAIT_SINK:
	case RELAY_AGAIN:
		break;
	case RELAY_FIN: {
		int ret = relay_finish(lane);

		assert_true(ret == 0 || ret == -EAGAIN);
		pair->is_done[id] = ret == 0;
		status = RELAY_WAIT_SINK;
		break;
	}
	default:
		fail_msg("lane %d: status %d, err %d, source: %s, sink: %s", id, status, lane->err,
			 tls_fail_rows[tls_why(lane->source_tls)].name,
			 tls_fail_rows[tls_why(lane->sink_tls)].name);
	}
	pair->status[id] = status;
	return lane->bytes != before || pair->is_done[id];
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void set_room(int fd, int send_buf, int recv_buf)
{
	if (send_buf > 0)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buf, sizeof(int)), 0);
	if (recv_buf > 0)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &recv_buf, sizeof(int)), 0);
}

static void pair_open_end(struct talk *talk, struct endpoint *endpoint, size_t suite,
			  bool is_server, const struct manner *manner, int send_buf)
{
	talk_open(talk, suite, is_server);
	/* Back to the socket. */
	SSL_set_fd(talk->ssl, talk->bench.peer_fd);
	set_room(talk->bench.peer_fd, manner->send_buf, manner->recv_buf);
	set_room(talk->bench.fd, send_buf, 0);
	*endpoint = (struct endpoint){ .ssl = talk->ssl,
				       .fd = talk->bench.peer_fd,
				       .manner = manner,
				       .number = !is_server,
				       .seed = (uint32_t)suite * 7 + is_server };
}

static void pair_open(struct pair *pair, size_t suite, size_t other_suite,
		      const struct manner *client, const struct manner *broker, int send_buf,
		      uint32_t bufs)
{
	*pair = (struct pair){ .status = { RELAY_AGAIN, RELAY_AGAIN } };
	pair_open_end(&pair->client, &pair->endpoints[0], suite, true, client, send_buf);
	pair_open_end(&pair->broker, &pair->endpoints[1], other_suite, false, broker, send_buf);
	assert_int_equal(relay_init(&pair->relay, bufs, 0, &bench_stats), 0);
	int client_fd = pair->client.bench.fd, broker_fd = pair->broker.bench.fd;

	relay_lane_init(&pair->lanes[LANE_TO_BROKER], client_fd, broker_fd, false);
	relay_lane_init(&pair->lanes[LANE_TO_CLIENT], broker_fd, client_fd, true);
	relay_lane_tls(&pair->lanes[LANE_TO_BROKER], pair->client.end, pair->broker.end);
	relay_lane_tls(&pair->lanes[LANE_TO_CLIENT], pair->broker.end, pair->client.end);
	for (int id = 0; id < LANES; id++)
		pair->lanes[id].pass = RELAY_ALL;
}

static void pair_close(struct pair *pair)
{
	for (int id = 0; id < LANES; id++)
		relay_lane_fini(&pair->relay, &pair->lanes[id]);
	relay_fini(&pair->relay);
	talk_close(&pair->client);
	talk_close(&pair->broker);
}

static bool is_over(const struct pair *pair)
{
	return pair->is_done[0] && pair->is_done[1] && pair->endpoints[0].saw_close &&
	       pair->endpoints[1].saw_close;
}

static void stalled(const struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		const struct endpoint *endpoint = &pair->endpoints[i];
		const struct lane *lane = &pair->lanes[i];

		print_error("endpoint %d (%s): sent %zu, got %zu; lane %d: %llu bytes, status %d\n",
			    i, endpoint->manner->name, endpoint->sent, endpoint->got, i,
			    (unsigned long long)lane->bytes, (int)pair->status[i]);
		print_error("  source: %zu bytes queued, wakes at %u; sink: part %u of %u sent, "
			    "control %u\n",
			    talk_queued(i == 0 ? &pair->client : &pair->broker),
			    lane->source_tls->rx_wake, lane->sink_tls->tx_part_sent,
			    lane->sink_tls->tx_part_len, lane->sink_tls->control.len);
	}
	fail_msg("stalled");
}

static void pair_run(struct pair *pair)
{
	time_t last = time(NULL);

	while (!is_over(pair)) {
		bool is_busy = false;

		for (int i = 0; i < 2; i++) {
			is_busy |= endpoint_turn(&pair->endpoints[i]);
			is_busy |= lane_turn(pair, i);
		}
		pair->client.end->rekeys = pair->broker.end->rekeys = 0;
		if (is_busy)
			last = time(NULL);
		else if (time(NULL) - last > STALL_S)
			stalled(pair);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair->endpoints[i].got, TOTAL);
		assert_int_equal(pair->lanes[i].bytes, TOTAL);
	}
}

static const struct manner manners[] = {
	{ "plain", 65536, 65536, 1, 0, 0, 0 },
	{ "small frames", 300, 65536, 1, 0, 0, 0 },
	{ "little room", 40000, 20000, 1, 0, 4096, 65536 },
	{ "reads seldom", 30000, 65536, 37, 0, 8192, 65536 },
	{ "small reads", 65536, 999, 1, 0, 0, 65536 },
	{ "new keys", 20000, 20000, 1, 50000, 16384, 65536 },
};

static void both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(manners); i++) {
		for (size_t j = 0; j < COUNT_OF(manners); j++) {
			struct pair pair;
			size_t suite = (i * COUNT_OF(manners) + j) % TALK_SUITES;

			pair_open(&pair, suite, (suite + j) % TALK_SUITES, &manners[i], &manners[j],
				  (i + j) % 2 == 0 ? 4096 : 0, 8);
			pair_run(&pair);
			pair_close(&pair);
		}
	}
}

/* So few buffers that lanes hold none, and only look at what they send. */
static void without_buffers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(manners); i++) {
		struct pair pair;

		pair_open(&pair, i, (i + 1) % TALK_SUITES, &manners[i],
			  &manners[(i + 2) % COUNT_OF(manners)], i % 2 == 0 ? 4096 : 0, 8);
		pair.relay.bufs_for_streams = 0;
		pair_run(&pair);
		pair_close(&pair);
	}
}

/* While close_notify waits for room, no answer may be put behind it: TLS has ended for the lane. */
static void nothing_goes_behind_close_notify(void **state)
{
	static const uint8_t zeros[4096];
	struct pair pair;
	struct lane *lane = &pair.lanes[LANE_TO_CLIENT];

	(void)state;
	pair_open(&pair, 0, 0, &manners[0], &manners[0], 4096, 8);
	lane->pass = 0;
	for (size_t size = sizeof(zeros); size > 0; size /= 2)
		while (send(lane->sink, zeros, size, MSG_DONTWAIT) > 0)
			;
	assert_true(relay_can_emit(lane));
	assert_int_equal(relay_finish(lane), -EAGAIN);
	assert_false(relay_can_emit(lane));
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(without_buffers),
		cmocka_unit_test(nothing_goes_behind_close_notify),
	};

	(void)alarm(300); /* not for ever */
	return cmocka_run_group_tests(tests, talk_set_up, talk_tear_down);
}
