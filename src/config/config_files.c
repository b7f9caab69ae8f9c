/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_files: whether one of the files of TLS, or with a token or users, that a configuration
 * names is another than before.
 */
#include <errno.h>
#include <sys/stat.h>

#include "config_priv.h"

/* FNV-1a: 64 bits are enough to tell two states of a few files apart. */
#define STAMP_BEGIN  14695981039346656037ull
#define STAMP_FACTOR 1099511628211ull

static void stamp_add(uint64_t *stamp, uint64_t number)
{
	for (int i = 0; i < 64; i += 8)
		*stamp = (*stamp ^ (number >> i & 0xff)) * STAMP_FACTOR;
}

static void stamp_time(uint64_t *stamp, struct timespec time)
{
	stamp_add(stamp, (uint64_t)time.tv_sec);
	stamp_add(stamp, (uint64_t)time.tv_nsec);
}

/* Through links: Kubernetes swaps the folder behind the name. */
static void stamp_file(uint64_t *stamp, const char *path)
{
	struct stat stat_of;

	if (stat(path, &stat_of) < 0) {
		stamp_add(stamp, (uint64_t)errno);
		return;
	}
	stamp_add(stamp, stat_of.st_dev);
	stamp_add(stamp, stat_of.st_ino);
	stamp_add(stamp, (uint64_t)stat_of.st_size);
	stamp_time(stamp, stat_of.st_mtim);
	stamp_time(stamp, stat_of.st_ctim);
}

/* And the files that its lines name. */
static void stamp_clients(uint64_t *stamp, const char *path)
{
	struct config_clients *clients = NULL;
	uint32_t line;

	if (config_clients_read(path, false, &clients, &line) != NULL)
		return;
	for (uint32_t i = 0; i < clients->count; i++) {
		stamp_file(stamp, clients->at[i].first);
		stamp_file(stamp, clients->at[i].second);
	}
	config_clients_free(clients);
}

static void stamp_field(uint64_t *stamp, const struct config_row *row, const void *field)
{
	const struct config_names *list = field;
	const char *const *path = field;

	if (row->type == CONFIG_TYPE_PATH && *path != NULL)
		stamp_file(stamp, *path);
	if (strcmp(row->path, "broker_tls.clients_file") == 0 && *path != NULL)
		stamp_clients(stamp, *path);
	for (uint32_t i = 0; row->type == CONFIG_TYPE_PATHS && i < list->count; i++)
		stamp_file(stamp, list->at[i]);
}

/* What is a credential, or says whose are good. */
static bool is_watched(const struct config_row *row)
{
	return strncmp(row->path, "tls.", 4) == 0 || strncmp(row->path, "broker_tls.", 11) == 0 ||
	       strcmp(row->path, "credentials.role.token_file") == 0 ||
	       strcmp(row->path, "broker_sasl.users_file") == 0 ||
	       strcmp(row->path, "discovery.sasl.password_file") == 0;
}

/* All units of a scope lie one behind the other. */
static void stamp_row(uint64_t *stamp, const struct config *config, const struct config_row *row)
{
	const uint8_t *unit = NULL;
	uint32_t count = 0;
	size_t size = 0;

	switch (row->scope) {
	case CONFIG_SCOPE_TOP: /* its files are none of these */
		break;
	case CONFIG_SCOPE_CLUSTER:
		unit = (const uint8_t *)config->clusters;
		count = config->cluster_count;
		size = sizeof(config->clusters[0]);
		break;
	case CONFIG_SCOPE_LISTENER:
		unit = (const uint8_t *)config->listeners;
		count = config->listener_count;
		size = sizeof(config->listeners[0]);
		break;
	case CONFIG_SCOPE_ROUTE:
		unit = (const uint8_t *)config->routes;
		count = config->route_count;
		size = sizeof(config->routes[0]);
		break;
	}
	for (uint32_t i = 0; i < count; i++)
		stamp_field(stamp, row, unit + i * size + row->offset);
}

uint64_t config_files_stamp(const struct config *config)
{
	uint64_t stamp = STAMP_BEGIN;

	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++)
		if (is_watched(&config_rows[i]))
			stamp_row(&stamp, config, &config_rows[i]);
	return stamp;
}
