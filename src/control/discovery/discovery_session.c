/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_session: see discovery_session.h. The only file that includes zookeeper.h.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zookeeper/zookeeper.h>

#include <penstock/base/err.h>

#include "discovery_session.h"

#define RETRY_FIRST_NS (250 * NS_PER_MS)
#define RETRY_MOST_NS  (5 * NS_PER_S)
/* A server that lost its tree refuses, for ever, a client that has seen newer transactions than it
 * has ("client must try another server"). We own nothing in a session, so a new one costs nothing.
 */
#define RENEW_NS       (8 * NS_PER_S)
#define NAMES_PAUSE_NS (100 * NS_PER_MS) /* between looks at a name that is being resolved */
#define NAMES_AGAIN_NS (5 * NS_PER_S)
#define NAMES_IDLE_NS  (30 * NS_PER_S)
#define RESOLVED_MAX   8192
#define ADDRS_MAX      8 /* of one server */
#define IDLE_NS	       NS_PER_S

/* What the library's threads know of us: where to put letters. Lives as long as the handle. */
struct discovery_post {
	struct discovery_inbox *inbox;
	uint64_t serial;
};

/* A question under way; freed by its answer, which the library always gives (ZCLOSING at the
 * latest). */
struct question {
	struct discovery_post *post;
	enum discovery_what what;
	uint64_t tag;
	char *path;
};

/* ---- on the library's threads -----------------------------------------------------------------
 */

static void on_watch(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	const struct discovery_post *post = context;
	struct discovery_letter *letter;

	(void)handle;
	/* Session events come to every node watcher as well as to the handle's own. */
	if (type == ZOO_SESSION_EVENT || path == NULL || path[0] == '\0')
		return;
	letter = discovery_inbox_letter(DISCOVERY_WATCH, post->serial, path);
	if (letter != NULL)
		letter->state = state;
	discovery_inbox_post(post->inbox, letter);
}

static void on_session(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	const struct discovery_post *post = context;
	struct discovery_letter *letter;

	(void)handle;
	(void)path;
	if (type != ZOO_SESSION_EVENT)
		return;
	letter = discovery_inbox_letter(DISCOVERY_STATE, post->serial, NULL);
	if (letter != NULL)
		letter->state = state;
	discovery_inbox_post(post->inbox, letter);
}

static struct discovery_letter *answer(const struct question *question, int rc,
				       const struct Stat *stat)
{
	struct discovery_letter *letter =
		discovery_inbox_letter(question->what, question->post->serial, question->path);

	if (letter == NULL)
		return NULL;
	letter->tag = question->tag;
	letter->rc = rc;
	if (rc == ZOK && stat != NULL) {
		letter->czxid = stat->czxid;
		letter->mzxid = stat->mzxid;
	}
	return letter;
}

static void question_free(struct question *question)
{
	free(question->path);
	free(question);
}

static struct question *question_of(const void *context)
{
	union {
		const void *in;
		struct question *out;
	} cast = { .in = context }; /* the library takes its context as const */

	return cast.out;
}

static void on_exists(int rc, const struct Stat *stat, const void *context)
{
	struct question *question = question_of(context);

	discovery_inbox_post(question->post->inbox, answer(question, rc, stat));
	question_free(question);
}

static void on_data(int rc, const char *value, int len, const struct Stat *stat,
		    const void *context)
{
	struct question *question = question_of(context);
	struct discovery_letter *letter = answer(question, rc, stat);

	if (letter != NULL && rc == ZOK && value != NULL && len > 0) {
		letter->bytes = malloc((size_t)len + 1);
		if (letter->bytes == NULL) {
			discovery_inbox_letter_free(letter);
			letter = NULL;
		} else {
			memcpy(letter->bytes, value, (size_t)len);
			letter->bytes[len] = '\0';
			letter->len = (size_t)len;
		}
	}
	discovery_inbox_post(question->post->inbox, letter);
	question_free(question);
}

static bool copy_names(struct discovery_letter *letter, const struct String_vector *names)
{
	letter->names = calloc((size_t)names->count + 1, sizeof(*letter->names));
	if (letter->names == NULL)
		return false;
	for (int32_t i = 0; i < names->count; i++) {
		letter->names[i] = strdup(names->data[i]);
		if (letter->names[i] == NULL)
			return false;
		letter->name_count++;
	}
	return true;
}

static void on_children(int rc, const struct String_vector *names, const struct Stat *stat,
			const void *context)
{
	struct question *question = question_of(context);
	struct discovery_letter *letter = answer(question, rc, stat);

	if (letter != NULL && rc == ZOK && names != NULL && !copy_names(letter, names)) {
		discovery_inbox_letter_free(letter);
		letter = NULL;
	}
	discovery_inbox_post(question->post->inbox, letter);
	question_free(question);
}

static void on_log(const char *message)
{
	log_debug("zookeeper_library", "%s", message);
}

struct farewell {
	zhandle_t *handle;
	struct discovery_post *post;
};

/* Says good-bye to the server, which may take seconds if it does not answer. */
static void *close_handle(void *context)
{
	struct farewell *farewell = context;

	(void)zookeeper_close(farewell->handle);
	discovery_inbox_put(farewell->post->inbox);
	free(farewell->post);
	free(farewell);
	return NULL;
}

/* ---- on the control thread --------------------------------------------------------------------
 */

static void let_go(struct discovery_session *session)
{
	struct farewell *farewell = malloc(sizeof(*farewell));
	pthread_t thread;

	if (session->handle == NULL) {
		free(farewell);
		return;
	}
	CHECK(farewell != NULL);
	*farewell = (struct farewell){ .handle = session->handle, .post = session->post };
	session->handle = NULL;
	session->post = NULL;
	if (pthread_create(&thread, NULL, close_handle, farewell) == 0)
		(void)pthread_detach(thread);
	else
		(void)close_handle(farewell); /* no threads left: then we wait ourselves */
}

static bool split(struct discovery_session *session, const char *servers)
{
	const char *slash = strchr(servers, '/');
	size_t len = slash == NULL ? strlen(servers) : (size_t)(slash - servers);

	session->servers = strndup(servers, len);
	session->chroot = strdup(slash == NULL || slash[1] == '\0' ? "" : slash);
	return session->servers != NULL && session->chroot != NULL;
}

bool discovery_session_start(struct discovery_session *session, struct discovery *discovery,
			     const char *cluster, const char *store, const char *servers,
			     uint64_t timeout_ns)
{
	*session = (struct discovery_session){
		.discovery = discovery,
		.cluster = cluster,
		.store = store,
		.timeout_ns = timeout_ns,
		.state = DISCOVERY_SESSION_CONNECTING,
		.lost_ns = clock_now_ns(),
	};
	return split(session, servers);
}

void discovery_session_stop(struct discovery_session *session)
{
	let_go(session);
	free(session->servers);
	free(session->chroot);
	free(session->resolved);
	*session = (struct discovery_session){ .handle = NULL };
}

/* One server's addresses behind what is there. False: its name is being resolved. */
static bool resolve_one(struct discovery_session *session, struct span server, struct sink *sink)
{
	const struct discovery_host *host = &session->discovery->host;
	struct addr addrs[ADDRS_MAX];
	char name[HOST_MAX], text[ADDR_TEXT_MAX];
	struct span host_text;
	uint16_t port;
	bool is_final;

	if (!addr_split(server, &host_text, &port) || !span_to_str(host_text, name, sizeof(name)))
		return true; /* config has checked: cannot be */
	uint32_t count = host->resolve(host->context, name, addrs, COUNT_OF(addrs), &is_final);

	for (uint32_t i = 0; i < count; i++) /* v6 without brackets: the last colon is the port's */
		sink_printf(sink, "%s%s:%u", sink->len == 0 ? "" : ",",
			    addr_format_ip(&addrs[i], text), port);
	return is_final || count > 0;
}

/* All servers as addresses in `text`; "" if none has any. False: better wait for the resolver. */
static bool resolve(struct discovery_session *session, char *text, size_t size)
{
	struct sink sink = sink_of(text, size - 1);
	struct span rest = span_str(session->servers);
	bool is_final = true;

	while (rest.len > 0) {
		struct span server;
		size_t len = span_find(rest, ',');

		CHECK(span_take(&rest, len, &server));
		if (rest.len > 0)
			CHECK(span_skip(&rest, 1));
		is_final = resolve_one(session, server, &sink) && is_final;
	}
	text[sink.full ? 0 : sink.len] = '\0';
	return is_final;
}

static void retry_later(struct discovery_session *session, uint64_t now_ns)
{
	uint64_t wait_ns = RETRY_FIRST_NS
			   << (session->failure_count < 5 ? session->failure_count : 5);

	wait_ns = wait_ns > RETRY_MOST_NS ? RETRY_MOST_NS : wait_ns;
	session->failure_count++;
	/* Up to a quarter less, so that many proxies do not come back in step. */
	session->retry_ns = now_ns + wait_ns - rng_below(&session->discovery->rng, wait_ns / 4);
}

static void warn_once(struct discovery_session *session, const char *what)
{
	if (session->is_warned)
		return;
	session->is_warned = true;
	log_warn("zookeeper_lost", "cluster %s: %s store %s%s: %s; will keep trying",
		 session->cluster, session->store, session->servers, session->chroot, what);
}

static void open_handle(struct discovery_session *session, const char *addrs, uint64_t now_ns)
{
	char text[RESOLVED_MAX];
	struct discovery_post *post = calloc(1, sizeof(*post));
	char *resolved = strdup(addrs);
	uint64_t timeout_ms = session->timeout_ns / NS_PER_MS;

	CHECK(session->handle == NULL);
	(void)snprintf(text, sizeof(text), "%s%s", addrs, session->chroot);
	zoo_set_debug_level(log_is_on(LOG_LEVEL_DEBUG) ? ZOO_LOG_LEVEL_INFO : ZOO_LOG_LEVEL_ERROR);
	if (post != NULL && resolved != NULL) {
		post->inbox = discovery_inbox_get(session->discovery->inbox);
		post->serial = ++session->discovery->serial;
		session->handle =
			zookeeper_init2(text, on_session,
					timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms, NULL,
					post, ZOO_NO_LOG_CLIENTENV, on_log);
		if (session->handle == NULL)
			discovery_inbox_put(post->inbox);
	}
	if (session->handle == NULL) {
		warn_once(session, err_text(errno));
		free(post);
		free(resolved);
		retry_later(session, now_ns);
		return;
	}
	/* Its own idea of resolving is to do it again at every turn of its loop. */
	(void)zoo_set_servers_resolution_delay(session->handle, -1);
	free(session->resolved);
	session->resolved = resolved;
	session->post = post;
	session->serial = post->serial;
	session->names_ns = now_ns + NAMES_AGAIN_NS;
	session->opened_ns = now_ns;
}

/* A server that moved while we are not connected is found at its new address; the session lives
 * on. While connected nothing is gained by telling the library. */
static void follow_names(struct discovery_session *session, uint64_t now_ns)
{
	char addrs[RESOLVED_MAX / 2];
	bool is_up = discovery_session_is_up(session);

	session->names_ns = now_ns + (is_up ? NAMES_IDLE_NS : NAMES_AGAIN_NS);
	if (!resolve(session, addrs, sizeof(addrs)) || is_up || addrs[0] == '\0' ||
	    strcmp(addrs, session->resolved) == 0)
		return;
	char *resolved = strdup(addrs);

	if (resolved == NULL)
		return;
	log_info("zookeeper_moved", "cluster %s: %s store %s is now %s", session->cluster,
		 session->store, session->servers, addrs);
	free(session->resolved);
	session->resolved = resolved;
	(void)zoo_set_servers(session->handle, addrs);
}

static void try_open(struct discovery_session *session, uint64_t now_ns)
{
	char addrs[RESOLVED_MAX / 2];

	if (!resolve(session, addrs, sizeof(addrs))) {
		session->retry_ns = now_ns + NAMES_PAUSE_NS;
		return;
	}
	if (addrs[0] == '\0') {
		warn_once(session, "no server's name can be resolved");
		retry_later(session, now_ns);
		return;
	}
	open_handle(session, addrs, now_ns);
}

uint64_t discovery_session_tick(struct discovery_session *session, uint64_t now_ns)
{
	if (session->servers == NULL)
		return now_ns + IDLE_NS;
	if (session->handle == NULL && now_ns >= session->retry_ns)
		try_open(session, now_ns);
	if (session->handle == NULL)
		return session->retry_ns;
	if (now_ns >= session->names_ns)
		follow_names(session, now_ns);
	if (discovery_session_lost_ns(session, now_ns) > RETRY_MOST_NS)
		warn_once(session, "no server answers");
	if (discovery_session_lost_ns(session, now_ns) > RENEW_NS &&
	    now_ns > session->opened_ns + RENEW_NS) {
		discovery_session_renew(session, now_ns);
		return now_ns;
	}
	return session->names_ns < now_ns + IDLE_NS ? session->names_ns : now_ns + IDLE_NS;
}

static void on_connected(struct discovery_session *session)
{
	const char *server = zoo_get_current_server(session->handle);

	log_info("zookeeper_connected", "cluster %s: %s store, server %s", session->cluster,
		 session->store, server == NULL ? "?" : server);
	session->state = DISCOVERY_SESSION_CONNECTED;
	session->lost_ns = 0;
	session->failure_count = 0;
	session->is_warned = false;
}

static void on_ended(struct discovery_session *session, const char *why, uint64_t now_ns)
{
	log_warn("zookeeper_expired", "cluster %s: %s store: %s; beginning a new session",
		 session->cluster, session->store, why);
	session->state = DISCOVERY_SESSION_EXPIRED;
	let_go(session);
	retry_later(session, now_ns);
}

void discovery_session_on_state(struct discovery_session *session,
				const struct discovery_letter *letter, uint64_t now_ns)
{
	bool was_up = discovery_session_is_up(session);

	/* The library's states are variables, so no switch. */
	if (letter->state == ZOO_CONNECTED_STATE || letter->state == ZOO_READONLY_STATE) {
		if (!was_up)
			on_connected(session);
		return;
	}
	if (was_up)
		session->lost_ns = now_ns;
	if (letter->state == ZOO_EXPIRED_SESSION_STATE) {
		on_ended(session, "session expired", now_ns);
	} else if (letter->state == ZOO_AUTH_FAILED_STATE) {
		on_ended(session, "authentication failed", now_ns);
	} else if (was_up) {
		session->state = DISCOVERY_SESSION_CONNECTING;
		session->names_ns = now_ns + NAMES_AGAIN_NS;
		log_info("zookeeper_reconnecting", "cluster %s: %s store: connection lost",
			 session->cluster, session->store);
	}
}

void discovery_session_renew(struct discovery_session *session, uint64_t now_ns)
{
	if (session->handle == NULL)
		return;
	if (discovery_session_is_up(session))
		session->lost_ns = now_ns;
	session->state = DISCOVERY_SESSION_CONNECTING;
	session->retry_ns = now_ns;
	let_go(session);
}

const char *discovery_session_state_name(const struct discovery_session *session)
{
	static const char *const names[] = { "none", "connecting", "connected", "expired" };

	return names[session->state];
}

uint64_t discovery_session_lost_ns(const struct discovery_session *session, uint64_t now_ns)
{
	return session->lost_ns == 0 || now_ns < session->lost_ns ? 0 : now_ns - session->lost_ns;
}

/* ---- questions --------------------------------------------------------------------------------
 */

static struct question *ask(struct discovery_session *session, enum discovery_what what,
			    const char *path, uint64_t tag)
{
	struct question *question;

	if (!discovery_session_is_up(session) || session->handle == NULL)
		return NULL;
	question = calloc(1, sizeof(*question));
	if (question == NULL)
		return NULL;
	*question = (struct question){
		.post = session->post,
		.what = what,
		.tag = tag,
		.path = strdup(path),
	};
	if (question->path != NULL)
		return question;
	free(question);
	return NULL;
}

/* On an error of the call itself there will be no answer. */
static bool is_asked(struct question *question, int rc)
{
	if (rc == ZOK)
		return true;
	question_free(question);
	return false;
}

bool discovery_session_exists(struct discovery_session *session, const char *path, bool is_watch,
			      uint64_t tag)
{
	struct question *question = ask(session, DISCOVERY_EXISTS, path, tag);

	return question != NULL &&
	       is_asked(question, zoo_awexists(session->handle, path, is_watch ? on_watch : NULL,
					       session->post, on_exists, question));
}

bool discovery_session_get(struct discovery_session *session, const char *path, bool is_watch,
			   uint64_t tag)
{
	struct question *question = ask(session, DISCOVERY_GET, path, tag);

	return question != NULL &&
	       is_asked(question, zoo_awget(session->handle, path, is_watch ? on_watch : NULL,
					    session->post, on_data, question));
}

bool discovery_session_children(struct discovery_session *session, const char *path, bool is_watch,
				uint64_t tag)
{
	struct question *question = ask(session, DISCOVERY_CHILDREN, path, tag);

	return question != NULL &&
	       is_asked(question,
			zoo_awget_children2(session->handle, path, is_watch ? on_watch : NULL,
					    session->post, on_children, question));
}
