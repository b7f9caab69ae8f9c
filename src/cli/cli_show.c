/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_show: `penstock show`: asks the admin address of a penstock that runs, and prints the answer
 * as it comes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <penstock/base/clock.h>
#include <penstock/base/err.h>
#include <penstock/cli.h>
#include <penstock/net.h>

#define WAIT_NS	    (5 * NS_PER_S) /* for all of it */
#define UNIX	    "unix:"
#define ROOM_FIRST  65536
#define ANSWER_MOST ((size_t)64 * 1024 * 1024) /* admin's own bound */

struct asker {
	int fd;
	uint64_t deadline_ns;
	char *answer;
	size_t len, room;
};

/* 0, or -errno. */
static int wait_for(const struct asker *asker, short events)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t left_ms =
		asker->deadline_ns > now_ns ? (asker->deadline_ns - now_ns) / NS_PER_MS : 0;
	struct pollfd poll_fd = { .fd = asker->fd, .events = events };
	int ret = poll(&poll_fd, 1, (int)left_ms);

	if (ret > 0 || (ret < 0 && errno == EINTR))
		return 0;
	return ret < 0 ? -errno : -ETIMEDOUT;
}

static int dial(struct asker *asker, const char *unix_path, const struct addr *addr)
{
	if (unix_path != NULL)
		return net_dial_unix(unix_path, &asker->fd);
	int ret = net_dial(addr, &asker->fd);

	if (ret == -EINPROGRESS)
		ret = wait_for(asker, POLLOUT);
	if (ret == 0)
		ret = net_error(asker->fd);
	return ret;
}

static int send_all(struct asker *asker, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = net_send(asker->fd, text, len);
		int ret = n == -EAGAIN ? wait_for(asker, POLLOUT) : n < 0 ? (int)n : 0;

		if (ret < 0)
			return ret;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static bool make_room(struct asker *asker)
{
	size_t room = asker->room == 0 ? ROOM_FIRST : 2 * asker->room;

	if (asker->len + 1 < asker->room)
		return true;
	char *answer = room <= 2 * ANSWER_MOST ? realloc(asker->answer, room) : NULL;

	if (answer == NULL)
		return false;
	asker->answer = answer;
	asker->room = room;
	return true;
}

/* Until it closes, as it does for HTTP/1.0. */
static int receive_all(struct asker *asker)
{
	for (;;) {
		if (!make_room(asker))
			return -ENOMEM;
		ssize_t n = net_recv(asker->fd, asker->answer + asker->len,
				     asker->room - asker->len - 1);
		int ret = n == -EAGAIN ? wait_for(asker, POLLIN) : n < 0 ? (int)n : 0;

		if (ret < 0)
			return ret;
		asker->len += n > 0 ? (size_t)n : 0;
		asker->answer[asker->len] = '\0';
		if (n == 0)
			return 0;
	}
}

/* What is behind the head of a good answer; NULL: it is none. */
static const char *body_of(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, " 200 ", 5) != 0)
		return NULL;
	return end == NULL ? NULL : end + 4;
}

/* ---- where ---------------------------------------------------------------------------------- */

struct place {
	const char *unix_path; /* NULL: addr */
	struct addr addr;
	char text[ADDR_TEXT_MAX];
};

static bool place_parse(const char *where, struct place *ret_place)
{
	if (strncmp(where, UNIX, strlen(UNIX)) == 0)
		ret_place->unix_path = where + strlen(UNIX);
	else if (!addr_parse(span_str(where), &ret_place->addr))
		return false;
	return true;
}

/* A server at all addresses is here too. */
static void look_at_loopback(struct addr *addr)
{
	static const uint8_t any[16];
	uint16_t port = addr->port;

	if (addr_is_v4(addr) && memcmp(addr->ip + 12, any, 4) == 0)
		*addr = addr_v4(0x7f000001, port);
	else if (memcmp(addr->ip, any, sizeof(any)) == 0)
		addr->ip[15] = 1;
}

/* 0, or the exit code. */
static int place_find(struct cli *cli, struct config **ret_config, struct place *ret_place)
{
	struct config_errors errors = { .out = stderr };

	if (cli->admin != NULL) {
		if (place_parse(cli->admin, ret_place))
			return 0;
		fprintf(stderr,
			"penstock show: --admin %s: write HOST:PORT, the host as an address, or "
			"unix:/path\n",
			cli->admin);
		return CLI_USAGE;
	}
	struct config *config = cli_load(cli, &errors);

	if (config == NULL || errors.error_count > 0) {
		config_free(config);
		fprintf(stderr,
			"penstock show: no usable configuration says where to ask; use --admin HOST:PORT\n");
		return CLI_CONFIG;
	}
	*ret_config = config;
	if (!config->admin.is_on) {
		fprintf(stderr, "penstock show: the admin server is off (admin.listen)\n");
		return CLI_CONFIG;
	}
	ret_place->unix_path = config->admin.unix_path;
	ret_place->addr = config->admin.listen;
	look_at_loopback(&ret_place->addr);
	return 0;
}

static int ask(const struct place *place, const char *request)
{
	struct asker asker = { .fd = -1, .deadline_ns = clock_now_ns() + WAIT_NS };
	int ret = dial(&asker, place->unix_path, &place->addr);

	if (ret == 0)
		ret = send_all(&asker, request);
	if (ret == 0)
		ret = receive_all(&asker);
	if (asker.fd >= 0)
		net_close(asker.fd, false);
	const char *body = ret == 0 ? body_of(asker.answer) : NULL;

	if (ret < 0)
		fprintf(stderr, "penstock show: no penstock answers at %s: %s\n",
			place->unix_path != NULL ? place->unix_path : place->text, err_text(ret));
	else if (body == NULL)
		fprintf(stderr,
			"penstock show: what answers at %s is not this version of penstock\n",
			place->unix_path != NULL ? place->unix_path : place->text);
	else
		fputs(body, stdout);
	free(asker.answer);
	return body != NULL ? CLI_FINE : CLI_FAILURE;
}

int cli_show(struct cli *cli)
{
	struct config *config = NULL;
	struct place place = { .unix_path = NULL };
	int ret = place_find(cli, &config, &place);

	if (ret == 0) {
		(void)addr_format(&place.addr, place.text);
		ret = ask(&place, cli->is_json ? "GET /brokers HTTP/1.0\r\n\r\n"
					       : "GET /brokers.txt HTTP/1.0\r\n\r\n");
	}
	config_free(config);
	return ret;
}
