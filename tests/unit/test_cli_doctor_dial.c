/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What `penstock doctor` finds out about places it dials: servers of this test, on the loopback
 * device, that answer, refuse, hang up, or say nothing. TLS with real servers: test_60_doctor.py.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include <penstock/base/clock.h>

#include "../../src/cli/cli_doctor.h"

#include "config_help.h"

enum manner { HOLD, ANSWER, HANG_UP };

struct server {
	enum manner manner;
	int fd;
	uint16_t port;
	pthread_t thread;
	int held[512];
	uint32_t held_count;
};

static const char answer[] = "Zookeeper version: 3.9.4\nMode: leader\nNode count: 5\n";

static void *serve(void *context)
{
	struct server *server = context;
	char question[4];
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		if (server->manner == HOLD && server->held_count < COUNT_OF(server->held)) {
			server->held[server->held_count++] = fd;
			continue;
		}
		if (server->manner == ANSWER &&
		    recv(fd, question, sizeof(question), MSG_WAITALL) == 4 &&
		    memcmp(question, "srvr", 4) == 0) {
			/* In two pieces, so that one read is not enough. */
			(void)!send(fd, answer, 20, MSG_NOSIGNAL);
			usleep(20000);
			(void)!send(fd, answer + 20, strlen(answer) - 20, MSG_NOSIGNAL);
		}
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *server, enum manner manner)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(name);

	*server = (struct server){ .manner = manner,
				   .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	assert_true(server->fd >= 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(server->fd, 512), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&name, &len), 0);
	server->port = ntohs(name.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
	for (uint32_t i = 0; i < server->held_count; i++)
		close(server->held[i]);
}

/* For places that come to an end by themselves, and for those that come to none otherwise. */
#define LONG  (60 * NS_PER_S)
#define SHORT (300 * NS_PER_MS)

/* A port nobody listens on: one that was free a moment ago. Only after all servers have theirs. */
static uint16_t closed_port(void)
{
	struct server server;

	server_start(&server, HOLD);
	server_stop(&server);
	return server.port;
}

static struct doctor_place place(const char *host, uint16_t port)
{
	struct doctor_place made = { .port = port };

	snprintf(made.host, sizeof(made.host), "%s", host);
	return made;
}

static void test_connections(void **state)
{
	struct server server;
	struct doctor_place places[4];

	(void)state;
	server_start(&server, HOLD);
	places[0] = place("127.0.0.1", server.port);
	places[1] = place("127.0.0.1", closed_port());
	places[2] = place("no-such-name.invalid", 1);
	places[3] = place("localhost", server.port); /* its ::1, if any, refuses */
	cli_doctor_dial(places, 4, LONG);
	assert_int_equal(places[0].stage, DOCTOR_REACHED);
	assert_int_equal(places[1].stage, DOCTOR_CONNECTION);
	assert_string_equal(places[1].why, "Connection refused");
	assert_int_equal(places[2].stage, DOCTOR_NAME);
	assert_int_equal(strncmp(places[2].why, "its name: ", 10), 0);
	assert_int_equal(places[3].stage, DOCTOR_REACHED);
	for (int i = 0; i < 4; i++)
		assert_int_equal(places[i].fd, -1);
	server_stop(&server);
}

/* A name with several addresses is reached when one of them is. */
static void test_addresses(void **state)
{
	struct server server;
	struct doctor_place places[2];

	(void)state;
	server_start(&server, HOLD);
	uint16_t none = closed_port();

	places[0] = place("several.invalid", 1);
	places[0].addrs[0] = addr_v4(INADDR_LOOPBACK, none);
	places[0].addrs[1] = addr_v4(INADDR_LOOPBACK, server.port);
	places[0].addr_count = 2;
	places[1] = places[0];
	places[1].addrs[1] = places[1].addrs[0];
	cli_doctor_dial(places, 2, LONG);
	assert_int_equal(places[0].stage, DOCTOR_REACHED);
	assert_int_equal(places[1].stage, DOCTOR_CONNECTION);
	assert_string_equal(places[1].why, "Connection refused");
	server_stop(&server);
}

static void test_questions(void **state)
{
	struct server answers, holds, hangs;
	struct doctor_place places[3];

	(void)state;
	server_start(&answers, ANSWER);
	server_start(&holds, HOLD);
	server_start(&hangs, HANG_UP);
	places[0] = place("127.0.0.1", answers.port);
	places[1] = place("127.0.0.1", hangs.port);
	places[2] = place("127.0.0.1", holds.port);
	for (int i = 0; i < 3; i++)
		places[i].question = "srvr";
	cli_doctor_dial(places, 2, LONG);
	assert_int_equal(places[0].stage, DOCTOR_REACHED);
	assert_string_equal(places[0].answer, answer);
	assert_int_equal(places[1].stage, DOCTOR_ANSWER);
	assert_true(strcmp(places[1].why, "closes the connection without an answer") == 0 ||
		    strcmp(places[1].why, "Connection reset by peer") == 0);
	uint64_t begun_ns = clock_now_ns();

	cli_doctor_dial(&places[2], 1, SHORT);
	assert_true(clock_now_ns() - begun_ns >= SHORT);
	assert_int_equal(places[2].stage, DOCTOR_ANSWER);
	assert_string_equal(places[2].why, "takes the connection and says nothing");
	server_stop(&answers);
	server_stop(&holds);
	server_stop(&hangs);
}

static void doubt(void *with, bool is_error, const char *sentence)
{
	(void)with;
	if (is_error)
		fail_msg("%s", sentence);
}

static void test_no_tls(void **state)
{
	const struct tls_report report = { .say = doubt };
	const struct tls_client_params params = { .is_peer_unchecked = true };
	struct tls_context *context = tls_context_client(&params, &report);
	struct server holds, hangs;
	struct doctor_place places[2];

	(void)state;
	assert_non_null(context);
	server_start(&holds, HOLD);
	server_start(&hangs, HANG_UP);
	places[0] = place("127.0.0.1", holds.port);
	places[1] = place("127.0.0.1", hangs.port);
	places[0].context = places[1].context = context;
	places[1].name = "broker.test";
	cli_doctor_dial(&places[0], 1, SHORT);
	cli_doctor_dial(&places[1], 1, LONG);
	assert_int_equal(places[0].stage, DOCTOR_TLS);
	assert_string_equal(places[0].why, "does not go on with the TLS handshake");
	assert_int_equal(places[1].stage, DOCTOR_TLS);
	assert_int_equal(strncmp(places[1].why, "TLS: ", 5), 0);
	assert_true(strcmp(places[1].why + 5, tls_fail_rows[TLS_FAIL_GONE].text) == 0 ||
		    strcmp(places[1].why + 5, tls_fail_rows[TLS_FAIL_RESET].text) == 0);
	tls_context_put(context);
	server_stop(&holds);
	server_stop(&hangs);
}

/* More than are dialled at once: all have their turn. */
static void test_many(void **state)
{
	static struct doctor_place places[200];
	static struct server holds;

	(void)state;
	server_start(&holds, HOLD);
	for (uint32_t i = 0; i < COUNT_OF(places); i++) {
		places[i] = place("127.0.0.1", holds.port);
		if (i % 10 == 0)
			places[i].question = "srvr"; /* 20 that will not be answered */
	}
	cli_doctor_dial(places, COUNT_OF(places), SHORT);
	for (uint32_t i = 0; i < COUNT_OF(places); i++)
		assert_int_equal(places[i].stage, i % 10 == 0 ? DOCTOR_ANSWER : DOCTOR_REACHED);
	server_stop(&holds);
}

/* ---- the checks that dial ------------------------------------------------------------------- */

static struct doctor doctor;
static struct config *config;

/* What the checks of ZooKeeper and brokers say about a configuration. */
static const char *ask(const char *yaml)
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");

	doctor = (struct doctor){ .root = "/nowhere", .config_path = "t.yaml" };
	help_write("t.yaml", yaml, strlen(yaml));
	config = cli_doctor_load(&doctor);
	if (config == NULL)
		fail_msg("%s", doctor.said);
	doctor.check = "zookeeper";
	cli_doctor_zookeeper(&doctor);
	doctor.check = "brokers";
	cli_doctor_brokers(&doctor);
	assert_non_null(out);
	cli_doctor_print(&doctor, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void done(int code)
{
	assert_int_equal(cli_doctor_exit(&doctor), code);
	cli_doctor_fini(&doctor);
	config_free(config);
}

#define REMEDY "; is it running, is this the right port, is a firewall in between?\n"

static void test_brokers(void **state)
{
	struct server broker;
	char yaml[1000], expected[1000];

	(void)state;
	server_start(&broker, HOLD);
	uint16_t none = closed_port();

	snprintf(
		yaml, sizeof(yaml),
		"admin: { listen: off }\ntimeouts: { connect: 1m }\n"
		"egress: { allow: { hosts: [\"*.test\"], networks: [10.0.0.0/8] } }\n"
		"clusters:\n"
		"  c: { discovery: { urls: [\"pulsar://127.0.0.1:%u\", \"pulsar://127.0.0.1:%u\"] } }\n"
		"  d: { discovery: { urls: [\"pulsar://127.0.0.1:%u\"] } }\n"
		"listeners:\n"
		"  - { name: a, bind: \"127.0.0.1:1\", forward: \"127.0.0.1:%u\" }\n"
		"  - name: e\n"
		"    bind: \"127.0.0.1:2\"\n"
		"    routes:\n"
		"      - { host: one.test, forward: [\"127.0.0.1:%u\", \"127.0.0.1:%u\"] }\n"
		"      - { host: two.test, forward: \"127.0.0.1:%u\" }\n"
		"      - { host: \"*.three.test\", forward: \"{1}.test:6651\" }\n",
		broker.port, none, none, broker.port, none, broker.port, none);
	/* One of several is enough where they are tried in turn; derived ones nobody can try. */
	snprintf(expected, sizeof(expected),
		 "ok    brokers       cluster c: 1 of 2 brokers can be reached\n"
		 "warn  brokers       cluster c: broker 127.0.0.1:%u: Connection refused" REMEDY
		 "fail  brokers       cluster d: broker 127.0.0.1:%u: Connection refused" REMEDY
		 "ok    brokers       listener a: 1 of 1 target can be reached\n"
		 "ok    brokers       listener e, route one.test: 1 of 2 targets can be reached\n"
		 "warn  brokers       listener e, route one.test: 127.0.0.1:%u: Connection "
		 "refused" REMEDY
		 "fail  brokers       listener e, route two.test: 127.0.0.1:%u: Connection "
		 "refused" REMEDY "doctor: 3 ok, 2 warn, 2 fail\n",
		 none, none, none, none);
	assert_string_equal(ask(yaml), expected);
	assert_int_equal(doctor.broker_count, 7);
	done(CLI_FAILURE);
	server_stop(&broker);
}

static void test_zookeeper(void **state)
{
	struct server zookeeper;
	char yaml[1000], expected[1000];

	(void)state;
	server_start(&zookeeper, ANSWER);
	uint16_t none = closed_port();

	snprintf(
		yaml, sizeof(yaml),
		"admin: { listen: off }\ntimeouts: { connect: 1m }\nclusters: { c: { discovery: { zookeeper: { servers: "
		"\"127.0.0.1:%u,127.0.0.1:%u/root\", global_servers: \"127.0.0.1:%u\" } } } }\n",
		zookeeper.port, none, none);
	snprintf(
		expected, sizeof(expected),
		"ok    zookeeper     cluster c: 127.0.0.1:%u answers, leader\n"
		"warn  zookeeper     cluster c: 127.0.0.1:%u: Connection refused" REMEDY
		"fail  zookeeper     cluster c, global: 127.0.0.1:%u: Connection refused" REMEDY
		/* It answers, but it is none. */
		"fail  brokers       cluster c: no broker is known, since there is no session with "
		"ZooKeeper; see zookeeper above\ndoctor: 1 ok, 1 warn, 2 fail\n",
		zookeeper.port, none, none);
	assert_string_equal(ask(yaml), expected);
	done(CLI_FAILURE);
	server_stop(&zookeeper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_connections),
		cmocka_unit_test(test_questions), cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_many),	  cmocka_unit_test(test_brokers),
		cmocka_unit_test(test_zookeeper),
	};

	if (tls_init(16 << 20) < 0)
		return 1;
	log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	int failed = cmocka_run_group_tests(tests, help_setup, NULL);

	tls_fini();
	return failed;
}
