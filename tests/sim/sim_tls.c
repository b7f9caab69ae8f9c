/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_tls: there is no TLS in the simulated world: no listener and no cluster has any, and whoever
 * asks for more than that has gone astray.
 */
#include <penstock/tls/peer.h>
#include <penstock/tls/set.h>

#include "sim.h"

#define ASTRAY() sim_fail("%s: there is no TLS in the simulator", __func__)

int tls_new(struct tls **ret_tls, uint32_t ends, uint32_t handshakes, struct stat_block *stats)
{
	(void)ends, (void)handshakes, (void)stats;
	*ret_tls = NULL;
	return 0;
}

void tls_free(struct tls *tls)
{
	(void)tls;
}

struct tls_context *tls_context_get(struct tls_context *context)
{
	(void)context;
	ASTRAY();
}

void tls_context_put(struct tls_context *context)
{
	(void)context;
	ASTRAY();
}

struct tls_context *tls_set_signer(const struct tls_set *set, uint32_t cluster,
				   const struct tls_peer *peer)
{
	(void)set, (void)cluster, (void)peer;
	return NULL;
}

struct tls_context *tls_set_listener(const struct tls_set *set, uint32_t listener)
{
	(void)set, (void)listener;
	return NULL;
}

struct tls_context *tls_set_cluster(const struct tls_set *set, uint32_t cluster)
{
	(void)set, (void)cluster;
	return NULL;
}

struct tls_context *tls_set_route(const struct tls_set *set, const struct config *config,
				  uint32_t route)
{
	(void)set, (void)config, (void)route;
	return NULL;
}

struct tls_context *tls_set_route_target(const struct tls_set *set, const struct config *config,
					 uint32_t route)
{
	(void)set, (void)config, (void)route;
	return NULL;
}

int tls_begin_server(struct tls *tls, struct tls_context *context, int fd, struct span replay,
		     struct tls_end **ret_end)
{
	(void)tls, (void)context, (void)fd, (void)replay, (void)ret_end;
	ASTRAY();
}

int tls_begin_client(struct tls *tls, struct tls_context *context, int fd, const char *host,
		     struct tls_end **ret_end)
{
	(void)tls, (void)context, (void)fd, (void)host, (void)ret_end;
	ASTRAY();
}

void tls_offer_only(struct tls_end *end, struct span alpn)
{
	(void)end, (void)alpn;
	ASTRAY();
}

bool tls_alpn(const struct tls_end *end, struct span *ret_alpn)
{
	(void)end, (void)ret_alpn;
	ASTRAY();
}

size_t tls_replay_left(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

void tls_end_put(struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

enum tls_progress tls_handshake(struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

const struct tls_result *tls_result(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

bool tls_peer_is_one_of(const struct tls_peer *peer, const struct config_names *rules)
{
	(void)peer, (void)rules;
	ASTRAY();
}

struct span tls_peer_principal(const struct tls_peer *peer)
{
	(void)peer;
	ASTRAY();
}

void tls_refuse(struct tls_end *end, enum tls_fail why)
{
	(void)end, (void)why;
	ASTRAY();
}

int tls_start(struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

bool tls_is_started(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

bool tls_has_slot(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

enum tls_fail tls_why(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

const char *tls_why_detail(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

ssize_t tls_recv(struct tls_end *end, void *ret_bytes, size_t size)
{
	(void)end, (void)ret_bytes, (void)size;
	ASTRAY();
}

ssize_t tls_peek(struct tls_end *end, void *ret_bytes, size_t size)
{
	(void)end, (void)ret_bytes, (void)size;
	ASTRAY();
}

ssize_t tls_discard(struct tls_end *end, size_t len)
{
	(void)end, (void)len;
	ASTRAY();
}

bool tls_is_drained(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

bool tls_must_read_on(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

ssize_t tls_send(struct tls_end *end, const void *bytes, size_t len)
{
	(void)end, (void)bytes, (void)len;
	ASTRAY();
}

int tls_shutdown_write(struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

void tls_goodbye(struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

bool tls_can_splice_in(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

bool tls_can_splice_out(const struct tls_end *end)
{
	(void)end;
	ASTRAY();
}

ssize_t tls_splice_in(struct tls_end *end, int pipe_write, size_t len)
{
	(void)end, (void)pipe_write, (void)len;
	ASTRAY();
}

ssize_t tls_splice_out(struct tls_end *end, int pipe_read, size_t len)
{
	(void)end, (void)pipe_read, (void)len;
	ASTRAY();
}
