/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A control thread that takes over from another process, which the test plays. What real processes
 * do is in tests/e2e/test_81_handover.py.
 */
#include "test_control_harness.h"

#define FORWARD "{ name: %s, bind: \"127.0.0.1:%u\", forward: \"127.0.0.1:9\" }"

struct predecessor {
	uint16_t port;
	int fd;			  /* ours of the connection */
	int fds[HARNESS_WORKERS]; /* listening */
	char what[64];
};

/* A process with `count` listening sockets, that passes them on. */
static struct predecessor predecessor(const char *hello, uint32_t count)
{
	struct predecessor ret = { .port = harness_port() };
	struct addr addr = addr_v4(INADDR_LOOPBACK, ret.port);
	char number[16];
	int pair[2];

	/* Room for all who wait, also when one socket gets them all. */
	assert_int_equal(net_listen(&addr, 128, count, ret.fds), 0);
	assert_int_equal(net_pass_pair(pair), 0);
	ret.fd = pair[0];
	(void)snprintf(number, sizeof(number), "%d", pair[1]);
	assert_int_equal(setenv("PENSTOCK_HANDOVER", number, 1), 0);
	(void)snprintf(ret.what, sizeof(ret.what), "listener 127.0.0.1:%u", ret.port);
	assert_int_equal(net_pass_send(ret.fd, hello, NULL, 0), 0);
	assert_int_equal(net_pass_send(ret.fd, ret.what, ret.fds, count), 0);
	return ret;
}

static bool is_ready(int fd)
{
	char text[NET_PASS_TEXT];
	int fds[NET_PASS_MAX];
	uint32_t count;
	ssize_t n = net_pass_take(fd, 0, text, sizeof(text), fds, &count);

	if (n == -EAGAIN)
		return false;
	assert_int_equal(n, 5);
	assert_string_equal(text, "ready");
	return true;
}

/* Connections that waited before we came are in the queues we get. */
static void test_takes_over(void **state)
{
	struct predecessor old = predecessor("penstock 1", HARNESS_WORKERS);
	int waiting[32];
	uint32_t accepted = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(waiting); i++)
		assert_true((waiting[i] = harness_connect(old.port)) >= 0);
	assert_int_equal(net_pass_send(old.fd, "listener 127.0.0.1:1", old.fds, 1), 0);
	assert_int_equal(net_pass_send(old.fd, "end", NULL, 0), 0);
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++)
		(void)close(old.fds[i]);

	harness_write("listeners:\n - " FORWARD, "one", old.port);
	harness_start();
	assert_int_equal(atomic_load(&harness.opened), 1);
	assert_null(getenv("PENSTOCK_HANDOVER"));
	HARNESS_UNTIL(is_ready(old.fd));
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1 && harness_count(1, MAIL_LISTEN) == 1);
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++) {
		struct addr peer;
		int fd;

		while ((fd = net_accept(harness_need(i, MAIL_LISTEN, 0).listen.fd, &peer)) >= 0) {
			accepted++;
			(void)close(fd);
		}
		assert_int_equal(fd, -EAGAIN);
	}
	assert_int_equal(accepted, COUNT_OF(waiting));
	for (size_t i = 0; i < COUNT_OF(waiting); i++)
		(void)close(waiting[i]);
	(void)close(old.fd);
}

/* Before the workers have a snapshot nothing is taken from the predecessor. */
static void test_waits_until_ready(void **state)
{
	struct predecessor old = predecessor("penstock 1", HARNESS_WORKERS);

	(void)state;
	assert_int_equal(net_pass_send(old.fd, "end", NULL, 0), 0);
	harness_write("listeners:\n - " FORWARD, "one", old.port);
	harness.is_slow = true;
	harness_start();
	for (int i = 0; i < 100; i++) {
		harness_turn();
		assert_false(is_ready(old.fd));
		assert_int_equal(harness_count(0, MAIL_LISTEN), 0);
	}
	harness.is_acking = true;
	HARNESS_UNTIL(is_ready(old.fd));
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1);
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++)
		(void)close(old.fds[i]);
	(void)close(old.fd);
}

/* More of us than sockets: the rest is opened beside them. */
static void test_more_workers(void **state)
{
	struct predecessor old = predecessor("penstock 1", 1);

	(void)state;
	assert_int_equal(net_pass_send(old.fd, "end", NULL, 0), 0);
	harness_write("listeners:\n - " FORWARD, "one", old.port);
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1 && harness_count(1, MAIL_LISTEN) == 1);
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++) {
		struct addr addr;

		assert_int_equal(net_local_addr(harness_need(i, MAIL_LISTEN, 0).listen.fd, &addr),
				 0);
		assert_int_equal(addr.port, old.port);
	}
	(void)close(old.fds[0]);
	(void)close(old.fd);
}

/* What must end the start, so that the old process goes on. */
static void refused(struct predecessor *old, int err)
{
	harness_write("listeners:\n - " FORWARD, "one", old->port);
	harness_start();
	assert_int_equal(atomic_load(&harness.opened), err);
	(void)harness_join();
	assert_false(is_ready(old->fd));
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++)
		(void)close(old->fds[i]);
	(void)close(old->fd);
}

static void test_other_protocol(void **state)
{
	struct predecessor old = predecessor("penstock 2", HARNESS_WORKERS);

	(void)state;
	refused(&old, -EPROTO);
}

static void test_fewer_workers(void **state)
{
	struct predecessor old = predecessor("penstock 1", HARNESS_WORKERS);

	(void)state;
	/* A second message about the same address: three sockets for two workers. */
	assert_int_equal(net_pass_send(old.fd, old.what, old.fds, 1), 0);
	assert_int_equal(net_pass_send(old.fd, "end", NULL, 0), 0);
	refused(&old, -E2BIG);
}

static void test_no_descriptor(void **state)
{
	(void)state;
	static const char *const words[] = { "x", "", "3x", "-1", "0", "999999", "99999999999" };

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		assert_int_equal(setenv("PENSTOCK_HANDOVER", words[i], 1), 0);
		harness_write("listeners:\n - " FORWARD, "one", harness_port());
		atomic_store(&harness.opened, 0);
		if (i > 0)
			mail_office_fini(&harness.office);
		harness_start();
		assert_int_equal(atomic_load(&harness.opened), -EINVAL);
		(void)harness_join();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_takes_over, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_waits_until_ready, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_more_workers, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_other_protocol, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_fewer_workers, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_no_descriptor, harness_setup,
						harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
