/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The broker list and bundle ownership against a ZooKeeper in this file: it takes the place of the
 * library's functions at link time, keeps a tree and one-shot watches, and can fail on command.
 * Time is this file's, too: it passes in turn().
 */
#include "unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <zookeeper/zookeeper.h>

#include "../../src/control/discovery/discovery_session.h"

/* ---- the clock --------------------------------------------------------------------------------
 */

static _Atomic uint64_t clock_ns = NS_PER_S;

uint64_t clock_now_ns(void)
{
	return atomic_load(&clock_ns);
}

uint64_t clock_wall_us(void)
{
	return atomic_load(&clock_ns) / NS_PER_US;
}

/* ---- the fake ---------------------------------------------------------------------------------
 */

#define NODES_MAX   256
#define WATCHES_MAX 1024

struct node {
	char path[256];
	char data[1024];
	int64_t czxid, mzxid;
	bool is_there;
};

struct watch {
	char path[256];
	watcher_fn fn;
	void *context;
	zhandle_t *handle;
	bool is_children;
};

struct fake_handle {
	watcher_fn session;
	void *context;
	int state;
	_Atomic bool is_closed;
};

static struct node nodes[NODES_MAX];
static struct watch watches[WATCHES_MAX];
static uint32_t watch_count;
static int64_t zxid = 100;
static struct fake_handle handles[16];
static uint32_t handle_count, moved_count;
static _Atomic uint32_t closed_count;
static int init_errno; /* zookeeper_init2 fails */
static int next_rc;    /* every answer, if not 0 */
static uint32_t get_count, children_count;
static char given[512]; /* servers of the last handle */

static zhandle_t *outside(struct fake_handle *handle)
{
	return (zhandle_t *)(void *)handle;
}

zhandle_t *zookeeper_init2(const char *host, watcher_fn fn, int recv_timeout,
			   const clientid_t *clientid, void *context, int flags,
			   log_callback_fn log_callback)
{
	(void)recv_timeout;
	(void)clientid;
	(void)flags;
	(void)log_callback;
	if (init_errno != 0) {
		errno = init_errno;
		return NULL;
	}
	struct fake_handle *handle = &handles[handle_count++ % COUNT_OF(handles)];

	handle->session = fn;
	handle->context = context;
	atomic_store(&handle->is_closed, false);
	(void)snprintf(given, sizeof(given), "%s", host);
	return outside(handle);
}

static void session_event(struct fake_handle *handle, int session_state)
{
	handle->state = session_state;
	handle->session(outside(handle), ZOO_SESSION_EVENT, session_state, "", handle->context);
}

int zookeeper_close(zhandle_t *handle)
{
	/* On a thread of its own: only atomics. */
	atomic_store(&((struct fake_handle *)(void *)handle)->is_closed, true);
	atomic_fetch_add(&closed_count, 1);
	return ZOK;
}

int zoo_set_servers(zhandle_t *handle, const char *hosts)
{
	(void)handle;
	(void)snprintf(given, sizeof(given), "%s", hosts);
	moved_count++;
	return ZOK;
}

int zoo_set_servers_resolution_delay(zhandle_t *handle, int delay_ms)
{
	(void)handle;
	assert_int_equal(delay_ms, -1);
	return ZOK;
}

const char *zoo_get_current_server(zhandle_t *handle)
{
	(void)handle;
	return "fake:1";
}

void zoo_set_debug_level(ZooLogLevel level)
{
	(void)level;
}

static struct node *find_node(const char *path)
{
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (nodes[i].is_there && strcmp(nodes[i].path, path) == 0)
			return &nodes[i];
	return NULL;
}

static bool is_child(const char *path, const char *parent)
{
	size_t len = strlen(parent);

	return strncmp(path, parent, len) == 0 && path[len] == '/' &&
	       strchr(path + len + 1, '/') == NULL;
}

static bool has_children(const char *parent)
{
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (nodes[i].is_there && is_child(nodes[i].path, parent))
			return true;
	return false;
}

static void add_watch(zhandle_t *handle, const char *path, watcher_fn fn, void *context,
		      bool is_children)
{
	if (fn == NULL)
		return;
	for (uint32_t i = 0; i < watch_count; i++)
		if (watches[i].handle == handle && watches[i].is_children == is_children &&
		    strcmp(watches[i].path, path) == 0)
			return;
	assert_true(watch_count < WATCHES_MAX);
	struct watch *watch = &watches[watch_count++];

	*watch = (struct watch){ .fn = fn, .context = context, .handle = handle };
	watch->is_children = is_children;
	(void)snprintf(watch->path, sizeof(watch->path), "%s", path);
}

static void fire(const char *path, bool is_children, int type)
{
	for (uint32_t i = 0; i < watch_count; i++) {
		struct watch watch = watches[i];

		if (atomic_load(&((struct fake_handle *)(void *)watch.handle)->is_closed))
			continue;
		if (watch.path[0] == '\0' || watch.is_children != is_children ||
		    strcmp(watch.path, path) != 0)
			continue;
		watches[i].path[0] = '\0';
		watch.fn(watch.handle, type, ZOO_CONNECTED_STATE, path, watch.context);
	}
}

static void fire_parent(const char *path)
{
	char parent[256];

	(void)snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	fire(parent, true, ZOO_CHILD_EVENT);
}

static void put(const char *path, const char *data)
{
	struct node *node = find_node(path);
	bool is_new = node == NULL;

	for (uint32_t i = 0; node == NULL; i++) {
		assert_true(i < NODES_MAX);
		if (!nodes[i].is_there)
			node = &nodes[i];
	}
	(void)snprintf(node->path, sizeof(node->path), "%s", path);
	(void)snprintf(node->data, sizeof(node->data), "%s", data);
	node->mzxid = ++zxid;
	node->is_there = true;
	if (is_new)
		node->czxid = zxid;
	fire(path, false, is_new ? ZOO_CREATED_EVENT : ZOO_CHANGED_EVENT);
	if (is_new)
		fire_parent(path);
}

static void cut(const char *path)
{
	struct node *node = find_node(path);

	assert_non_null(node);
	node->is_there = false;
	zxid++;
	fire(path, false, ZOO_DELETED_EVENT);
	fire_parent(path);
}

static struct Stat stat_of(const struct node *node)
{
	return (struct Stat){ .czxid = node->czxid, .mzxid = node->mzxid };
}

int zoo_awexists(zhandle_t *handle, const char *path, watcher_fn fn, void *context,
		 stat_completion_t completion, const void *data)
{
	const struct node *node = find_node(path);
	struct Stat stat = node == NULL ? (struct Stat){ 0 } : stat_of(node);
	bool is_there = node != NULL || has_children(path);

	if (next_rc == 0)
		add_watch(handle, path, fn, context, false);
	completion(next_rc != 0 ? next_rc
		   : is_there	? ZOK
				: ZNONODE,
		   is_there ? &stat : NULL, data);
	return ZOK;
}

int zoo_awget(zhandle_t *handle, const char *path, watcher_fn fn, void *context,
	      data_completion_t completion, const void *data)
{
	const struct node *node = find_node(path);

	get_count++;
	if (next_rc != 0 || node == NULL) {
		completion(next_rc != 0 ? next_rc : ZNONODE, NULL, -1, NULL, data);
		return ZOK;
	}
	struct Stat stat = stat_of(node);

	add_watch(handle, path, fn, context, false);
	completion(ZOK, node->data, (int)strlen(node->data), &stat, data);
	return ZOK;
}

int zoo_awget_children2(zhandle_t *handle, const char *path, watcher_fn fn, void *context,
			strings_stat_completion_t completion, const void *data)
{
	char *names[NODES_MAX];
	struct String_vector vector = { .count = 0, .data = names };
	struct Stat stat = { 0 };

	children_count++;
	if (next_rc != 0 || (!has_children(path) && find_node(path) == NULL)) {
		completion(next_rc != 0 ? next_rc : ZNONODE, NULL, NULL, data);
		return ZOK;
	}
	for (uint32_t i = NODES_MAX; i-- > 0;) /* in no useful order */
		if (nodes[i].is_there && is_child(nodes[i].path, path))
			names[vector.count++] = strrchr(nodes[i].path, '/') + 1;
	add_watch(handle, path, fn, context, true);
	completion(ZOK, &vector, &stat, data);
	return ZOK;
}

/* ---- driving ----------------------------------------------------------------------------------
 */

static struct discovery *discovery;
static struct discovery_cluster *cluster;
static struct config *config;
static uint32_t changes;
static uint8_t address = 1; /* of the ZooKeeper servers' names */
static bool is_name_unknown, is_name_pending;

static uint32_t resolve(void *context, const char *host, struct addr *ret_addrs, uint32_t max,
			bool *ret_is_final)
{
	(void)context;
	(void)max;
	*ret_is_final = !is_name_pending;
	if (strncmp(host, "zk", 2) == 0 && (is_name_unknown || is_name_pending))
		return 0;
	if (strcmp(host, "zk6") == 0)
		assert_true(addr_parse_ip(span_str("2001:db8::6"), &ret_addrs[0]));
	else
		ret_addrs[0] = addr_v4(0x0a000000u + address, 0);
	return 1;
}

static void changed(void *context)
{
	(void)context;
	changes++;
}

/* A thread of its own closes a handle. */
static void await_closed(uint32_t count)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (uint32_t i = 0; i < 10000 && atomic_load(&closed_count) < count; i++)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(atomic_load(&closed_count), count);
}

static void turn(uint32_t ms)
{
	for (uint32_t passed = 0; passed < ms; passed += 5) {
		(void)discovery_tick(discovery, clock_now_ns());
		atomic_fetch_add(&clock_ns, 5 * NS_PER_MS);
	}
	(void)discovery_tick(discovery, clock_now_ns());
}

static struct fake_handle *last_handle(void)
{
	return &handles[(handle_count - 1) % COUNT_OF(handles)];
}

static void connect_it(void)
{
	session_event(last_handle(), ZOO_CONNECTED_STATE);
	turn(20);
}

static int32_t last_gone;

static void gone(void *context, const char *name, int32_t node)
{
	(void)context;
	assert_string_equal(name, "east");
	last_gone = node;
}

static void begin_with(const struct config_cluster *about)
{
	const struct discovery_host host = { .resolve = resolve, .changed = changed, .gone = gone };

	memset(nodes, 0, sizeof(nodes));
	watch_count = 0;
	handle_count = moved_count = get_count = children_count = 0;
	atomic_store(&closed_count, 0);
	init_errno = next_rc = 0;
	is_name_unknown = is_name_pending = false;
	address = 1;
	config = calloc(1, sizeof(*config));
	assert_non_null(config);
	config->cluster_count = 1;
	config->clusters[0] = *about;
	config->clusters[0].name = "east";
	config->clusters[0].zookeeper_session_ns = 30 * NS_PER_S;
	config->clusters[0].zookeeper_resync_ns = 300 * NS_PER_S;
	last_gone = -1;
	discovery = discovery_new(&host);
	assert_non_null(discovery);
	assert_int_equal(discovery_apply(discovery, config), 0);
	cluster = discovery->clusters[0];
	turn(0);
	changes = 0;
}

static void begin(const char *servers, const char *global_servers, enum config_lookup lookup)
{
	const struct config_cluster about = {
		.zookeeper_servers = servers,
		.zookeeper_global_servers = global_servers,
		.grace_ns = 60 * NS_PER_S,
		.lookup = lookup,
	};

	begin_with(&about);
}

static int finish(void **state)
{
	(void)state;
	discovery_free(discovery);
	free(config);
	return 0;
}

static void put_broker(const char *host)
{
	char path[128], data[256];

	if (find_node("/loadbalance/brokers") == NULL)
		put("/loadbalance/brokers", "");
	(void)snprintf(path, sizeof(path), "/loadbalance/brokers/%s:8080", host);
	(void)snprintf(data, sizeof(data),
		       "{\"pulsarServiceUrl\":\"pulsar://%s:6650\",\"pulsarServiceUrlTls\":"
		       "\"pulsar+ssl://%s:6651\"}",
		       host, host);
	put(path, data);
}

static void cut_broker(const char *host)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/loadbalance/brokers/%s:8080", host);
	cut(path);
}

static bool has_broker(const char *host)
{
	char id[128];

	(void)snprintf(id, sizeof(id), "%s:8080", host);
	return discovery_find(cluster, id) != NULL;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

static void test_list(void **state)
{
	(void)state;
	begin("zk1:2181,zk6:2182/chroot", NULL, CONFIG_LOOKUP_RELAY);
	assert_string_equal(given, "10.0.0.1:2181,2001:db8::6:2182/chroot");
	assert_string_equal(discovery_zookeeper_state(cluster), "connecting");
	put_broker("b2");
	put_broker("b1");
	connect_it();
	assert_string_equal(discovery_zookeeper_state(cluster), "connected");
	assert_true(cluster->is_loaded);
	assert_int_equal(cluster->brokers.count, 2);
	assert_string_equal(cluster->brokers.at[0].id, "b1:8080");
	assert_int_equal(changes, 1);

	/* Watched: children, not data. */
	uint32_t gets = get_count;

	put_broker("b1");
	turn(150);
	assert_int_equal(get_count, gets);
	put_broker("b3");
	turn(0);
	assert_false(has_broker("b3")); /* not at once: a storm of changes is one reading */
	turn(150);
	assert_true(has_broker("b3"));
	assert_int_equal(get_count, gets + 1); /* the others are known by their czxid */

	cut_broker("b2");
	turn(150);
	assert_false(has_broker("b2"));
	assert_int_equal(cluster->brokers.count, 2);
	cut_broker("b1");
	cut_broker("b3");
	turn(150);
	assert_int_equal(cluster->brokers.count, 2); /* none left: the last list stays */

	/* The same broker again, a new node: read again, although the name is the same. */
	put("/loadbalance/brokers/b1:8080", "{\"pulsarServiceUrl\":\"pulsar://other:6650\"}");
	turn(150);
	assert_int_equal(cluster->brokers.count, 1);
	assert_string_equal(cluster->brokers.at[0].plain.host, "other");
}

static void put_kafka(int32_t node, const char *endpoint)
{
	char path[64], data[256];

	if (find_node("/brokers/ids") == NULL)
		put("/brokers/ids", "");
	(void)snprintf(path, sizeof(path), "/brokers/ids/%d", (int)node);
	(void)snprintf(data, sizeof(data),
		       "{\"version\":5,\"rack\":\"r\",\"endpoints\":[\"SSL://x:1\",\"%s\"]}",
		       endpoint);
	put(path, data);
}

/* Where the snapshot has it; NULL: nowhere. */
static const char *kafka_at(int32_t node, struct route **ret_route)
{
	struct route_builder *builder = route_build_begin(config, 1);

	discovery_build(discovery, 0, builder, clock_now_ns());
	*ret_route = route_build_end(builder);
	assert_non_null(*ret_route);
	const struct route_node *found = route_node(*ret_route, 0, node);

	return found == NULL ? NULL : (*ret_route)->clusters[0].endpoints[found->endpoint].host;
}

static void assert_kafka(int32_t node, const char *host)
{
	struct route *route;
	const char *have = kafka_at(node, &route);

	if (host == NULL)
		assert_null(have);
	else
		assert_string_equal(have, host);
	route_free(route);
}

static void test_kafka(void **state)
{
	const struct config_cluster about = {
		.protocol = CONFIG_KAFKA,
		.zookeeper_servers = "zk1:2181/kafka",
		.zookeeper_listener = "plaintext",
		.grace_ns = 300 * NS_PER_MS,
	};

	(void)state;
	begin_with(&about);
	assert_string_equal(given, "10.0.0.1:2181/kafka");
	put_kafka(1, "PLAINTEXT://k1:9092");
	put_kafka(10, "PLAINTEXT://k10:9092");
	put("/brokers/ids/seven", "{\"version\":5,\"endpoints\":[\"PLAINTEXT://k7:9092\"]}");
	put("/loadbalance/brokers", "");
	put("/loadbalance/brokers/b:1", "{\"pulsarServiceUrl\":\"pulsar://b:1\"}");
	connect_it();
	assert_int_equal(cluster->brokers.count, 2);
	assert_kafka(1, "k1");
	assert_kafka(10, "k10");
	assert_true(discovery_knows_node(discovery, 0, 1, cluster->read_ns));
	assert_false(discovery_knows_node(discovery, 0, 1, cluster->read_ns + 1));
	assert_false(discovery_knows_node(discovery, 0, 7, 0));
	assert_false(discovery_knows_node(discovery, 1, 1, 0));

	/* Data is watched, again and again. */
	for (int i = 0; i < 3; i++) {
		char endpoint[64], host[16];

		(void)snprintf(host, sizeof(host), "m%d", i);
		(void)snprintf(endpoint, sizeof(endpoint), "PLAINTEXT://%s:9092", host);
		put_kafka(1, endpoint);
		turn(150);
		assert_kafka(1, host);
	}
	/* A node that cannot be read keeps its last good entry. */
	put("/brokers/ids/1", "{}");
	turn(150);
	assert_kafka(1, "m2");

	/* One comes, one leaves: known for a while, then gone. */
	put_kafka(2, "PLAINTEXT://k2:9092");
	cut("/brokers/ids/10");
	turn(150);
	assert_kafka(2, "k2");
	assert_kafka(10, "k10");
	assert_int_equal(last_gone, -1);
	turn(400);
	assert_kafka(10, NULL);
	assert_int_equal(last_gone, 10);

	/* It moves by coming back elsewhere: that is no leaving. */
	last_gone = -1;
	cut("/brokers/ids/2");
	put_kafka(2, "PLAINTEXT://other:9192");
	turn(500);
	assert_kafka(2, "other");
	assert_int_equal(last_gone, -1);

	/* None left: the last list stays. */
	cut("/brokers/ids/1");
	cut("/brokers/ids/2");
	turn(500);
	assert_kafka(1, "m2");
	assert_kafka(2, "other");

	/* A new session watches again. */
	put_kafka(1, "PLAINTEXT://k1:9092");
	session_event(last_handle(), ZOO_EXPIRED_SESSION_STATE);
	turn(400);
	connect_it();
	turn(150);
	assert_kafka(1, "k1");
	put_kafka(1, "PLAINTEXT://k1b:9092");
	turn(150);
	assert_kafka(1, "k1b");
}

static void test_no_tree_yet(void **state)
{
	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_RELAY);
	connect_it();
	assert_false(cluster->is_loaded);
	put_broker("b1"); /* the parent's creation is what tells */
	turn(150);
	assert_true(cluster->is_loaded);
	assert_true(has_broker("b1"));
}

static void test_bad_nodes(void **state)
{
	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_RELAY);
	put_broker("b1");
	put("/loadbalance/brokers/bad:8080", "{\"pulsarServiceUrl\":7}");
	put("/loadbalance/brokers/empty:8080", "");
	connect_it();
	assert_int_equal(cluster->brokers.count, 1);

	/* A known broker whose node was made anew with nonsense keeps its last good entry. */
	cut_broker("b1");
	put("/loadbalance/brokers/b1:8080", "nonsense");
	turn(150);
	assert_true(has_broker("b1"));
	assert_string_equal(discovery_find(cluster, "b1:8080")->plain.host, "b1");
}

static void test_vanishing(void **state)
{
	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_RELAY);
	put_broker("b1");
	put_broker("b2");
	session_event(last_handle(), ZOO_CONNECTED_STATE);
	while (children_count == 0)
		turn(0);
	cut_broker("b2"); /* after it was listed, before it is read */
	turn(40);
	assert_true(has_broker("b1"));
	assert_false(has_broker("b2"));
}

static void test_lost_in_between(void **state)
{
	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_RELAY);
	put_broker("b1");
	connect_it();
	put_broker("b2");
	next_rc = ZCONNECTIONLOSS;
	turn(200);
	assert_false(has_broker("b2"));
	assert_true(has_broker("b1")); /* a failed reading says nothing */
	next_rc = 0;
	turn(1200);
	assert_true(has_broker("b2"));
}

static void test_expiry(void **state)
{
	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_RELAY);
	put_broker("b1");
	connect_it();
	session_event(last_handle(), ZOO_CONNECTING_STATE);
	turn(5);
	assert_string_equal(discovery_zookeeper_state(cluster), "connecting");
	assert_true(has_broker("b1"));
	session_event(last_handle(), ZOO_EXPIRED_SESSION_STATE);
	/* What is in the inbox behind the end of a handle is nobody's. */
	session_event(last_handle(), ZOO_CONNECTED_STATE);
	turn(5);
	assert_string_equal(discovery_zookeeper_state(cluster), "expired");
	assert_true(has_broker("b1"));
	put_broker("b2"); /* no watch tells: they died with the session */
	turn(400);
	assert_int_equal(handle_count, 2);
	await_closed(1);
	connect_it();
	assert_true(has_broker("b2"));
	assert_string_equal(discovery_zookeeper_state(cluster), "connected");
}

static void test_names(void **state)
{
	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_RELAY);
	assert_int_equal(handle_count, 1);
	finish(NULL);

	/* Unknown at start, like the first second of a Kubernetes cluster: tried again. */
	const struct discovery_host host = { .resolve = resolve, .changed = changed };

	handle_count = 0;
	is_name_pending = true;
	config = calloc(1, sizeof(*config));
	assert_non_null(config);
	config->cluster_count = 1;
	config->clusters[0] = (struct config_cluster){
		.name = "east",
		.zookeeper_servers = "zk1:2181",
		.zookeeper_session_ns = 30 * NS_PER_S,
		.zookeeper_resync_ns = 300 * NS_PER_S,
	};
	discovery = discovery_new(&host);
	assert_int_equal(discovery_apply(discovery, config), 0);
	cluster = discovery->clusters[0];
	turn(150);
	assert_int_equal(handle_count, 0); /* the resolver is at it */
	is_name_pending = false;
	is_name_unknown = true;
	turn(300);
	assert_int_equal(handle_count, 0);
	is_name_unknown = false;
	init_errno = EINVAL;
	turn(1000);
	assert_int_equal(handle_count, 0);
	init_errno = 0;
	turn(2500);
	assert_int_equal(handle_count, 1);
	assert_string_equal(given, "10.0.0.1:2181");
}

/* A server that moved while we are not connected is followed within the session. */
static void test_moved(void **state)
{
	(void)state;
	begin("zk1:2181/chroot", NULL, CONFIG_LOOKUP_RELAY);
	connect_it();
	/* Connected: nothing is gained by telling the library, which might reconnect. */
	address = 8;
	(void)discovery_tick(discovery, clock_now_ns() + 6 * NS_PER_S);
	assert_int_equal(moved_count, 0);
	session_event(last_handle(), ZOO_CONNECTING_STATE);
	turn(5);
	address = 9;
	(void)discovery_tick(discovery, clock_now_ns() + 6 * NS_PER_S);
	assert_int_equal(moved_count, 1);
	assert_string_equal(given, "10.0.0.9:2181");
	(void)discovery_tick(discovery, clock_now_ns() + 7 * NS_PER_S);
	assert_int_equal(moved_count, 1);
	assert_int_equal(handle_count, 1);
}

/* Servers that lost their tree refuse for ever a client that has seen more: it begins anew, and no
 * more often than every few seconds. */
static void test_renewed(void **state)
{
	uint64_t now_ns;

	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_RELAY);
	connect_it();
	session_event(last_handle(), ZOO_CONNECTING_STATE);
	turn(5);
	now_ns = clock_now_ns();
	(void)discovery_tick(discovery, now_ns + 7 * NS_PER_S);
	assert_int_equal(handle_count, 1);
	(void)discovery_tick(discovery, now_ns + 9 * NS_PER_S);
	(void)discovery_tick(discovery, now_ns + 9 * NS_PER_S);
	assert_int_equal(handle_count, 2);
	(void)discovery_tick(discovery, now_ns + 16 * NS_PER_S);
	assert_int_equal(handle_count, 2);
	(void)discovery_tick(discovery, now_ns + 18 * NS_PER_S);
	(void)discovery_tick(discovery, now_ns + 18 * NS_PER_S);
	assert_int_equal(handle_count, 3);
	connect_it();
	(void)discovery_tick(discovery, now_ns + 60 * NS_PER_S);
	assert_int_equal(handle_count, 3);
}

/* ---- ownership --------------------------------------------------------------------------------
 */

static struct route *route;

static void snapshot(void)
{
	struct route_builder *builder = route_build_begin(config, 1);

	route_free(route);
	discovery_build(discovery, 0, builder, clock_now_ns());
	route = route_build_end(builder);
	assert_non_null(route);
}

/* The host that owns the bundle of a hash, or "". */
static const char *owner(const char *name, uint32_t hash)
{
	snapshot();
	for (uint32_t i = 0; i < route->clusters[0].namespace_count; i++) {
		const struct route_namespace *ns = &route->clusters[0].namespaces[i];
		const struct route_bundle *bundle = NULL;

		if (strcmp(ns->name, name) != 0)
			continue;
		for (uint32_t j = 0; j < ns->bundle_count; j++)
			if (ns->bundles[j].low <= hash)
				bundle = &ns->bundles[j];
		return bundle == NULL || bundle->plain < 0
			       ? ""
			       : route->clusters[0].endpoints[bundle->plain].host;
	}
	return "?";
}

static void put_owner(const char *bundle, const char *host, const char *disabled)
{
	char path[128], data[256];

	(void)snprintf(path, sizeof(path), "/namespace/public/default/%s", bundle);
	(void)snprintf(data, sizeof(data),
		       "{\"nativeUrl\":\"pulsar://%s:6650\",\"nativeUrlTls\":"
		       "\"pulsar+ssl://%s:6651\",\"disabled\":%s}",
		       host, host, disabled);
	put(path, data);
}

#define LOW  "0x00000000_0x80000000"
#define HIGH "0x80000000_0xffffffff"
#define TWO  "{\"bundles\":{\"boundaries\":[\"0x00000000\",\"0x80000000\",\"0xffffffff\"]}}"

static void begin_direct(void)
{
	begin("zk1:2181", NULL, CONFIG_LOOKUP_DIRECT);
	put_broker("b1");
	put_broker("b2");
	put("/admin/local-policies/public/default", TWO);
	put_owner(LOW, "b1", "false");
	put_owner(HIGH, "b2", "false");
	connect_it();
	discovery_namespace(discovery, 0, "public/default");
	turn(30);
}

static void test_ownership(void **state)
{
	(void)state;
	begin_direct();
	assert_string_equal(owner("public/default", 0), "b1");
	assert_string_equal(owner("public/default", 0x7fffffff), "b1");
	assert_string_equal(owner("public/default", 0x80000000), "b2");
	assert_string_equal(owner("public/default", UINT32_MAX), "b2");
	assert_true(route->clusters[0].is_direct);
	assert_string_equal(owner("other/ns", 0), "?");

	/* Unloading: disabled first, then gone, then another's. */
	put_owner(LOW, "b1", "true");
	turn(0);
	assert_string_equal(owner("public/default", 0), "");
	turn(150);
	assert_string_equal(owner("public/default", 0), "");
	assert_string_equal(owner("public/default", UINT32_MAX), "b2");
	cut("/namespace/public/default/" LOW);
	turn(0);
	assert_string_equal(owner("public/default", 0), "");
	turn(150);
	put_owner(LOW, "b2", "false");
	turn(250);
	assert_string_equal(owner("public/default", 0), "b2");

	/* Gone and back within one reading: its own watch tells. */
	cut("/namespace/public/default/" LOW);
	put_owner(LOW, "b1", "false");
	turn(250);
	assert_string_equal(owner("public/default", 0), "b1");
}

static void test_only_certain_owners(void **state)
{
	(void)state;
	begin_direct();
	/* An owner that is not a listed broker (dead, but its node is still there). */
	put_owner(LOW, "b9", "false");
	turn(250);
	assert_string_equal(owner("public/default", 0), "");
	put("/namespace/public/default/" LOW, "nonsense");
	turn(250);
	assert_string_equal(owner("public/default", 0), "");
	put_owner(LOW, "b1", "false");
	turn(250);
	assert_string_equal(owner("public/default", 0), "b1");
	cut_broker("b1");
	turn(250);
	assert_string_equal(owner("public/default", 0), "");
}

static void test_split(void **state)
{
	(void)state;
	begin_direct();
	put("/admin/local-policies/public/default",
	    "{\"bundles\":{\"boundaries\":[\"0x00000000\",\"0x40000000\",\"0x80000000\","
	    "\"0xffffffff\"]}}");
	turn(0);
	/* The bounds are void at once; one unowned bundle means: ask a broker. */
	assert_string_equal(owner("public/default", UINT32_MAX), "");
	turn(250);
	assert_string_equal(owner("public/default", 0), ""); /* its node has the old range */
	assert_string_equal(owner("public/default", UINT32_MAX), "b2");
	cut("/namespace/public/default/" LOW);
	put_owner("0x00000000_0x40000000", "b1", "false");
	put_owner("0x40000000_0x80000000", "b2", "false");
	turn(350);
	assert_string_equal(owner("public/default", 0), "b1");
	assert_string_equal(owner("public/default", 0x40000000), "b2");
}

static void test_bounds_from_policies(void **state)
{
	(void)state;
	begin("zk1:2181", "zk2:2181", CONFIG_LOOKUP_DIRECT);
	assert_int_equal(handle_count, 2);
	put_broker("b1");
	session_event(&handles[0], ZOO_CONNECTED_STATE);
	session_event(&handles[1], ZOO_CONNECTED_STATE);
	turn(20);
	put_owner("0x00000000_0xffffffff", "b1", "false");
	discovery_namespace(discovery, 0, "public/default");
	turn(50);
	/* No policies anywhere: one bundle. */
	assert_string_equal(owner("public/default", 77), "b1");
	put("/admin/policies/public/default", TWO);
	turn(250);
	assert_string_equal(owner("public/default", 77), "");
	put_owner(HIGH, "b1", "false");
	turn(250);
	assert_string_equal(owner("public/default", UINT32_MAX), "b1");
	/* The first split writes local policies, which win from then on. */
	put("/admin/local-policies/public/default",
	    "{\"bundles\":{\"boundaries\":[\"0x00000000\",\"0xffffffff\"]}}");
	turn(250);
	assert_string_equal(owner("public/default", 77), "b1");
	assert_string_equal(owner("public/default", UINT32_MAX), "b1");
	put("/admin/local-policies/public/default", "nonsense");
	turn(250);
	assert_string_equal(owner("public/default", 77), "");
}

static void test_first_owner_appears(void **state)
{
	(void)state;
	begin("zk1:2181", NULL, CONFIG_LOOKUP_DIRECT);
	put_broker("b1");
	put("/admin/local-policies/public/default", TWO);
	connect_it();
	discovery_namespace(discovery, 0, "public/default");
	turn(30);
	assert_string_equal(owner("public/default", 0), "");
	put("/namespace/public/default", "");
	put_owner(LOW, "b1", "false");
	turn(350);
	assert_string_equal(owner("public/default", 0), "b1");
}

static void test_withdrawn_without_session(void **state)
{
	uint64_t now_ns;

	(void)state;
	begin_direct();
	assert_true(discovery_zookeeper_is_direct(cluster, clock_now_ns()));
	session_event(last_handle(), ZOO_CONNECTING_STATE);
	turn(0);
	now_ns = clock_now_ns();
	assert_true(discovery_zookeeper_is_direct(cluster, now_ns + 4 * NS_PER_S));
	assert_false(discovery_zookeeper_is_direct(cluster, now_ns + 5 * NS_PER_S));
	/* Back within the session: the watches were armed again, nothing was missed. */
	connect_it();
	assert_true(discovery_zookeeper_is_direct(cluster, clock_now_ns() + 9 * NS_PER_S));
	assert_string_equal(owner("public/default", 0), "b1");

	/* A new session has no watches: nothing counts until all is read again. */
	session_event(last_handle(), ZOO_EXPIRED_SESSION_STATE);
	turn(400);
	put_owner(LOW, "b2", "false");
	assert_string_equal(owner("public/default", 0), "?");
	assert_false(route->clusters[0].is_direct);
	connect_it();
	turn(30);
	assert_string_equal(owner("public/default", 0), "b2");
}

static void test_extensible(void **state)
{
	(void)state;
	begin_direct();
	put("/loadbalance/brokers/b3:8080",
	    "{\"pulsarServiceUrl\":\"pulsar://b3:6650\",\"loadManagerClassName\":"
	    "\"x.ExtensibleLoadManagerImpl\"}");
	turn(150);
	assert_false(discovery_zookeeper_is_direct(cluster, clock_now_ns()));
	assert_string_equal(owner("public/default", 0), "?");
}

static void test_names_of_namespaces(void **state)
{
	static const char *const bad[] = { "",	   "/",	   "a",	  "a/",	  "/b",	  "a/b/c",
					   "../b", "a/..", "a/.", "a /b", "a/\n", "a/\x7f" };

	(void)state;
	begin_direct();
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		discovery_namespace(discovery, 0, bad[i]);
	discovery_namespace(discovery, 7, "a/b");
	assert_int_equal(discovery_zookeeper_namespace_count(cluster), 1);
}

static void test_most_namespaces(void **state)
{
	char name[64];

	(void)state;
	begin_direct();
	/* Asked for again and again, so never the one to go. */
	for (uint32_t i = 0; i < DISCOVERY_NAMESPACES_MAX + 10; i++) {
		(void)snprintf(name, sizeof(name), "t/n%u", i);
		discovery_namespace(discovery, 0, name);
		atomic_fetch_add(&clock_ns, NS_PER_MS);
		discovery_namespace(discovery, 0, "public/default");
	}
	assert_int_equal(discovery_zookeeper_namespace_count(cluster), DISCOVERY_NAMESPACES_MAX);
	assert_string_equal(owner("t/n0", 0), "?");
	assert_string_equal(owner("public/default", 0), "b1");
}

static void test_watch_bytes(void **state)
{
	char name[HOST_MAX];
	uint32_t before;

	(void)state;
	begin_direct();
	before = handle_count;
	next_rc = ZCONNECTIONLOSS; /* the fake need not keep so many watches */
	for (uint32_t i = 0; i < DISCOVERY_NAMESPACES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%0120u/%0100u", i, i);
		discovery_namespace(discovery, 0, name);
	}
	/* Beyond the bound: fewer namespaces, and a new session without the old watches. */
	turn(10);
	next_rc = 0;
	assert_true(discovery_zookeeper_namespace_count(cluster) < DISCOVERY_NAMESPACES_MAX);
	turn(50);
	assert_int_equal(handle_count, before + 1);
	assert_false(discovery_zookeeper_is_direct(cluster, clock_now_ns()));
	/* A second time within a minute: no further session, new namespaces are not watched. */
	for (uint32_t i = 0; i < DISCOVERY_NAMESPACES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%0120u/%0100u", i, i);
		discovery_namespace(discovery, 0, name);
	}
	turn(10);
	assert_int_equal(handle_count, before + 1);
	discovery_namespace(discovery, 0, "one/more");
	assert_string_equal(owner("one/more", 0), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_list, finish),
		cmocka_unit_test_teardown(test_kafka, finish),
		cmocka_unit_test_teardown(test_no_tree_yet, finish),
		cmocka_unit_test_teardown(test_bad_nodes, finish),
		cmocka_unit_test_teardown(test_vanishing, finish),
		cmocka_unit_test_teardown(test_lost_in_between, finish),
		cmocka_unit_test_teardown(test_expiry, finish),
		cmocka_unit_test_teardown(test_names, finish),
		cmocka_unit_test_teardown(test_moved, finish),
		cmocka_unit_test_teardown(test_renewed, finish),
		cmocka_unit_test_teardown(test_ownership, finish),
		cmocka_unit_test_teardown(test_only_certain_owners, finish),
		cmocka_unit_test_teardown(test_split, finish),
		cmocka_unit_test_teardown(test_bounds_from_policies, finish),
		cmocka_unit_test_teardown(test_first_owner_appears, finish),
		cmocka_unit_test_teardown(test_withdrawn_without_session, finish),
		cmocka_unit_test_teardown(test_extensible, finish),
		cmocka_unit_test_teardown(test_names_of_namespaces, finish),
		cmocka_unit_test_teardown(test_most_namespaces, finish),
		cmocka_unit_test_teardown(test_watch_bytes, finish),
	};
	int ret = cmocka_run_group_tests(tests, NULL, NULL);

	route_free(route);
	return ret;
}
