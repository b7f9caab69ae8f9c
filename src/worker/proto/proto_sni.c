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

static void sni_begin(struct proto *proto, struct proto_pools *pools)
{
	(void)pools;
	proto->sni = (struct proto_sni){ .version = 0 };
}

static void sni_end(struct proto *proto, struct proto_context *context)
{
	(void)proto;
	(void)context;
}

/* ---- the route ---- */

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
	const struct route_asked asked = {
		.name = hello->name,
		.alpn = hello->alpn,
		.client = context->client,
	};
	enum close_reason reason =
		route_rule_choose(context->route, (uint32_t)context->listener, &asked, &rule);

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
		[CLOSE_CONN_LIMIT_LISTENER] = HELLO_ALERT_INTERNAL_ERROR,
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
