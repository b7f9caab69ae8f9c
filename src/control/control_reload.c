/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_reload: SIGHUP. All or nothing: the new configuration is read, checked, held against what
 * only a restart can change, and its listeners are opened; only then anything changes. Whatever
 * fails, the old one keeps serving and every reason is logged. A storm of signals is one reload a
 * second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <penstock/base/err.h>

#include "control_priv.h"

/* Each problem is a line of its own, so it becomes a log line of its own. */
void control_reload_log(char *text, enum log_level level)
{
	for (char *line = text; line != NULL && *line != '\0';) {
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end++ = '\0';
		if (*line != '\0')
			log_say(level, "config", "%s", line);
		line = end;
	}
}

static struct config *load(struct control *control, struct tls_set **ret_tls)
{
	char *text = NULL;
	size_t size = 0;
	struct config_errors errors = { .out = open_memstream(&text, &size) };
	struct config *config = control->reload(control->reload_context, &errors);

	*ret_tls = config != NULL && errors.error_count == 0
			   ? tls_set_new(config, control->tickets, &errors)
			   : NULL;
	if (errors.out != NULL && fclose(errors.out) == 0)
		control_reload_log(text, errors.error_count > 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN);
	free(text);
	if (config != NULL && errors.error_count > 0) {
		config_free(config);
		config = NULL;
	}
	return config;
}

static bool is_possible(const struct control *control, const struct config *config)
{
	const char *key = config_needs_restart(control_config(control), config);

	if (key != NULL)
		log_error("reload_refused", "%s cannot change without a restart", key);
	return key == NULL;
}

/* Do cluster numbers still mean the same clusters? */
static bool is_same_order(const struct config *old, const struct config *new)
{
	if (old->cluster_count != new->cluster_count)
		return false;
	for (uint32_t i = 0; i < old->cluster_count; i++)
		if (strcmp(old->clusters[i].name, new->clusters[i].name) != 0)
			return false;
	return true;
}

uint64_t control_reload_served(struct control *control)
{
	if (control_publish_is_taken(control, control->config_version))
		control->config_generation_served = control->config_generation;
	return control->config_generation_served;
}

static void commit(struct control *control, struct control_config *fresh,
		   struct control_rule_plan *rules, struct control_listen_plan *plan)
{
	struct control_config *old = control->config;
	const struct config *config = fresh->config;

	if (!is_same_order(old->config, config))
		control->clusters_since = control->version + 1;
	control->config = fresh;
	control_rule_commit(control, config, rules);
	control_listen_commit(control, config, plan);
	control_learned_apply(control, config);
	control_nodes_apply(control, old->config, config);
	control_ask_apply(control);
	log_configure(config->log.level, config->log.format);
	control_certificates_begin(control);
	control->discovery_due_ns = 0;
	(void)control_reload_served(control); /* the last look before there is another */
	control->config_generation++;
	control_publish_now(control);
	/* The next one's, if none could be made now. */
	control->config_version = control->version + !control_publish_has_config(control);
	control_publish_config_put(old);
	control_refresh_begin(control);
}

/* 0, or -errno with everything as it was. */
static int replace(struct control *control)
{
	struct tls_set *tls;
	struct config *config = load(control, &tls);

	if (config == NULL)
		return -EINVAL;
	struct control_config *fresh = NULL;
	struct control_rule_plan *rules = NULL;
	struct control_listen_plan plan = { .count = 0 };
	int ret = is_possible(control, config) ? 0 : -EINVAL;

	if (ret == 0)
		fresh = control_publish_config(config, tls);
	if (ret == 0)
		ret = fresh == NULL ? -ENOMEM : control_rule_prepare(control, config, &rules);
	if (ret == 0)
		ret = control_listen_prepare(control, config, &plan);
	if (ret == 0) {
		ret = discovery_apply(control->discovery, config);
		if (ret < 0)
			control_listen_abort(&plan);
	}
	if (ret < 0) {
		control_publish_config_undo(fresh);
		free(rules);
		tls_set_free(tls);
		config_free(config);
		return ret;
	}
	commit(control, fresh, rules, &plan);
	return 0;
}

void control_reload_now(struct control *control)
{
	if (control_handover_takes_reload(control))
		return;
	if (control->phase > CONTROL_SERVING || control->reload == NULL) {
		log_info("reload_ignored", "%s",
			 control->reload == NULL ? "there is no file to read" : "draining");
		return;
	}
	bool is_up = control->phase == CONTROL_SERVING;

	control->reloaded_ns = clock_now_ns();
	/* An old program must not read the file of a new one. */
	if (control_handover_is_due(control) && getpid() != 1) {
		control_handover_begin(control);
		return;
	}
	if (is_up)
		control_notify_reloading();
	int ret = replace(control);

	control->is_last_reload_good = ret == 0;
	if (ret < 0)
		log_error("reload_failed", "%s; the old configuration stays", err_text(ret));
	else
		log_info("reloaded", "configuration %llu is in force",
			 (unsigned long long)control->config_generation);
	if (is_up)
		control_notify_send("READY=1");
	control_check_ready(control);
}

static void on_timer(struct timer *timer)
{
	control_reload_now(CONTAINER_OF(timer, struct control, reload_timer));
}

void control_reload_soon(struct control *control)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t at_ns = control->reloaded_ns + CONTROL_RELOAD_NS;

	if (timer_is_set(&control->reload_timer))
		return;
	timer_set(&control->wheel, &control->reload_timer,
		  control->reloaded_ns == 0 || at_ns < now_ns ? now_ns : at_ns, on_timer);
}
