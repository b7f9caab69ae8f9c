/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * worker_mail: what control and the other workers ask of this worker.
 */
#include <sched.h>

#include "worker_priv.h"

#define MAIL_A_TURN 256

/* Lookup connections go first and one after the other, and so do those of Kafka, each between two
 * requests: their clients come back through another gateway at once, and not all in the same
 * moment. So do those that have not reached their broker yet, when they have, and it has answered.
 * Data connections of Pulsar end by themselves, or are reset at timeouts.drain. */
static void drain(struct worker *worker, uint64_t spread_ns)
{
	struct session_env *env = &worker->env;

	env->is_draining = true;
	env->drain_ends_ns = env->now_ns + spread_ns;
	for (uint32_t i = 0; i < env->sessions.fresh; i++) {
		struct session *session = session_at(env, i);

		if (session != NULL)
			session_close_drain(session);
	}
}

static void close_all(struct worker *worker, enum close_reason reason)
{
	struct session_env *env = &worker->env;

	for (uint32_t i = 0; i < env->sessions.fresh; i++) {
		struct session *session = session_at(env, i);

		if (session != NULL)
			session_close(session, reason, true);
	}
}

/* A page of rows from the cursor on. The sessions may change between pages: each row is right for
 * its own moment. */
static void describe(struct worker *worker, const struct mail_rows_ask *ask)
{
	struct session_env *env = &worker->env;
	struct mail_row_page *page = ask->page;
	uint32_t cursor = ask->cursor;

	page->count = 0;
	while (cursor < env->sessions.fresh && page->count < MAIL_ROWS_MAX) {
		const struct session *session = session_at(env, cursor++);

		if (session != NULL)
			session_log_row(session, &page->rows[page->count++]);
	}
	const struct mail answer = {
		.kind = MAIL_ROWS,
		.rows = { .worker = (uint16_t)env->worker,
			  .cursor = cursor < env->sessions.fresh ? cursor : UINT32_MAX,
			  .page = page },
	};

	/* The page is lent and must go back; control takes its mail every turn. */
	while (!mail_send(&env->office->control, env->ring, &answer))
		(void)sched_yield();
}

static void take(struct worker *worker, const struct mail *mail)
{
	switch ((int)mail->kind) {
	case MAIL_LISTEN:
		worker_take_route(worker); /* knows its id, and may be newer than this turn's */
		worker_accept_add(worker, mail->listen.listener_id, mail->listen.fd);
		break;
	case MAIL_UNLISTEN:
		worker_accept_remove(worker, &mail->unlisten);
		break;
	case MAIL_CLOSE_PORT:
		worker_accept_remove_one(worker, &mail->close_port);
		break;
	case MAIL_DRAIN:
		drain(worker, mail->drain.spread_ns);
		break;
	case MAIL_RESET:
		close_all(worker, CLOSE_DRAIN_TIMEOUT);
		break;
	case MAIL_STOP:
		worker->is_stopping = true;
		worker_accept_close_all(worker);
		close_all(worker, CLOSE_STOP);
		break;
	case MAIL_DNS_ANSWER:
		session_dial_answer(&worker->env, &mail->dns_answer);
		break;
	case MAIL_ROWS_ASK:
		describe(worker, &mail->rows_ask);
		break;
	case MAIL_HANDOFF:
		worker_take_route(worker);
		worker_accept_take(worker, &mail->handoff);
		break;
	default:
		CHECK(false); /* not for a worker */
	}
}

void worker_mail_take(struct worker *worker)
{
	struct mail mail;

	for (uint32_t i = 0; i < MAIL_A_TURN; i++) {
		if (!mail_take(worker->box, &mail))
			return;
		take(worker, &mail);
	}
	worker->has_mail = true; /* more next turn */
}
