/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_mail: what workers tell control, and the outbox for what does not fit into a worker's
 * box at the moment.
 */
#include <stdlib.h>

#include "control_priv.h"

#define TAKE_MOST 4096 /* messages a turn, so that a flood cannot hold the loop */

/* Cluster numbers count from the snapshot the worker had. Until all have the one with the present
 * numbers, a number may mean another cluster, and a learned broker would be trusted there. */
static bool are_clusters_known(struct control *control)
{
	return control_publish_is_taken(control, control->clusters_since);
}

static void take_one(struct control *control, const struct mail *mail, bool has_clusters)
{
	switch (mail->kind) {
	case MAIL_DNS_ASK:
		control_dns_ask(control, &mail->dns_ask);
		break;
	case MAIL_LEARNED:
		if (has_clusters)
			control_learned_add(control, &mail->learned);
		break;
	case MAIL_NODE:
		if (has_clusters)
			control_nodes_add(control, &mail->node);
		break;
	case MAIL_NODE_WANTED:
		if (has_clusters)
			control_ask_want(control, mail->node_wanted.cluster);
		break;
	case MAIL_NAMESPACE:
		if (has_clusters)
			discovery_namespace(control->discovery, mail->namespace.cluster,
					    mail->namespace.name);
		control->discovery_due_ns = 0;
		break;
	case MAIL_UNLISTENED:
		control_listen_on_unlistened(control, &mail->unlistened);
		break;
	case MAIL_ROWS:
		if (control->admin != NULL)
			admin_on_rows(control->admin, &mail->rows);
		break;
	case MAIL_STOPPED:
		control_drain_on_stopped(control, &mail->stopped);
		break;
	case MAIL_LISTEN:
	case MAIL_UNLISTEN:
	case MAIL_CLOSE_PORT:
	case MAIL_DRAIN:
	case MAIL_RESET:
	case MAIL_STOP:
	case MAIL_DNS_ANSWER:
	case MAIL_ROWS_ASK:
	case MAIL_HANDOFF:
	default:
		check_failed(__FILE__, __LINE__, __func__, "mail for workers came to control");
	}
}

void control_mail_take(struct control *control)
{
	struct mail mail;
	/* Asked before the queue is looked at: what is in it when all have acknowledged may still
	 * be older, so this pass drops it and the next one does not. */
	bool has_clusters = control->clusters_since == 0;
	bool will_have = !has_clusters && are_clusters_known(control);
	uint32_t count = 0;

	mail_awake(&control->office->control);
	while (count < TAKE_MOST && mail_take(&control->office->control, &mail)) {
		take_one(control, &mail, has_clusters);
		count++;
	}
	if (will_have && count < TAKE_MOST)
		control->clusters_since = 0;
	if (count == TAKE_MOST) /* go round again without sleeping */
		control->is_woken = true;
}

static bool flush(struct control *control, uint32_t index)
{
	struct control_worker *worker = &control->workers[index];

	while (worker->first != NULL) {
		struct control_letter *letter = worker->first;

		if (!worker->is_stopped &&
		    !mail_send(&control->office->workers[index], control->ring, &letter->mail))
			return false;
		worker->first = letter->next;
		if (worker->first == NULL)
			worker->last = &worker->first;
		worker->waiting--;
		control->outbox_count--;
		free(letter);
	}
	return true;
}

static void on_timer(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, outbox_timer);
	bool is_done = true;

	for (uint32_t i = 0; i < control->office->worker_count; i++)
		is_done = flush(control, i) && is_done;
	if (!is_done)
		timer_set(&control->wheel, timer, clock_now_ns() + CONTROL_OUTBOX_NS, on_timer);
}

void control_mail_post(struct control *control, uint32_t index, const struct mail *mail)
{
	struct control_worker *worker = &control->workers[index];

	/* After STOP a worker may close its ring at any moment: nothing may wake it any more. */
	if (worker->is_stopped || (control->phase >= CONTROL_STOPPING && mail->kind != MAIL_STOP))
		return;
	if (worker->first == NULL &&
	    mail_send(&control->office->workers[index], control->ring, mail))
		return;
	bool is_answer = mail->kind == MAIL_DNS_ANSWER;
	struct control_letter *letter = NULL;

	if (!is_answer || worker->waiting < CONTROL_OUTBOX_MAX)
		letter = calloc(1, sizeof(*letter));
	if (letter == NULL) {
		/* An answer may be lost: the asker has a deadline. With a lost UNLISTEN or STOP
		 * the process would never end, so rather an end with a line number. */
		CHECK(is_answer);
		return;
	}
	letter->mail = *mail;
	*worker->last = letter;
	worker->last = &letter->next;
	worker->waiting++;
	control->outbox_count++;
	if (!timer_is_set(&control->outbox_timer))
		timer_set(&control->wheel, &control->outbox_timer,
			  clock_now_ns() + CONTROL_OUTBOX_NS, on_timer);
}

void control_mail_post_all(struct control *control, const struct mail *mail)
{
	for (uint32_t i = 0; i < control->office->worker_count; i++)
		control_mail_post(control, i, mail);
}

void control_mail_fini(struct control *control)
{
	for (uint32_t i = 0; i < control->office->worker_count; i++) {
		control->workers[i].is_stopped = true; /* so that flush only frees */
		(void)flush(control, i);
	}
}
