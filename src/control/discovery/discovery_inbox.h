/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_inbox: where ZooKeeper's own threads leave what happened, and the only thing they touch
 * besides the ring's wake-up.
 * Thread:   put: any; take: control
 * Memory:   counted references, one per session handle: a handle whose closing hangs may outlive
 *           discovery
 * Errors:   a full inbox or no memory: the letter is lost, and control is told to read all again
 */
#pragma once

#include <penstock/uring.h>

struct discovery_inbox;

enum discovery_what {
	DISCOVERY_STATE,  /* the session's state has changed */
	DISCOVERY_WATCH,  /* a watched path has changed */
	DISCOVERY_EXISTS, /* answers: */
	DISCOVERY_GET,
	DISCOVERY_CHILDREN,
};

struct discovery_letter {
	struct discovery_letter *next;
	enum discovery_what what;
	uint64_t serial; /* of the handle it is from: letters of a closed one are ignored */
	uint64_t tag;	 /* the asker's */
	int rc;		 /* ZooKeeper's result */
	int state;	 /* of DISCOVERY_STATE */
	int64_t czxid, mzxid;
	char *path;	/* what was asked for or has changed */
	uint8_t *bytes; /* of a node; not text, NUL-terminated all the same */
	size_t len;
	char **names; /* of children */
	uint32_t name_count;
};

struct discovery_inbox *discovery_inbox_new(struct uring *ring);
struct discovery_inbox *discovery_inbox_get(struct discovery_inbox *inbox);
void discovery_inbox_put(struct discovery_inbox *inbox);
/* No wake-ups from now on: the ring is going away. */
void discovery_inbox_close(struct discovery_inbox *inbox);
/* Waits until only the caller holds a reference; false when that took too long. */
MUST_USE bool discovery_inbox_wait(struct discovery_inbox *inbox, uint64_t most_ns);

struct discovery_letter *discovery_inbox_letter(enum discovery_what what, uint64_t serial,
						const char *path);
void discovery_inbox_letter_free(struct discovery_letter *letter);
/* Takes the letter over; NULL: it was lost for want of memory. */
void discovery_inbox_post(struct discovery_inbox *inbox, struct discovery_letter *letter);
/* All letters, oldest first; *ret_is_lost: some are missing. */
struct discovery_letter *discovery_inbox_take(struct discovery_inbox *inbox, bool *ret_is_lost);
