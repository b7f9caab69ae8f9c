/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_inbox: a list under a mutex. Letters are rare (changes in ZooKeeper and answers to our
 * own questions), so nothing cleverer is needed.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <penstock/base/clock.h>

#include "discovery_inbox.h"

#define LETTERS_MAX 65536
#define PAUSE_NS    2000000

struct discovery_inbox {
	pthread_mutex_t mutex;
	struct uring *ring; /* NULL: nobody to wake */
	struct discovery_letter *first, **last;
	uint32_t count;
	uint32_t refs;
	bool is_lost;
};

struct discovery_inbox *discovery_inbox_new(struct uring *ring)
{
	struct discovery_inbox *inbox = calloc(1, sizeof(*inbox));

	if (inbox == NULL)
		return NULL;
	(void)pthread_mutex_init(&inbox->mutex, NULL);
	inbox->ring = ring;
	inbox->last = &inbox->first;
	inbox->refs = 1;
	return inbox;
}

struct discovery_inbox *discovery_inbox_get(struct discovery_inbox *inbox)
{
	pthread_mutex_lock(&inbox->mutex);
	inbox->refs++;
	pthread_mutex_unlock(&inbox->mutex);
	return inbox;
}

void discovery_inbox_put(struct discovery_inbox *inbox)
{
	bool is_lost;

	pthread_mutex_lock(&inbox->mutex);
	bool is_last = --inbox->refs == 0;

	pthread_mutex_unlock(&inbox->mutex);
	if (!is_last)
		return;
	struct discovery_letter *letter = discovery_inbox_take(inbox, &is_lost);

	while (letter != NULL) {
		struct discovery_letter *next = letter->next;

		discovery_inbox_letter_free(letter);
		letter = next;
	}
	(void)pthread_mutex_destroy(&inbox->mutex);
	free(inbox);
}

void discovery_inbox_close(struct discovery_inbox *inbox)
{
	pthread_mutex_lock(&inbox->mutex);
	inbox->ring = NULL;
	pthread_mutex_unlock(&inbox->mutex);
}

bool discovery_inbox_wait(struct discovery_inbox *inbox, uint64_t most_ns)
{
	uint64_t until_ns = clock_now_ns() + most_ns;
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	for (;;) {
		pthread_mutex_lock(&inbox->mutex);
		bool is_last = inbox->refs == 1;

		pthread_mutex_unlock(&inbox->mutex);
		if (is_last || clock_now_ns() >= until_ns)
			return is_last;
		(void)nanosleep(&pause, NULL);
	}
}

struct discovery_letter *discovery_inbox_letter(enum discovery_what what, uint64_t serial,
						const char *path)
{
	struct discovery_letter *letter = calloc(1, sizeof(*letter));

	if (letter == NULL)
		return NULL;
	letter->what = what;
	letter->serial = serial;
	letter->path = strdup(path == NULL ? "" : path);
	if (letter->path == NULL) {
		free(letter);
		return NULL;
	}
	return letter;
}

void discovery_inbox_letter_free(struct discovery_letter *letter)
{
	if (letter == NULL)
		return;
	for (uint32_t i = 0; i < letter->name_count; i++)
		free(letter->names[i]);
	free(letter->names);
	free(letter->bytes);
	free(letter->path);
	free(letter);
}

void discovery_inbox_post(struct discovery_inbox *inbox, struct discovery_letter *letter)
{
	pthread_mutex_lock(&inbox->mutex);
	if (letter == NULL || inbox->count >= LETTERS_MAX) {
		inbox->is_lost = true;
		discovery_inbox_letter_free(letter);
	} else {
		*inbox->last = letter;
		inbox->last = &letter->next;
		inbox->count++;
	}
	/* Under the mutex, so that the ring cannot be closed in between. */
	if (inbox->ring != NULL)
		uring_wake_foreign(inbox->ring);
	pthread_mutex_unlock(&inbox->mutex);
}

struct discovery_letter *discovery_inbox_take(struct discovery_inbox *inbox, bool *ret_is_lost)
{
	pthread_mutex_lock(&inbox->mutex);
	struct discovery_letter *first = inbox->first;

	inbox->first = NULL;
	inbox->last = &inbox->first;
	inbox->count = 0;
	*ret_is_lost = inbox->is_lost;
	inbox->is_lost = false;
	pthread_mutex_unlock(&inbox->mutex);
	return first;
}
