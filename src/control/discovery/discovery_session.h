/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_session: one ZooKeeper session, kept alive for ever: names resolved by us (the library
 * would block on them, and fail for good on an unknown one), a new handle after each expiry,
 * answers and events as letters in the inbox.
 * Thread:   control; the library's threads run only the callbacks at the top of the .c file
 * Memory:   the handle is closed on a short-lived thread of its own, since that waits for the
 * server Errors:   questions answer false while there is no session; everything else is retried
 */
#pragma once

#include "discovery_inbox.h"
#include "discovery_priv.h"

#define DISCOVERY_SERVERS_MAX 32

enum discovery_session_state {
	DISCOVERY_SESSION_NONE,
	DISCOVERY_SESSION_CONNECTING,
	DISCOVERY_SESSION_CONNECTED,
	DISCOVERY_SESSION_EXPIRED, /* and the new handle is not connected yet */
};

struct discovery_session {
	struct discovery *discovery;
	const char *cluster; /* for the log */
	const char *store;   /* "local" or "global" */
	char *servers;	     /* "host:port,host:port" */
	char *chroot;	     /* "/..." or "" */
	uint64_t timeout_ns;

	void *handle; /* zhandle_t; NULL: none */
	struct discovery_post *post;
	uint64_t serial; /* of the handle */
	enum discovery_session_state state;
	char *resolved;	    /* the addresses the library has */
	uint64_t lost_ns;   /* since when there is no session; 0: there is one */
	uint64_t retry_ns;  /* not before */
	uint64_t names_ns;  /* when the names are looked at again */
	uint64_t opened_ns; /* when the handle was made */
	uint32_t failure_count;
	bool is_warned; /* the present outage is in the log */
};

MUST_USE bool discovery_session_start(struct discovery_session *session,
				      struct discovery *discovery, const char *cluster,
				      const char *store, const char *servers, uint64_t timeout_ns);
void discovery_session_stop(struct discovery_session *session);
uint64_t discovery_session_tick(struct discovery_session *session, uint64_t now_ns);
/* DISCOVERY_STATE of its present handle. */
void discovery_session_on_state(struct discovery_session *session,
				const struct discovery_letter *letter, uint64_t now_ns);

/* A new handle: the only way to be rid of watches (zoo_aremove_all_watches of 3.8 crashes without a
 * connection and leaves them on the server). */
void discovery_session_renew(struct discovery_session *session, uint64_t now_ns);

static inline bool discovery_session_is_mine(const struct discovery_session *session,
					     const struct discovery_letter *letter)
{
	return session->handle != NULL && session->serial == letter->serial;
}

static inline bool discovery_session_is_up(const struct discovery_session *session)
{
	return session->state == DISCOVERY_SESSION_CONNECTED;
}

const char *discovery_session_state_name(const struct discovery_session *session);
/* How long there has been no session. */
uint64_t discovery_session_lost_ns(const struct discovery_session *session, uint64_t now_ns);

/* Questions; the answer carries path and tag. With `is_watch` a DISCOVERY_WATCH letter tells the
 * next change. */
MUST_USE bool discovery_session_exists(struct discovery_session *session, const char *path,
				       bool is_watch, uint64_t tag);
MUST_USE bool discovery_session_get(struct discovery_session *session, const char *path,
				    bool is_watch, uint64_t tag);
MUST_USE bool discovery_session_children(struct discovery_session *session, const char *path,
					 bool is_watch, uint64_t tag);
