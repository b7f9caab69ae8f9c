/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar_lookup: lookup connections. Every frame passes untouched both ways, request ids
 * included, except LOOKUP_RESPONSE: its URLs become the one penstock itself would dial, with
 * proxy_through_service_url; a Redirect never reaches the client, which would follow it around us,
 * but is asked again at the broker it names (proto_pulsar_side.c).
 *
 * So that this can be done, LOOKUPs are written into the book on their way out.
 */
#include "proto_pulsar_priv.h"

#define ANSWER_URL_MAX 512

static void pass(struct proto_verdict *ret, uint64_t n)
{
	*ret = (struct proto_verdict){ .what = PROTO_PASS, .n = n };
}

static void hold(struct proto_verdict *ret)
{
	*ret = (struct proto_verdict){ .what = PROTO_HOLD };
}

static void drop(struct proto_verdict *ret, uint64_t n)
{
	*ret = (struct proto_verdict){ .what = PROTO_DROP, .n = n };
}

/* Scratch bytes in place of the frame, on (EMIT) or back (REPLY). */
static void answer(struct proto_verdict *ret, enum proto_what what, const struct sink *sink,
		   uint64_t n)
{
	if (sink->full) {
		proto_pulsar_refuse(ret, CLOSE_FRAME_TOO_BIG);
		return;
	}
	*ret = (struct proto_verdict){ .what = what, .n = n, .bytes = sink_written(sink) };
}

enum pulsar_seen proto_pulsar_lookup_head(struct span bytes, uint32_t frame_max,
					  enum close_reason malformed, struct pulsar_head *ret_head,
					  struct proto_verdict *ret)
{
	struct span start = bytes;
	size_t need = 0;
	uint32_t total = 0;

	if (malformed == CLOSE_FRAME_MALFORMED && span_u32(&start, &total) &&
	    (total < PULSAR_TOTAL_MIN || total > frame_max)) {
		proto_pulsar_refuse(ret, total < PULSAR_TOTAL_MIN ? CLOSE_FRAME_ZERO
								  : CLOSE_FRAME_TOO_BIG);
		return PULSAR_SEEN_VERDICT;
	}
	switch (pulsar_head(bytes, ret_head, &need)) {
	case WIRE_MORE:
		proto_pulsar_need(ret, need);
		return PULSAR_SEEN_VERDICT;
	case WIRE_BAD:
		proto_pulsar_refuse(ret, malformed);
		return PULSAR_SEEN_VERDICT;
	case WIRE_OK:
		break;
	}
	if (ret_head->frame_size > (uint64_t)frame_max + 4) {
		proto_pulsar_refuse(ret, malformed);
		return PULSAR_SEEN_VERDICT;
	}
	return PULSAR_SEEN_HEAD;
}

bool proto_pulsar_lookup_whole(const struct pulsar_head *head, struct span bytes,
			       struct proto_verdict *ret)
{
	if (bytes.len >= head->frame_size)
		return true;
	if (head->frame_size > PROTO_FRAME_MAX)
		pass(ret, head->frame_size);
	else
		proto_pulsar_need(ret, (size_t)head->frame_size);
	return false;
}

/* ---- client to broker ---- */

/* Answers from the ownership snapshot where that is allowed: `lookup: direct`, the broker has
 * accepted the client's credentials, no listener was named. */
static bool client_lookup_direct(struct proto *proto, const struct pulsar_lookup *lookup,
				 struct proto_context *context, uint64_t frame_size,
				 struct proto_verdict *ret)
{
	const struct route_cluster *cluster = &context->route->clusters[context->cluster];

	if (!cluster->is_direct || !proto->pulsar.is_connected || lookup->listener_name.len > 0)
		return false;
	const struct route_endpoint *owner =
		route_owner(context->route, context->cluster, lookup->topic);

	if (owner == NULL)
		return false;
	if (!context->can_reply) {
		hold(ret);
		return true;
	}
	struct sink url = sink_of((uint8_t[ANSWER_URL_MAX]){ 0 }, ANSWER_URL_MAX);

	sink_printf(&url, "pulsar%s://%s:%u", owner->is_tls ? "+ssl" : "", owner->host,
		    owner->port);
	if (url.full)
		return false;
	pulsar_write_lookup_answer(&context->scratch, lookup->request_id, sink_written(&url));
	stat_add(context->stats, STAT_LOOKUPS_DIRECT, 1);
	answer(ret, PROTO_REPLY, &context->scratch, frame_size);
	return true;
}

static void client_lookup_throttled(uint64_t request_id, struct proto_context *context,
				    uint64_t frame_size, struct proto_verdict *ret)
{
	if (!context->can_reply) {
		hold(ret);
		return;
	}
	pulsar_write_lookup_failed(&context->scratch, request_id, PULSAR_TOO_MANY_REQUESTS,
				   "penstock: limits.lookups reached, try again later");
	stat_add(context->stats, STAT_LOOKUPS_THROTTLED, 1);
	answer(ret, PROTO_REPLY, &context->scratch, frame_size);
}

static void client_lookup(struct proto *proto, struct span frame, struct proto_context *context,
			  struct proto_verdict *ret)
{
	struct pulsar_lookup lookup;
	bool is_exhausted;

	if (pulsar_read_lookup(frame, &lookup) != WIRE_OK) {
		proto_pulsar_refuse(ret, CLOSE_FRAME_MALFORMED);
		return;
	}
	if (lookup.has_original) {
		proto_pulsar_refuse(ret, CLOSE_SPOOFED_ORIGINAL);
		return;
	}
	if (!route_topic_namespace(lookup.topic, &context->seen_namespace))
		context->seen_namespace = span_of(NULL, 0);
	if (client_lookup_direct(proto, &lookup, context, frame.len, ret))
		return;
	if (context->pools->lookups_in_flight >= context->pools->lookups_max) {
		client_lookup_throttled(lookup.request_id, context, frame.len, ret);
		return;
	}
	if (frame.len > PULSAR_BOOK_BYTES / 2) {
		/* No topic name is this long: the broker will say so itself. */
		pass(ret, frame.len);
		return;
	}
	if (proto_pulsar_book_add(proto, context, lookup.request_id, frame, &is_exhausted) !=
	    NULL) {
		stat_add(context->stats, STAT_LOOKUPS_RELAYED, 1);
		pass(ret, frame.len);
		return;
	}
	if (is_exhausted)
		client_lookup_throttled(lookup.request_id, context, frame.len, ret);
	else
		hold(ret); /* until an answer makes room in the book */
}

static void client_auth_response(struct proto *proto, struct span frame,
				 struct proto_context *context, struct proto_verdict *ret)
{
	struct pulsar_auth_response response;

	if (proto->pulsar.is_role && !proto_pulsar_role_is_forwarding(context)) {
		/* Nothing it has to say is about the credential its broker was shown. */
		drop(ret, frame.len);
		return;
	}
	if (!proto->pulsar.is_connected) {
		/* A round of a longer handshake: CONNECT alone would not repeat it. */
		proto->pulsar.is_multi_round = true;
	} else if (pulsar_read_auth_response(frame, &response) == WIRE_OK &&
		   response.data.at != NULL) {
		proto_pulsar_keep_refresh(proto, context, response.data);
	}
	pass(ret, frame.len);
}

static void client_count(uint32_t type, struct stat_block *stats)
{
	switch (type) {
	case PULSAR_PARTITIONED_METADATA:
		stat_add(stats, STAT_PARTITION_METADATA, 1);
		break;
	case PULSAR_GET_TOPICS_OF_NAMESPACE:
		stat_add(stats, STAT_TOPICS_OF_NAMESPACE, 1);
		break;
	case PULSAR_GET_SCHEMA:
		stat_add(stats, STAT_GET_SCHEMA, 1);
		break;
	default:
		break;
	}
}

static void client_metadata(struct span frame, struct proto_context *context,
			    struct proto_verdict *ret)
{
	bool has_original;

	if (pulsar_read_metadata_original(frame, &has_original) != WIRE_OK) {
		proto_pulsar_refuse(ret, CLOSE_FRAME_MALFORMED);
	} else if (has_original) {
		proto_pulsar_refuse(ret, CLOSE_SPOOFED_ORIGINAL);
	} else {
		client_count(PULSAR_PARTITIONED_METADATA, context->stats);
		pass(ret, frame.len);
	}
}

/* In role mode a broker hears from the client only once it knows on whose behalf. */
static bool client_is_early(const struct proto *proto, struct span bytes, struct proto_verdict *ret)
{
	if (!proto->pulsar.is_role || proto->pulsar.is_connected)
		return false;
	if (bytes.len > 0)
		proto_pulsar_refuse(ret, CLOSE_ROLE_EARLY);
	else
		proto_pulsar_need(ret, 1);
	return true;
}

/* What is looked at as a whole, or not let through. */
static bool client_is_seen(const struct proto *proto, uint32_t type)
{
	return type == PULSAR_LOOKUP || type == PULSAR_AUTH_RESPONSE ||
	       type == PULSAR_PARTITIONED_METADATA ||
	       (type == PULSAR_CONNECT && proto->pulsar.is_role);
}

void proto_pulsar_lookup_client(struct proto *proto, struct span bytes,
				struct proto_context *context, struct proto_verdict *ret)
{
	struct pulsar_head head;
	uint32_t frame_max =
		proto->pulsar.frame_max != 0 ? proto->pulsar.frame_max : context->frame_max;

	if (client_is_early(proto, bytes, ret))
		return;
	if (proto_pulsar_lookup_head(bytes, frame_max, CLOSE_FRAME_MALFORMED, &head, ret) ==
	    PULSAR_SEEN_VERDICT)
		return;
	if (!client_is_seen(proto, head.type)) {
		client_count(head.type, context->stats);
		pass(ret, head.frame_size);
		return;
	}
	if (head.type == PULSAR_CONNECT ||
	    (proto->pulsar.is_role && head.frame_size > PROTO_FRAME_MAX)) {
		/* Unread it might carry a principal past us. */
		proto_pulsar_refuse(ret, head.type == PULSAR_CONNECT ? CLOSE_FRAME_UNEXPECTED
								     : CLOSE_FRAME_TOO_BIG);
		return;
	}
	if (!proto_pulsar_lookup_whole(&head, bytes, ret))
		return;
	struct span frame = span_of(bytes.at, (size_t)head.frame_size);

	if (head.type == PULSAR_LOOKUP)
		client_lookup(proto, frame, context, ret);
	else if (head.type == PULSAR_AUTH_RESPONSE)
		client_auth_response(proto, frame, context, ret);
	else
		client_metadata(frame, context, ret);
}

/* ---- broker to client ---- */

struct span proto_pulsar_lookup_url(const struct pulsar_lookup_response *response,
				    struct proto_context *context)
{
	context->learned[0] = response->url;
	context->learned[1] = response->url_tls;
	/* What would be dialled: a broker that has only the other port is named as it named itself,
	 * and refused when it is dialled. */
	bool is_tls = config_speaks_tls(&context->route->config->clusters[context->cluster]);
	struct span wanted = is_tls ? response->url_tls : response->url;
	struct span other = is_tls ? response->url : response->url_tls;

	return wanted.len > 0 ? wanted : other;
}

/* A Redirect, before it is followed: 0 or what the client must be told instead. */
static const char *redirect(struct proto *proto, struct pulsar_entry *entry,
			    const struct pulsar_lookup_response *response, bool is_replayable,
			    struct proto_context *context)
{
	struct span url = proto_pulsar_lookup_url(response, context);
	struct span target;
	bool is_tls;

	if (!pulsar_url_split(url, &target, &is_tls))
		return "penstock: the broker redirected to something that is not a broker URL";
	if (++entry->redirects > PULSAR_REDIRECTS_MAX)
		return "penstock: reached the maximum number of redirections";
	if (!is_replayable && entry->redirects > 1)
		return "penstock: this authentication cannot be repeated at another broker "
		       "(redirect_not_replayable)";
	entry->is_authoritative = response->is_authoritative;
	if (!proto_pulsar_book_redirect(proto, entry, target))
		return "penstock: no room to follow a redirection";
	return NULL;
}

static void broker_redirect(struct proto *proto, struct pulsar_entry *entry, struct span frame,
			    const struct pulsar_lookup_response *response,
			    struct proto_context *context, struct proto_verdict *ret)
{
	/* Without a CONNECT to replay the same broker is asked to take the topic itself, which it
	 * does for a LOOKUP that says authoritative (NamespaceService.searchForCandidateBroker). */
	bool is_replayable = proto->pulsar.keep != NULL && !proto->pulsar.is_multi_round;

	if (!is_replayable && !context->can_reply) {
		hold(ret);
		return;
	}
	const char *why = redirect(proto, entry, response, is_replayable, context);

	if (why == NULL && is_replayable) {
		entry->state = PULSAR_ENTRY_ASK;
		stat_add(context->stats, STAT_LOOKUPS_REDIRECTED, 1);
		drop(ret, frame.len);
		return;
	}
	if (why == NULL) {
		pulsar_write_lookup_again(&context->scratch, proto_pulsar_book_frame(proto, entry),
					  true);
		answer(ret, PROTO_REPLY, &context->scratch, frame.len);
		return;
	}
	pulsar_write_lookup_failed(&context->scratch, response->request_id,
				   PULSAR_SERVICE_NOT_READY, why);
	stat_add(context->stats, STAT_REDIRECT_FAILURES, 1);
	proto_pulsar_book_remove(proto, context, entry);
	answer(ret, PROTO_EMIT, &context->scratch, frame.len);
}

static void broker_lookup_response(struct proto *proto, struct span frame,
				   struct proto_context *context, struct proto_verdict *ret)
{
	struct pulsar_lookup_response response;

	if (pulsar_read_lookup_response(frame, &response) != WIRE_OK) {
		proto_pulsar_refuse(ret, CLOSE_BROKER_FRAME_MALFORMED);
		return;
	}
	struct pulsar_entry *entry =
		proto_pulsar_book_find(proto, response.request_id, PULSAR_ENTRY_AT_BROKER);

	if (response.has_type && response.type == PULSAR_LOOKUP_REDIRECT) {
		if (entry != NULL) {
			broker_redirect(proto, entry, frame, &response, context, ret);
			return;
		}
		pulsar_write_lookup_failed(&context->scratch, response.request_id,
					   PULSAR_SERVICE_NOT_READY,
					   "penstock: a redirection nobody asked for");
		answer(ret, PROTO_EMIT, &context->scratch, frame.len);
		return;
	}
	if (entry != NULL)
		proto_pulsar_book_remove(proto, context, entry);
	if (!response.has_type || response.type != PULSAR_LOOKUP_CONNECT) {
		stat_add(context->stats, STAT_LOOKUPS_FAILED, 1);
		pass(ret, frame.len); /* the broker's own error, type and text untouched */
		return;
	}
	pulsar_write_lookup_through(&context->scratch, frame,
				    proto_pulsar_lookup_url(&response, context));
	answer(ret, PROTO_EMIT, &context->scratch, frame.len);
}

static void broker_connected(struct proto *proto, struct span frame, struct proto_verdict *ret)
{
	struct pulsar_connected connected;

	if (pulsar_read_connected(frame, &connected) != WIRE_OK) {
		proto_pulsar_refuse(ret, CLOSE_BROKER_FRAME_MALFORMED);
		return;
	}
	proto->pulsar.is_connected = true;
	proto->pulsar.challenges = 0;
	/* Both ends may now send frames of this size, and their heads
	 * (Commands.MESSAGE_SIZE_FRAME_PADDING). */
	if (connected.max_message_size > 0 && connected.max_message_size < INT32_MAX)
		proto->pulsar.frame_max = (uint32_t)connected.max_message_size + 10240;
	pass(ret, frame.len);
}

/* Role mode: what is said to us, and not to the client. False: it is for the client. */
static bool broker_role(struct proto *proto, const struct pulsar_head *head, struct span bytes,
			struct proto_context *context, struct proto_verdict *ret)
{
	bool is_connected = proto->pulsar.is_connected;
	bool is_challenge = head->type == PULSAR_AUTH_CHALLENGE &&
			    !(is_connected && proto_pulsar_role_is_forwarding(context));

	if (!is_challenge && (head->type != PULSAR_ERROR || is_connected))
		return false;
	if (!proto_pulsar_lookup_whole(head, bytes, ret))
		return true;
	struct span frame = span_of(bytes.at, (size_t)head->frame_size);

	if (!is_challenge)
		return proto_pulsar_role_error(frame, context, ret);
	proto_pulsar_role_challenged(proto, frame, context, ret);
	return true;
}

void proto_pulsar_lookup_broker(struct proto *proto, struct span bytes,
				struct proto_context *context, struct proto_verdict *ret)
{
	struct pulsar_head head;

	/* Answers have no limit of ours: a topic list may be longer than any message (#15688). */
	if (proto_pulsar_lookup_head(bytes, INT32_MAX, CLOSE_BROKER_FRAME_MALFORMED, &head, ret) ==
	    PULSAR_SEEN_VERDICT)
		return;
	bool is_response = head.type == PULSAR_LOOKUP_RESPONSE;

	if (proto->pulsar.is_role && broker_role(proto, &head, bytes, context, ret))
		return;
	if (!is_response && head.type != PULSAR_CONNECTED) {
		if (head.type == PULSAR_AUTH_CHALLENGE && !proto->pulsar.is_connected)
			proto->pulsar.is_multi_round = true;
		pass(ret, head.frame_size);
		return;
	}
	if (is_response && head.frame_size > PROTO_FRAME_MAX) {
		/* Unread it might carry a broker's address past us. */
		proto_pulsar_refuse(ret, CLOSE_BROKER_FRAME_MALFORMED);
		return;
	}
	if (!proto_pulsar_lookup_whole(&head, bytes, ret))
		return;
	struct span frame = span_of(bytes.at, (size_t)head.frame_size);

	if (is_response)
		broker_lookup_response(proto, frame, context, ret);
	else
		broker_connected(proto, frame, ret);
}
