/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_response: what brokers send. The oldest request without a response says how the next
 * frame is to be read. Most go by unread, as many at a time as are there; those that name brokers
 * are changed: as a whole, in their beginning, or, where records come first, in their tail
 * (kafka_rewrite.h). A frame that cannot be read ends the connection: what is in it must not pass.
 */
#include "proto_kafka_priv.h"

enum look_what {
	LOOK_VERDICT, /* whatever *ret says */
	LOOK_PASS,    /* goes by unread */
	LOOK_CHANGE,  /* is to be read, and maybe changed */
	LOOK_LOGIN,   /* is for us */
};

struct look {
	enum look_what what;
	bool is_token;
	uint64_t size;
};

/* ---- looking ---- */

static void look_at_token(const struct proto_kafka *kafka, struct span bytes, struct look *look,
			  struct proto_verdict *ret)
{
	struct kafka_why why;
	enum wire wire = kafka_sasl_raw(bytes, &look->size, &why);

	if (!proto_kafka_is_read(kafka, PROTO_BROKER, wire, &why, ret))
		return;
	look->is_token = true;
	look->what = LOOK_PASS;
}

static void look_at_unasked(const struct proto_kafka *kafka, struct span bytes,
			    struct proto_verdict *ret)
{
	if (bytes.len == 0)
		proto_kafka_need(kafka, PROTO_BROKER, 1, ret);
	else
		proto_kafka_refuse(CLOSE_RESPONSE_UNASKED, ret);
}

static bool is_sasl_answer(const struct kafka_asked *asked)
{
	return asked->key == KAFKA_SASL_HANDSHAKE && asked->version == 0;
}

static void look_at_response(const struct proto_kafka *kafka, const struct kafka_asked *asked,
			     struct span bytes, const struct proto_context *context,
			     struct look *look, struct proto_verdict *ret)
{
	struct kafka_response head;
	struct kafka_why why;
	enum wire wire = kafka_response_head(bytes, INT32_MAX, &head, &why);

	if (!proto_kafka_is_read(kafka, PROTO_BROKER, wire, &why, ret))
		return;
	if (head.correlation != asked->correlation) {
		proto_kafka_refuse(CLOSE_RESPONSE_ORDER, ret);
		return;
	}
	if (!kafka->is_counted && proto_kafka_pace_waits(kafka, PROTO_BROKER, context, ret))
		return; /* one that has begun is not held back for itself */
	bool is_opaque = kafka_way(asked->key, asked->version) == KAFKA_WAY_PASS;

	look->size = head.frame_size;
	look->what = is_opaque && !is_sasl_answer(asked) ? LOOK_PASS : LOOK_CHANGE;
}

/* Changes nothing. */
static void look_at(const struct proto_kafka *kafka, struct span bytes,
		    const struct proto_context *context, struct look *look,
		    struct proto_verdict *ret)
{
	const struct kafka_asked *asked = proto_kafka_book_first(kafka);

	*look = (struct look){ .what = LOOK_VERDICT };
	if (asked != NULL && proto_kafka_is_ours(asked))
		look->what = LOOK_LOGIN;
	else if (asked != NULL)
		look_at_response(kafka, asked, bytes, context, look, ret);
	else if (proto_kafka_sasl_awaits(kafka))
		look_at_token(kafka, bytes, look, ret);
	else
		look_at_unasked(kafka, bytes, ret);
	/* As a size it would be 352 MB, and clients have died of believing that. */
	if (look->what == LOOK_VERDICT && kafka_is_tls_alert(bytes))
		proto_kafka_refuse(CLOSE_BROKER_TLS, ret);
}

/* The response to `asked` is there. May be called again until it is taken from the book. */
static void begins(struct proto_kafka *kafka, const struct proto_context *context,
		   const struct kafka_asked *asked, uint64_t size)
{
	if (kafka->is_counted)
		return;
	kafka->is_counted = true;
	proto_kafka_count_response(kafka, context, asked, size);
	proto_kafka_pace_take(kafka, PROTO_BROKER, context, size);
}

/* ---- changing ---- */

/* The end of a response of which the beginning has been sent. */
static void pass_rest(struct proto_kafka *kafka, struct proto_context *context,
		      struct proto_verdict *ret)
{
	proto_kafka_pass(kafka->pass, ret);
	kafka->pass = 0;
	proto_kafka_book_take(kafka, context);
}

static void emit(struct span bytes, uint64_t n, struct proto_verdict *ret)
{
	*ret = (struct proto_verdict){ .what = PROTO_EMIT, .n = n, .bytes = bytes };
}

static void see_sasl_answer(struct proto_kafka *kafka, struct span bytes,
			    struct proto_context *context, uint64_t size, struct proto_verdict *ret)
{
	struct kafka_why why;
	int16_t error = 0;
	enum wire wire = kafka_sasl_handshake_error(bytes, &error, &why);

	if (!proto_kafka_is_read(kafka, PROTO_BROKER, wire, &why, ret))
		return;
	proto_kafka_sasl_answered(kafka, error);
	proto_kafka_book_take(kafka, context);
	proto_kafka_pass(size, ret);
}

static void count_entries(struct proto_context *context, const struct kafka_versions *versions)
{
	stat_add(context->stats, STAT_KAFKA_VERSIONS, 1);
	stat_add(context->stats, STAT_KAFKA_ENTRIES_LOWERED, versions->clamped);
	stat_add(context->stats, STAT_KAFKA_ENTRIES_UNKNOWN, versions->unknown);
	stat_add(context->stats, STAT_KAFKA_ENTRIES_DENIED, versions->denied);
	stat_add(context->stats, STAT_KAFKA_ENTRIES_HIDDEN,
		 versions->removed - versions->unknown - versions->denied);
}

static void see_versions(struct proto_kafka *kafka, struct span bytes,
			 struct proto_context *context, uint64_t size, struct proto_verdict *ret)
{
	const struct kafka_asked *asked = proto_kafka_book_first(kafka);
	struct kafka_versions versions;
	struct kafka_why why;
	enum wire wire = kafka_versions_rewrite(bytes, asked->version, &context->kafka->policy,
						&context->scratch, &versions, &why);

	if (!proto_kafka_is_read(kafka, PROTO_BROKER, wire, &why, ret))
		return;
	proto_kafka_book_take(kafka, context);
	if (context->scratch.len == 0) {
		proto_kafka_pass(size, ret);
		return;
	}
	count_entries(context, &versions);
	emit(sink_written(&context->scratch), size, ret);
}

static void see_stream(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
		       struct proto_verdict *ret)
{
	struct kafka_naming naming;
	struct kafka_names names = proto_kafka_names(&naming, context);
	struct kafka_stream_step step;

	kafka_stream_see(&kafka->stream, bytes, &names, &context->scratch, &step);
	kafka->is_streaming = !step.is_last;
	if (step.is_last)
		proto_kafka_book_take(kafka, context);
	switch (step.what) {
	case KAFKA_STREAM_NEED:
		*ret = (struct proto_verdict){
			.what = PROTO_NEED, .n = step.n, .max = step.max, .is_begun = true
		};
		return;
	case KAFKA_STREAM_PASS:
		proto_kafka_pass(step.n, ret);
		return;
	case KAFKA_STREAM_EMIT:
		stat_add(context->stats, step.is_bare ? STAT_KAFKA_BARE : STAT_KAFKA_TAIL, 1);
		emit(sink_written(&context->scratch), step.n, ret);
		return;
	case KAFKA_STREAM_BAD: {
		const struct kafka_why why = { .bad = step.bad };

		(void)proto_kafka_is_read(kafka, PROTO_BROKER, WIRE_BAD, &why, ret);
		return;
	}
	}
}

static void begin_stream(struct proto_kafka *kafka, struct span bytes,
			 struct proto_context *context, uint64_t size, struct proto_verdict *ret)
{
	const struct kafka_asked *asked = proto_kafka_book_first(kafka);

	kafka_stream_begin(&kafka->stream, asked->key, asked->version, size);
	see_stream(kafka, bytes, context, ret);
}

/* A short rest of the frame that is there already goes out in one piece with what was written anew:
 * to copy it costs less than another call. */
static void join_rest(struct span bytes, struct sink *sink, struct kafka_rewritten *rewritten)
{
	struct span rest = bytes;

	if (rewritten->taken == 0 || rewritten->pass > KAFKA_JOIN ||
	    !span_skip(&rest, rewritten->taken) || rest.len < rewritten->pass ||
	    sink->size - sink->len < rewritten->pass)
		return;
	sink_span(sink, span_of(rest.at, (size_t)rewritten->pass));
	rewritten->taken += (size_t)rewritten->pass;
	rewritten->pass = 0;
}

static void see_named(struct proto_kafka *kafka, enum kafka_way way, struct span bytes,
		      struct proto_context *context, uint64_t size, struct proto_verdict *ret)
{
	const struct kafka_asked *asked = proto_kafka_book_first(kafka);
	struct kafka_naming naming;
	struct kafka_names names = proto_kafka_names(&naming, context);
	struct kafka_rewritten rewritten;
	struct kafka_why why = { 0 };

	if (way == KAFKA_WAY_STREAM && size > PROTO_FRAME_MAX) {
		begin_stream(kafka, bytes, context, size, ret);
		return;
	}
	enum wire wire = kafka_rewrite(bytes, asked->key, asked->version, &names, &context->scratch,
				       &rewritten, &why);
	bool is_long = (wire == WIRE_BAD && why.bad == KAFKA_BAD_ROOM) ||
		       (wire == WIRE_MORE && why.need > PROTO_FRAME_MAX);

	if (is_long && way == KAFKA_WAY_STREAM) {
		begin_stream(kafka, bytes, context, size, ret);
		return;
	}
	if (is_long) {
		uint64_t need = wire == WIRE_MORE ? why.need : bytes.len;

		if (proto_kafka_long_begin(kafka, context, size, need < size ? need : size, ret))
			(void)proto_kafka_long_see(kafka, bytes, context, ret);
		return;
	}
	if (!proto_kafka_is_read(kafka, PROTO_BROKER, wire, &why, ret))
		return;
	join_rest(bytes, &context->scratch, &rewritten);
	kafka->pass = rewritten.pass;
	if (kafka->pass == 0)
		proto_kafka_book_take(kafka, context);
	if (rewritten.taken == 0) {
		pass_rest(kafka, context, ret);
		return;
	}
	stat_add(context->stats, way == KAFKA_WAY_PREFIX ? STAT_KAFKA_PREFIX : STAT_KAFKA_WHOLE, 1);
	emit(sink_written(&context->scratch), rewritten.taken, ret);
}

static void change(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
		   uint64_t size, struct proto_verdict *ret)
{
	const struct kafka_asked *asked = proto_kafka_book_first(kafka);
	enum kafka_way way = kafka_way(asked->key, asked->version);

	proto_kafka_note_size(kafka, PROTO_BROKER, size);
	begins(kafka, context, asked, size);
	switch (way) {
	case KAFKA_WAY_PASS:
		see_sasl_answer(kafka, bytes, context, size, ret);
		return;
	case KAFKA_WAY_VERSIONS:
		see_versions(kafka, bytes, context, size, ret);
		return;
	case KAFKA_WAY_PREFIX:
	case KAFKA_WAY_WHOLE:
	case KAFKA_WAY_STREAM:
		see_named(kafka, way, bytes, context, size, ret);
		return;
	case KAFKA_WAY_NEVER:
		break; /* such a request has been refused */
	}
	proto_kafka_refuse(CLOSE_BUG, ret);
}

static void see_changed(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
			uint64_t size, struct proto_verdict *ret)
{
	change(kafka, bytes, context, size, ret);
	proto_kafka_count_verdict(kafka, context, ret);
}

/* ---- both ---- */

/* A response that was begun before. false: there is none. Until it is through, its request is the
 * oldest without a response: nothing else may be put into the middle of it. */
static bool go_on(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
		  struct proto_verdict *ret)
{
	if (kafka->bulk != NULL && proto_kafka_long_see(kafka, bytes, context, ret))
		return true;
	if (kafka->pass > 0) {
		pass_rest(kafka, context, ret);
		return true;
	}
	if (!kafka->is_streaming)
		return false;
	see_stream(kafka, bytes, context, ret);
	return true;
}

static void goes_by(struct proto_kafka *kafka, struct proto_context *context,
		    const struct look *look)
{
	if (look->is_token) {
		proto_kafka_sasl_token_came(kafka);
		kafka->is_fetch = false;
	} else {
		begins(kafka, context, proto_kafka_book_first(kafka), look->size);
		proto_kafka_book_take(kafka, context);
	}
	proto_kafka_count_passed(kafka, look->size);
	proto_kafka_note_size(kafka, PROTO_BROKER, look->size);
}

void proto_kafka_response_see(struct proto_kafka *kafka, struct span bytes,
			      struct proto_context *context, struct proto_verdict *ret)
{
	struct span rest = bytes;
	uint64_t passed = 0;
	struct look look;

	proto_kafka_count_through(kafka, context);
	if (go_on(kafka, bytes, context, ret)) {
		proto_kafka_count_verdict(kafka, context, ret);
		return;
	}
	if (!kafka->is_counted && proto_kafka_pace_rests(kafka, PROTO_BROKER, bytes, context, ret))
		return;
	for (;;) {
		look_at(kafka, rest, context, &look, ret);
		if (look.what != LOOK_PASS)
			break;
		goes_by(kafka, context, &look);
		passed += look.size;
		if (!span_skip(&rest, look.size) || rest.len == 0)
			break;
	}
	if (passed > 0)
		proto_kafka_pass(passed, ret);
	else if (look.what == LOOK_CHANGE)
		see_changed(kafka, bytes, context, look.size, ret);
	else if (look.what == LOOK_LOGIN)
		proto_kafka_login_answered(kafka, bytes, context, ret);
}
