/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_certificates: looks at when our certificates run out, once a day. At start and at a
 * reload the reading of the files has said it.
 */
#include <time.h>

#include "control_priv.h"

static void on_timer(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, certificate_timer);
	time_t now = time(NULL);
	uint32_t count;
	const struct tls_expiry *expiries = tls_set_expiries(control->config->tls, &count);
	char text[80];

	for (uint32_t i = 0; i < count; i++) {
		if (!tls_expiry_is_near(control_config(control), expiries[i].when, now))
			continue;
		tls_expiry_text(&expiries[i], now, text, sizeof(text));
		log_warn("certificate", "%s: %s: %s", expiries[i].place, expiries[i].file, text);
	}
	control_certificates_begin(control);
}

void control_certificates_begin(struct control *control)
{
	timer_set(&control->wheel, &control->certificate_timer,
		  clock_now_ns() + control_config(control)->certificates.warn_every_ns, on_timer);
}
