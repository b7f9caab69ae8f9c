/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A whole control thread in front of workers that are only boxes: the test plays the workers. What
 * control sends is taken and noted; nothing is answered unless the test does.
 */
#pragma once

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <penstock/base/clock.h>
#include <penstock/control.h>
#include <penstock/net.h>
#include <penstock/tls/set.h>

#define HARNESS_WORKERS 2
#define HARNESS_MAILS	512

struct harness {
	struct mail_office office;
	pthread_t thread;
	struct tls_tickets *tickets;
	int notify; /* what service managers are told comes here */
	char notify_path[96];
	char path[96];			       /* of the configuration */
	void (*change)(struct config *config); /* what no file says; NULL: nothing */
	int exit_code;
	bool is_running;
	bool is_acking;	    /* snapshots are taken and acknowledged */
	bool is_slow;	    /* but not from the start on */
	_Atomic int opened; /* 1: control_open succeeded; -errno */
	struct route *route[HARNESS_WORKERS];
	struct mail mails[HARNESS_WORKERS][HARNESS_MAILS];
	uint32_t mail_count[HARNESS_WORKERS];
};

static struct harness harness;

static inline void harness_pause(void)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	(void)nanosleep(&pause, NULL);
}

static inline uint16_t harness_draw_port(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	(void)close(fd);
	return ntohs(name.sin_port);
}

/* A port nobody listens on at the moment, and none that came of this before: Linux draws lots. */
static inline uint16_t harness_port(void)
{
	static uint8_t is_given[UINT16_MAX + 1];
	uint16_t port;

	do
		port = harness_draw_port();
	while (is_given[port]);
	is_given[port] = true;
	return port;
}

PRINTF_LIKE(1, 2)
static inline void harness_write(const char *format, ...)
{
	FILE *file = fopen(harness.path, "w");
	va_list args;

	assert_non_null(file);
	va_start(args, format);
	(void)vfprintf(file, format, args);
	va_end(args);
	(void)fputs("\nprocess: { workers: 2 }\n", file);
	if (strstr(format, "admin:") == NULL) /* its default is one port for all of this machine */
		(void)fputs("admin: { listen: off }\n", file);
	assert_int_equal(fclose(file), 0);
}

static inline struct config *harness_load(void *context, struct config_errors *errors)
{
	struct config *config = config_load(harness.path, errors);

	(void)context;
	if (config != NULL && harness.change != NULL)
		harness.change(config);
	return config;
}

static inline void *harness_main(void *context)
{
	struct config_errors errors = { .out = stderr };
	struct control *control = NULL;
	struct control_args args = {
		.config = harness_load(NULL, &errors),
		.tickets = harness.tickets,
		.office = &harness.office,
		.reload = harness_load,
	};

	(void)context;
	if (args.config != NULL)
		args.tls = tls_set_new(args.config, harness.tickets, &errors);
	int ret = args.tls == NULL ? -EINVAL : control_open(&control, &args);

	if (ret < 0) {
		atomic_store(&harness.opened, ret);
		return NULL;
	}
	atomic_store(&harness.opened, 1);
	harness.exit_code = control_run(control);
	control_close(control);
	return NULL;
}

static inline void harness_take_route(uint32_t worker)
{
	struct route *route = NULL;

	if (harness.is_acking)
		route = mail_take_route(&harness.office.workers[worker]);
	if (route != NULL) {
		harness.route[worker] = route;
		atomic_store(&harness.office.stats[worker]->acked_version, route->version);
	}
}

/* What a worker's turn does first: snapshot and mail, and what mail is about is in a snapshot. */
static inline void harness_turn(void)
{
	struct mail mail;

	for (uint32_t i = 0; i < HARNESS_WORKERS; i++) {
		atomic_store(&harness.office.stats[i]->heartbeat_ns, clock_now_ns());
		harness_take_route(i);
		mail_awake(&harness.office.workers[i]);
		while (mail_take(&harness.office.workers[i], &mail)) {
			harness_take_route(i);
			assert_true(harness.mail_count[i] < HARNESS_MAILS);
			harness.mails[i][harness.mail_count[i]++] = mail;
		}
	}
	harness_pause();
}

static inline void harness_turns(uint32_t ms)
{
	uint64_t until_ns = clock_now_ns() + ms * NS_PER_MS;

	while (clock_now_ns() < until_ns)
		harness_turn();
}

/* Waits for a condition, for ten seconds at the most. */
#define HARNESS_UNTIL(condition)                                     \
	do {                                                         \
		uint64_t until_ns_ = clock_now_ns() + 10 * NS_PER_S; \
		while (!(condition)) {                               \
			if (clock_now_ns() > until_ns_)              \
				fail_msg("never: %s", #condition);   \
			harness_turn();                              \
		}                                                    \
	} while (0)

/* The version of the newest snapshot, be it taken or not. Only while none is acknowledged: until
 * then control frees none. */
static inline uint64_t harness_published(void)
{
	const struct route *route = atomic_load(&harness.office.workers[0].route);

	assert_false(harness.is_acking);
	return route != NULL		  ? route->version
	       : harness.route[0] != NULL ? harness.route[0]->version
					  : 0;
}

/* The n-th mail of a kind to a worker, or NULL. */
static inline const struct mail *harness_mail(uint32_t worker, enum mail_kind kind, uint32_t n)
{
	for (uint32_t i = 0; i < harness.mail_count[worker]; i++)
		if (harness.mails[worker][i].kind == kind && n-- == 0)
			return &harness.mails[worker][i];
	return NULL;
}

/* The same, which must be there. */
static inline struct mail harness_need(uint32_t worker, enum mail_kind kind, uint32_t n)
{
	const struct mail *mail = harness_mail(worker, kind, n);

	if (mail == NULL)
		fail_msg("worker %u has not got mail %d", worker, (int)kind);
	return mail == NULL ? (struct mail){ .kind = kind } : *mail;
}

static inline uint32_t harness_count(uint32_t worker, enum mail_kind kind)
{
	uint32_t count = 0;

	while (harness_mail(worker, kind, count) != NULL)
		count++;
	return count;
}

static inline void harness_send(const struct mail *mail)
{
	while (!mail_send(&harness.office.control, NULL, mail))
		harness_pause();
}

static inline void harness_unlistened(uint16_t listener_id)
{
	for (uint16_t i = 0; i < HARNESS_WORKERS; i++) {
		struct mail mail = { .kind = MAIL_UNLISTENED };

		mail.unlistened.listener_id = listener_id;
		mail.unlistened.worker = i;
		harness_send(&mail);
	}
}

static inline void harness_stopped(void)
{
	for (uint16_t i = 0; i < HARNESS_WORKERS; i++) {
		struct mail mail = { .kind = MAIL_STOPPED };

		mail.stopped.worker = i;
		harness_send(&mail);
	}
}

static inline void harness_signal(int number)
{
	assert_int_equal(kill(getpid(), number), 0);
}

/* The configuration must be written. Signals are control's, as in the real process. */
static inline void harness_start(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(signals); i++)
		sigaddset(&set, signals[i]);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	assert_int_equal(mail_office_init(&harness.office, HARNESS_WORKERS), 0);
	harness.is_acking = !harness.is_slow;
	harness.is_running = true;
	assert_int_equal(pthread_create(&harness.thread, NULL, harness_main, NULL), 0);
	HARNESS_UNTIL(atomic_load(&harness.opened) != 0);
}

/* Ends it if the test has not, and closes what was handed over. */
static inline int harness_teardown(void **state)
{
	(void)state;
	if (harness.is_running && atomic_load(&harness.opened) == 1) {
		harness_signal(SIGQUIT);
		HARNESS_UNTIL(harness_count(0, MAIL_STOP) > 0 && harness_count(1, MAIL_STOP) > 0);
		harness_stopped();
	}
	if (harness.is_running)
		(void)pthread_join(harness.thread, NULL);
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++)
		for (uint32_t j = 0; j < harness.mail_count[i]; j++)
			if (harness.mails[i][j].kind == MAIL_LISTEN)
				(void)close(harness.mails[i][j].listen.fd);
	mail_office_fini(&harness.office);
	tls_tickets_free(harness.tickets);
	tls_fini();
	(void)unlink(harness.path);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)close(harness.notify);
	(void)unlink(harness.notify_path);
	return 0;
}

static inline void harness_notify_open(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	harness.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unit_path(harness.notify_path, "notify");
	(void)unlink(harness.notify_path);
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", harness.notify_path);
	assert_int_equal(bind(harness.notify, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", harness.notify_path, 1), 0);
}

/* Is that the next thing a service manager was told? (sd_notify(3)) What comes before it is lost.
 */
static inline bool harness_is_notified(const char *text)
{
	char have[256];
	ssize_t len = recv(harness.notify, have, sizeof(have) - 1, 0);

	if (len < 0)
		return false;
	have[len] = '\0';
	return strstr(have, text) != NULL;
}

/* Control reads its file anew, and has come to an end with that: it took it, or it did not. It must
 * have said READY=1 before, and that must be read. */
static inline void harness_reload(void)
{
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness_is_notified("RELOADING=1"));
	HARNESS_UNTIL(harness_is_notified("READY=1"));
	harness_turn(); /* what came of it has been taken */
}

static inline int harness_setup(void **state)
{
	(void)state;
	memset(&harness, 0, sizeof(harness));
	unit_path(harness.path, "harness.yaml");
	harness_notify_open();
	assert_int_equal(tls_init(64 << 20), 0);
	harness.tickets = tls_tickets_new();
	return harness.tickets == NULL;
}

/* Waits for the end and returns the exit code. */
static inline int harness_join(void)
{
	(void)pthread_join(harness.thread, NULL);
	harness.is_running = false;
	return harness.exit_code;
}

/* From another address than any test listens on: the port that Linux draws for it could be one that
 * a listener is about to take, or the very one it dials, and then it would reach itself. */
static inline int harness_connect(uint16_t port)
{
	struct sockaddr_in name = { .sin_family = AF_INET }, from = name;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	name.sin_port = htons(port);
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* Sends a request and takes the whole answer; the fake workers keep turning meanwhile. The status,
 * and the text in a static buffer. */
static inline int harness_http(uint16_t port, const char *request, char **ret_text)
{
	static char text[4 * 1024 * 1024];
	size_t len = 0;
	int fd = harness_connect(port);
	uint64_t until_ns = clock_now_ns() + 60 * NS_PER_S;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	for (;;) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);

		assert_true(clock_now_ns() < until_ns);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EAGAIN)
			break;
		harness_turn();
	}
	(void)close(fd);
	text[len] = '\0';
	*ret_text = text;
	return len > 12 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static inline int harness_get(uint16_t port, const char *path, char **ret_text)
{
	char request[256];

	(void)snprintf(request, sizeof(request),
		       "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	return harness_http(port, request, ret_text);
}
