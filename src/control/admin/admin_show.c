/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_show: what a person or a script wants to see: our certificates, and whether all threads are
 * alive.
 */
#include <stdio.h>
#include <time.h>

#include "admin_priv.h"

void admin_show_certificates(const struct admin *admin, struct admin_text *text)
{
	struct admin_certificate certificate;
	int64_t now = (int64_t)(clock_wall_us() / 1000000);

	admin_text_printf(text, "{\"certificates\":[");
	for (uint32_t i = 0; admin->host.certificate(admin->host.context, i, &certificate); i++) {
		time_t when = (time_t)certificate.expires;
		char date[32];
		struct tm tm;

		strftime(date, sizeof(date), "%FT%TZ", gmtime_r(&when, &tm));
		admin_text_printf(text, "%s{\"file\":", i == 0 ? "" : ",");
		admin_text_json(text, certificate.file);
		admin_text_printf(text, ",\"used_by\":");
		admin_text_json(text, certificate.place);
		admin_text_printf(text, ",\"expires\":\"%s\",\"days_left\":%lld}", date,
				  (long long)((certificate.expires - now) / 86400));
	}
	admin_text_printf(text, "]}\n");
}

bool admin_show_health(const struct admin *admin, struct admin_text *text)
{
	uint64_t now_ns = clock_now_ns();
	bool is_healthy = true;

	for (uint32_t i = 0; i < admin->host.office->worker_count; i++) {
		uint64_t beat_ns = atomic_load_explicit(&admin->host.office->stats[i]->heartbeat_ns,
							memory_order_relaxed);

		if (beat_ns != 0 && beat_ns + ADMIN_HEARTBEAT_NS >= now_ns)
			continue;
		is_healthy = false;
		if (beat_ns == 0)
			admin_text_printf(text, "worker %u has not started\n", i);
		else
			admin_text_printf(text, "worker %u: last turn of its loop %.1f s ago\n", i,
					  (double)(now_ns - beat_ns) / 1e9);
	}
	if (is_healthy)
		admin_text_printf(text, "ok\n");
	return is_healthy;
}
