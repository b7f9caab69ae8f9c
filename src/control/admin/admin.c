/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin: the two HTTP servers: libmicrohttpd with an epoll set of its own, whose descriptor we poll
 * on our ring; it never has a thread. A client that does not read, does not write or asks too much
 * costs a connection slot for ten seconds and nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <penstock/base/log.h>

#include "admin_priv.h"

#define CONNECTION_MEMORY ((size_t)32 * 1024)
#define REASONS_MAX	  4096
#define WINDOW_NS	  (100 * NS_PER_MS)
#define WINDOW_RUNS	  2000 /* more in a window means that something is always ready */
#define PAUSE_NS	  (10 * NS_PER_MS)

#define TYPE_TEXT	  "text/plain; charset=utf-8"
#define TYPE_JSON	  "application/json"
#define TYPE_METRICS	  "text/plain; version=0.0.4; charset=utf-8"

/* Which HTTP status, with which text. */
typedef unsigned admin_page_fn(struct admin *admin, struct MHD_Connection *connection,
			       struct admin_text *text);

struct page {
	const char *path;
	const char *type;
	admin_page_fn *fn; /* NULL: /connections, which takes more than one turn */
	bool is_admin, is_web;
};

static unsigned show_metrics(struct admin *admin, struct MHD_Connection *connection,
			     struct admin_text *text)
{
	(void)connection;
	admin_metrics_write(admin, text);
	return MHD_HTTP_OK;
}

static unsigned show_health(struct admin *admin, struct MHD_Connection *connection,
			    struct admin_text *text)
{
	(void)connection;
	return admin_show_health(admin, text) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned show_ready(struct admin *admin, struct MHD_Connection *connection,
			   struct admin_text *text)
{
	char reasons[REASONS_MAX];

	(void)connection;
	if (admin->host.ready(admin->host.context, reasons, sizeof(reasons))) {
		admin_text_printf(text, "ready\n");
		return MHD_HTTP_OK;
	}
	admin_text_add(text, reasons, strlen(reasons));
	return MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned show_brokers(struct admin *admin, struct MHD_Connection *connection,
			     struct admin_text *text)
{
	(void)connection;
	admin_brokers_json(admin, text);
	return MHD_HTTP_OK;
}

static unsigned show_broker_table(struct admin *admin, struct MHD_Connection *connection,
				  struct admin_text *text)
{
	(void)connection;
	admin_brokers_table(admin, text);
	return MHD_HTTP_OK;
}

static unsigned show_certificates(struct admin *admin, struct MHD_Connection *connection,
				  struct admin_text *text)
{
	(void)connection;
	admin_show_certificates(admin, text);
	return MHD_HTTP_OK;
}

static unsigned show_routes(struct admin *admin, struct MHD_Connection *connection,
			    struct admin_text *text)
{
	const struct admin_question question = {
		.sni = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "sni"),
		.listener =
			MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "listener"),
		.alpn = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "alpn"),
		.client = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "client"),
	};

	return admin_routes_show(admin, &question, text) ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST;
}

/* As the Java proxy: OK if and only if statusFilePath is set and the file is there. */
static unsigned show_status(struct admin *admin, struct MHD_Connection *connection,
			    struct admin_text *text)
{
	(void)connection;
	if (admin->status_file == NULL || access(admin->status_file, F_OK) < 0) {
		admin_text_printf(text, "Not Found\n");
		return MHD_HTTP_NOT_FOUND;
	}
	admin_text_printf(text, "OK");
	return MHD_HTTP_OK;
}

static const struct page pages[] = {
	{ "/metrics", TYPE_METRICS, show_metrics, true, true },
	{ "/metrics/", TYPE_METRICS, show_metrics, false, true },
	{ "/healthz", TYPE_TEXT, show_health, true, false },
	{ "/readyz", TYPE_TEXT, show_ready, true, false },
	{ "/brokers", TYPE_JSON, show_brokers, true, false },
	{ "/brokers.txt", TYPE_TEXT, show_broker_table, true, false },
	{ "/connections", TYPE_JSON, NULL, true, false },
	{ "/routes", TYPE_JSON, show_routes, true, false },
	{ "/certs", TYPE_JSON, show_certificates, true, false },
	{ "/status.html", TYPE_TEXT, show_status, false, true },
};

static const struct page *find_page(const struct admin_server *server, const char *url)
{
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		const struct page *page = &pages[i];
		bool is_metrics = page->fn == show_metrics;
		bool is_here = server->is_web
				       ? page->is_web && (!is_metrics || server->admin->has_metrics)
				       : page->is_admin;

		if (is_here && strcmp(page->path, url) == 0)
			return page;
	}
	return NULL;
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
				     const char *type, struct MHD_Response *response)
{
	if (response == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result ret = MHD_queue_response(connection, status, response);

	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result send_fixed(struct MHD_Connection *connection, unsigned status, char *text)
{
	return send_response(connection, status, TYPE_TEXT,
			     MHD_create_response_from_buffer(strlen(text), text,
							     MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result send_page(struct admin *admin, struct MHD_Connection *connection,
				 const struct page *page)
{
	static char no_memory[] = "out of memory\n";
	struct admin_text text = { .at = NULL };
	unsigned status = page->fn(admin, connection, &text);

	if (text.is_failed || text.at == NULL) {
		admin_text_fini(&text);
		return send_fixed(connection, MHD_HTTP_SERVICE_UNAVAILABLE, no_memory);
	}
	struct MHD_Response *response =
		MHD_create_response_from_buffer(text.len, text.at, MHD_RESPMEM_MUST_FREE);

	if (response == NULL)
		admin_text_fini(&text);
	return send_response(connection, status, page->type, response);
}

static void on_rows_sent(void *context)
{
	admin_rows_free(context);
}

static enum MHD_Result send_rows(struct MHD_Connection *connection, struct admin_waiter *waiter)
{
	static char failed[] = "a worker does not answer, or out of memory\n";

	if (waiter->text.is_failed)
		return send_fixed(connection, MHD_HTTP_SERVICE_UNAVAILABLE, failed);
	struct MHD_Response *response =
		MHD_create_response_from_buffer_with_free_callback_cls(waiter->text.len,
								       waiter->text.at,
								       on_rows_sent, waiter);

	if (response == NULL)
		return MHD_NO;
	waiter->is_answered = true;
	return send_response(connection, MHD_HTTP_OK, TYPE_JSON, response);
}

static enum MHD_Result begin_rows(struct admin *admin, struct MHD_Connection *connection,
				  void **request)
{
	static char busy[] = "other requests for /connections are under way; try again\n";
	struct admin_waiter *waiter = admin_rows_begin(admin, connection);

	if (waiter == NULL)
		return send_fixed(connection, MHD_HTTP_SERVICE_UNAVAILABLE, busy);
	*request = waiter;
	return MHD_YES;
}

static char seen[] = "the head of this request has been seen";

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **request)
{
	static char not_found[] = "Not Found\n";
	static char not_allowed[] = "Method Not Allowed: only GET and HEAD\n";
	struct admin_server *server = context;

	(void)version;
	(void)upload;
	if (*request == NULL) { /* head only: the body, if any, comes with the next calls */
		*request = seen;
		return MHD_YES;
	}
	if (*request != seen)
		return send_rows(connection, *request);
	if (*upload_size > 0) {
		*upload_size = 0; /* read and forgotten */
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_fixed(connection, MHD_HTTP_METHOD_NOT_ALLOWED, not_allowed);
	const struct page *page = find_page(server, url);

	if (page == NULL)
		return send_fixed(connection, MHD_HTTP_NOT_FOUND, not_found);
	if (page->fn == NULL)
		return begin_rows(server->admin, connection, request);
	return send_page(server->admin, connection, page);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)connection;
	(void)code;
	if (*request == NULL || *request == seen)
		return;
	struct admin_waiter *waiter = *request;

	*request = NULL;
	if (!waiter->is_answered) /* else the response's */
		admin_rows_free(waiter);
}

PRINTF_LIKE(2, 0)
static void on_log(void *context, const char *format, va_list args)
{
	char text[256];

	(void)context;
	(void)vsnprintf(text, sizeof(text), format, args);
	log_debug("http", "%s", text);
}

/* ---- running on the ring ----------------------------------------------------------------------
 */

static void on_ready(struct uring_op *op, int events);
static void on_timer(struct timer *timer);

/* A listening socket that cannot be accepted from (out of descriptors) is always ready: then the
 * server runs every 10 ms instead of all the time. */
static bool is_spinning(struct admin_server *server, uint64_t now_ns)
{
	if (now_ns - server->window_ns > WINDOW_NS) {
		server->window_ns = now_ns;
		server->run_count = 0;
	}
	return ++server->run_count > WINDOW_RUNS;
}

static void run(struct admin_server *server)
{
	const struct admin_host *host = &server->admin->host;
	uint64_t now_ns = clock_now_ns();
	MHD_UNSIGNED_LONG_LONG wait_ms;

	(void)MHD_run(server->daemon);
	if (is_spinning(server, now_ns)) {
		uring_cancel(host->ring, &server->op);
		timer_set(host->wheel, &server->timer, now_ns + PAUSE_NS, on_timer);
		return;
	}
	if (!server->op.is_armed)
		uring_poll(host->ring, &server->op, server->epoll_fd, POLLIN, on_ready);
	if (MHD_get_timeout(server->daemon, &wait_ms) == MHD_YES)
		timer_set(host->wheel, &server->timer, now_ns + wait_ms * NS_PER_MS, on_timer);
	else
		timer_clear(host->wheel, &server->timer);
}

static void on_ready(struct uring_op *op, int events)
{
	(void)events; /* the server asks its epoll set itself */
	run(CONTAINER_OF(op, struct admin_server, op));
}

static void on_timer(struct timer *timer)
{
	run(CONTAINER_OF(timer, struct admin_server, timer));
}

/* Without a thread of its own the server does not notice a resumed connection by itself. */
void admin_run_soon(struct admin *admin)
{
	struct admin_server *server = &admin->servers[0];

	if (server->daemon != NULL)
		timer_set(admin->host.wheel, &server->timer, clock_now_ns(), on_timer);
}

static int open_server(struct admin *admin, struct admin_server *server, int fd)
{
	/* No thread of its own: on this thread MHD_run is called when something is ready. */
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	server->admin = admin;
	server->daemon =
		MHD_start_daemon(flags, 0, NULL, NULL, on_request, server,
				 MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
				 fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
				 MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS,
				 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_TIMEOUT_S,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
				 MHD_OPTION_END);
	if (server->daemon == NULL) {
		log_error("http_failed", "the HTTP server does not start");
		return -ENOMEM;
	}
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	CHECK(info != NULL);
	server->epoll_fd = info->epoll_fd;
	run(server);
	return 0;
}

static char *copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

int admin_open(struct admin **ret_admin, const struct admin_host *host, int admin_fd, int web_fd,
	       const struct config *config)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (admin == NULL)
		return -ENOMEM;
	admin->host = *host;
	admin->status_file = copy(config->web.status_file);
	admin->cluster_label = copy(config->web.cluster_name);
	admin->has_metrics = config->web.has_metrics;
	admin->started_wall_us = clock_wall_us();
	admin->servers[1].is_web = true;

	int ret = admin_fd < 0 ? 0 : open_server(admin, &admin->servers[0], admin_fd);

	if (ret == 0 && web_fd >= 0)
		ret = open_server(admin, &admin->servers[1], web_fd);
	if (ret < 0) {
		admin_close(admin);
		return ret;
	}
	*ret_admin = admin;
	return 0;
}

void admin_quiesce(struct admin *admin)
{
	for (size_t i = 0; i < COUNT_OF(admin->servers); i++) {
		struct admin_server *server = &admin->servers[i];
		int fd = server->daemon == NULL ? -1 : MHD_quiesce_daemon(server->daemon);

		if (fd >= 0)
			(void)close(fd);
	}
}

void admin_close(struct admin *admin)
{
	admin_rows_fini(admin);
	for (size_t i = 0; i < COUNT_OF(admin->servers); i++) {
		struct admin_server *server = &admin->servers[i];

		if (server->daemon == NULL)
			continue;
		uring_cancel(admin->host.ring, &server->op);
		timer_clear(admin->host.wheel, &server->timer);
		MHD_stop_daemon(server->daemon);
	}
	free(admin->gather.page);
	free(admin->status_file);
	free(admin->cluster_label);
	free(admin);
}
