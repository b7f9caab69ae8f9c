/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_refresh: certificates and tokens that are renewed in place, by certbot or Kubernetes,
 * come into force without a signal: every certificates.refresh the files are looked at, and if one
 * of them is another than it was, all are read again. The configuration stays as it is. Files that
 * are no use (a certificate is there, its key is not yet) are said once and tried again when they
 * change.
 */
#include <stdio.h>
#include <stdlib.h>

#include "control_priv.h"

/* Both, or neither: NULL. */
static struct control_config *read_files(struct control *control, uint64_t stamp)
{
	char *text = NULL;
	size_t size = 0;
	struct config_errors errors = { .out = open_memstream(&text, &size) };
	const struct config *config = control_config(control);
	struct tls_set *set = tls_set_new(config, control->tickets, &errors);
	struct config_tokens *tokens = config_tokens_read(config, &errors);
	struct control_config *fresh = NULL;

	if (set != NULL && tokens != NULL)
		fresh = control_publish_config_again(control->config, set, tokens, stamp);
	if (fresh == NULL) {
		tls_set_free(set);
		config_tokens_free(tokens);
	}
	if (errors.out != NULL && fclose(errors.out) == 0)
		control_reload_log(text, fresh == NULL ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN);
	free(text);
	return fresh;
}

static bool replace(struct control *control, uint64_t stamp)
{
	struct control_config *old = control->config;
	struct control_config *fresh = read_files(control, stamp);

	if (fresh == NULL)
		return false;
	control->config = fresh;
	control_publish_now(control);
	control_publish_config_put(old);
	/* Who was turned away may be let in now. */
	control_ask_apply(control);
	return true;
}

static void refresh(struct control *control)
{
	/* Before they are read, so that what changes meanwhile is read again. */
	uint64_t stamp = config_files_stamp(control_config(control));

	if (stamp == control->config->files_stamp || stamp == control->refresh_stamp)
		return;
	if (replace(control, stamp)) {
		control->refresh_stamp = 0;
		log_info("tls_refreshed",
			 "files of TLS or a token have changed; new connections get them");
	} else {
		control->refresh_stamp = stamp;
		log_error(
			"tls_refresh_failed",
			"TLS files or a token have changed but cannot be used; the ones in force stay");
	}
}

static void on_timer(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, refresh_timer);

	/* Nobody new comes while draining. */
	if (control->phase > CONTROL_SERVING)
		return;
	refresh(control);
	timer_set(&control->wheel, timer,
		  clock_now_ns() + control_config(control)->certificates.refresh_ns, on_timer);
}

void control_refresh_begin(struct control *control)
{
	uint64_t every_ns = control_config(control)->certificates.refresh_ns;

	control->refresh_stamp = 0;
	timer_clear(&control->wheel, &control->refresh_timer);
	if (every_ns != CONFIG_OFF && control->config->tls != NULL)
		timer_set(&control->wheel, &control->refresh_timer, clock_now_ns() + every_ns,
			  on_timer);
}
