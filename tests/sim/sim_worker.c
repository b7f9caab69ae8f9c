/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Workers as coroutines: each runs the loop of worker.c's thread on a stack of its own until it
 * sleeps in uring_queue_wait, and goes on there when its ring has something or its time has come.
 * Which of several goes first is a matter of chance. At the end: has everything been given back?
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include "../../src/worker/worker_priv.h"
#include "sim.h"

#define WORKERS_MAX 4
#define STACK_BYTES (4u << 20)

struct fiber {
	ucontext_t context;
	void *stack;
	struct worker *worker;
	uint32_t bufs; /* as mapped */
	bool is_done;
};

static struct fiber fibers[WORKERS_MAX];
static uint32_t fiber_count;
static struct fiber *running;
static ucontext_t outside;
static const void *outside_stack;
static size_t outside_size;

/* AddressSanitizer wants to know which stack is in use. */
static void before_switch(void **keep, const void *stack, size_t size)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(keep, stack, size);
#else
	(void)keep;
	(void)stack;
	(void)size;
#endif
}

static void after_switch(void *keep, const void **stack, size_t *size)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(keep, stack, size);
#else
	(void)keep;
	(void)stack;
	(void)size;
#endif
}

static void loop(void)
{
	struct fiber *fiber = running;
	struct worker *worker = fiber->worker;

	after_switch(NULL, &outside_stack, &outside_size);
	CHECK(worker_open(worker) == 0);
	while (!worker_is_done(worker)) {
		sim_turn();
		CHECK(worker_turn(worker) == 0);
	}
	worker_close(worker);
	fiber->is_done = true;
	before_switch(NULL, outside_stack, outside_size);
	(void)setcontext(&outside);
}

void sim_worker_yield(void)
{
	struct fiber *fiber = running;
	void *keep = NULL;

	before_switch(&keep, outside_stack, outside_size);
	CHECK(swapcontext(&fiber->context, &outside) == 0);
	after_switch(keep, &outside_stack, &outside_size);
}

static void run(struct fiber *fiber)
{
	void *keep = NULL;

	running = fiber;
	before_switch(&keep, fiber->stack, STACK_BYTES);
	CHECK(swapcontext(&outside, &fiber->context) == 0);
	after_switch(keep, NULL, NULL);
	running = NULL;
}

bool sim_worker_run_one(uint64_t *ret_wakes_ns)
{
	struct fiber *ready[WORKERS_MAX];
	uint32_t count = 0;

	*ret_wakes_ns = UINT64_MAX;
	for (uint32_t i = 0; i < fiber_count; i++) {
		struct fiber *fiber = &fibers[i];
		uint64_t wakes = 0;

		if (fiber->is_done)
			continue;
		if (fiber->worker->env.ring != NULL)
			wakes = sim_uring_wakes_ns(fiber->worker->env.ring);
		if (wakes <= sim_now())
			ready[count++] = fiber;
		else if (wakes < *ret_wakes_ns)
			*ret_wakes_ns = wakes;
	}
	if (count == 0)
		return false;
	run(ready[sim_below(count)]);
	return true;
}

bool sim_worker_are_done(void)
{
	for (uint32_t i = 0; i < fiber_count; i++)
		if (!fibers[i].is_done)
			return false;
	return true;
}

void sim_worker_start(uint32_t index, struct mail_office *office, const struct config *config)
{
	struct fiber *fiber = &fibers[index];

	CHECK(index == fiber_count && index < WORKERS_MAX);
	fiber_count++;
	CHECK(worker_new(&fiber->worker, index, office, config) == 0);
	rng_seed(&fiber->worker->env.rng, sim_below(UINT64_MAX));
	/* The budget has no way to say so few. */
	fiber->bufs = fiber->worker->env.relay.bufs.capacity;
	if (sim_plan.bufs > 0) {
		fiber->worker->env.relay.bufs.capacity = sim_plan.bufs;
		fiber->worker->env.relay.bufs_for_streams = sim_plan.bufs / 2;
	}
	fiber->stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fiber->stack != MAP_FAILED);
	CHECK(getcontext(&fiber->context) == 0);
	fiber->context.uc_stack.ss_sp = fiber->stack;
	fiber->context.uc_stack.ss_size = STACK_BYTES;
	fiber->context.uc_link = NULL;
	makecontext(&fiber->context, loop, 0);
}

bool sim_worker_holds_nothing(void)
{
	for (uint32_t i = 0; i < fiber_count; i++) {
		const struct stat_block *stats = fibers[i].worker->env.stats;

		if (stat_get(stats, STAT_BUFFERS_IN_USE) != 0 ||
		    stat_get(stats, STAT_PIPES_IN_USE) != 0)
			return false;
	}
	return true;
}

/* ---- for whoever has to find out why ---- */

static void show_lane(const char *name, const struct lane *lane)
{
	(void)fprintf(stderr, "    %s %d -> %d:", name, lane->source, lane->sink);
	if (lane->op.is_armed)
		(void)fprintf(stderr, " polls %d for %x%s", lane->op.fd, lane->op.events,
			      lane->op.is_multishot ? " (many)" : "");
	if (lane->in != NULL)
		(void)fprintf(stderr, " in %u-%u-%u", lane->in->done, lane->in->decided,
			      lane->in->filled);
	if (lane->out != NULL)
		(void)fprintf(stderr, " out %u-%u", lane->out->done, lane->out->filled);
	if (lane->pipe != NULL)
		(void)fprintf(stderr, " pipe %u", lane->pipe->fill);
	(void)fprintf(stderr, " pass %lld bytes %llu%s%s%s%s\n", (long long)lane->pass,
		      (unsigned long long)lane->bytes, lane->queue != NULL ? " queued" : "",
		      lane->is_promoted ? " promoted" : "", lane->saw_fin ? " saw-fin" : "",
		      lane->sent_fin ? " sent-fin" : "");
}

static void show_session(const struct session *session)
{
	(void)fprintf(stderr, "  session %llu %s %s held %x reason %s\n",
		      (unsigned long long)session->id,
		      session_state_name((enum session_state)session->state),
		      proto_kind_name(session->proto.kind), session->held,
		      close_rows[session->reason].name);
	show_lane("to broker", &session->lane[LANE_TO_BROKER]);
	show_lane("to client", &session->lane[LANE_TO_CLIENT]);
	for (uint32_t i = 0; i < PROTO_SIDES; i++) {
		const struct session_side *side = session->sides[i];

		if (side == NULL)
			continue;
		(void)fprintf(stderr, "    side %u to %s%s\n", i, side->host,
			      side->is_open ? "" : " (dialling)");
		show_lane("  rx", &side->rx);
		show_lane("  tx", &side->tx);
	}
}

void sim_worker_show(void)
{
	for (uint32_t i = 0; i < fiber_count; i++) {
		struct session_env *env = &fibers[i].worker->env;

		if (fibers[i].is_done)
			continue;
		(void)fprintf(stderr,
			      "worker %u: %u sessions, %u unrouted, %u of %u buffers, accept %s\n",
			      i, env->sessions.in_use, env->unrouted, env->relay.bufs.in_use,
			      env->relay.bufs.capacity,
			      fibers[i].worker->is_accept_paused ? "paused" : "on");
		for (uint32_t at = 0; at < env->sessions.fresh; at++) {
			const struct session *session = session_at(env, at);

			if (session != NULL)
				show_session(session);
		}
	}
}

/* ---- the end ---- */

static void check_zero(uint32_t index, const char *what, uint64_t value)
{
	if (value != 0)
		sim_fail("worker %u: %s: %lld at the end, must be 0", index, what,
			 (long long)value);
}

static void check_gauges(uint32_t index, const struct session_env *env)
{
	static const enum stat_id gauges[] = {
		STAT_SESSIONS_IN_USE, STAT_BUFFERS_IN_USE, STAT_PIPES_IN_USE,
		STAT_HOPS_IN_USE,     STAT_UNROUTED,	   STAT_LOOKUPS_IN_FLIGHT,
		STAT_KAFKA_IN_FLIGHT,
	};

	for (size_t i = 0; i < COUNT_OF(gauges); i++)
		check_zero(index, stat_rows[gauges[i]].metric, stat_get(env->stats, gauges[i]));
	check_zero(index, "env.unrouted", env->unrouted);
	check_zero(index, "sessions", env->sessions.in_use);
	check_zero(index, "sides", env->sides.in_use);
	check_zero(index, "server names", env->names.in_use);
	check_zero(index, "buffers", env->relay.bufs.in_use);
	check_zero(index, "small kept frames", env->protos.keep_small.in_use);
	check_zero(index, "big kept frames", env->protos.keep_big.in_use);
	check_zero(index, "books", env->protos.books.in_use);
	check_zero(index, "requests noted", env->protos.chunks.in_use);
	check_zero(index, "long answers", env->protos.bulks.in_use);
	check_zero(index, "denied requests", env->protos.denials.in_use);
	check_zero(index, "authentications", env->protos.logins.in_use);
	check_zero(index, "what is known of Kafka's", env->protos.kafkas.in_use);
	check_zero(index, "lookups in flight", env->protos.lookups_in_flight);
	check_zero(index, "timers", env->wheel.count);
	check_zero(index, "lanes queued", env->again.head != NULL);
	check_zero(index, "lanes starved", env->relay.starved.head != NULL);
	check_zero(index, "load", env->office->loads[index].sessions);
}

static void check_listeners(const struct mail_office *office)
{
	for (uint32_t id = 0; id < STAT_LISTENERS_MAX; id++) {
		uint64_t accepted = 0, closed = 0, bugs = 0;

		for (uint32_t i = 0; i < office->worker_count; i++) {
			struct stat_listener *stats = &office->stats[i]->listener[id];

			accepted += stats->accepted;
			bugs += stats->closed[CLOSE_BUG];
			for (int reason = 0; reason < CLOSE_COUNT; reason++)
				closed += stats->closed[reason];
		}
		if (accepted != closed)
			sim_fail("listener %u: %llu accepted, %llu closed", id,
				 (unsigned long long)accepted, (unsigned long long)closed);
		if (bugs != 0)
			sim_fail("listener %u: %llu closed for an impossible state", id,
				 (unsigned long long)bugs);
	}
}

static void check_routes(const struct mail_office *office)
{
	for (uint32_t id = 0; id < STAT_ROUTES_MAX; id++)
		check_zero(0, "connections of a route", office->routes[id].active);
	for (uint32_t id = 0; id < STAT_LISTENERS_MAX; id++)
		check_zero(0, "connections of a listener", office->gates[id].count.active);
}

/* What brokers are counted for adds up to what calls are, and no connection is left at one. */
static void check_kafka(const struct mail_office *office)
{
	uint64_t of_apis = 0, of_nodes = 0, answered = 0;

	for (uint32_t i = 0; i < office->worker_count; i++) {
		const struct stat_kafka *kafka = &office->stats[i]->kafka;

		for (uint32_t key = 0; key < STAT_KAFKA_APIS; key++) {
			of_apis += kafka->api[key].requests;
			for (uint32_t bucket = 0; bucket < STAT_KAFKA_BUCKETS; bucket++)
				answered += kafka->api[key].times.us[bucket];
		}
		for (uint32_t place = 0; place < STAT_KAFKA_NODES; place++) {
			of_nodes += kafka->node[place].requests;
			check_zero(i, "connections of a broker", kafka->node[place].active);
		}
	}
	if (of_apis != of_nodes)
		sim_fail("%llu requests of all calls, %llu of all brokers",
			 (unsigned long long)of_apis, (unsigned long long)of_nodes);
	if (answered > of_apis)
		sim_fail("%llu responses to %llu requests", (unsigned long long)answered,
			 (unsigned long long)of_apis);
}

/* Credentials are wiped when a kept frame is given back. */
static void check_wiped(const struct pool *pool)
{
	static const char secret[] = "secret-";
	size_t size = pool->size * pool->fresh;

	if (size > 0 && memmem(pool->base, size, secret, sizeof(secret) - 1) != NULL)
		sim_fail("credentials are left in a kept frame that was given back");
}

void sim_worker_check_and_free(struct mail_office *office)
{
	for (uint32_t i = 0; i < fiber_count; i++) {
		struct fiber *fiber = &fibers[i];

		check_gauges(i, &fiber->worker->env);
		check_wiped(&fiber->worker->env.protos.keep_small);
		check_wiped(&fiber->worker->env.protos.keep_big);
	}
	check_listeners(office);
	check_routes(office);
	check_kafka(office);
	for (uint32_t i = 0; i < fiber_count; i++) {
		fibers[i].worker->env.relay.bufs.capacity = fibers[i].bufs;
		worker_free(fibers[i].worker);
		(void)munmap(fibers[i].stack, STACK_BYTES);
	}
	check_zero(0, "open descriptors", sim_fd_count());
}
