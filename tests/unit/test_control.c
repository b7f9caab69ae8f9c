/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The control thread with workers that are only boxes: start, publishing, learned brokers, reload
 * and drain, in real time.
 */
#include "test_control_harness.h"

#define FORWARD "{ name: %s, bind: \"127.0.0.1:%u\", forward: \"127.0.0.1:9\" }"
#define DRAIN(lame_duck, timeout) \
	"drain: { lame_duck: " lame_duck ", spread: 200ms }\ntimeouts: { drain: " timeout " }\n"

/* ---- start ------------------------------------------------------------------------------------
 */

static void test_start(void **state)
{
	uint16_t port = harness_port();

	(void)state;
	harness_write("listeners:\n - " FORWARD "\n - " FORWARD, "one", port, "two",
		      harness_port());
	harness_start();
	assert_int_equal(atomic_load(&harness.opened), 1);
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2 && harness_count(1, MAIL_LISTEN) == 2);
	HARNESS_UNTIL(harness_is_notified("READY=1"));
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++) {
		const struct route *route = harness.route[i];

		assert_non_null(route);
		assert_int_equal(route->version, 1);
		assert_int_equal(route->listener_of_id[0], 0);
		assert_int_equal(route->listener_of_id[1], 1);
		assert_int_equal(route->listener_of_id[2], -1);
		assert_string_equal(route->listener_name[1], "two");
		assert_true(route->own_count >= 2);
		assert_true(route->local_count >= 1);
		assert_int_equal(route->forwards[0].port, 9);
		assert_int_equal(route->forwards[0].addr_count, 1);
		assert_int_equal(harness_need(i, MAIL_LISTEN, 0).listen.listener_id, 0);
	}
	assert_ptr_equal(harness.route[0], harness.route[1]);
	/* Sockets of their own on one port. */
	assert_int_not_equal(harness_need(0, MAIL_LISTEN, 0).listen.fd,
			     harness_need(1, MAIL_LISTEN, 0).listen.fd);
	int client = harness_connect(port);

	assert_true(client >= 0);
	(void)close(client);
}

static void test_port_taken(void **state)
{
	uint16_t port = harness_port();
	struct addr addr = addr_v4(INADDR_LOOPBACK, port);
	int fd;

	(void)state;
	assert_int_equal(net_listen(&addr, 16, 1, &fd), 0);
	harness_write("listeners:\n - " FORWARD, "one", port);
	harness_start();
	assert_int_equal(atomic_load(&harness.opened), -EADDRINUSE);
	(void)harness_join();
	(void)close(fd);
}

/* ---- publishing -------------------------------------------------------------------------------
 */

#define CLUSTER                                      \
	"clusters:\n  east:\n    protocol: pulsar\n" \
	"    discovery: { urls: [\"pulsar://10.9.9.1:6650\"] }\n"

static void learn(uint32_t cluster, const char *host, uint16_t port)
{
	struct mail mail = { .kind = MAIL_LEARNED };

	mail.learned.cluster = cluster;
	mail.learned.port = port;
	(void)snprintf(mail.learned.host, sizeof(mail.learned.host), "%s", host);
	harness_send(&mail);
}

static const struct route_endpoint *endpoint(const char *host, uint16_t port)
{
	const struct route *route = harness.route[0];

	return route == NULL ? NULL : route_find(route, 0, span_str(host), port);
}

static void test_learned(void **state)
{
	(void)state;
	harness_write(CLUSTER "listeners:\n - { name: p, bind: \"127.0.0.1:%u\", cluster: east }",
		      harness_port());
	harness_start();
	HARNESS_UNTIL(harness.route[0] != NULL);
	assert_non_null(endpoint("10.9.9.1", 6650));
	assert_false(endpoint("10.9.9.1", 6650)->is_learned);
	assert_null(endpoint("10.9.9.2", 6650));
	learn(0, "10.9.9.2", 6650);
	learn(5, "10.9.9.3", 6650); /* no such cluster */
	HARNESS_UNTIL(endpoint("10.9.9.2", 6650) != NULL);
	assert_true(endpoint("10.9.9.2", 6650)->is_learned);
	assert_int_equal(harness.route[0]->clusters[0].broker_count, 1);

	/* Many at once: a snapshot per 100 ms at the most. */
	uint64_t version = harness.route[0]->version, begun_ns = clock_now_ns();

	for (uint16_t i = 0; i < 2000; i++) {
		learn(0, "10.9.9.4", (uint16_t)(1000 + i));
		if (i % 100 == 0)
			harness_turn();
	}
	/* 1,024 of them are kept, the first ones: "10.9.9.2" is one, too. */
	HARNESS_UNTIL(endpoint("10.9.9.4", 1000 + 1022) != NULL);
	assert_true(harness.route[0]->version <=
		    version + 2 + (clock_now_ns() - begun_ns) / (100 * NS_PER_MS));
	harness_turns(200);
	assert_int_equal(harness.route[0]->clusters[0].endpoint_count, 1 + 1024);
}

/* ---- brokers of Kafka ---- */

static bool is_there(uint16_t port)
{
	int fd = harness_connect(port);

	(void)close(fd);
	return fd >= 0;
}

static void tell_node(uint32_t cluster, int32_t id, const char *host, uint16_t port,
		      const char *rack)
{
	struct mail mail = { .kind = MAIL_NODE, .node = { .cluster = cluster, .id = id } };

	mail.node.place.port = port;
	(void)snprintf(mail.node.place.host, sizeof(mail.node.place.host), "%s", host);
	(void)snprintf(mail.node.place.rack, sizeof(mail.node.place.rack), "%s", rack);
	harness_send(&mail);
}

/* Where the snapshot has the node: its port; 0: nowhere. */
static uint16_t node_port(int32_t id)
{
	const struct route *route = harness.route[0];
	const struct route_node *node = route != NULL ? route_node(route, 0, id) : NULL;

	return node != NULL ? route->clusters[0].endpoints[node->endpoint].port : 0;
}

#define KAFKA                   \
	"    protocol: kafka\n" \
	"    discovery: { bootstrap: [\"10.9.9.1:6650\"], refresh: off }\n"
/* With a port for node 0: "kafka" at the first, node 0 at the second. */
#define KAFKA_LISTENER                                                      \
	"listeners:\n - { name: k, bind: \"127.0.0.1:%u\", cluster: east, " \
	"kafka: { advertise: gw, base_port: %u, nodes: 0 } }\n"

static void test_nodes(void **state)
{
	uint16_t port = harness_port(), base = harness_port();

	(void)state;
	harness_write("clusters:\n  east:\n" KAFKA KAFKA_LISTENER, port, base);
	harness_start();
	HARNESS_UNTIL(harness.route[0] != NULL);
	assert_null(route_node(harness.route[0], 0, 3));
	tell_node(5, 3, "10.9.9.9", 9999, ""); /* no such cluster */
	tell_node(0, 3, "10.9.9.3", 9093, "az-1");
	tell_node(0, 1, "10.9.9.1", 6650, ""); /* the one that is configured */
	HARNESS_UNTIL(node_port(3) == 9093 && node_port(1) == 6650);
	assert_string_equal(route_node(harness.route[0], 0, 3)->rack, "az-1");
	assert_null(route_node(harness.route[0], 0, 1)->rack);
	assert_int_equal(harness.route[0]->clusters[0].endpoint_count, 2);
	assert_true(endpoint("10.9.9.3", 9093)->addr_count == 1);

	/* It moves: the last word counts. What is known already makes no snapshot. */
	uint64_t version = harness.route[0]->version;

	tell_node(0, 3, "10.9.9.3", 9093, "");
	tell_node(0, 1, "10.9.9.1", 6650, "");
	harness_turns(200);
	assert_int_equal(harness.route[0]->version, version);
	tell_node(0, 3, "10.9.9.4", 9094, "az-2");
	HARNESS_UNTIL(node_port(3) == 9094);
	assert_string_equal(route_node(harness.route[0], 0, 3)->rack, "az-2");

	/* Known beyond a reload, by the cluster's name. */
	harness_write("clusters:\n  new:\n" KAFKA "  east:\n" KAFKA KAFKA_LISTENER, port, base);
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness.route[0]->cluster_count == 2);
	assert_null(route_node(harness.route[0], 0, 3));
	assert_non_null(route_node(harness.route[0], 1, 3));
}

/* A bootstrap broker: node n is at 10.9.9.n:9000+n, for each bit n of `nodes`. */
static struct {
	int listener;
	uint32_t nodes, questions;
} boot;

static void boot_open(uint16_t port)
{
	const struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	boot.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	boot.questions = 0;
	assert_true(boot.listener >= 0);
	assert_int_equal(bind(boot.listener, (const struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(boot.listener, 8), 0);
}

static size_t put_metadata(uint8_t *bytes, size_t size, uint32_t correlation)
{
	struct sink sink = sink_of(bytes, size);
	uint32_t count = 0;

	for (uint32_t n = 0; n < 32; n++)
		count += boot.nodes >> n & 1;
	sink_u32(&sink, 0);
	sink_u32(&sink, correlation);
	sink_u32(&sink, count);
	for (uint32_t n = 0; n < 32; n++) {
		char host[16];

		if ((boot.nodes >> n & 1) == 0)
			continue;
		(void)snprintf(host, sizeof(host), "10.9.9.%u", n);
		sink_u32(&sink, n);
		sink_u16(&sink, (uint16_t)strlen(host));
		sink_str(&sink, host);
		sink_u32(&sink, 9000 + n);
		sink_u16(&sink, UINT16_MAX); /* no rack */
	}
	sink_u32(&sink, 1); /* the controller */
	sink_u32(&sink, 0); /* topics */
	sink_patch_u32(&sink, 0, (uint32_t)(sink.len - 4));
	assert_false(sink.full);
	return sink.len;
}

/* The question, which may come in parts; false if whoever dialled has hung up instead: it had
 * nothing more to ask, or it was done with waiting. */
static bool boot_read(int fd, uint8_t *bytes, size_t most, size_t *ret_len)
{
	size_t len = 0, size = 4;

	while (len < size) {
		ssize_t n = recv(fd, bytes + len, size - len, 0);

		if (n <= 0)
			return false;
		len += (size_t)n;
		if (len == 4)
			size = 4 + ((size_t)bytes[2] << 8 | bytes[3]);
		assert_in_range(size, 4, most);
	}
	*ret_len = len;
	return true;
}

/* Metadata v1 of "penstock" for no topics; answered at once. */
static bool boot_serve(void)
{
	static const uint8_t tail[] = "\0\10penstock\0\0\0";
	uint8_t question[64], answer[1024];
	struct span rest;
	uint32_t size, correlation;
	uint16_t key, version;
	size_t len;
	int fd = accept(boot.listener, NULL, NULL);

	if (fd < 0)
		return true;
	if (!boot_read(fd, question, sizeof(question), &len)) {
		(void)close(fd);
		return true;
	}
	rest = span_of(question, len);
	assert_true(span_u32(&rest, &size) && size == rest.len);
	assert_true(span_u16(&rest, &key) && key == 3);
	assert_true(span_u16(&rest, &version) && version == 1);
	assert_true(span_u32(&rest, &correlation));
	assert_true(span_equal(rest, span_of(tail, sizeof(tail))));
	len = put_metadata(answer, sizeof(answer), correlation);
	(void)send(fd, answer, len, MSG_NOSIGNAL); /* it may have hung up */
	(void)close(fd);
	boot.questions++;
	return true;
}

#define ASKED \
	"    protocol: kafka\n    discovery: { bootstrap: [\"127.0.0.1:%u\"], refresh: %s, grace: 1s }\n"

static void test_nodes_asked(void **state)
{
	uint16_t at = harness_port(), port = harness_port(), base = harness_port();
	struct mail wanted = { .kind = MAIL_NODE_WANTED };

	(void)state;
	boot_open(at);
	boot.nodes = 1u << 1 | 1u << 3;
	harness_write("clusters:\n  east:\n" ASKED KAFKA_LISTENER, at, "1s", port, base);
	harness_start();
	HARNESS_UNTIL(boot_serve() && node_port(1) == 9001 && node_port(3) == 9003);

	/* One that is no longer listed is there for its time of grace, then it is not. */
	boot.nodes = 1u << 1;
	uint32_t asked = boot.questions;

	HARNESS_UNTIL(boot_serve() && boot.questions == asked + 1);
	assert_int_equal(node_port(3), 9003);
	HARNESS_UNTIL(boot_serve() && node_port(3) == 0);
	assert_int_equal(node_port(1), 9001);

	/* A list without any is none. */
	boot.nodes = 0;
	asked = boot.questions;
	HARNESS_UNTIL(boot_serve() && boot.questions >= asked + 2);
	assert_int_equal(node_port(1), 9001);

	/* Somebody waits: long before the next round. */
	harness_write("clusters:\n  east:\n" ASKED KAFKA_LISTENER, at, "1h", port, base);
	harness_signal(SIGHUP);
	boot.nodes = 1u << 1 | 1u << 2;
	HARNESS_UNTIL(boot_serve() && node_port(2) == 9002);
	boot.nodes |= 1u << 5;
	harness_send(&wanted);
	HARNESS_UNTIL(boot_serve() && node_port(5) == 9005);
	wanted.node_wanted.cluster = 7; /* there is none */
	harness_send(&wanted);

	/* Nobody is asked any more. */
	harness_write("clusters:\n  east:\n" ASKED KAFKA_LISTENER, at, "off", port, base);
	uint64_t version = harness.route[0]->version;

	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness.route[0]->version > version);
	asked = boot.questions;
	wanted.node_wanted.cluster = 0;
	harness_send(&wanted);
	harness_turns(300);
	assert_true(boot_serve() && boot.questions == asked);
	assert_int_equal(node_port(5), 9005);
	(void)close(boot.listener);
}

/* What is on disk in the state folder; an empty text if there is nothing. */
static void read_state(const char *path, char *ret_text, size_t size)
{
	FILE *file = fopen(path, "r");

	ret_text[0] = '\0';
	if (file == NULL)
		return;
	ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
	(void)fclose(file);
}

#define NODES_HEAD(bootstrap) "penstock-nodes 1\nbootstrap " bootstrap "\n"
#define NODES_PATH	      64

/* A new state_dir, by the name in `folder`, in which the cluster's nodes are saved. */
static void save_nodes(char *folder, char *path, const char *text)
{
	FILE *file;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, NODES_PATH, "%s/east.nodes", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void test_nodes_saved(void **state)
{
	static const char head[] = NODES_HEAD("10.9.9.1:6650");
	uint16_t port = harness_port(), base = harness_port();
	char folder[] = "/tmp/penstock-test-XXXXXX", path[NODES_PATH], text[400];

	(void)state;
	/* Lines that are none are left out, the others are good. */
	save_nodes(folder, path,
		   NODES_HEAD("10.9.9.1:6650") "7 10.9.9.7 9097 az 7\n8 nohost! 1\n9 h 0\n-1 h 1\n"
					       "10 10.9.9.10 9100\n\n");
	harness_write("clusters:\n  east:\n" KAFKA KAFKA_LISTENER "state_dir: %s\n", port, base,
		      folder);
	harness_start();
	HARNESS_UNTIL(harness.route[0] != NULL);
	assert_int_equal(harness.route[0]->clusters[0].node_count, 2);
	assert_int_equal(node_port(7), 9097);
	assert_int_equal(node_port(10), 9100);
	assert_string_equal(route_node(harness.route[0], 0, 7)->rack, "az 7");
	tell_node(0, 10, "10.9.9.11", 9101, "");
	HARNESS_UNTIL(node_port(10) == 9101);
	HARNESS_UNTIL((read_state(path, text, sizeof(text)), strstr(text, "9101") != NULL));
	assert_int_equal(strncmp(text, head, sizeof(head) - 1), 0);
	assert_string_equal(text + sizeof(head) - 1, "7 10.9.9.7 9097 az 7\n10 10.9.9.11 9101\n");
	(void)unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static void new_folder(char path[96])
{
	unit_path(path, "XXXXXX");
	assert_non_null(mkdtemp(path));
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

#define ASKED_AND_SAVED                                                                             \
	"clusters:\n  east:\n    protocol: kafka\n    discovery: { bootstrap: [\"127.0.0.1:%u\"], " \
	"refresh: 1s, grace: 1h }\n" KAFKA_LISTENER "state_dir: %s\n"

/* Is that what is on disk, of these bootstrap brokers? */
static bool is_saved(const char *folder, uint16_t bootstrap, const char *nodes)
{
	char path[128], text[400], want[400];

	(void)snprintf(path, sizeof(path), "%s/east.nodes", folder);
	(void)snprintf(want, sizeof(want), "penstock-nodes 1\nbootstrap 127.0.0.1:%u\n%s",
		       bootstrap, nodes);
	read_state(path, text, sizeof(text));
	return strcmp(text, want) == 0;
}

static void reload_asked(uint16_t bootstrap, uint16_t port, uint16_t base, const char *folder)
{
	uint64_t version = harness.route[0]->version;

	harness_write(ASKED_AND_SAVED, bootstrap, port, base, folder);
	harness_turns(1100); /* a reload a second */
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness.route[0]->version > version);
}

/* What others have told leads clients until one of the new ones lists where brokers are, and is not
 * on disk as theirs before. */
static void test_other_bootstrap(void **state)
{
	uint16_t at = harness_port(), port = harness_port(), base = harness_port();
	uint16_t second = harness_port(), third = harness_port();
	char folder[96];

	(void)state;
	new_folder(folder);
	boot_open(at);
	boot.nodes = 1u << 1 | 1u << 3;
	harness_write(ASKED_AND_SAVED, at, port, base, folder);
	harness_start();
	HARNESS_UNTIL(boot_serve() && is_saved(folder, at, "1 10.9.9.1 9001\n3 10.9.9.3 9003\n"));

	/* The same brokers, under other names. */
	(void)close(boot.listener);
	reload_asked(second, port, base, folder);
	harness_turns(200);
	assert_int_equal(node_port(1), 9001);
	assert_true(is_saved(folder, at, "1 10.9.9.1 9001\n3 10.9.9.3 9003\n"));
	boot_open(second);
	HARNESS_UNTIL(boot_serve() &&
		      is_saved(folder, second, "1 10.9.9.1 9001\n3 10.9.9.3 9003\n"));

	/* Others: those before are not waited for, their time of grace is an hour. */
	(void)close(boot.listener);
	reload_asked(third, port, base, folder);
	boot_open(third);
	boot.nodes = 1u << 1 | 1u << 2;
	HARNESS_UNTIL(boot_serve() && node_port(2) == 9002);
	assert_int_equal(node_port(1), 9001);
	assert_int_equal(node_port(3), 0);
	HARNESS_UNTIL(boot_serve() &&
		      is_saved(folder, third, "1 10.9.9.1 9001\n2 10.9.9.2 9002\n"));
	(void)close(boot.listener);
}

/* Elsewhere after a reload, and later if it cannot be just now. */
static void test_other_state_dir(void **state)
{
	uint16_t at = harness_port(), port = harness_port(), base = harness_port();
	char folder[96], late[96], other[96];

	(void)state;
	new_folder(folder);
	new_folder(late);
	unit_path(other, "other-state");
	boot_open(at);
	boot.nodes = 1u << 1;
	harness_write(ASKED_AND_SAVED, at, port, base, folder);
	harness_start();
	HARNESS_UNTIL(boot_serve() && is_saved(folder, at, "1 10.9.9.1 9001\n"));
	reload_asked(at, port, base, other);
	harness_turns(200);
	assert_int_equal(rename(late, other), 0);
	HARNESS_UNTIL(boot_serve() && is_saved(other, at, "1 10.9.9.1 9001\n"));
	(void)close(boot.listener);
}

/* A half-written file of a process that is no more, and one of a process that may be writing. */
static void test_state_dir_is_tidied(void **state)
{
	uint16_t port = harness_port(), base = harness_port();
	char folder[96], dead[160], alive[160];

	(void)state;
	new_folder(folder);
	(void)snprintf(dead, sizeof(dead), "%s/east.nodes.999999999.new", folder);
	(void)snprintf(alive, sizeof(alive), "%s/east.nodes.%d.new", folder, (int)getppid());
	write_text(dead, "penst");
	write_text(alive, "penst");
	harness_write("clusters:\n  east:\n" KAFKA KAFKA_LISTENER "state_dir: %s\n", port, base,
		      folder);
	harness_start();
	assert_int_equal(access(dead, F_OK), -1);
	assert_int_equal(access(alive, F_OK), 0);
}

/* Turned away: somebody has come, and had no answer. */
static bool boot_refuse(void)
{
	int fd = accept(boot.listener, NULL, NULL);

	if (fd < 0)
		return true;
	(void)close(fd);
	boot.questions++;
	return true;
}

/* A client comes, and whoever asks because of it is turned away: so many have been? */
static bool is_refused(uint32_t questions)
{
	const struct mail wanted = { .kind = MAIL_NODE_WANTED };

	harness_send(&wanted);
	return boot_refuse() && boot.questions >= questions;
}

/* Not by the longest pause there is between two. */
static void refused_until(uint32_t questions, uint64_t begun_ns)
{
	HARNESS_UNTIL(is_refused(questions));
	assert_true(clock_now_ns() - begun_ns < 4 * NS_PER_S);
}

/* Clients come all the time; how often are they a reason to ask? */
static uint32_t refused_rounds(uint32_t ms)
{
	uint64_t until_ns = clock_now_ns() + ms * NS_PER_MS;
	uint32_t before = boot.questions;

	while (clock_now_ns() < until_ns) {
		(void)is_refused(0);
		harness_turn();
	}
	return boot.questions - before;
}

/* A wrong password, say: brokers must not be asked ten times a second because of it. */
static void test_asked_in_vain(void **state)
{
	uint16_t at = harness_port(), port = harness_port(), base = harness_port();
	uint64_t begun_ns;
	uint32_t asked;

	(void)state;
	boot_open(at);
	boot.nodes = 1u << 1;
	harness_write("clusters:\n  east:\n" ASKED KAFKA_LISTENER, at, "1h", port, base);
	harness_start();
	HARNESS_UNTIL(harness.route[0] != NULL);
	begun_ns = clock_now_ns();
	/* Nobody has ever answered: after 0, 1 and 3 seconds or a bit less. */
	assert_in_range(refused_rounds(2200), 0, 3);
	refused_until(2, begun_ns);
	HARNESS_UNTIL(boot_serve() && node_port(1) == 9001);
	/* Somebody has: after 0.1, 0.3, 0.7, 1.5 and 3.1 seconds. */
	asked = boot.questions;
	begun_ns = clock_now_ns();
	assert_in_range(refused_rounds(2200), 0, 5);
	refused_until(asked + 3, begun_ns);
	/* A new password is tried at once. */
	asked = boot.questions;
	harness_signal(SIGHUP);
	HARNESS_UNTIL(boot_serve() && boot.questions > asked);
	refused_until(boot.questions + 1, clock_now_ns());
	(void)close(boot.listener);
}

static char password_path[96];

/* Between the reading of the configuration and that of certificates. */
static void renew_password(struct config *config)
{
	(void)config;
	write_text(password_path, "renewed");
}

static bool has_password(const char *password)
{
	const struct route *route = harness.route[0];
	const struct config_clients *asker =
		route != NULL ? config_asker(route->config, route->tokens, 0) : NULL;

	return asker != NULL && strcmp(asker->at[0].second, password) == 0;
}

/* It changes while the configuration is being read, and nobody sends a signal. */
static void test_password_renewed_at_start(void **state)
{
	(void)state;
	unit_path(password_path, "XXXXXX");
	(void)close(mkstemp(password_path)); /* nobody else may read it */
	write_text(password_path, "as it was");
	harness.change = renew_password;
	harness_write("clusters:\n  east:\n    protocol: kafka\n    discovery: { bootstrap: "
		      "[\"127.0.0.1:1\"], sasl: { user: p, password_file: %s } }\n" KAFKA_LISTENER
		      "certificates: { refresh: 1s }\n",
		      password_path, harness_port(), harness_port());
	harness_start();
	HARNESS_UNTIL(has_password("renewed"));
	(void)unlink(password_path);
}

/* Of other bootstrap brokers: maybe another cluster. */
static void test_nodes_of_others(void **state)
{
	uint16_t port = harness_port(), base = harness_port();
	char folder[] = "/tmp/penstock-test-XXXXXX", path[NODES_PATH];

	(void)state;
	save_nodes(folder, path, NODES_HEAD("10.9.9.2:6650") "7 10.9.9.7 9097\n");
	harness_write("clusters:\n  east:\n" KAFKA KAFKA_LISTENER "state_dir: %s\n", port, base,
		      folder);
	harness_start();
	HARNESS_UNTIL(harness.route[0] != NULL);
	assert_int_equal(harness.route[0]->clusters[0].node_count, 0);
	(void)unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

/* A port for each node besides its own: opened and closed with the listener. */
static void test_node_ports(void **state)
{
	uint16_t port = harness_port(), base = harness_port(), other = harness_port();

	(void)state;
	harness_write("clusters:\n  east:\n" KAFKA KAFKA_LISTENER, port, base);
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2 && harness_count(1, MAIL_LISTEN) == 2);
	assert_int_equal(harness_need(0, MAIL_LISTEN, 1).listen.listener_id, 0);
	assert_true(is_there(port) && is_there(base));
	harness_write("listeners:\n - " FORWARD, "one", other);
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness_count(0, MAIL_UNLISTEN) == 1 && harness_count(0, MAIL_LISTEN) == 3);
	assert_int_equal(harness.route[0]->listener_of_id[0], -1);
}

/* So many ports in a row that nobody listens on: the first. */
static uint16_t ports_in_a_row(uint32_t count)
{
	uint32_t found = 0;
	uint16_t first = 0;

	while (found < count) {
		first = harness_port();
		for (found = 0; found < count && first + found <= UINT16_MAX; found++) {
			struct addr addr = addr_v4(INADDR_LOOPBACK, (uint16_t)(first + found));
			int fd;

			if (net_listen(&addr, 1, 1, &fd) < 0)
				break;
			(void)close(fd);
		}
	}
	return first;
}

static void write_nodes(uint16_t port, uint16_t base, const char *nodes)
{
	harness_write("clusters:\n  east:\n" KAFKA
		      "listeners:\n - { name: k, bind: \"127.0.0.1:%u\", cluster: east, kafka: { "
		      "advertise: gw, base_port: %u, nodes: [%s] } }\n",
		      port, base, nodes);
}

/* Both workers were asked to close what is at that port: done here in their place. */
static bool is_closed(uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++) {
		struct mail *mail = NULL;
		struct addr addr;
		uint32_t seen = 0;

		for (uint32_t at = 0; at < harness.mail_count[i]; at++)
			if (harness.mails[i][at].kind == MAIL_CLOSE_PORT && seen++ == n)
				mail = &harness.mails[i][at];
		if (mail == NULL)
			return false;
		assert_int_equal(net_local_addr(mail->close_port.fd, &addr), 0);
		assert_int_equal(addr.port, port);
	}
	return true;
}

static void close_ports(uint32_t n)
{
	for (uint32_t i = 0; i < HARNESS_WORKERS; i++) {
		int fd = harness_need(i, MAIL_CLOSE_PORT, n).close_port.fd;

		(void)close(fd);
		for (uint32_t at = 0; at < harness.mail_count[i]; at++)
			if (harness.mails[i][at].kind == MAIL_LISTEN &&
			    harness.mails[i][at].listen.fd == fd)
				harness.mails[i][at].listen.fd = -1;
	}
}

/* A reload opens those that are new and closes those that are gone; the others keep their sockets.
 */
static void test_other_node_ports(void **state)
{
	uint16_t port = harness_port(), base = ports_in_a_row(6);
	struct addr addr = addr_v4(INADDR_LOOPBACK, (uint16_t)(base + 4));
	uint64_t version;
	int fd;

	(void)state;
	write_nodes(port, base, "0-1");
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 3 && harness_count(1, MAIL_LISTEN) == 3);
	HARNESS_UNTIL(harness_is_notified("READY=1"));

	/* One of the new ones is taken: none is opened, and none is closed. */
	assert_int_equal(net_listen(&addr, 1, 1, &fd), 0);
	version = harness.route[0]->version;
	write_nodes(port, base, "1-4");
	harness_reload();
	assert_int_equal(harness.route[0]->version, version);
	assert_false(is_there((uint16_t)(base + 3)));
	assert_true(is_there(base));
	assert_int_equal(harness_count(0, MAIL_CLOSE_PORT), 0);
	(void)close(fd);

	/* A port that would be another node's. */
	write_nodes(port, (uint16_t)(base + 1), "0-4");
	harness_reload();
	assert_int_equal(harness.route[0]->version, version);
	assert_false(is_there((uint16_t)(base + 2)));

	write_nodes(port, base, "1-4");
	harness_reload();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 6 && harness_count(1, MAIL_LISTEN) == 6);
	assert_true(harness.route[0]->version > version); /* workers know them before they come */
	HARNESS_UNTIL(is_closed(0, base));
	close_ports(0);
	assert_int_equal(harness_count(0, MAIL_CLOSE_PORT), 1);
	assert_false(is_there(base));
	for (uint16_t n = 1; n <= 4; n++)
		assert_true(is_there((uint16_t)(base + n)));
	assert_true(is_there(port));

	/* What was added goes, what was there first comes back: by order of the node ids. */
	write_nodes(port, base, "0-1, 3");
	harness_reload();
	HARNESS_UNTIL(is_closed(1, (uint16_t)(base + 2)) && is_closed(2, (uint16_t)(base + 4)));
	close_ports(1);
	close_ports(2);
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 7 && harness_count(1, MAIL_LISTEN) == 7);
	assert_true(is_there(base) && is_there((uint16_t)(base + 1)) &&
		    is_there((uint16_t)(base + 3)));
	assert_false(is_there((uint16_t)(base + 2)) || is_there((uint16_t)(base + 4)));
	assert_int_equal(harness_count(0, MAIL_UNLISTEN), 0);
}

static void write_two(const uint16_t *ports, const char *first, const char *second)
{
	harness_write("clusters:\n  east:\n" KAFKA "listeners:\n"
		      " - { name: k, bind: \"127.0.0.1:%u\", cluster: east, kafka: { "
		      "advertise: gw, base_port: %u, nodes: [%s] } }\n"
		      " - { name: l, bind: \"127.0.0.1:%u\", cluster: east, kafka: { "
		      "advertise: gw, base_port: %u, nodes: [%s] } }\n",
		      ports[0], ports[0] + 1, first, ports[4], ports[4] + 1, second);
}

/* Where one listener has more ports and another fewer, all that close go first: workers have room
 * for what a configuration may have, not for two. */
static void test_ports_from_one_to_another(void **state)
{
	uint16_t base = ports_in_a_row(8), ports[8];
	uint32_t closed = 0, heard;

	(void)state;
	for (uint16_t i = 0; i < 8; i++)
		ports[i] = (uint16_t)(base + i);
	write_two(ports, "0", "0-2");
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 6);
	heard = harness.mail_count[0];
	write_two(ports, "0-2", "0");
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 8 && harness_count(0, MAIL_CLOSE_PORT) == 2);
	for (uint32_t at = heard; at < harness.mail_count[0]; at++) {
		closed += harness.mails[0][at].kind == MAIL_CLOSE_PORT;
		assert_true(harness.mails[0][at].kind != MAIL_LISTEN || closed == 2);
	}
	close_ports(0);
	close_ports(1);
}

static void test_workers_that_take_nothing(void **state)
{
	(void)state;
	harness_write(CLUSTER "listeners:\n - { name: p, bind: \"127.0.0.1:%u\", cluster: east }",
		      harness_port());
	harness_start();
	harness.is_acking = false;
	for (uint16_t i = 0; i < 5; i++) {
		learn(0, "10.9.9.4", (uint16_t)(1000 + i));
		harness_turns(120);
	}
	/* Then the newest is there, and the old ones are freed (AddressSanitizer would tell). */
	harness.is_acking = true;
	HARNESS_UNTIL(harness.route[0] != NULL && endpoint("10.9.9.4", 1004) != NULL);
	harness_turns(1200);
	assert_non_null(endpoint("10.9.9.4", 1004));
}

/* A worker has stood still for so long that no more snapshots are made: a new listener waits for
 * the one that knows it. */
static void test_listener_waits_for_its_snapshot(void **state)
{
	uint16_t first = harness_port(), second = harness_port();

	(void)state;
	harness_write(CLUSTER "listeners:\n - { name: p, bind: \"127.0.0.1:%u\", cluster: east }",
		      first);
	harness_start();
	HARNESS_UNTIL(harness.route[0] != NULL && harness_count(0, MAIL_LISTEN) == 1);
	harness.is_acking = false;
	for (uint16_t i = 0; i < 63; i++) { /* 64 may wait, and the first one does */
		uint64_t version = harness_published();

		learn(0, "10.9.9.5", (uint16_t)(1000 + i));
		HARNESS_UNTIL(harness_published() > version);
	}
	harness_write(CLUSTER "listeners:\n - { name: p, bind: \"127.0.0.1:%u\", cluster: east }\n"
			      " - { name: q, bind: \"127.0.0.1:%u\", cluster: east }",
		      first, second);
	harness_signal(SIGHUP);
	HARNESS_UNTIL(is_there(second));
	harness_turns(300);
	assert_int_equal(harness_count(0, MAIL_LISTEN) + harness_count(1, MAIL_LISTEN), 2);
	harness.is_acking = true;
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2 && harness_count(1, MAIL_LISTEN) == 2);
	assert_int_equal(harness_need(0, MAIL_LISTEN, 1).listen.listener_id, 1);
	assert_string_equal(harness.route[0]->listener_name[1], "q");
}

/* ---- reload -----------------------------------------------------------------------------------
 */

static void test_reload(void **state)
{
	uint16_t first = harness_port(), second = harness_port(), third = harness_port();

	(void)state;
	harness_write("listeners:\n - " FORWARD "\n - " FORWARD, "one", first, "two", second);
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2);
	HARNESS_UNTIL(harness_is_notified("READY=1"));
	uint64_t version = harness.route[0]->version;

	/* Nonsense: nothing changes. */
	harness_write("listeners: nonsense");
	harness_reload();
	assert_int_equal(harness.route[0]->version, version);

	/* "one" is renamed in place, "two" moves, "three" is new (but the reload comes after its
	 * second of rest). */
	harness_write("listeners:\n - " FORWARD "\n - " FORWARD "\n - " FORWARD, "eins", first,
		      "two", third, "three", harness_port());
	harness_signal(SIGHUP);
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness.route[0]->version > version);
	const struct route *route = harness.route[0];

	assert_string_equal(route->listener_name[0], "eins");
	assert_string_equal(route->listener_name[1], "two");
	assert_string_equal(route->listener_name[2], "three");
	HARNESS_UNTIL(harness_count(1, MAIL_LISTEN) == 3);
	assert_int_equal(harness_need(1, MAIL_LISTEN, 2).listen.listener_id, 2);
	/* The old sockets of "two" go first, everywhere, then its id gets the new ones. */
	HARNESS_UNTIL(harness_count(0, MAIL_UNLISTEN) == 1 && harness_count(1, MAIL_UNLISTEN) == 1);
	assert_int_equal(harness_need(0, MAIL_UNLISTEN, 0).unlisten.listener_id, 1);
	harness_turns(100);
	assert_int_equal(harness_count(1, MAIL_LISTEN), 3);
	harness_unlistened(1);
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 4 && harness_count(1, MAIL_LISTEN) == 4);
	assert_int_equal(harness_need(1, MAIL_LISTEN, 3).listen.listener_id, 1);

	/* One is gone. */
	version = harness.route[0]->version;
	harness_write("listeners:\n - " FORWARD, "two", third);
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness_count(0, MAIL_UNLISTEN) == 3);
	assert_true(harness.route[0]->version > version);
	assert_int_equal(harness.route[0]->listener_of_id[0], -1);
	assert_int_equal(harness.route[0]->listener_of_id[1], 0);
	assert_int_equal(harness.route[0]->listener_of_id[2], -1);
}

static void test_reload_refused(void **state)
{
	uint16_t first = harness_port(), taken = harness_port(), free_port = harness_port();
	struct addr addr = addr_v4(INADDR_LOOPBACK, taken);
	int fd;

	(void)state;
	assert_int_equal(net_listen(&addr, 16, 1, &fd), 0);
	harness_write("listeners:\n - " FORWARD, "one", first);
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1);
	HARNESS_UNTIL(harness_is_notified("READY=1"));
	uint64_t version = harness.route[0]->version;

	/* One of two new ports is taken: neither is opened. */
	harness_write("listeners:\n - " FORWARD "\n - " FORWARD "\n - " FORWARD, "one", first,
		      "new", free_port, "taken", taken);
	harness_reload();
	assert_int_equal(harness.route[0]->version, version);
	assert_int_equal(harness_connect(free_port), -1);

	/* Workers cannot change: refused by name. */
	harness_write("limits: { pipes: 77 }\nlisteners:\n - " FORWARD, "two", first);
	harness_reload();
	assert_int_equal(harness.route[0]->version, version);
	assert_string_equal(harness.route[0]->listener_name[0], "one");
	(void)close(fd);

	/* And what can change, changes. */
	harness_write("listeners:\n - " FORWARD, "two", first);
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness.route[0]->version > version);
	assert_string_equal(harness.route[0]->listener_name[0], "two");
	assert_int_equal(harness_count(0, MAIL_UNLISTEN), 0);
}

static uint64_t served(uint16_t port)
{
	static const char name[] = "\npenstock_config_generation ";
	char *text;

	assert_int_equal(harness_get(port, "/metrics", &text), 200);
	const char *at = strstr(text, name);

	assert_non_null(at);
	return strtoull(at + strlen(name), NULL, 10);
}

/* A configuration counts when all workers go by it, one that was superseded meanwhile too. */
static void test_generation(void **state)
{
	uint16_t port = harness_port(), admin = harness_port();

	(void)state;
	harness_write("admin: { listen: \"127.0.0.1:%u\" }\nlisteners:\n - " FORWARD, admin, "one",
		      port);
	harness_start();
	HARNESS_UNTIL(harness_is_notified("READY=1"));
	assert_int_equal(served(admin), 1);
	harness.is_acking = false;
	harness_reload();
	assert_int_equal(served(admin), 1);
	harness.is_acking = true;
	HARNESS_UNTIL(served(admin) == 2);
	uint64_t version = harness.route[0]->version;

	/* Nobody looks between these two. */
	harness_reload();
	HARNESS_UNTIL(harness.route[0]->version > version && harness.route[1]->version > version);
	harness.is_acking = false;
	harness_reload();
	assert_int_equal(served(admin), 3);
	harness.is_acking = true;
	HARNESS_UNTIL(served(admin) == 4);
}

/* ---- routes ----------------------------------------------------------------------------------
 */

/* Routes of one letter each. */
static void write_routes(uint16_t port, const char *letters)
{
	char text[1024];
	size_t len = 0;

	for (; *letters != '\0'; letters++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len,
			"   - { host: %c.example.com, forward: [\"10.9.9.1:1\", \"[::2]:2\"] }\n",
			*letters);
	harness_write("listeners:\n - name: edge\n   bind: \"127.0.0.1:%u\"\n   routes:\n%s", port,
		      text);
}

/* The id of a route in worker 0's snapshot; SIGHUP was answered when it shows `letters`. */
static uint16_t id_of(char letter)
{
	const struct route *route = harness.route[0];

	for (uint32_t i = 0; i < route->config->route_count; i++)
		if (route->config->routes[i].host[0] == letter)
			return route->rules[i].id;
	return UINT16_MAX;
}

static void reload_routes(uint16_t port, const char *letters)
{
	uint64_t version = harness.route[0]->version;

	write_routes(port, letters);
	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness.route[0]->version > version &&
		      harness.route[0]->config->route_count == strlen(letters));
}

/* A route keeps its id across reloads; one that is gone keeps it as long as it has connections. */
static void test_route_ids(void **state)
{
	uint16_t port = harness_port();

	(void)state;
	write_routes(port, "abc");
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1);
	const struct route *route = harness.route[0];
	uint16_t a = id_of('a'), b = id_of('b'), c = id_of('c');

	assert_true(a != b && b != c && a != c);
	assert_int_equal(route->target_count, 6);
	assert_int_equal(route->targets[0].addr_count, 1);
	assert_int_equal(route->targets[5].addrs[0].port, 2);
	assert_true(stat_route_enter(&harness.office.routes[b], 1));
	assert_true(stat_route_enter(&harness.office.routes[a], 1));
	reload_routes(port, "dcae");
	assert_int_equal(id_of('a'), a);
	assert_int_equal(id_of('c'), c);
	assert_true(id_of('d') != b && id_of('e') != b && id_of('d') != id_of('e'));
	assert_int_equal(harness.office.routes[a].total, 1);
	stat_route_leave(&harness.office.routes[b]);
	stat_route_leave(&harness.office.routes[a]);
	reload_routes(port, "ecafd");
	assert_int_equal(id_of('f'), b); /* the first that is free */
	assert_int_equal(harness.office.routes[b].total, 0);
	assert_int_equal(harness.office.routes[a].total, 1);
	assert_int_equal(route_rule_of_id(harness.route[0], b), 3);
}

static void test_learned_across_reload(void **state)
{
	uint16_t port = harness_port();

	(void)state;
	harness_write(CLUSTER "listeners:\n - { name: p, bind: \"127.0.0.1:%u\", cluster: east }",
		      port);
	harness_start();
	HARNESS_UNTIL(harness.route[0] != NULL);
	learn(0, "10.9.9.2", 6650);
	HARNESS_UNTIL(endpoint("10.9.9.2", 6650) != NULL);

	/* Another cluster comes to stand in front: number 0 now means that one. */
	harness_write(
		"clusters:\n  all: { protocol: pulsar, discovery: { urls: "
		"[\"pulsar://10.8.8.1:6650\"] } }\n"
		"  east: { protocol: pulsar, discovery: { urls: [\"pulsar://10.9.9.1:6650\"] } "
		"}\nlisteners:\n - { name: p, bind: \"127.0.0.1:%u\", cluster: east }",
		port);
	harness.is_acking = false;
	uint64_t version = harness_published();

	harness_signal(SIGHUP);
	HARNESS_UNTIL(harness_published() > version);
	learn(0, "10.9.9.3", 6650); /* from a worker with the old snapshot: void */
	harness_turns(50);
	harness.is_acking = true;
	HARNESS_UNTIL(harness.route[0]->cluster_count == 2);
	/* From a worker with the new one: good, a tick later, when control has seen that all have
	 * it. */
	HARNESS_UNTIL((learn(0, "10.8.8.2", 6650), endpoint("10.8.8.2", 6650) != NULL));
	assert_null(endpoint("10.9.9.3", 6650));
	assert_non_null(route_find(harness.route[0], 1, span_str("10.9.9.2"), 6650));
	assert_null(route_find(harness.route[0], 1, span_str("10.9.9.3"), 6650));
}

/* ---- drain ------------------------------------------------------------------------------------
 */

static void set_sessions(uint64_t count)
{
	atomic_store(&harness.office.stats[0]->value[STAT_SESSIONS_IN_USE], count);
}

static void begin_drain(const char *how)
{
	harness_write("%slisteners:\n - " FORWARD, how, "one", harness_port());
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1);
	set_sessions(3);
	harness_signal(SIGTERM);
	HARNESS_UNTIL(harness_is_notified("STOPPING=1"));
}

static void test_lame_duck(void **state)
{
	(void)state;
	begin_drain(DRAIN("60s", "120s"));
	harness_turns(100);
	assert_int_equal(harness_count(0, MAIL_UNLISTEN), 0); /* it still accepts */
	assert_int_equal(harness_count(0, MAIL_DRAIN), 0);
}

static void test_drain(void **state)
{
	uint64_t begun_ns = clock_now_ns();

	(void)state;
	begin_drain(DRAIN("400ms", "120s"));
	HARNESS_UNTIL(harness_count(0, MAIL_DRAIN) == 1 && harness_count(1, MAIL_DRAIN) == 1);
	assert_true(clock_now_ns() - begun_ns >= 400 * NS_PER_MS);
	assert_int_equal(harness_count(0, MAIL_UNLISTEN), 1);
	assert_int_equal(harness_need(0, MAIL_DRAIN, 0).drain.spread_ns, 200 * NS_PER_MS);
	harness_turns(100);
	/* All gone, but a worker may still be accepting what was queued. */
	set_sessions(0);
	harness_turns(100);
	assert_int_equal(harness_count(0, MAIL_STOP), 0);
	harness_unlistened(0);
	HARNESS_UNTIL(harness_count(0, MAIL_STOP) == 1 && harness_count(1, MAIL_STOP) == 1);
	assert_int_equal(harness_count(0, MAIL_RESET), 0);
	harness_stopped();
	assert_int_equal(harness_join(), 0);
}

static void test_drain_timeout(void **state)
{
	(void)state;
	begin_drain(DRAIN("50ms", "300ms"));
	HARNESS_UNTIL(harness_count(0, MAIL_UNLISTEN) == 1);
	harness_unlistened(0);
	HARNESS_UNTIL(harness_count(0, MAIL_RESET) == 1 && harness_count(1, MAIL_RESET) == 1);
	assert_int_equal(harness_count(0, MAIL_STOP), 0);
	set_sessions(0);
	HARNESS_UNTIL(harness_count(0, MAIL_STOP) == 1);
	harness_stopped();
	assert_int_equal(harness_join(), 0);
}

static void test_second_signal(void **state)
{
	(void)state;
	begin_drain(DRAIN("60s", "120s"));
	harness_signal(SIGHUP); /* no reload on the way out */
	harness_signal(SIGINT);
	HARNESS_UNTIL(harness_count(0, MAIL_STOP) == 1 && harness_count(1, MAIL_STOP) == 1);
	assert_int_equal(harness_count(0, MAIL_DRAIN), 0);
	harness_stopped();
	assert_int_equal(harness_join(), 0);
}

static void test_quit(void **state)
{
	(void)state;
	harness_write(DRAIN("60s", "120s") "listeners:\n - " FORWARD, "one", harness_port());
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1);
	harness_signal(SIGUSR1);
	harness_signal(SIGUSR2); /* not deadly */
	harness_turns(50);
	set_sessions(3);
	harness_signal(SIGQUIT);
	HARNESS_UNTIL(harness_count(0, MAIL_STOP) == 1);
	assert_int_equal(harness_count(0, MAIL_DRAIN), 0);
	harness_stopped();
	assert_int_equal(harness_join(), 0);
}

static void test_worker_dies(void **state)
{
	struct mail mail = { .kind = MAIL_STOPPED };

	(void)state;
	harness_write(DRAIN("60s", "120s") "listeners:\n - " FORWARD, "one", harness_port());
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 1);
	harness_send(&mail); /* worker 0 */
	HARNESS_UNTIL(harness_count(1, MAIL_STOP) == 1);
	mail.stopped.worker = 1;
	harness_send(&mail);
	assert_int_equal(harness_join(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_port_taken, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_learned, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_nodes, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_nodes_asked, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_nodes_saved, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_other_bootstrap, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_other_state_dir, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_state_dir_is_tidied, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_asked_in_vain, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_password_renewed_at_start, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_nodes_of_others, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_node_ports, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_other_node_ports, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_ports_from_one_to_another, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_workers_that_take_nothing, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_listener_waits_for_its_snapshot, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_reload, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_reload_refused, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_generation, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_route_ids, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_learned_across_reload, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_lame_duck, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_drain, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_drain_timeout, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_second_signal, harness_setup,
						harness_teardown),
		cmocka_unit_test_setup_teardown(test_quit, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_worker_dies, harness_setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
