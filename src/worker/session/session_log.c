/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_log: the access line of a connection, one at its end, and its row in /connections.
 */
#define _GNU_SOURCE
#include <penstock/base/log.h>

#include "session_priv.h"

/* The second letter of the termination code: in which phase it ended (operations.md 2.7). */
static char phase_letter(const struct session *session)
{
	switch ((enum session_state)session->state) {
	case SESSION_FREE: /* refused before it began */
	case SESSION_HEADER:
		return 'A';
	case SESSION_HELLO:
		return 'H';
	case SESSION_DIAL:
		return session->dial.is_resolving ? 'R' : 'C';
	case SESSION_RELAY:
	case SESSION_ABORT:
		if (close_rows[session->reason].who == '-')
			return '-';
		return session->lane[0].sent_fin || session->lane[1].sent_fin ? 'X' : 'D';
	case SESSION_LINGER:
		return session->dial_ns != 0 ? 'D' : session->dial.started_ns != 0 ? 'C' : 'H';
	case SESSION_CLOSED:
		break;
	}
	return '?';
}

void session_log(const struct session *session)
{
	const struct session_env *env = session->env;
	const struct close_row *row = &close_rows[session->reason];
	enum config_access access = session_config(env)->log.access;
	char addr[ADDR_TEXT_MAX];
	const char term[3] = { row->who, phase_letter(session), '\0' };
	struct log_line line;

	if (access == CONFIG_ACCESS_OFF || (access == CONFIG_ACCESS_ERRORS && !row->is_error))
		return;
	log_begin(&line, LOG_LEVEL_INFO, "access");
	log_u64(&line, "id", session->id);
	log_u64(&line, "worker", env->worker);
	log_str(&line, "listener", env->route->listener_name[session->listener_id]);
	log_str(&line, "kind", proto_kind_name(session->proto.kind));
	log_str(&line, "client", addr_format(&session->client, addr));
	if (!addr_equal(&session->peer, &session->client))
		log_str(&line, "peer", addr_format(&session->peer, addr));
	log_str(&line, "broker",
		session->broker.is_set ? addr_format(&session->broker, addr) : "-");
	log_str(&line, "term", term);
	log_str(&line, "reason", row->name);
	log_u64(&line, "bytes_to_broker", session->lane[LANE_TO_BROKER].bytes);
	log_u64(&line, "bytes_to_client", session->lane[LANE_TO_CLIENT].bytes);
	log_u64(&line, "spliced", session->lane[0].spliced + session->lane[1].spliced);
	log_ms(&line, "connect_ms", session->dial_ns);
	log_ms(&line, "total_ms", env->now_ns - session->accepted_ns);
	log_end(&line);
}

void session_log_row(const struct session *session, struct mail_row *ret_row)
{
	*ret_row = (struct mail_row){
		.id = session->id,
		.worker = (uint16_t)session->env->worker,
		.listener_id = session->listener_id,
		.kind = proto_kind_name(session->proto.kind),
		.state = session_state_name((enum session_state)session->state),
		.client = session->client,
		.broker = session->broker,
		.age_ns = session->env->now_ns - session->accepted_ns,
		.bytes_to_broker = session->lane[LANE_TO_BROKER].bytes,
		.bytes_to_client = session->lane[LANE_TO_CLIENT].bytes,
		.spliced = session->lane[0].spliced + session->lane[1].spliced,
	};
}
