/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Planning lookups, answering them as brokers do, and checking what reaches the client: each is
 * answered once, with the URL of the broker that said yes, through the proxy, and never with a
 * redirect.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_lookup.h"
#include "sim_town.h"

#define LOOKUP		23
#define LOOKUP_RESPONSE 24
#define REDIRECT	0
#define CONNECT		1
#define FAILED		2
#define NOT_READY	6
#define NOT_FOUND	11
#define TOO_MANY	14
#define REDIRECTS_MAX	10
#define UNKNOWN_FIELD	77
#define UNKNOWN_VALUE	4711

bool sim_lookup_is_replayable(const struct sim_lookups *all)
{
	return all->rounds == 0;
}

/* ---- planning ---- */

static void plan_route(struct sim_lookups *all, struct sim_lookup *lookup)
{
	uint32_t brokers = sim_plan.brokers + sim_plan.hidden;

	if (sim_chance(500))
		return;
	lookup->hops = sim_chance(50) ? SIM_HOPS_MAX : (uint32_t)sim_between(1, 4);
	if (!sim_lookup_is_replayable(all))
		lookup->hops = 1; /* the same broker is asked to take it */
	for (uint32_t i = 0; i < lookup->hops; i++) {
		uint32_t to = (uint32_t)sim_below(brokers);

		lookup->route[i] = (uint8_t)to;
		if (!sim_lookup_is_replayable(all))
			continue;
		if (sim_town_is_dead(to) || (to >= sim_plan.brokers && sim_plan.is_zookeeper))
			lookup->must_fail = true;
		if (to >= sim_plan.brokers &&
		    (sim_plan.faults.dns_failed > 0 || sim_plan.faults.dns_late > 0))
			lookup->may_fail = true;
	}
	lookup->owner = lookup->route[lookup->hops - 1];
	if (lookup->hops > REDIRECTS_MAX)
		lookup->must_fail = true;
	if (sim_chance(50)) {
		lookup->end = SIM_LOOKUP_NOWHERE;
		lookup->must_fail = true;
	}
	if (all->side_fault != SIM_SIDE_FINE)
		lookup->may_fail = true;
}

static void plan_one(struct sim_lookups *all, uint32_t index)
{
	struct sim_lookup *lookup = &all->at[index];
	struct sim_text body = { 0 };
	char topic[80];

	*lookup = (struct sim_lookup){
		.index = index,
		/* As clients count, and now and then as nobody does. */
		.request_id = sim_chance(900) ? 100 + index : UINT64_MAX - index,
		.owner = (uint8_t)sim_below(sim_plan.brokers),
		.is_direct = sim_plan.is_direct && sim_chance(400),
		.may_fail = sim_plan.has_limits || sim_plan.lookups < 1000,
	};
	if (lookup->is_direct)
		lookup->owner = (uint8_t)sim_town_owner();
	else
		plan_route(all, lookup);
	if (lookup->hops == 0 && !lookup->is_direct && sim_chance(100))
		lookup->end = SIM_LOOKUP_FAILED;
	lookup->has_tls_url_only =
		lookup->end == SIM_LOOKUP_CONNECT && !lookup->is_direct && sim_chance(30);
	(void)snprintf(topic, sizeof(topic), "persistent://%s/f%u-l%u",
		       lookup->is_direct ? SIM_TOWN_DIRECT_NS : "t/relay", all->flow->id, index);
	sim_frame_str(&body, 1, topic);
	sim_frame_varint(&body, 2, lookup->request_id);
	if (sim_chance(500))
		sim_frame_varint(&body, 3, 0);
	if (!lookup->is_direct && sim_chance(300))
		sim_frame_str(&body, 7, "outside");
	sim_frame_varint(&body, UNKNOWN_FIELD, UNKNOWN_VALUE);
	sim_frame_put(&lookup->frame, LOOKUP, &body, span_of(NULL, 0));
	sim_frame_free(&body);
}

void sim_lookup_plan(struct sim_lookups *all)
{
	all->count = (uint32_t)sim_skewed(SIM_LOOKUPS_MAX);
	for (uint32_t i = 0; i < all->count; i++)
		plan_one(all, i);
}

/* ---- the brokers' words ---- */

struct sim_lookup *sim_lookup_of(struct sim_lookups *all, const struct sim_frame *frame)
{
	struct span topic = sim_frame_text(frame, 1);
	char text[80] = "";
	uint32_t flow = 0, index = 0;
	const char *at;

	if (topic.len < sizeof(text))
		memcpy(text, topic.at, topic.len);
	at = strrchr(text, '/');
	if (at == NULL || sscanf(at, "/f%u-l%u", &flow, &index) != 2 || flow != all->flow->id ||
	    index >= all->count)
		sim_fail("flow %u: a LOOKUP nobody asked: %s", all->flow->id, text);
	if (sim_frame_value(frame, 2, 0) != all->at[index].request_id)
		sim_fail("flow %u: lookup %u has another request id", flow, index);
	if (sim_frame_value(frame, UNKNOWN_FIELD, 0) != UNKNOWN_VALUE)
		sim_fail("flow %u: lookup %u lost a field nobody knows", flow, index);
	return &all->at[index];
}

static void put_failed(struct sim_text *body)
{
	sim_frame_varint(body, 3, FAILED);
	sim_frame_varint(body, 6, NOT_FOUND);
	sim_frame_str(body, 7, "no such topic, says its broker");
}

void sim_lookup_answer(struct sim_lookups *all, struct sim_lookup *lookup, uint32_t broker,
		       struct sim_text *text)
{
	bool is_redirect = lookup->hop < lookup->hops;
	uint32_t to = is_redirect ? lookup->route[lookup->hop] : lookup->owner;
	struct sim_text body = { 0 };

	/* Asked to take it itself, with authority, a broker says yes. */
	if (!is_redirect && lookup->hops > 0 && !sim_lookup_is_replayable(all))
		lookup->owner = (uint8_t)(to = broker);
	sim_trace("flow %u: broker %u answers lookup %u: %s to %u", all->flow->id, broker,
		  lookup->index, is_redirect ? "redirect" : "end", to);
	if (sim_chance(500))
		sim_frame_varint(&body, 4, lookup->request_id);
	if (is_redirect && lookup->end == SIM_LOOKUP_NOWHERE && lookup->hop + 1 == lookup->hops) {
		sim_frame_str(&body, 1, "http://nowhere:8080");
		sim_frame_varint(&body, 3, REDIRECT);
	} else if (is_redirect) {
		sim_frame_str(&body, 1, sim_town_url(to, false));
		if (sim_chance(500))
			sim_frame_str(&body, 2, sim_town_url(to, true));
		sim_frame_varint(&body, 3, REDIRECT);
		sim_frame_varint(&body, 5, lookup->hop % 2);
	} else if (lookup->end == SIM_LOOKUP_FAILED) {
		put_failed(&body);
	} else {
		if (!lookup->has_tls_url_only)
			sim_frame_str(&body, 1, sim_town_url(to, false));
		if (lookup->has_tls_url_only || sim_chance(500))
			sim_frame_str(&body, 2, sim_town_url(to, true));
		sim_frame_varint(&body, 3, CONNECT);
		sim_frame_varint(&body, UNKNOWN_FIELD, UNKNOWN_VALUE);
	}
	sim_frame_varint(&body, 4, lookup->request_id);
	sim_frame_put(text, LOOKUP_RESPONSE, &body, span_of(NULL, 0));
	sim_frame_free(&body);
	lookup->hop++;
}

/* ---- the client's eye ---- */

static struct sim_lookup *by_request(struct sim_lookups *all, uint64_t request_id)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (all->at[i].request_id == request_id)
			return &all->at[i];
	return NULL;
}

static void check_connect(const struct sim_lookups *all, const struct sim_lookup *lookup,
			  const struct sim_frame *frame)
{
	const char *url = sim_town_url(lookup->owner, lookup->has_tls_url_only);

	if (lookup->must_fail || lookup->end != SIM_LOOKUP_CONNECT)
		sim_fail("flow %u: lookup %u got a broker", all->flow->id, lookup->index);
	if (lookup->hop < lookup->hops)
		sim_fail("flow %u: lookup %u was answered before its end", all->flow->id,
			 lookup->index);
	if (!span_is(sim_frame_text(frame, 1), url) || !span_is(sim_frame_text(frame, 2), url))
		sim_fail("flow %u: lookup %u does not name %s twice", all->flow->id, lookup->index,
			 url);
	if (sim_frame_value(frame, 8, 0) != 1)
		sim_fail("flow %u: lookup %u is not through the proxy", all->flow->id,
			 lookup->index);
	if (!lookup->is_direct && sim_frame_value(frame, UNKNOWN_FIELD, 0) != UNKNOWN_VALUE)
		sim_fail("flow %u: the answer of lookup %u lost a field", all->flow->id,
			 lookup->index);
}

static void check_failed_answer(const struct sim_lookups *all, const struct sim_lookup *lookup,
				const struct sim_frame *frame)
{
	uint64_t error = sim_frame_value(frame, 6, 0);

	if (error == NOT_FOUND && lookup->end == SIM_LOOKUP_FAILED)
		return;
	if (error == TOO_MANY && (sim_plan.lookups < 1000 || sim_plan.connections < 1000))
		return;
	if (error == NOT_READY &&
	    (lookup->must_fail || lookup->may_fail || all->flow->is_excused || sim_plan.bufs > 0))
		return;
	sim_fail("flow %u: lookup %u failed with error %llu", all->flow->id, lookup->index,
		 (unsigned long long)error);
}

void sim_lookup_check(struct sim_lookups *all, const struct sim_frame *frame)
{
	struct sim_lookup *lookup = by_request(all, sim_frame_value(frame, 4, 0));

	if (lookup == NULL || !lookup->is_asked)
		sim_fail("flow %u: an answer to a question not asked", all->flow->id);
	if (lookup->is_answered)
		sim_fail("flow %u: lookup %u is answered twice", all->flow->id, lookup->index);
	sim_trace("flow %u: lookup %u is answered: %llu, error %llu", all->flow->id, lookup->index,
		  (unsigned long long)sim_frame_value(frame, 3, REDIRECT),
		  (unsigned long long)sim_frame_value(frame, 6, 0));
	switch (sim_frame_value(frame, 3, REDIRECT)) {
	case CONNECT:
		check_connect(all, lookup, frame);
		break;
	case FAILED:
		check_failed_answer(all, lookup, frame);
		break;
	default:
		sim_fail("flow %u: lookup %u is a redirect", all->flow->id, lookup->index);
	}
	lookup->is_answered = true;
	lookup->has_failed = sim_frame_value(frame, 3, REDIRECT) == FAILED;
	all->answered++;
}
