/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_ports: a reload that gives a listener other ports of brokers of Kafka, while the listener
 * stays. Those that are new are opened before the configuration counts; once workers have its
 * snapshot they get them, and close those that are gone. Sockets that stay keep who waits there,
 * so a port that stays must go on to mean the same node.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <penstock/net.h>

#include "control_priv.h"

/* Which of a listener's sets of sockets is at this port: 0 is at its own address, so none. */
static uint32_t set_at(const struct config *config, uint32_t index, uint16_t port)
{
	uint32_t count = config_listener_ports(config, index);

	for (uint32_t n = 0; n < count; n++)
		if (config_listener_port(config, index, n).port == port)
			return 1 + n;
	return 0;
}

static bool is_same_node(const struct config_listener *old, const struct config_listener *wanted)
{
	return old->kafka.base_port == wanted->kafka.base_port;
}

static struct control_ports *ports_new(const struct control_listener *listener, uint32_t fd_count)
{
	struct control_ports *ports = calloc(1, sizeof(*ports));

	if (ports == NULL)
		return NULL;
	ports->fds = calloc(fd_count, sizeof(*ports->fds));
	ports->fresh = calloc(fd_count, sizeof(*ports->fresh));
	ports->gone = calloc(listener->fd_count, sizeof(*ports->gone));
	if (ports->fds != NULL && ports->fresh != NULL && ports->gone != NULL)
		return ports;
	control_ports_abort(ports);
	return NULL;
}

/* The sockets at the n-th new port. */
static int take_set(struct control *control, const struct config *config, uint32_t index,
		    const struct control_listener *listener, uint32_t n,
		    struct control_ports *ports)
{
	const struct config *old = control_config(control);
	const struct config_listener *wanted = &config->listeners[index];
	uint32_t workers = control->office->worker_count;
	struct addr addr = config_listener_port(config, index, n);
	int *fds = ports->fds + ports->fd_count;
	uint32_t from = set_at(old, (uint32_t)listener->index, addr.port);

	if (from > 0 && !is_same_node(&old->listeners[listener->index], wanted)) {
		log_error(
			"listen_failed",
			"listener %s: with this kafka.base_port port %u would be another node's "
			"while clients may wait there; restart, or choose ports that none has now",
			wanted->name, addr.port);
		return -EBUSY;
	}
	if (from > 0) {
		memcpy(fds, listener->fds + (size_t)from * workers, workers * sizeof(*fds));
	} else {
		int ret = control_listen_open(control, wanted, &addr, fds);

		if (ret < 0)
			return ret;
		memcpy(ports->fresh + ports->fresh_count, fds, workers * sizeof(*fds));
		ports->fresh_count += workers;
	}
	ports->fd_count += workers;
	return 0;
}

static void find_gone(struct control *control, const struct config *config, uint32_t index,
		      const struct control_listener *listener, struct control_ports *ports)
{
	const struct config *old = control_config(control);
	uint32_t workers = control->office->worker_count;

	for (uint32_t n = 0; n < listener->port_count; n++) {
		struct addr addr = config_listener_port(old, (uint32_t)listener->index, n);

		if (set_at(config, index, addr.port) > 0)
			continue;
		memcpy(ports->gone + ports->gone_count, listener->fds + (size_t)(1 + n) * workers,
		       workers * sizeof(*ports->gone));
		ports->gone_count += workers;
	}
}

int control_ports_prepare(struct control *control, const struct config *config, uint32_t index,
			  const struct control_listener *listener, struct control_ports **ret_ports)
{
	uint32_t workers = control->office->worker_count;
	uint32_t count = config_listener_ports(config, index);
	struct control_ports *ports = ports_new(listener, (1 + count) * workers);
	int ret = 0;

	if (ports == NULL)
		return -ENOMEM;
	memcpy(ports->fds, listener->fds, workers * sizeof(*ports->fds));
	ports->fd_count = workers;
	for (uint32_t n = 0; ret == 0 && n < count; n++)
		ret = take_set(control, config, index, listener, n, ports);
	if (ret < 0) {
		control_ports_abort(ports);
		return ret;
	}
	find_gone(control, config, index, listener, ports);
	*ret_ports = ports;
	return 0;
}

static void ports_free(struct control_ports *ports)
{
	free(ports->fds);
	free(ports->fresh);
	free(ports->gone);
	free(ports);
}

void control_ports_abort(struct control_ports *ports)
{
	for (uint32_t i = 0; ports->fresh != NULL && i < ports->fresh_count; i++)
		net_close(ports->fresh[i], false);
	ports_free(ports);
}

void control_ports_commit(struct control_listener *listener, struct control_ports *ports)
{
	CHECK(listener->changed == NULL); /* what a reload changes is handed on by that reload */
	free(listener->fds);
	listener->fds = ports->fds;
	listener->fd_count = ports->fd_count;
	ports->fds = NULL;
	if (listener->is_handed) {
		listener->changed = ports;
		return;
	}
	/* Workers have none of them yet, and will get those that there are then. */
	for (uint32_t i = 0; i < ports->gone_count; i++)
		net_close(ports->gone[i], false);
	ports_free(ports);
}

static void close_gone(struct control *control, uint32_t id, const struct control_ports *ports)
{
	for (uint32_t i = 0; i < ports->gone_count; i++) {
		const struct mail mail = {
			.kind = MAIL_CLOSE_PORT,
			.close_port = { .listener_id = (uint16_t)id, .fd = ports->gone[i] },
		};

		control_mail_post(control, i % control->office->worker_count, &mail);
	}
}

static void listen_fresh(struct control *control, uint32_t id, const struct control_ports *ports)
{
	for (uint32_t i = 0; i < ports->fresh_count; i++) {
		const struct mail mail = {
			.kind = MAIL_LISTEN,
			.listen = { .listener_id = (uint16_t)id, .fd = ports->fresh[i] },
		};

		control_mail_post(control, i % control->office->worker_count, &mail);
	}
}

void control_ports_hand(struct control *control)
{
	/* What closes goes first, of all listeners, so that workers have room: ports may go from
	 * one to another. */
	for (uint32_t id = 0; id < control->listener_count; id++)
		if (control->listeners[id].changed != NULL)
			close_gone(control, id, control->listeners[id].changed);
	for (uint32_t id = 0; id < control->listener_count; id++) {
		struct control_ports *ports = control->listeners[id].changed;

		if (ports == NULL)
			continue;
		control->listeners[id].changed = NULL;
		listen_fresh(control, id, ports);
		ports_free(ports);
	}
}
