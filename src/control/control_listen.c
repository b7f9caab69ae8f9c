/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_listen: the listening sockets: one per worker and listener, and in front of Kafka one for
 * each broker besides, opened here (before a configuration counts, so that a port that is taken
 * stops the start or the reload), handed over by mail and called back by mail. A listener is known
 * by its address; its id stays for the life of the process, since sessions and counters carry it.
 * What becomes of brokers' ports of one that stays is in control_ports.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <penstock/base/err.h>
#include <penstock/net.h>

#include "control_priv.h"

#define NO_ID UINT32_MAX

static bool is_planned(const struct control_listen_plan *plan, uint32_t id)
{
	for (uint32_t i = 0; i < plan->count; i++)
		if (plan->id[i] == id)
			return true;
	return false;
}

/* The same address first, so that a renamed listener keeps its sockets; then the same name, so
 * that a moved one keeps its sessions and counters; else a new id. */
static uint32_t match(const struct control *control, const struct control_listen_plan *plan,
		      const struct config_listener *listener, bool is_by_name)
{
	for (uint32_t id = 0; id < control->listener_count; id++) {
		const struct control_listener *known = &control->listeners[id];
		bool is_same =
			is_by_name ? strcmp(known->name, listener->name) == 0
				   : known->is_open && addr_equal(&known->bind, &listener->bind);

		if (is_same && !is_planned(plan, id))
			return id;
	}
	return NO_ID;
}

/* Sockets of the process before us first, and as many more as we have workers more. */
static int listen_on(struct control *control, const struct config_listener *listener,
		     const struct addr *addr, int *ret_fds)
{
	uint32_t count = control->office->worker_count;
	char text[ADDR_TEXT_MAX];
	int had =
		control_inherit_take(control, "listener", addr_format(addr, text), count, ret_fds);

	if (had < 0)
		return had;
	if (had == 0)
		return net_listen(addr, listener->backlog, count, ret_fds);
	int ret = net_listen_beside(addr, listener->backlog, count - (uint32_t)had, ret_fds + had);

	for (int i = 0; ret < 0 && i < had; i++)
		net_close(ret_fds[i], false);
	return ret;
}

int control_listen_open(struct control *control, const struct config_listener *listener,
			const struct addr *addr, int *ret_fds)
{
	int ret = listen_on(control, listener, addr, ret_fds);
	char text[ADDR_TEXT_MAX];

	if (ret < 0)
		log_error("listen_failed", "listener %s on %s: %s%s", listener->name,
			  addr_format(addr, text), err_text(ret),
			  ret == -EADDRINUSE ? "; is another penstock or proxy running there?"
			  : ret == -EACCES   ? "; ports below 1024 need CAP_NET_BIND_SERVICE"
					     : "");
	return ret;
}

static void close_sockets(int *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		net_close(fds[i], false);
	free(fds);
}

/* Those at its address, then those at the ports of brokers. */
static int open_sockets(struct control *control, const struct config *config, uint32_t index,
			struct control_listen_plan *plan)
{
	const struct config_listener *listener = &config->listeners[index];
	uint32_t workers = control->office->worker_count;
	uint32_t ports = config_listener_ports(config, index);
	int *fds = calloc((size_t)workers * (1 + ports), sizeof(*fds));
	uint32_t opened = 0;

	if (fds == NULL)
		return -ENOMEM;
	int ret = control_listen_open(control, listener, &listener->bind, fds);

	for (uint32_t n = 0; ret == 0 && n < ports; n++) {
		struct addr addr = config_listener_port(config, index, n);

		opened += workers;
		ret = control_listen_open(control, listener, &addr, fds + opened);
	}
	if (ret < 0) {
		close_sockets(fds, opened);
		return ret;
	}
	plan->fds[index] = fds;
	plan->fd_count[index] = opened + workers;
	return 0;
}

/* What tells the ports of brokers that one listener has from those of another. */
static uint64_t ports_of(const struct config *config, uint32_t index)
{
	const struct config_kafka *kafka = &config->listeners[index].kafka;

	if (config_listener_ports(config, index) == 0)
		return 0;
	return span_hash(span_of(kafka->ids, kafka->id_count * sizeof(kafka->ids[0])),
			 kafka->base_port) |
	       1;
}

/* Of a listener that stays. */
static int change_ports(struct control *control, const struct config *config, uint32_t index,
			struct control_listen_plan *plan)
{
	const struct control_listener *listener = &control->listeners[plan->id[index]];

	if (listener->ports == ports_of(config, index))
		return 0;
	return control_ports_prepare(control, config, index, listener, &plan->ports[index]);
}

int control_listen_prepare(struct control *control, const struct config *config,
			   struct control_listen_plan *ret_plan)
{
	uint32_t fresh = control->listener_count;
	int ret = 0;

	*ret_plan = (struct control_listen_plan){ .count = config->listener_count };
	memset(ret_plan->id, 0xff, sizeof(ret_plan->id));
	for (uint32_t i = 0; i < config->listener_count; i++)
		ret_plan->id[i] = match(control, ret_plan, &config->listeners[i], false);
	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		int err;

		if (ret_plan->id[i] != NO_ID) {
			err = change_ports(control, config, i, ret_plan);
			ret = ret < 0 ? ret : err;
			continue;
		}
		ret_plan->id[i] = match(control, ret_plan, listener, true);
		if (ret_plan->id[i] == NO_ID && fresh < STAT_LISTENERS_MAX)
			ret_plan->id[i] = fresh++;
		if (ret_plan->id[i] == NO_ID) {
			log_error("listen_failed",
				  "listener %s: this process has had %u listeners, the most it can "
				  "tell apart; restart it",
				  listener->name, STAT_LISTENERS_MAX);
			ret = -ENOSPC;
			continue;
		}
		err = open_sockets(control, config, i, ret_plan);
		ret = ret < 0 ? ret : err; /* go on: all errors are worth knowing at once */
	}
	if (ret < 0)
		control_listen_abort(ret_plan);
	return ret;
}

void control_listen_abort(struct control_listen_plan *plan)
{
	for (uint32_t i = 0; i < plan->count; i++) {
		if (plan->fds[i] != NULL)
			close_sockets(plan->fds[i], plan->fd_count[i]);
		plan->fds[i] = NULL;
		if (plan->ports[i] != NULL)
			control_ports_abort(plan->ports[i]);
		plan->ports[i] = NULL;
	}
}

static void leave(struct control_listener *listener)
{
	if (listener->fds != NULL && !listener->is_handed)
		close_sockets(listener->fds, listener->fd_count);
	else
		free(listener->fds);
	listener->fds = NULL;
	listener->is_leaving |= listener->is_handed;
	listener->is_open = listener->is_handed = false;
}

static void log_ports(const struct control_listener *listener, const struct config_listener *wanted)
{
	if (listener->port_count > 0)
		log_info("listening", "listener %s: %u ports of brokers, node id 0 at %u",
			 listener->name, listener->port_count, wanted->kafka.base_port);
	else if (listener->ports != 0)
		log_info("unlistening", "listener %s: no ports of brokers", listener->name);
}

static void take_ports(struct control_listener *listener, const struct config *config,
		       uint32_t index)
{
	listener->port_count = config_listener_ports(config, index);
	log_ports(listener, &config->listeners[index]);
	listener->ports = ports_of(config, index);
}

static void take_over(struct control_listener *listener, const struct config *config,
		      uint32_t index, const struct control_listen_plan *plan)
{
	const struct config_listener *wanted = &config->listeners[index];
	int *fds = plan->fds[index];
	char text[ADDR_TEXT_MAX];
	char *name = listener->name != NULL && strcmp(listener->name, wanted->name) == 0
			     ? NULL
			     : strdup(wanted->name);

	if (name != NULL) {
		free(listener->name);
		listener->name = name;
	}
	CHECK(listener->name != NULL);
	listener->index = (int32_t)index;
	if (plan->ports[index] != NULL) {
		control_ports_commit(listener, plan->ports[index]);
		take_ports(listener, config, index);
	}
	if (fds == NULL)
		return;
	leave(listener);
	listener->bind = wanted->bind;
	listener->own = wanted->bind;
	if (net_local_addr(fds[0], &listener->own) < 0)
		listener->own = wanted->bind;
	listener->fds = fds;
	listener->fd_count = plan->fd_count[index];
	listener->is_open = true;
	log_info("listening", "listener %s on %s", listener->name,
		 addr_format(&listener->own, text));
	take_ports(listener, config, index);
}

void control_listen_commit(struct control *control, const struct config *config,
			   struct control_listen_plan *plan)
{
	for (uint32_t id = 0; id < control->listener_count; id++) {
		struct control_listener *listener = &control->listeners[id];

		if (is_planned(plan, id))
			continue;
		if (listener->is_open)
			log_info("unlistening", "listener %s is gone from the configuration",
				 listener->name);
		leave(listener);
		listener->index = -1;
	}
	for (uint32_t i = 0; i < plan->count; i++) {
		uint32_t id = plan->id[i];

		if (id >= control->listener_count)
			control->listener_count = id + 1;
		take_over(&control->listeners[id], config, i, plan);
		plan->fds[i] = NULL;
		plan->ports[i] = NULL;
	}
}

static void hand_over(struct control *control, uint32_t id)
{
	struct control_listener *listener = &control->listeners[id];

	for (uint32_t i = 0; i < listener->fd_count; i++) {
		struct mail mail = { .kind = MAIL_LISTEN };

		mail.listen.listener_id = (uint16_t)id;
		mail.listen.fd = listener->fds[i];
		control_mail_post(control, i % control->office->worker_count, &mail);
	}
	/* The workers' from now on; the numbers are kept for a successor. */
	listener->is_handed = true;
}

/* A listener that moved is closed everywhere before its id means the new sockets. The new ones are
 * listening meanwhile, so nobody is refused. What closes goes first, so that workers have room. */
void control_listen_hand(struct control *control)
{
	for (uint32_t id = 0; id < control->listener_count; id++) {
		struct control_listener *listener = &control->listeners[id];
		struct mail mail = { .kind = MAIL_UNLISTEN };

		if (!listener->is_leaving)
			continue;
		mail.unlisten = (struct mail_unlisten){
			.listener_id = (uint16_t)id,
			.is_inherited = control->is_handed_over,
		};
		listener->is_leaving = false;
		listener->closing = control->office->worker_count;
		control_mail_post_all(control, &mail);
	}
	control_ports_hand(control);
	/* A worker must know a listener's id before it gets its sockets. And as long as our
	 * predecessor accepts there, nobody waits for us. */
	if (!control_publish_has_config(control) || control_is_heir(control))
		return;
	for (uint32_t id = 0; id < control->listener_count; id++) {
		const struct control_listener *listener = &control->listeners[id];

		if (listener->fds != NULL && !listener->is_handed && listener->closing == 0)
			hand_over(control, id);
	}
}

void control_listen_close_all(struct control *control)
{
	for (uint32_t id = 0; id < control->listener_count; id++)
		leave(&control->listeners[id]);
	control_listen_hand(control);
}

void control_listen_on_unlistened(struct control *control, const struct mail_unlistened *mail)
{
	if (mail->listener_id >= control->listener_count)
		return;
	struct control_listener *listener = &control->listeners[mail->listener_id];

	if (listener->closing > 0 && --listener->closing == 0)
		control_listen_hand(control);
}

uint32_t control_listen_closing(const struct control *control)
{
	uint32_t closing = 0;

	for (uint32_t id = 0; id < control->listener_count; id++)
		closing += control->listeners[id].closing;
	return closing;
}

void control_listen_fini(struct control *control)
{
	for (uint32_t id = 0; id < control->listener_count; id++) {
		struct control_listener *listener = &control->listeners[id];

		if (listener->fds != NULL && !listener->is_handed)
			close_sockets(listener->fds, listener->fd_count);
		else
			free(listener->fds);
		free(listener->name);
		*listener = (struct control_listener){ .index = -1 };
	}
	control->listener_count = 0;
}
