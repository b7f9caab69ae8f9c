/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_sni: the brain of listeners with routes: which route a ClientHello takes, or the alert that
 * says why none.
 *
 *   server name          route
 *   none                 no_sni
 *   no route has it      unknown (an address is nobody's name)
 *   several routes       the first with a protocol the client offers, else the one without alpn
 *
 * Nothing is dialled before the whole hello is understood. It then goes on as it came, and nothing
 * behind it is looked at: the second hello of a HelloRetryRequest goes to the same target.
 */
#include <penstock/worker/proto.h>

static void refuse(struct proto_verdict *ret, enum close_reason reason)
{
	*ret = (struct proto_verdict){ .what = PROTO_REFUSE, .reason = reason };
}

static void sni_begin(struct proto *proto)
{
	proto->sni = (struct proto_sni){ .version = 0 };
}

static void sni_end(struct proto *proto, struct proto_context *context)
{
	(void)proto;
	(void)context;
}

/* ---- the route ---- */

static bool offers(struct span alpn, const struct config_names *wanted)
{
	struct span protocol;

	while (hello_alpn_next(&alpn, &protocol))
		for (uint32_t i = 0; i < wanted->count; i++)
			if (span_is(protocol, wanted->at[i]))
				return true;
	return false;
}

/* Among the rules of one host; ROUTE_NO_RULE: none is for this client. */
static uint32_t choose_by_alpn(const struct route *route, uint32_t rule, struct span alpn)
{
	uint32_t other = ROUTE_NO_RULE;

	for (; rule != ROUTE_NO_RULE; rule = route->rules[rule].next) {
		const struct config_names *wanted = &route->config->routes[rule].alpn;

		if (wanted->count > 0 && offers(alpn, wanted))
			return rule;
		if (wanted->count == 0 && other == ROUTE_NO_RULE)
			other = rule;
	}
	return other;
}

static bool is_let_in(const struct config_cidrs *allow, const struct addr *client)
{
	for (uint32_t i = 0; i < allow->count; i++)
		if (addr_in_cidr(client, &allow->at[i]))
			return true;
	return allow->count == 0;
}

/* The first rule for this name, or why there is none. */
static enum close_reason find_rule(const struct proto_context *context, const struct hello *hello,
				   uint32_t *ret_rule)
{
	const struct config_listener *listener =
		&context->route->config->listeners[context->listener];
	uint32_t number = (uint32_t)context->listener;
	bool has_name = hello->name.at != NULL;
	int32_t other = has_name ? listener->unknown_route : listener->no_sni_route;

	if (has_name && !hello->is_literal &&
	    route_rule_find(context->route, number, hello->name, ret_rule))
		return CLOSE_NONE;
	if (other < 0)
		return has_name ? CLOSE_NO_ROUTE : CLOSE_SNI_MISSING;
	*ret_rule = (uint32_t)other;
	return CLOSE_NONE;
}

static void choose(struct proto *proto, const struct proto_context *context,
		   const struct hello *hello, struct proto_verdict *ret)
{
	const struct config *config = context->route->config;
	uint32_t rule = ROUTE_NO_RULE;

	/* A reload may have taken the listener away, or its routes. */
	if (context->listener < 0 || config->listeners[context->listener].route_count == 0) {
		refuse(ret, CLOSE_LISTENER_GONE);
		return;
	}
	enum close_reason reason = find_rule(context, hello, &rule);

	if (reason == CLOSE_NONE) {
		rule = choose_by_alpn(context->route, rule, hello->alpn);
		if (rule == ROUTE_NO_RULE)
			reason = CLOSE_NO_ALPN;
		else if (!is_let_in(&config->routes[rule].allow, &context->client))
			reason = CLOSE_ACL_CIDR;
	}
	if (reason != CLOSE_NONE) {
		refuse(ret, reason);
		return;
	}
	proto->kind = PROTO_KIND_ROUTED;
	*ret = (struct proto_verdict){ .what = PROTO_ROUTE, .rule = rule };
}

/* ---- the hello ---- */

static void see_hello(struct proto *proto, struct span bytes, struct proto_context *context,
		      struct proto_verdict *ret)
{
	static const enum close_reason reasons[HELLO_FAULTS] = {
#define HELLO(NAME, name, ALERT, text) [HELLO_##NAME] = CLOSE_HELLO_##NAME,
#include <penstock/wire/hello.def>
#undef HELLO
	};
	struct proto_sni *sni = &proto->sni;
	struct hello hello;

	if (sni->reader.most == 0)
		hello_begin(&sni->reader, context->first_frame_max);
	CHECK(context->scratch.size >= sni->reader.most);
	switch (hello_read(&sni->reader, bytes, context->scratch.at, &hello)) {
	case WIRE_MORE:
		*ret = (struct proto_verdict){
			.what = PROTO_NEED,
			.n = hello.need,
			.max = sni->reader.most,
		};
		return;
	case WIRE_BAD:
		sni->version = hello.version;
		refuse(ret, reasons[hello.fault]);
		return;
	case WIRE_OK:
		break;
	}
	sni->version = hello.version;
	context->server_name = hello.name;
	choose(proto, context, &hello, ret);
}

static void sni_see(struct proto *proto, enum proto_channel channel, struct span bytes,
		    struct proto_context *context, struct proto_verdict *ret)
{
	if (proto->sni.is_dialled) {
		*ret = (struct proto_verdict){ .what = PROTO_PASS, .n = PROTO_ALL };
		return;
	}
	CHECK(channel == PROTO_CLIENT);
	see_hello(proto, bytes, context, ret);
}

static void sni_dialled(struct proto *proto)
{
	proto->sni.is_dialled = true;
}

/* ---- refusals ---- */

/* A client that let the time run out, or whose load balancer did not introduce it, is told
 * nothing. What leads nowhere that a client may go is, for the client, an unknown name. */
static enum hello_alert alert_of(enum close_reason reason, const struct hello *hello)
{
	static const enum hello_alert alerts[CLOSE_COUNT] = {
#define HELLO(NAME, name, ALERT, text) [CLOSE_HELLO_##NAME] = HELLO_ALERT_##ALERT,
#include <penstock/wire/hello.def>
#undef HELLO
		[CLOSE_NO_ROUTE] = HELLO_ALERT_UNRECOGNIZED_NAME,
		[CLOSE_NO_ALPN] = HELLO_ALERT_NO_APPLICATION_PROTOCOL,
		[CLOSE_ACL_CIDR] = HELLO_ALERT_ACCESS_DENIED,
		[CLOSE_TARGET_HOST_DENIED] = HELLO_ALERT_UNRECOGNIZED_NAME,
		[CLOSE_TARGET_NETWORK_DENIED] = HELLO_ALERT_UNRECOGNIZED_NAME,
		[CLOSE_TARGET_PORT_DENIED] = HELLO_ALERT_UNRECOGNIZED_NAME,
		[CLOSE_TARGET_SYNTAX_DENIED] = HELLO_ALERT_UNRECOGNIZED_NAME,
		[CLOSE_TARGET_SPECIAL_DENIED] = HELLO_ALERT_UNRECOGNIZED_NAME,
		[CLOSE_CONN_LIMIT_IP] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_CONN_LIMIT_ROUTE] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_LISTENER_GONE] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_CONNECT_TIMEOUT] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_CONNECT_REFUSED] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_CONNECT_FAILED] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_DNS_FAILED] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_DNS_TIMEOUT] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_NO_BROKER] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_EMFILE] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_ENOBUFS] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_NO_PORTS] = HELLO_ALERT_INTERNAL_ERROR,
		[CLOSE_ENOMEM] = HELLO_ALERT_INTERNAL_ERROR,
	};

	return reason == CLOSE_SNI_MISSING ? hello_no_name_alert(hello) : alerts[reason];
}

static void sni_refuse(struct proto *proto, enum close_reason reason, struct sink *sink)
{
	const struct hello hello = { .version = proto->sni.version };
	enum hello_alert alert = alert_of(reason, &hello);

	if (alert != 0)
		hello_write_alert(sink, &hello, alert);
}

const struct proto_ops proto_sni_ops = {
	.name = "sni",
	.begin = sni_begin,
	.end = sni_end,
	.see = sni_see,
	.dialled = sni_dialled,
	.refuse = sni_refuse,
};
