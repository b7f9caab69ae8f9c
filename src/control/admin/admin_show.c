/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_show: what a person or a script wants to see: the brokers, our certificates, and whether
 * all threads are alive.
 */
#include <stdio.h>
#include <time.h>

#include "admin_priv.h"

static void write_broker(struct admin_text *text, bool is_first, const char *id, const char *url,
			 const char *url_tls, bool is_learned)
{
	admin_text_printf(text, "%s{\"id\":", is_first ? "" : ",");
	admin_text_json(text, id);
	admin_text_printf(text, ",\"url\":");
	admin_text_json(text, url);
	admin_text_printf(text, ",\"url_tls\":");
	admin_text_json(text, url_tls);
	admin_text_printf(text, ",\"learned\":%s}", is_learned ? "true" : "false");
}

static void write_learned(struct admin_text *text, bool is_first,
			  const struct route_endpoint *endpoint)
{
	char url[HOST_MAX + 32];
	bool is_v6 = strchr(endpoint->host, ':') != NULL;

	(void)snprintf(url, sizeof(url), "pulsar%s://%s%.255s%s:%u", endpoint->is_tls ? "+ssl" : "",
		       is_v6 ? "[" : "", endpoint->host, is_v6 ? "]" : "", endpoint->port);
	write_broker(text, is_first, url, endpoint->is_tls ? NULL : url,
		     endpoint->is_tls ? url : NULL, true);
}

static void write_brokers(struct admin_text *text, const struct route_cluster *cluster)
{
	bool is_first = true;

	for (uint32_t i = 0; i < cluster->broker_count; i++) {
		const struct route_broker *broker = &cluster->brokers[i];

		write_broker(text, is_first, broker->id, broker->url, broker->url_tls, false);
		is_first = false;
	}
	for (uint32_t i = 0; i < cluster->endpoint_count; i++) {
		if (!cluster->endpoints[i].is_learned)
			continue;
		write_learned(text, is_first, &cluster->endpoints[i]);
		is_first = false;
	}
}

void admin_show_brokers(const struct admin *admin, struct admin_text *text)
{
	const struct route *route = admin->host.route(admin->host.context);
	struct admin_cluster cluster;

	admin_text_printf(text, "{\"clusters\":[");
	for (uint32_t i = 0; admin->host.cluster(admin->host.context, i, &cluster); i++) {
		admin_text_printf(text, "%s{\"name\":", i == 0 ? "" : ",");
		admin_text_json(text, cluster.name);
		admin_text_printf(text,
				  ",\"source\":\"%s\",\"loaded\":%s,\"age_seconds\":%.3f,"
				  "\"zookeeper\":\"%s\",\"brokers\":[",
				  cluster.is_zookeeper ? "zookeeper" : "urls",
				  cluster.is_loaded ? "true" : "false",
				  (double)cluster.age_ns / 1e9, cluster.zookeeper);
		if (route != NULL && i < route->cluster_count)
			write_brokers(text, &route->clusters[i]);
		admin_text_printf(text, "]}");
	}
	admin_text_printf(text, "]}\n");
}

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
