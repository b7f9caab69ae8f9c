/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar_role: role mode (docs/adr/0013), for clients known by their TLS
 * certificate, which ends here and which no broker sees:
 *
 *   client                     penstock                                 broker
 *   CONNECT  tls               CONNECT  our credential,
 *                                       original_principal = CN   -->   is our role in proxyRoles?
 *                              AUTH_RESPONSE, ours                <--   AUTH_CHALLENGE (ten at
 * most)
 *            <----------------------------------------------------      CONNECTED
 *
 * Until CONNECTED nothing of the client reaches the broker but what the new CONNECT takes of its
 * own; from then on it is like any other connection. Brokers hold both roles against what is asked
 * for, ours and the principal's.
 */
#include "proto_pulsar_priv.h"

#define CHALLENGES_MAX 10 /* as the Java proxy's */

static const struct config_cluster *cluster_of(const struct proto_context *context)
{
	return &context->route->config->clusters[context->cluster];
}

static struct span token_of(const struct proto_context *context)
{
	const struct route *route = context->route;

	return config_token(route->config, route->tokens, context->cluster);
}

bool proto_pulsar_role_is_forwarding(const struct proto_context *context)
{
	return cluster_of(context)->role.is_forwarding;
}

/* ---- who the client is ---------------------------------------------------------------------- */

static bool is_by_certificate(const struct pulsar_connect *connect)
{
	return span_is(connect->auth_method_name, "tls");
}

/* Credentials besides the certificate, which were not verified by us. */
static bool has_credentials(const struct pulsar_connect *connect)
{
	if (connect->auth_method_name.at == NULL)
		return connect->has_old_method;
	return !is_by_certificate(connect) && !span_is(connect->auth_method_name, "none") &&
	       connect->auth_method_name.len > 0;
}

/* A broker of Java's would read something else than was written. */
static bool can_be_forwarded(const struct pulsar_connect *connect)
{
	return connect->auth_method_name.at != NULL && span_is_utf8(connect->auth_method_name) &&
	       span_is_utf8(connect->auth_data);
}

enum close_reason proto_pulsar_role_admit(struct proto *proto, const struct proto_context *context,
					  const struct pulsar_connect *connect)
{
	const struct config_cluster *cluster = cluster_of(context);

	proto->pulsar.is_role = cluster->credentials == CONFIG_CREDENTIALS_ROLE;
	if (!proto->pulsar.is_role)
		/* The broker would look at the certificate of the connection it has: none, or
		 * ours, and the client would be us. */
		return is_by_certificate(connect) ? CLOSE_AUTH_TLS : CLOSE_NONE;
	if (context->principal.len == 0)
		return CLOSE_ROLE_NO_PRINCIPAL;
	if (has_credentials(connect) &&
	    (!cluster->role.is_forwarding || !can_be_forwarded(connect)))
		return CLOSE_ROLE_METHOD;
	return CLOSE_NONE;
}

/* ---- who we are ----------------------------------------------------------------------------- */

void proto_pulsar_role_connect(const struct proto_context *context, struct span frame,
			       struct sink *sink)
{
	const struct config_role *ours = &cluster_of(context)->role;
	struct pulsar_connect connect;
	struct pulsar_role role = {
		.data = token_of(context),
		.principal = context->principal,
		.version = span_str("penstock-" PENSTOCK_VERSION),
	};

	if (ours->method == NULL || pulsar_read_connect(frame, &connect) != WIRE_OK) {
		sink->full = true; /* a reload has ended role mode meanwhile */
		return;
	}
	role.method = span_str(ours->method);
	/* Never the method tls: the broker would verify the certificate it sees, which is ours. */
	if (ours->is_forwarding && has_credentials(&connect)) {
		role.original_method = connect.auth_method_name;
		role.original_data =
			connect.auth_data.at != NULL ? connect.auth_data : span_of("", 0);
	}
	pulsar_write_connect_role(sink, frame, &role);
}

void proto_pulsar_role_challenged(struct proto *proto, struct span frame,
				  struct proto_context *context, struct proto_verdict *ret)
{
	const struct config_role *ours = &cluster_of(context)->role;
	const struct pulsar_keep *keep = proto->pulsar.keep;

	if (!context->can_reply) {
		*ret = (struct proto_verdict){ .what = PROTO_HOLD };
		return;
	}
	if (ours->method == NULL || keep == NULL || ++proto->pulsar.challenges > CHALLENGES_MAX) {
		context->refused = span_str("AUTH_CHALLENGE without end");
		proto_pulsar_refuse(ret, CLOSE_ROLE_REFUSED);
		return;
	}
	pulsar_write_auth_response(&context->scratch, span_of(keep->frame, keep->len),
				   span_str(ours->method), token_of(context));
	if (context->scratch.full) {
		proto_pulsar_refuse(ret, CLOSE_FRAME_TOO_BIG);
		return;
	}
	*ret = (struct proto_verdict){ .what = PROTO_REPLY,
				       .n = frame.len,
				       .bytes = sink_written(&context->scratch) };
}

bool proto_pulsar_role_error(struct span frame, struct proto_context *context,
			     struct proto_verdict *ret)
{
	struct pulsar_error_said said;

	if (pulsar_read_error(frame, &said) != WIRE_OK ||
	    (said.error != PULSAR_AUTHENTICATION_ERROR && said.error != PULSAR_AUTHORIZATION_ERROR))
		return false;
	context->refused = said.message.len > 0 ? said.message : span_str("without a word");
	sink_span(&context->scratch, frame); /* the client gets the broker's own words */
	*ret = (struct proto_verdict){
		.what = PROTO_REFUSE,
		.reason = CLOSE_ROLE_REFUSED,
		.bytes = sink_written(&context->scratch),
	};
	return true;
}

/* ---- a data connection until CONNECTED ------------------------------------------------------ */

static void see_broker(struct proto *proto, struct span bytes, struct proto_context *context,
		       struct proto_verdict *ret)
{
	struct pulsar_head head;

	if (proto_pulsar_lookup_head(bytes, PROTO_FRAME_MAX - 4, CLOSE_BROKER_FRAME_MALFORMED,
				     &head, ret) == PULSAR_SEEN_VERDICT)
		return;
	if (!proto_pulsar_lookup_whole(&head, bytes, ret))
		return;
	struct span frame = span_of(bytes.at, (size_t)head.frame_size);

	if (head.type == PULSAR_AUTH_CHALLENGE) {
		proto_pulsar_role_challenged(proto, frame, context, ret);
		return;
	}
	if (head.type == PULSAR_ERROR && proto_pulsar_role_error(frame, context, ret))
		return;
	if (head.type == PULSAR_CONNECTED) {
		proto->pulsar.phase = PULSAR_PHASE_DATA;
		proto_pulsar_forget(proto, context);
	}
	*ret = (struct proto_verdict){ .what = PROTO_PASS, .n = frame.len };
}

void proto_pulsar_role_see(struct proto *proto, enum proto_channel channel, struct span bytes,
			   struct proto_context *context, struct proto_verdict *ret)
{
	if (channel == PROTO_BROKER)
		see_broker(proto, bytes, context, ret);
	else if (bytes.len > 0)
		proto_pulsar_refuse(ret, CLOSE_ROLE_EARLY);
	else
		proto_pulsar_need(ret, 1);
}
