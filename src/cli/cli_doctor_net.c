/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_net: the addresses penstock listens on, and the network's own limits.
 */
#include <errno.h>
#include <inttypes.h>

#include <penstock/base/err.h>
#include <penstock/net.h>

#include "cli_doctor.h"

#define RESERVED_MAX 1024

/* ---- addresses ------------------------------------------------------------------------------ */

struct binds {
	uint32_t free, ours;
};

static void bind_say(struct doctor *doctor, const char *what, const struct addr *addr, int err)
{
	char text[ADDR_TEXT_MAX];

	addr_format(addr, text);
	if (err == -EACCES || err == -EPERM) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "%s: %s needs a capability that this shell lacks", what, text);
		cli_doctor_remedy(doctor, "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, "
					  "or ask as root");
		return;
	}
	cli_doctor_say(doctor, DOCTOR_STOP, "%s: %s: %s", what, text, err_text(err));
	if (err == -EADDRINUSE)
		cli_doctor_remedy(doctor, "ss -ltnp 'sport = :%u' says who has it", addr->port);
	else if (err == -EADDRNOTAVAIL)
		cli_doctor_remedy(doctor, "no interface has this address (ip addr); where it comes "
					  "later, as with VRRP: net.ipv4.ip_nonlocal_bind=1");
}

/* Binds it for a moment, without listening, unless a penstock of ours has it. */
static void bind_check(struct doctor *doctor, const char *what, const struct addr *addr,
		       struct binds *binds)
{
	bool is_running = doctor->process_count > 0 && doctor->processes[0].pid != 0;
	int ret = net_listen(addr, 1, 0, NULL);

	if (ret == 0) {
		binds->free++;
	} else if (ret == -EADDRINUSE && is_running) {
		binds->ours++;
	} else {
		bind_say(doctor, what, addr, ret);
	}
}

void cli_doctor_listeners(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	struct binds binds = { .free = 0 };
	char what[160];

	for (uint32_t i = 0; config != NULL && i < config->listener_count; i++) {
		(void)snprintf(what, sizeof(what), "listener %s", config->listeners[i].name);
		bind_check(doctor, what, &config->listeners[i].bind, &binds);
	}
	if (config != NULL && config->admin.is_on && config->admin.unix_path == NULL)
		bind_check(doctor, "admin", &config->admin.listen, &binds);
	if (config != NULL && config->web.is_on)
		bind_check(doctor, "web", &config->web.listen, &binds);
	if (binds.free > 0)
		cli_doctor_say(doctor, DOCTOR_OK, "%u address%s can be bound", binds.free,
			       binds.free == 1 ? "" : "es");
	if (binds.ours > 0)
		cli_doctor_say(doctor, DOCTOR_OK,
			       "%u address%s in use, as it should be where penstock runs",
			       binds.ours, binds.ours == 1 ? " is" : "es are");
}

/* ---- queues --------------------------------------------------------------------------------- */

static uint32_t backlog_of(const struct config *config)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].backlog > most)
			most = config->listeners[i].backlog;
	return most;
}

void cli_doctor_backlog(struct doctor *doctor)
{
	static const char *const names[] = { "net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog" };
	static const char *const paths[] = { "/proc/sys/net/core/somaxconn",
					     "/proc/sys/net/ipv4/tcp_max_syn_backlog" };
	uint32_t wanted = doctor->config != NULL ? backlog_of(doctor->config) : 0;
	bool is_fine = true;

	if (wanted == 0)
		return;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		uint64_t value;

		if (!cli_doctor_number(doctor, &value, "%s", paths[i]) || value >= wanted)
			continue;
		is_fine = false;
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "%s is %" PRIu64
			       ", listeners want a backlog of %u: clients that come "
			       "all at once have to try again",
			       names[i], value, wanted);
		cli_doctor_sysctl(doctor, names[i], "%u", wanted);
	}
	if (is_fine)
		cli_doctor_say(doctor, DOCTOR_OK, "%u connections may wait per worker", wanted);
}

void cli_doctor_conntrack(struct doctor *doctor)
{
	uint64_t most, count = 0;

	if (doctor->config == NULL ||
	    !cli_doctor_number(doctor, &most, "/proc/sys/net/netfilter/nf_conntrack_max"))
		return;
	(void)cli_doctor_number(doctor, &count, "/proc/sys/net/netfilter/nf_conntrack_count");

	/* One with the client and one with the broker; some that are over linger for two minutes.
	 */
	uint64_t needed = 2 * doctor->config->limits.connections;

	if (most >= needed) {
		cli_doctor_say(doctor, DOCTOR_OK, "%" PRIu64 " of %" PRIu64 " connections tracked",
			       count, most);
		return;
	}
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "the firewall tracks connections, %" PRIu64 " at the most (%" PRIu64
		       " now): penstock may have %" PRIu64 ", and what does not fit is dropped",
		       most, count, needed);
	cli_doctor_sysctl(doctor, "net.netfilter.nf_conntrack_max", "%" PRIu64, 2 * needed);
}

/* ---- local ports ---------------------------------------------------------------------------- */

/* Is the port in "1-3,7,6650"? */
static bool is_reserved(const char *list, uint16_t port)
{
	struct span rest = span_str(list);

	while (rest.len > 0) {
		struct span part, low_text;
		uint64_t low, high;
		size_t len = span_find(rest, ',');

		if (!span_take(&rest, len, &part))
			return false;
		if (rest.len > 0 && !span_skip(&rest, 1))
			return false;
		struct span high_text = part;

		if (!span_take(&high_text, span_find(part, '-'), &low_text) ||
		    !span_to_u64(low_text, &low))
			return false;
		high = low;
		if (high_text.len > 0 &&
		    (!span_skip(&high_text, 1) || !span_to_u64(high_text, &high)))
			return false;
		if (port >= low && port <= high)
			return true;
	}
	return false;
}

/* A connection to a broker may have taken a listener's port when penstock starts again. */
static void taken_check(struct doctor *doctor, uint64_t low, uint64_t high)
{
	char reserved[RESERVED_MAX] = "", list[RESERVED_MAX] = "";
	size_t len = 0;

	(void)cli_doctor_line(doctor, reserved, sizeof(reserved),
			      "/proc/sys/net/ipv4/ip_local_reserved_ports");
	for (uint32_t i = 0; i < doctor->config->listener_count; i++) {
		uint16_t port = doctor->config->listeners[i].bind.port;

		if (port < low || port > high || is_reserved(reserved, port) ||
		    is_reserved(list, port) || len + 8 > sizeof(list))
			continue;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%u", len > 0 ? "," : "",
					port);
	}
	if (len == 0)
		return;
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "listeners' ports %s are among those that connections to brokers take their "
		       "local port from (%" PRIu64 "-%" PRIu64 "): a start may find them in use",
		       list, low, high);
	cli_doctor_sysctl(doctor, "net.ipv4.ip_local_reserved_ports", "%s%s%s", reserved,
			  reserved[0] != '\0' ? "," : "", list);
}

static void port_say(struct doctor *doctor, uint64_t room, uint64_t brokers, uint64_t low)
{
	uint64_t wanted = doctor->config->limits.connections;

	cli_doctor_say(doctor, room < wanted ? DOCTOR_WARN : DOCTOR_OK,
		       "local ports for %" PRIu64 " connections to %" PRIu64
		       " broker address%s, limits.connections is %" PRIu64,
		       room, brokers, brokers == 1 ? "" : "es", wanted);
	if (room < wanted && low > 10240)
		cli_doctor_sysctl(doctor, "net.ipv4.ip_local_port_range", "10240 65535");
	else if (room < wanted)
		cli_doctor_remedy(doctor, "more gateways, brokers with more addresses, or a lower "
					  "limits.connections");
}

void cli_doctor_ports(struct doctor *doctor)
{
	char range[64];
	uint64_t low, high;

	if (doctor->config == NULL ||
	    !cli_doctor_line(doctor, range, sizeof(range),
			     "/proc/sys/net/ipv4/ip_local_port_range") ||
	    sscanf(range, "%" SCNu64 " %" SCNu64, &low, &high) != 2 || low > high)
		return;
	uint64_t brokers = doctor->broker_count > 0 ? doctor->broker_count : 1;
	uint64_t room = (high - low + 1) * brokers;

	/* A local port serves once per broker address (pulsar #14078 ran out of them). */
	if (doctor->config->listener_count > 0)
		port_say(doctor, room, brokers, low);
	taken_check(doctor, low, high);
}
