/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a worker's thread says to control in bad moments, and news that overtake each other. All
 * that a worker does for clients is in the simulator and in tests/e2e.
 */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../src/worker/worker_priv.h"
#include <penstock/base/clock.h>

static struct {
	struct mail_office office;
	struct config *config;
	struct worker *worker;
} one;

static int setup(void **state)
{
	struct config_errors errors = { .out = stderr };
	char path[96];
	FILE *file = fopen(unit_path(path, "worker.yaml"), "w");

	(void)state;
	assert_non_null(file);
	(void)fputs(
		"listeners:\n - { name: one, bind: \"127.0.0.1:1\", forward: \"127.0.0.1:9\" }\n"
		"limits: { connections: 16 }\nprocess: { workers: 1 }\n",
		file);
	assert_int_equal(fclose(file), 0);
	one.config = config_load(path, &errors);
	assert_non_null(one.config);
	(void)unlink(path);
	assert_int_equal(mail_office_init(&one.office, 1), 0);
	assert_int_equal(worker_new(&one.worker, 0, &one.office, one.config), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	worker_free(one.worker);
	mail_office_fini(&one.office);
	config_free(one.config);
	return 0;
}

static void pause_ms(uint32_t ms)
{
	const struct timespec pause = { .tv_nsec = (long)(ms * NS_PER_MS) };

	(void)nanosleep(&pause, NULL);
}

/* Until the worker has said it; false: never. What else is in control's box is passed by. */
static bool is_said(enum mail_kind kind, struct mail *ret_mail)
{
	uint64_t until_ns = clock_now_ns() + 5 * NS_PER_S;

	while (clock_now_ns() < until_ns) {
		if (!mail_take(&one.office.control, ret_mail))
			pause_ms(1);
		else if (ret_mail->kind == kind)
			return true;
	}
	return false;
}

/* Control hears of it: else it would wait for this worker for ever. */
static void test_no_ring(void **state)
{
	struct rlimit limit, none;
	struct mail mail;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(worker_start(one.worker), 0);
	int ret = worker_join(one.worker);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(ret, -EMFILE);
	assert_true(is_said(MAIL_STOPPED, &mail));
	assert_int_equal(mail.stopped.worker, 0);
}

/* That a listener is closed is said even if control's box has no room at the moment. */
static void test_full_box(void **state)
{
	const struct mail learned = { .kind = MAIL_LEARNED }, stop = { .kind = MAIL_STOP };
	const struct mail unlisten = { .kind = MAIL_UNLISTEN, .unlisten.listener_id = 7 };
	struct mail mail;

	(void)state;
	while (mail_send(&one.office.control, NULL, &learned))
		continue;
	assert_true(mail_send(&one.office.workers[0], NULL, &unlisten));
	assert_int_equal(worker_start(one.worker), 0);
	pause_ms(300); /* it has tried */
	assert_true(is_said(MAIL_UNLISTENED, &mail));
	assert_int_equal(mail.unlistened.listener_id, 7);
	assert_true(mail_send(&one.office.workers[0], NULL, &stop));
	assert_true(is_said(MAIL_STOPPED, &mail));
	assert_int_equal(worker_join(one.worker), 0);
}

/* What another worker hands on is of a listener that this worker's snapshot knows, even if both
 * came after the worker had looked for a snapshot. */
static void test_news_on_the_way(void **state)
{
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	const struct mail handoff = {
		.kind = MAIL_HANDOFF,
		.handoff = { .fd = pair[0], .listener_id = 7, .peer = addr_v4(INADDR_LOOPBACK, 1) },
	};
	struct route_builder *builder = route_build_begin(one.config, 1);

	assert_non_null(builder);
	route_build_listener(builder, 7, -1, "late"); /* and gone from the configuration already */
	struct route *route = route_build_end(builder);

	assert_non_null(route);
	assert_null(mail_publish(&one.office.workers[0], NULL, route));
	assert_true(mail_send(&one.office.workers[0], NULL, &handoff));
	worker_mail_take(one.worker);
	assert_int_equal(atomic_load(&one.office.stats[0]->acked_version), 1);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0); /* refused, and closed */
	(void)close(pair[1]);
	route_free(route);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_box, setup, teardown),
		cmocka_unit_test_setup_teardown(test_news_on_the_way, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
