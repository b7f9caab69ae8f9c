/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_admin: opens the admin server's sockets and answers its questions about this thread.
 */
#include <stdio.h>
#include <unistd.h>

#include <penstock/base/err.h>
#include <penstock/net.h>

#include "control_priv.h"
#include "control_unix.h"

#define BACKLOG 64

const char *control_admin_where(const struct config *config,
				char ret_where[static CONTROL_WHERE_MAX])
{
	char text[ADDR_TEXT_MAX];

	if (config->admin.unix_path != NULL)
		(void)snprintf(ret_where, CONTROL_WHERE_MAX, "unix:%s", config->admin.unix_path);
	else
		(void)snprintf(ret_where, CONTROL_WHERE_MAX, "%s",
			       addr_format(&config->admin.listen, text));
	return ret_where;
}

static int listen_admin(struct control *control, int *ret_fd)
{
	const struct config *config = control_config(control);
	char where[CONTROL_WHERE_MAX];
	int had = control_inherit_take(control, "admin", control_admin_where(config, where), 1,
				       ret_fd);

	if (had != 0)
		return had < 0 ? had : 0;
	return config->admin.unix_path != NULL
		       ? control_unix_listen(config->admin.unix_path, BACKLOG, ret_fd)
		       : net_listen(&config->admin.listen, BACKLOG, 1, ret_fd);
}

static int listen_web(struct control *control, int *ret_fd)
{
	const struct addr *addr = &control_config(control)->web.listen;
	char text[ADDR_TEXT_MAX];
	int had = control_inherit_take(control, "web", addr_format(addr, text), 1, ret_fd);

	return had == 0 ? net_listen(addr, BACKLOG, 1, ret_fd) : had < 0 ? had : 0;
}

static int open_admin_socket(struct control *control, int *ret_fd)
{
	const struct config *config = control_config(control);
	char text[ADDR_TEXT_MAX];

	if (!config->admin.is_on)
		return 0;
	bool is_unix = config->admin.unix_path != NULL;
	int ret = listen_admin(control, ret_fd);
	const char *where =
		is_unix ? config->admin.unix_path : addr_format(&config->admin.listen, text);

	if (ret < 0) {
		log_error("listen_failed", "admin on %s: %s", where, err_text(ret));
		return ret;
	}
	if (!is_unix && net_local_addr(*ret_fd, &control->admin_addr) == 0)
		where = addr_format(&control->admin_addr, text);
	log_info("listening", "admin on %s", where);
	return 0;
}

static int open_web_socket(struct control *control, int *ret_fd)
{
	const struct config *config = control_config(control);
	char text[ADDR_TEXT_MAX];

	if (!config->web.is_on)
		return 0;
	int ret = listen_web(control, ret_fd);

	if (ret < 0) {
		log_error("listen_failed", "web port on %s: %s",
			  addr_format(&config->web.listen, text), err_text(ret));
		return ret;
	}
	if (net_local_addr(*ret_fd, &control->web_addr) < 0)
		control->web_addr = config->web.listen;
	log_info("listening", "web port on %s", addr_format(&control->web_addr, text));
	return 0;
}

static bool on_ready(void *context, char *ret_reasons, size_t size)
{
	return control_is_ready(context, ret_reasons, size);
}

static const struct route *on_route(void *context)
{
	const struct control *control = context;

	return control->newest == NULL ? NULL : control->newest->route;
}

static void on_state(void *context, struct admin_state *ret_state)
{
	struct control *control = context;
	struct tls_memory memory;

	tls_memory(&memory);
	*ret_state = (struct admin_state){
		.snapshot_version = control->version,
		.config_generation = control_reload_served(control),
		.is_last_reload_good = control->is_last_reload_good,
		.is_draining = control->phase > CONTROL_SERVING,
		.cluster_count = control_config(control)->cluster_count,
		.dns_pending = control->dns.pending_count,
		.dns_cached = control->dns.name_count,
		.dns_failures = control->dns.failure_count,
		.dns_queries = control->dns.query_count,
		.mail_waiting = control->outbox_count,
		.tls_memory_used = memory.used,
		.tls_memory_peak = memory.peak,
		.tls_memory_max = memory.most,
		.tls_memory_refused = memory.refused,
	};
}

/* What discovery does not know of them. */
static void about_kafka(const struct control *control, uint32_t index,
			struct admin_cluster *cluster)
{
	const struct config_cluster *config = &control_config(control)->clusters[index];
	const struct control_ask *ask = control_ask_of(control, index);
	uint32_t nodes = control_nodes_count(control, config->name);

	cluster->is_kafka = config->protocol == CONFIG_KAFKA;
	cluster->is_by_rule = config->node_host != NULL;
	if (!cluster->is_zookeeper && nodes > 0)
		cluster->broker_count = nodes;
	if (ask == NULL)
		return;
	cluster->is_asked = true;
	cluster->asked_good = ask->good_count;
	cluster->asked_failed = ask->failed_count;
	cluster->why = ask->failures > 0 ? ask->why : "";
	/* Discovery only knows of the bootstrap brokers, which are configured and never old. */
	cluster->is_loaded = ask->good_ns != 0 || nodes > 0;
	cluster->age_ns = clock_now_ns() - (ask->good_ns != 0 ? ask->good_ns : ask->since_ns);
}

static bool on_cluster(void *context, uint32_t index, struct admin_cluster *ret_cluster)
{
	const struct control *control = context;
	struct discovery_view view;

	if (!discovery_view(control->discovery, index, clock_now_ns(), &view))
		return false;
	*ret_cluster = (struct admin_cluster){
		.name = view.name,
		.is_zookeeper = view.is_zookeeper,
		.is_loaded = view.is_loaded,
		.age_ns = view.age_ns,
		.zookeeper = view.zookeeper,
		.broker_count = view.broker_count,
		.namespace_count = view.namespace_count,
		.why = "",
	};
	if (index < control_config(control)->cluster_count)
		about_kafka(control, index, ret_cluster);
	return true;
}

static bool on_node(void *context, uint32_t cluster, int32_t id, struct admin_node *ret_node)
{
	static const char *const sources[] = {
		[CONTROL_NODE_TOLD] = "learned",
		[CONTROL_NODE_LISTED] = "bootstrap",
		[CONTROL_NODE_SAVED] = "file",
	};
	const struct control *control = context;
	const struct control_node *node = control_nodes_find(control, cluster, id);
	uint64_t now_ns = clock_now_ns();

	*ret_node = (struct admin_node){ .source = "zookeeper", .has_age = true };
	switch (discovery_node_state(control->discovery, cluster, id, now_ns, &ret_node->age_ns)) {
	case DISCOVERY_NODE_SAVED:
		ret_node->source = "file";
		break;
	case DISCOVERY_NODE_LISTED:
		break;
	case DISCOVERY_NODE_LEAVING:
		ret_node->is_leaving = true;
		break;
	case DISCOVERY_NODE_NONE:
		ret_node->source = NULL;
		break;
	}
	/* As the snapshot has it: what was told after ZooKeeper was lost. */
	if (node != NULL &&
	    (ret_node->source == NULL ||
	     !discovery_knows_node(control->discovery, cluster, id, node->told_ns))) {
		*ret_node = (struct admin_node){
			.source = sources[node->source],
			.is_leaving = node->missed_ns != 0,
			.has_age = node->told_ns != 0,
			.age_ns = now_ns - node->told_ns,
		};
	}
	return ret_node->source != NULL;
}

static bool on_certificate(void *context, uint32_t index, struct admin_certificate *ret_certificate)
{
	const struct control *control = context;
	uint32_t count;
	const struct tls_expiry *expiry = tls_set_expiries(control->config->tls, &count);

	if (index >= count)
		return false;
	*ret_certificate = (struct admin_certificate){
		.file = expiry[index].file,
		.place = expiry[index].place,
		.expires = expiry[index].when,
	};
	return true;
}

static bool on_ask_rows(void *context, uint32_t worker, uint32_t cursor, struct mail_row_page *page)
{
	struct control *control = context;

	if (control->workers[worker].is_stopped || control->phase >= CONTROL_STOPPING)
		return false;
	struct mail mail = { .kind = MAIL_ROWS_ASK };

	mail.rows_ask = (struct mail_rows_ask){ .cursor = cursor, .page = page };
	control_mail_post(control, worker, &mail);
	return true;
}

int control_admin_open(struct control *control)
{
	const struct admin_host host = {
		.ring = control->ring,
		.wheel = &control->wheel,
		.office = control->office,
		.ready = on_ready,
		.route = on_route,
		.state = on_state,
		.cluster = on_cluster,
		.node = on_node,
		.certificate = on_certificate,
		.ask_rows = on_ask_rows,
		.context = control,
	};
	int admin_fd = -1;
	int web_fd = -1;
	int ret = open_admin_socket(control, &admin_fd);

	if (ret == 0)
		ret = open_web_socket(control, &web_fd);
	if (ret < 0) {
		if (admin_fd >= 0)
			(void)close(admin_fd);
		return ret;
	}
	if (admin_fd < 0 && web_fd < 0)
		return 0;
	control->admin_fd = admin_fd;
	control->web_fd = web_fd;
	return admin_open(&control->admin, &host, admin_fd, web_fd, control_config(control));
}
