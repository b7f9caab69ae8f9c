/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plays the control thread: publishes snapshots and frees the old ones the moment every worker has
 * taken a newer one (so that a pointer kept over a turn is found), answers DNS questions late and
 * badly, asks for rows of /connections, hands out listeners, drains and stops.
 */
#include <stdlib.h>
#include <string.h>

#include <penstock/mail.h>
#include <penstock/net.h>

#include "sim.h"
#include "sim_kafka.h"
#include "sim_town.h"

#define SNAPSHOTS_MAX 256

struct letter {
	uint32_t worker;
	struct mail mail;
};

static struct {
	struct mail_office *office;
	struct route *routes[SNAPSHOTS_MAX]; /* by version */
	uint64_t version, freed;
	uint32_t learned;
	uint32_t listeners, unlistened;
	bool has_namespace;
	bool is_stopping;
} control;

/* ---- sending ---- */

static void deliver(void *context)
{
	struct letter *letter = context;

	if (!mail_send(&control.office->workers[letter->worker], NULL, &letter->mail))
		sim_at(NS_PER_MS, deliver, letter);
}

static void send_later(uint32_t worker, const struct mail *mail, uint64_t delay_ns)
{
	struct letter *letter = sim_alloc(sizeof(*letter));

	*letter = (struct letter){ .worker = worker, .mail = *mail };
	sim_at(delay_ns, deliver, letter);
}

void sim_control_send(uint32_t worker, const struct mail *mail)
{
	send_later(worker, mail, 0);
}

static void send_all(const struct mail *mail)
{
	for (uint32_t i = 0; i < sim_plan.workers; i++)
		sim_control_send(i, mail);
}

/* ---- snapshots ---- */

static void sweep(void)
{
	uint64_t acked = control.version;

	for (uint32_t i = 0; i < sim_plan.workers; i++) {
		uint64_t version = atomic_load(&control.office->stats[i]->acked_version);

		if (version < acked)
			acked = version;
	}
	for (; control.freed + 1 < acked; control.freed++) {
		route_free(control.routes[(control.freed + 1) % SNAPSHOTS_MAX]);
		control.routes[(control.freed + 1) % SNAPSHOTS_MAX] = NULL;
	}
}

static void publish(void)
{
	sweep();
	if (control.version + 1 - control.freed >= SNAPSHOTS_MAX)
		return;
	control.version++;
	struct route *route =
		sim_town_route(control.version, control.learned, control.has_namespace);

	control.routes[control.version % SNAPSHOTS_MAX] = route;
	for (uint32_t i = 0; i < sim_plan.workers; i++)
		(void)!mail_publish(&control.office->workers[i], NULL, route);
}

static void publish_again(void *context)
{
	if (control.is_stopping)
		return;
	publish();
	sim_at(sim_between(NS_PER_MS, 400 * NS_PER_MS), publish_again, context);
}

/* Between any two turns, as control may run at any time. */
static void sweep_again(void *context)
{
	sweep();
	if (!control.is_stopping)
		sim_at(sim_between(NS_PER_MS, 20 * NS_PER_MS), sweep_again, context);
}

/* ---- what workers ask ---- */

static void answer_dns(const struct mail_dns_ask *ask)
{
	struct mail mail = { .kind = MAIL_DNS_ANSWER, .dns_answer = { .ticket = ask->ticket } };
	uint64_t delay_ns = sim_between(1, 20 * NS_PER_MS);

	if (sim_chance(sim_plan.faults.dns_late))
		delay_ns = sim_chance(500) ? sim_skewed(6 * NS_PER_S)
					   : sim_between(NS_PER_S, 6 * NS_PER_S);
	if (!sim_chance(sim_plan.faults.dns_failed))
		mail.dns_answer.addr_count = sim_town_resolve(ask->host, mail.dns_answer.addrs);
	sim_trace("control: %s resolves to %u addresses", ask->host, mail.dns_answer.addr_count);
	send_later(ask->worker, &mail, delay_ns);
}

static void learn(const struct mail_learned *learned)
{
	if (sim_plan.is_zookeeper)
		sim_fail("a broker was learned although ZooKeeper knows them all");
	for (uint32_t i = 0; i < sim_plan.hidden; i++)
		if (strcmp(learned->host, sim_town_host(sim_plan.brokers + i)) == 0)
			control.learned |= 1u << i;
}

/* Only those that no snapshot had. */
static void take_node(const struct mail_node *node)
{
	if (node->cluster != 1 || node->id < 0 ||
	    strcmp(node->place.host, sim_town_host((uint32_t)node->id)) != 0 ||
	    node->place.port != SIM_KAFKA_PORT)
		sim_fail("node %d is said to be at %s:%u", (int)node->id, node->place.host,
			 node->place.port);
	sim_town_tell_node((uint32_t)node->id);
}

static void ask_rows(void *context)
{
	struct mail_row_page *page = context;
	const struct mail mail = { .kind = MAIL_ROWS_ASK, .rows_ask = { .page = page } };

	if (control.is_stopping) {
		free(page);
		return;
	}
	sim_control_send((uint32_t)sim_below(sim_plan.workers), &mail);
}

static void take_rows(const struct mail_rows *rows)
{
	CHECK(rows->page->count <= MAIL_ROWS_MAX);
	for (uint32_t i = 0; i < rows->page->count; i++)
		CHECK(rows->page->rows[i].id != 0 && rows->page->rows[i].state != NULL);
	if (control.is_stopping)
		free(rows->page);
	else
		sim_at(sim_between(NS_PER_MS, 500 * NS_PER_MS), ask_rows, rows->page);
}

static void take_mail(void *context)
{
	struct mail mail;

	(void)context;
	mail_awake(&control.office->control);
	while (mail_take(&control.office->control, &mail)) {
		switch ((int)mail.kind) {
		case MAIL_DNS_ASK:
			answer_dns(&mail.dns_ask);
			break;
		case MAIL_LEARNED:
			learn(&mail.learned);
			break;
		case MAIL_NODE:
			take_node(&mail.node);
			break;
		case MAIL_NODE_WANTED:
			break; /* here nodes are told by clients' answers alone */
		case MAIL_NAMESPACE:
			if (strcmp(mail.namespace.name, SIM_TOWN_DIRECT_NS) == 0)
				control.has_namespace = true;
			break;
		case MAIL_UNLISTENED:
			control.unlistened++;
			break;
		case MAIL_ROWS:
			take_rows(&mail.rows);
			break;
		default:
			sim_fail("control got a letter of kind %d", (int)mail.kind);
		}
	}
}

/* ---- beginning and ending ---- */

static void listen_at(uint16_t id, const struct addr *addr)
{
	for (uint32_t i = 0; i < sim_plan.workers; i++) {
		struct mail mail = { .kind = MAIL_LISTEN, .listen.listener_id = id };

		CHECK(net_listen(addr, 128, 1, &mail.listen.fd) == 0);
		CHECK(mail_send(&control.office->workers[i], NULL, &mail));
	}
}

void sim_control_start(struct mail_office *office, const struct config *config)
{
	struct mail_row_page *page = calloc(1, sizeof(*page));

	CHECK(page != NULL);
	control.office = office;
	control.has_namespace = sim_chance(500);
	atomic_store(&office->control.ring, sim_uring_of_control(take_mail));
	publish();
	publish_again(NULL);
	sweep_again(NULL);
	sim_at(sim_between(NS_PER_MS, NS_PER_S), ask_rows, page);
	control.listeners = config->listener_count;
	for (uint16_t id = 0; id < config->listener_count; id++) {
		listen_at(id, &config->listeners[id].bind);
		for (uint32_t n = 0; n < config_listener_ports(config, id); n++) {
			const struct addr port = config_listener_port(config, id, n);

			listen_at(id, &port);
		}
	}
}

void sim_control_unlisten(void)
{
	for (uint16_t id = 0; id < control.listeners; id++) {
		const struct mail mail = { .kind = MAIL_UNLISTEN, .unlisten.listener_id = id };

		send_all(&mail);
	}
}

bool sim_control_is_unlistened(void)
{
	return control.unlistened == control.listeners * sim_plan.workers;
}

void sim_control_drain(uint64_t spread_ns)
{
	const struct mail mail = { .kind = MAIL_DRAIN, .drain.spread_ns = spread_ns };

	send_all(&mail);
}

void sim_control_reset(void)
{
	const struct mail mail = { .kind = MAIL_RESET };

	send_all(&mail);
}

void sim_control_stop(void)
{
	const struct mail mail = { .kind = MAIL_STOP };

	control.is_stopping = true;
	send_all(&mail);
}

/* Letters that no worker took: a connection handed over to one that had left is closed here, as the
 * kernel does when the process ends. */
static void empty_box(struct mail_box *box, struct stat_block *stats, struct mail_load *load)
{
	struct mail mail;

	while (mail_take(box, &mail)) {
		if (mail.kind == MAIL_ROWS_ASK)
			free(mail.rows_ask.page);
		if (mail.kind != MAIL_HANDOFF)
			continue;
		net_close(mail.handoff.fd, true);
		atomic_fetch_sub(&load->sessions, 1);
		atomic_fetch_add(&stats->listener[mail.handoff.listener_id].closed[CLOSE_STOP], 1);
	}
}

void sim_control_finish(void)
{
	take_mail(NULL);
	for (uint32_t i = 0; i < sim_plan.workers; i++)
		empty_box(&control.office->workers[i], control.office->stats[i],
			  &control.office->loads[i]);
	for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++)
		route_free(control.routes[i]);
}
