/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Boxes, and the wake-up that is sent once however many messages arrive.
 *
 * Why no wake-up is lost. A sender does
 *         put the message, then exchange(is_waking, 1), and wakes if the old value was 0;
 * the receiver does, woken for whatever reason,
 *         exchange(is_waking, 0), then look at the queue and at the slot.
 * The exchanges on one variable have one order. If the sender's comes before the receiver's, the
 * receiver's reads what the sender's released (further exchanges in between continue the release
 * sequence), so it sees the message. If it comes after, it finds 0, unless another sender's came in
 * between and found 0: in both cases a wake-up is sent after the receiver's look began, and it
 * leads to another look. A plain store of 0 would break the first half, because it reads nothing.
 *
 * A receiver that has not opened its ring yet has ring == NULL: then nothing is woken and is_waking
 * stays 1. It stores `ring`, and then begins with mail_awake and a look, so by the same order
 * either it sees the message or the sender's exchange sees the ring.
 *
 * Two senders may pass each other inside the queue: the second message stands there complete, the
 * first, in front of it, not yet. The receiver then stops at the first; its sender will wake it.
 */
#include <penstock/mail.h>

#include <errno.h>
#include <stdlib.h>

#define WORKER_BOX  1024
#define CONTROL_BOX 4096

int mail_box_init(struct mail_box *box, uint32_t capacity)
{
	*box = (struct mail_box){ 0 };
	return queue_init(&box->queue, sizeof(struct mail), capacity);
}

void mail_box_fini(struct mail_box *box)
{
	queue_fini(&box->queue);
}

bool mail_send(struct mail_box *to, struct uring *from, const struct mail *mail)
{
	if (!queue_put(&to->queue, mail))
		return false;
	mail_wake(to, from);
	return true;
}

bool mail_take(struct mail_box *box, struct mail *ret_mail)
{
	return queue_take(&box->queue, ret_mail);
}

void mail_wake(struct mail_box *to, struct uring *from)
{
	if (atomic_exchange_explicit(&to->is_waking, 1, memory_order_acq_rel) != 0)
		return;
	struct uring *ring = atomic_load_explicit(&to->ring, memory_order_acquire);
	if (ring == NULL)
		return;
	if (from != NULL)
		uring_wake(from, ring);
	else
		uring_wake_foreign(ring);
}

void mail_awake(struct mail_box *box)
{
	(void)atomic_exchange_explicit(&box->is_waking, 0, memory_order_acq_rel);
}

struct route *mail_publish(struct mail_box *to, struct uring *from, struct route *route)
{
	struct route *old = atomic_exchange_explicit(&to->route, route, memory_order_acq_rel);
	mail_wake(to, from);
	return old;
}

struct route *mail_take_route(struct mail_box *box)
{
	/* Nearly always there is none, and a load is cheaper than an exchange. */
	if (atomic_load_explicit(&box->route, memory_order_acquire) == NULL)
		return NULL;
	return atomic_exchange_explicit(&box->route, NULL, memory_order_acq_rel);
}

static void *alloc_lines(size_t size)
{
	size_t whole = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	void *at = aligned_alloc(CACHE_LINE, whole);
	if (at != NULL)
		memset(at, 0, whole);
	return at;
}

static int fill(struct mail_office *office)
{
	int res = mail_box_init(&office->control, CONTROL_BOX);
	for (uint32_t i = 0; res == 0 && i < office->worker_count; i++) {
		office->stats[i] = alloc_lines(sizeof(struct stat_block));
		res = office->stats[i] != NULL ? mail_box_init(&office->workers[i], WORKER_BOX)
					       : -ENOMEM;
	}
	return res;
}

int mail_office_init(struct mail_office *office, uint32_t worker_count)
{
	CHECK(worker_count > 0);
	*office = (struct mail_office){
		.worker_count = worker_count,
		.workers = alloc_lines(worker_count * sizeof(office->workers[0])),
		.loads = alloc_lines(worker_count * sizeof(office->loads[0])),
		.per_ip = tally_new(),
		.learned = mail_learned_new(),
		.nodes = mail_nodes_new(),
		.stats = calloc(worker_count, sizeof(office->stats[0])),
		.routes = calloc(STAT_ROUTES_MAX, sizeof(office->routes[0])),
		.places = calloc(1, sizeof(*office->places)),
		.gates = alloc_lines(STAT_LISTENERS_MAX * sizeof(office->gates[0])),
	};
	int res = -ENOMEM;
	if (office->workers != NULL && office->loads != NULL && office->stats != NULL &&
	    office->per_ip != NULL && office->learned != NULL && office->nodes != NULL &&
	    office->routes != NULL && office->places != NULL && office->gates != NULL)
		res = fill(office);
	if (res < 0)
		mail_office_fini(office);
	return res;
}

void mail_office_fini(struct mail_office *office)
{
	for (uint32_t i = 0; office->workers != NULL && i < office->worker_count; i++)
		mail_box_fini(&office->workers[i]);
	for (uint32_t i = 0; office->stats != NULL && i < office->worker_count; i++)
		free(office->stats[i]);
	mail_box_fini(&office->control);
	free(office->workers);
	free(office->loads);
	tally_free(office->per_ip);
	mail_learned_free(office->learned);
	mail_nodes_free(office->nodes);
	free(office->stats);
	free(office->routes);
	free(office->places);
	free(office->gates);
	*office = (struct mail_office){ 0 };
}
