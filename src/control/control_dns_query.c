/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_dns_query: the only user of c-ares. Its sockets are polled on our ring: it says which by
 * the socket-state callback, we call ares_process_fd when one is ready or its timer is due. Polls
 * are one-shot and set again after each call, because c-ares reads a TCP socket once per call and
 * an edge would be lost.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "control_dns_priv.h"
#include "control_unix.h"

#define TIMEOUT_MS  1000 /* of a server's first answer; doubled for each further round */
#define TRIES	    2
#define NODES_MAX   64 /* addresses of one name that are looked at */
#define RESOLV_CONF "/etc/resolv.conf"

static void set_timer(struct control *control);

static void on_ready(struct uring_op *op, int events)
{
	struct control_dns_socket *slot = CONTAINER_OF(op, struct control_dns_socket, op);
	struct control *control = slot->control;
	int fd = slot->fd;
	bool is_in = events < 0 || (events & (POLLIN | POLLERR | POLLHUP)) != 0;
	bool is_out = events < 0 || (events & (POLLOUT | POLLERR | POLLHUP)) != 0;

	if (fd < 0)
		return;
	ares_process_fd(control->dns.channel, is_in ? fd : ARES_SOCKET_BAD,
			is_out ? fd : ARES_SOCKET_BAD);
	/* The call may have closed this socket, and even opened another in its slot. */
	if (slot->fd >= 0 && !slot->op.is_armed)
		uring_poll(control->ring, &slot->op, slot->fd, slot->events, on_ready);
	set_timer(control);
}

static void on_timer(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, dns.timer);

	ares_process_fd(control->dns.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(control);
}

static void set_timer(struct control *control)
{
	struct timeval most = { .tv_sec = TIMEOUT_MS / 1000 };
	struct timeval wait;

	if (control->dns.pending_count == 0) {
		timer_clear(&control->wheel, &control->dns.timer);
		return;
	}
	const struct timeval *next = ares_timeout(control->dns.channel, &most, &wait);

	timer_set(&control->wheel, &control->dns.timer,
		  clock_now_ns() + (uint64_t)next->tv_sec * NS_PER_S +
			  (uint64_t)next->tv_usec * NS_PER_US,
		  on_timer);
}

static void on_socket(void *context, ares_socket_t fd, int is_readable, int is_writable)
{
	struct control *control = context;
	struct control_dns_socket *slot = NULL;

	for (uint32_t i = 0; i < CONTROL_DNS_SOCKETS_MAX; i++) {
		struct control_dns_socket *at = &control->dns.sockets[i];

		if (at->fd == fd)
			slot = at;
		else if (at->fd < 0 && slot == NULL && (is_readable || is_writable))
			slot = at;
		if (at->fd == fd)
			break;
	}
	if (slot == NULL) {
		/* Without a poll its answers are lost, and the query is repeated elsewhere. */
		if (is_readable || is_writable)
			log_warn("dns_sockets", "more than %u sockets to name servers",
				 CONTROL_DNS_SOCKETS_MAX);
		return;
	}
	uring_cancel(control->ring, &slot->op);
	slot->fd = is_readable || is_writable ? fd : -1;
	slot->events = (is_readable ? (unsigned)POLLIN : 0) | (is_writable ? (unsigned)POLLOUT : 0);
	if (slot->fd >= 0)
		uring_poll(control->ring, &slot->op, fd, slot->events, on_ready);
}

static int open_channel(struct control *control)
{
	struct ares_options options = {
		.timeout = TIMEOUT_MS,
		.tries = TRIES,
		/* "fb": hosts file, then DNS; not from nsswitch.conf, whose other modules
		 * (myhostname, resolve) c-ares does not have. */
		.lookups = (char[]){ "fb" },
		.sock_state_cb = on_socket,
		.sock_state_cb_data = control,
	};
	int ret = ares_init_options(&control->dns.channel, &options,
				    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
					    ARES_OPT_SOCK_STATE_CB);

	if (ret != ARES_SUCCESS) {
		log_error("dns_failed", "c-ares: %s", ares_strerror(ret));
		return ret == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	}
	control->dns.resolv_mtime_ns = control_unix_mtime_ns(RESOLV_CONF);
	return 0;
}

int control_dns_query_open(struct control *control)
{
	for (uint32_t i = 0; i < CONTROL_DNS_SOCKETS_MAX; i++) {
		control->dns.sockets[i].control = control;
		control->dns.sockets[i].fd = -1;
	}
	int ret = ares_library_init(ARES_LIB_INIT_ALL);

	if (ret != ARES_SUCCESS) {
		log_error("dns_failed", "c-ares: %s", ares_strerror(ret));
		return -EINVAL;
	}
	ret = open_channel(control);
	if (ret < 0)
		ares_library_cleanup();
	return ret;
}

void control_dns_query_close(struct control *control)
{
	ares_destroy(control->dns.channel); /* answers every query with ARES_EDESTRUCTION */
	timer_clear(&control->wheel, &control->dns.timer);
	ares_library_cleanup();
}

/* c-ares 1.18 reads resolv.conf once; DHCP and VPN clients rewrite it. */
void control_dns_query_refresh(struct control *control)
{
	int64_t mtime_ns = control_unix_mtime_ns(RESOLV_CONF);
	ares_channel old = control->dns.channel;

	if (mtime_ns == control->dns.resolv_mtime_ns)
		return;
	if (open_channel(control) < 0) {
		control->dns.channel = old;
		return;
	}
	ares_destroy(old); /* what was asked there has failed */
	log_info("dns_reloaded", RESOLV_CONF " has changed");
}

/* One family's addresses, in the order of their bytes: servers rotate them, and with more than are
 * kept another selection each time would look like a change. */
static int compare(const void *a, const void *b)
{
	return memcmp(((const struct addr *)a)->ip, ((const struct addr *)b)->ip,
		      sizeof(((const struct addr *)a)->ip));
}

static void add_node(struct addr *addrs, uint32_t *count, const struct ares_addrinfo_node *node)
{
	struct addr addr = { .is_set = 1 };

	if (node->ai_family == AF_INET) {
		struct sockaddr_in name;

		memcpy(&name, node->ai_addr, sizeof(name));
		addr = addr_v4(ntohl(name.sin_addr.s_addr), 0);
	} else {
		struct sockaddr_in6 name;

		memcpy(&name, node->ai_addr, sizeof(name));
		memcpy(addr.ip, &name.sin6_addr, sizeof(addr.ip));
		addr.scope = name.sin6_scope_id;
	}
	for (uint32_t i = 0; i < *count; i++)
		if (addr_equal_ip(&addrs[i], &addr))
			return;
	addrs[(*count)++] = addr;
}

/* Families take turns, the one c-ares puts first (RFC 6724) begins: so a short list has both. */
static void fill(struct control_dns_result *result, const struct ares_addrinfo *info)
{
	struct addr addrs[2][NODES_MAX];
	uint32_t counts[2] = { 0, 0 };
	int first = info->nodes->ai_family;

	result->ttl_s = UINT64_MAX / NS_PER_S;
	for (const struct ares_addrinfo_node *node = info->nodes; node != NULL;
	     node = node->ai_next) {
		uint32_t family = node->ai_family == first ? 0 : 1;

		if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) ||
		    counts[family] == NODES_MAX)
			continue;
		add_node(addrs[family], &counts[family], node);
		if (node->ai_ttl >= 0 && (uint64_t)node->ai_ttl < result->ttl_s)
			result->ttl_s = (uint64_t)node->ai_ttl;
	}
	for (uint32_t family = 0; family < 2; family++)
		qsort(addrs[family], counts[family], sizeof(addrs[0][0]), compare);
	for (uint32_t i = 0; i < NODES_MAX; i++)
		for (uint32_t family = 0; family < 2; family++)
			if (i < counts[family] && result->addr_count < MAIL_ADDRS_MAX)
				result->addrs[result->addr_count++] = addrs[family][i];
}

static void on_answer(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
	struct control_dns_entry *entry = context;
	struct control_dns_result result = {
		.is_denied = status == ARES_ENOTFOUND || status == ARES_ENODATA,
		.error = ares_strerror(status),
	};

	(void)timeouts;
	if (status == ARES_SUCCESS && info != NULL && info->nodes != NULL)
		fill(&result, info);
	if (info != NULL)
		ares_freeaddrinfo(info);
	control_dns_on_result(entry, &result);
}

void control_dns_query_start(struct control *control, struct control_dns_entry *entry)
{
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_ENVHOSTS, /* CARES_HOSTS names another hosts file */
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};

	ares_getaddrinfo(control->dns.channel, entry->host, NULL, &hints, on_answer, entry);
	set_timer(control);
}
