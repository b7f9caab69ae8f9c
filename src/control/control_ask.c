/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_ask: see control_ask.h. The places to ask are the bootstrap brokers, the one that
 * answered last first, and behind them all brokers known: those of the configuration may be gone
 * long ago.
 */
#include <stdio.h>
#include <stdlib.h>

#include <penstock/wire/kafka_rewrite.h>

#include "control_priv.h"

#define NAME_AGAIN_NS  (20 * NS_PER_MS)
#define RETRY_FIRST_NS NS_PER_S
#define RETRY_MOST_NS  (300 * NS_PER_S) /* nobody has ever answered */
#define GAP_FIRST_NS   (100 * NS_PER_MS)
#define GAP_MOST_NS    (5 * NS_PER_S)

static void begin(struct control_ask *ask);
static void next_place(struct control_ask *ask);

static struct control_ask *find(const struct control *control, const char *cluster)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++)
		if (control->asks[i] != NULL && strcmp(control->asks[i]->cluster, cluster) == 0)
			return control->asks[i];
	return NULL;
}

const struct control_ask *control_ask_of(const struct control *control, uint32_t cluster)
{
	const struct config *config = control_config(control);

	return cluster < config->cluster_count ? find(control, config->clusters[cluster].name)
					       : NULL;
}

/* Its number in the configuration in force: an ask of a cluster that is gone is ended at once. */
static uint32_t index_of(const struct control_ask *ask)
{
	const struct config *config = control_config(ask->control);
	uint32_t index = 0;

	while (index < config->cluster_count &&
	       strcmp(config->clusters[index].name, ask->cluster) != 0)
		index++;
	CHECK(index < config->cluster_count);
	return index;
}

static const struct config_cluster *config_of(const struct control_ask *ask)
{
	return &control_config(ask->control)->clusters[index_of(ask)];
}

/* ---- when ----------------------------------------------------------------------------------- */

static void on_timer(struct timer *timer)
{
	struct control_ask *ask = CONTAINER_OF(timer, struct control_ask, timer);

	switch (ask->step) {
	case CONTROL_ASK_IDLE:
		begin(ask);
		break;
	case CONTROL_ASK_NAME:
		next_place(ask);
		break;
	case CONTROL_ASK_CONNECTING:
	case CONTROL_ASK_TLS:
	case CONTROL_ASK_SAYING:
	case CONTROL_ASK_HEARING:
		control_ask_failed(ask, "no answer in time");
		break;
	}
}

void control_ask_hurry(struct control_ask *ask, uint64_t within_ns)
{
	timer_set(&ask->control->wheel, &ask->timer, clock_now_ns() + within_ns, on_timer);
}

static void begin_after(struct control_ask *ask, uint64_t after_ns)
{
	uint64_t now_ns = clock_now_ns();

	/* Up to an eighth less, so that many penstocks do not ask in step. */
	if (after_ns >= NS_PER_S)
		after_ns -= rng_below(&ask->control->rng, after_ns / 8);
	timer_set(&ask->control->wheel, &ask->timer, now_ns + after_ns, on_timer);
}

/* Brokers write a line about each caller they turn away: where none has ever answered they are
 * asked less and less often. */
static uint64_t retry_ns(const struct control_ask *ask)
{
	uint32_t doublings = ask->failures < 10 ? ask->failures : 10;
	uint64_t refresh_ns = config_of(ask)->refresh_ns;
	uint64_t most_ns =
		ask->good_ns == 0 && refresh_ns < RETRY_MOST_NS ? RETRY_MOST_NS : refresh_ns;
	uint64_t wait_ns = RETRY_FIRST_NS << doublings;

	return wait_ns < most_ns ? wait_ns : most_ns;
}

void control_ask_want(struct control *control, uint32_t cluster)
{
	const struct config *config = control_config(control);
	struct control_ask *ask = cluster < config->cluster_count
					  ? find(control, config->clusters[cluster].name)
					  : NULL;

	if (ask == NULL)
		return;
	/* A round that is under way may have asked too early. */
	if (ask->step != CONTROL_ASK_IDLE) {
		ask->is_wanted = true;
		return;
	}
	uint64_t at_ns = ask->ended_ns + ask->gap_ns;

	if (ask->good_ns == 0)
		return; /* the next round is as soon as it may be */
	if (!timer_is_set(&ask->timer) || ask->timer.deadline_ns > at_ns)
		timer_set(&control->wheel, &ask->timer, at_ns, on_timer);
}

/* ---- which ---------------------------------------------------------------------------------- */

static uint32_t place_count(const struct control_ask *ask)
{
	uint32_t count = config_of(ask)->url_count;

	/* What was learned through other bootstrap brokers may be another cluster, which would
	 * answer for this one from now on. */
	if (!control_nodes_are_foreign(ask->control, ask->cluster))
		count += control_nodes_count(ask->control, ask->cluster);
	return count;
}

static bool place_at(struct control_ask *ask, uint32_t index, uint16_t *ret_port)
{
	const struct config_cluster *config = config_of(ask);

	if (index < config->url_count) {
		*ret_port = config->urls[index].port;
		return span_to_str(span_str(config->urls[index].host), ask->host,
				   sizeof(ask->host));
	}
	const struct control_node *node =
		control_nodes_at(ask->control, ask->cluster, index - config->url_count);

	if (node == NULL)
		return false;
	*ret_port = node->place.port;
	return span_to_str(span_str(node->place.host), ask->host, sizeof(ask->host));
}

/* Whoever waits need not wait for all of that, but a round that brought nothing is no reason for
 * another one at once, be there ever so many clients. */
static void slow_down(struct control_ask *ask)
{
	ask->gap_ns = ask->gap_ns < GAP_MOST_NS / 2 ? 2 * ask->gap_ns : GAP_MOST_NS;
}

static void end_round(struct control_ask *ask, bool is_good)
{
	bool is_wanted = ask->is_wanted;

	timer_clear(&ask->control->wheel, &ask->timer);
	ask->step = CONTROL_ASK_IDLE;
	ask->ended_ns = clock_now_ns();
	ask->is_wanted = false;
	if (is_good) {
		ask->good_ns = ask->ended_ns;
		ask->good_count++;
		ask->failures = 0;
		ask->why[0] = '\0';
		begin_after(ask, is_wanted ? ask->gap_ns : config_of(ask)->refresh_ns);
		return;
	}
	ask->failed_count++;
	slow_down(ask);
	/* Brokers count wrong passwords and may lock their user: no sooner because of clients. */
	begin_after(ask, is_wanted && ask->good_ns != 0 ? ask->gap_ns : retry_ns(ask));
	ask->failures++;
	if (!ask->is_warned)
		log_warn("bootstrap_silent",
			 "cluster %s: no bootstrap broker says where the brokers are (%s); will "
			 "keep asking",
			 ask->cluster, ask->why);
	ask->is_warned = true;
}

static bool is_dialled(struct control_ask *ask)
{
	bool is_good = control_ask_dial(ask);

	if (is_good)
		control_ask_hurry(ask, control_config(ask->control)->timeouts.connect_ns);
	return is_good;
}

/* Its address is being looked up, or is dialled. */
static bool is_begun(struct control_ask *ask, uint16_t port)
{
	struct control *control = ask->control;
	uint64_t most_ns = control_config(control)->timeouts.connect_ns;
	uint64_t now_ns = clock_now_ns();
	bool is_final;
	uint32_t count =
		control_dns_resolve(control, ask->host, ask->addrs, CONTROL_ASK_ADDRS, &is_final);

	if (count == 0 && !is_final && now_ns < ask->begun_ns + most_ns) {
		ask->step = CONTROL_ASK_NAME;
		timer_set(&control->wheel, &ask->timer, now_ns + NAME_AGAIN_NS, on_timer);
		return true;
	}
	if (count == 0)
		(void)snprintf(ask->why, sizeof(ask->why), "%.120s: its name does not resolve",
			       ask->host);
	for (uint32_t i = 0; i < count; i++)
		ask->addrs[i].port = port;
	ask->addr_count = (uint8_t)count;
	ask->addr_next = 0;
	return is_dialled(ask);
}

/* Until one is being asked, or none is left. */
static void next_place(struct control_ask *ask)
{
	uint32_t count = place_count(ask);
	bool is_again = ask->step == CONTROL_ASK_NAME; /* the same, whose name was asked for */

	while (ask->tried < count || is_again) {
		uint32_t index = count == 0 ? 0 : (ask->first + ask->tried) % count;
		uint16_t port;

		if (!is_again)
			ask->begun_ns = clock_now_ns();
		is_again = false;
		if (place_at(ask, index, &port) && is_begun(ask, port))
			return;
		ask->tried++;
	}
	end_round(ask, false);
}

static void begin(struct control_ask *ask)
{
	/* From the one that answered last on. */
	if (ask->first >= place_count(ask))
		ask->first = 0;
	ask->tried = 0;
	next_place(ask);
}

void control_ask_failed(struct control_ask *ask, const char *why)
{
	char reason[CONTROL_ASK_WHY_MAX];

	(void)snprintf(reason, sizeof(reason), "%.80s: %.100s", ask->host, why);
	memcpy(ask->why, reason, sizeof(reason));
	control_ask_hang_up(ask);
	log_debug("bootstrap_failed", "cluster %s: %s", ask->cluster, reason);
	if (is_dialled(ask))
		return;
	ask->tried++;
	ask->step = CONTROL_ASK_IDLE;
	next_place(ask);
}

/* ---- the answer ----------------------------------------------------------------------------- */

struct found {
	struct control_node *at;
	uint32_t count;
};

/* The way all answers are read, with names that are the old ones. */
static bool take_node(void *owner, const struct kafka_node *node, struct kafka_name *ret_name)
{
	struct found *found = owner;
	struct control_node *to = &found->at[found->count];

	*ret_name = (struct kafka_name){ .host = node->host, .port = (uint16_t)node->port };
	if (found->count == CONTROL_NODES_MAX || node->id < 0 || node->port <= 0 ||
	    node->port > UINT16_MAX || !addr_is_host(node->host))
		return true;
	*to = (struct control_node){ .id = node->id, .place.port = (uint16_t)node->port };
	if (!span_to_str(node->host, to->place.host, sizeof(to->place.host)))
		return true;
	if (node->rack.len == 0 || !span_to_str(node->rack, to->place.rack, sizeof(to->place.rack)))
		to->place.rack[0] = '\0';
	found->count++;
	return true;
}

static bool read_answer(struct span answer, struct found *found)
{
	struct kafka_names names = { .name = take_node, .owner = found };
	size_t room = answer.len + 64;
	uint8_t *unused = malloc(room);
	struct sink sink = sink_of(unused, room);
	struct kafka_rewritten rewritten;
	struct kafka_why why;
	bool is_good = unused != NULL && kafka_rewrite(answer, KAFKA_METADATA, CONTROL_ASK_METADATA,
						       &names, &sink, &rewritten, &why) == WIRE_OK;

	free(unused);
	return is_good && found->count > 0;
}

void control_ask_answered(struct control_ask *ask, struct span answer)
{
	struct found found = { .at = calloc(CONTROL_NODES_MAX + 1, sizeof(*found.at)) };

	if (found.at == NULL || !read_answer(answer, &found)) {
		free(found.at);
		control_ask_failed(ask, found.at == NULL ? "out of memory" : "it lists no brokers");
		return;
	}
	control_ask_hang_up(ask);
	ask->first = (ask->first + ask->tried) % place_count(ask);
	bool is_news = control_nodes_listed(ask->control, index_of(ask), found.at, found.count);

	free(found.at);
	if (is_news)
		ask->gap_ns = GAP_FIRST_NS;
	else
		slow_down(ask);
	if (ask->is_warned)
		log_info("bootstrap_answers", "cluster %s: %s says where brokers are", ask->cluster,
			 ask->host);
	ask->is_warned = false;
	end_round(ask, true);
}

/* ---- clusters ------------------------------------------------------------------------------- */

bool control_ask_is_for(const struct config_cluster *cluster)
{
	return cluster->protocol == CONFIG_KAFKA && cluster->zookeeper_servers == NULL &&
	       cluster->node_host == NULL && cluster->refresh_ns != CONFIG_OFF;
}

static void ask_free(struct control_ask *ask)
{
	control_ask_hang_up(ask);
	timer_clear(&ask->control->wheel, &ask->timer);
	sasl_memo_forget(&ask->memo);
	free(ask->cluster);
	free(ask);
}

static bool is_among(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->cluster_count; i++)
		if (strcmp(config->clusters[i].name, name) == 0)
			return control_ask_is_for(&config->clusters[i]);
	return false;
}

static struct control_ask *ask_new(struct control *control, const char *cluster)
{
	struct control_ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL)
		return NULL;
	ask->control = control;
	ask->fd = -1;
	ask->gap_ns = GAP_FIRST_NS;
	ask->since_ns = clock_now_ns();
	ask->cluster = strdup(cluster);
	if (ask->cluster != NULL)
		return ask;
	free(ask);
	return NULL;
}

static void add(struct control *control, const struct config_cluster *cluster)
{
	struct control_ask *ask = find(control, cluster->name);
	uint32_t i = 0;

	if (ask == NULL) {
		while (i < CONFIG_CLUSTERS_MAX && control->asks[i] != NULL)
			i++;
		CHECK(i < CONFIG_CLUSTERS_MAX); /* those of clusters that are gone are free */
		ask = ask_new(control, cluster->name);
		control->asks[i] = ask;
	}
	if (ask == NULL) {
		log_error("discovery_failed", "cluster %s: out of memory", cluster->name);
		return;
	}
	/* Its places may be others now, and what it is secured by. */
	control_ask_hang_up(ask);
	ask->step = CONTROL_ASK_IDLE;
	ask->failures = 0;
	ask->gap_ns = GAP_FIRST_NS;
	if (control_nodes_are_foreign(control,
				      cluster->name)) { /* of these nobody has answered yet */
		ask->first = 0;
		ask->good_ns = 0;
		ask->is_warned = false;
	}
	begin_after(ask, 0);
}

void control_ask_apply(struct control *control)
{
	const struct config *config = control_config(control);

	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++) {
		struct control_ask *ask = control->asks[i];

		if (ask == NULL || is_among(config, ask->cluster))
			continue;
		control->asks[i] = NULL;
		ask_free(ask);
	}
	for (uint32_t i = 0; i < config->cluster_count; i++)
		if (control_ask_is_for(&config->clusters[i]))
			add(control, &config->clusters[i]);
}

void control_ask_fini(struct control *control)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++) {
		if (control->asks[i] != NULL)
			ask_free(control->asks[i]);
		control->asks[i] = NULL;
	}
	if (control->ask_tls != NULL)
		tls_free(control->ask_tls);
	control->ask_tls = NULL;
}
