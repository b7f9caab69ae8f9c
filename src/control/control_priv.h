/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_priv: struct control and what the files of src/control ask of each other. One thread
 * uses all of it, so nothing here is locked or atomic.
 */
#pragma once

#include <ares.h>

#include <penstock/base/clock.h>
#include <penstock/base/rng.h>
#include <penstock/base/timer.h>
#include <penstock/control.h>
#include <penstock/control/admin.h>
#include <penstock/control/discovery.h>
#include <penstock/net.h>
#include <penstock/tls/set.h>

#include "control_ask.h"

#define CONTROL_RING_ENTRIES 256
#define CONTROL_TICK_NS	     NS_PER_S
#define CONTROL_PUBLISH_NS   (100 * NS_PER_MS) /* at most one snapshot in this time */
#define CONTROL_SNAPSHOTS_MAX                                              \
	64 /* kept for slow workers; more are not made until they catch up \
	    */
#define CONTROL_RELOAD_NS	NS_PER_S
#define CONTROL_TICKET_NS	(3600 * NS_PER_S)
#define CONTROL_OUTBOX_NS	(5 * NS_PER_MS)
#define CONTROL_OUTBOX_MAX	8192 /* DNS answers beyond this are dropped: the asker times out */
#define CONTROL_LEARNED_NS	(600 * NS_PER_S)
#define CONTROL_LEARNED_MAX	1024
#define CONTROL_NODES_MAX	1024 /* brokers of one Kafka cluster */
#define CONTROL_NODES_PATH	4096
#define CONTROL_DRAIN_TICK_NS	(20 * NS_PER_MS)
#define CONTROL_RESET_NS	NS_PER_S	/* from MAIL_RESET to MAIL_STOP, at the most */
#define CONTROL_STOP_NS		(10 * NS_PER_S) /* from MAIL_STOP to giving a worker up */
#define CONTROL_START_DNS_NS	(3 * NS_PER_S)	/* `ready` waits this long for first answers */
#define CONTROL_START_MOST_NS	(10 * NS_PER_S) /* then the service manager hears READY=1 anyway */

#define CONTROL_HANDOVER_NS	(60 * NS_PER_S) /* for the new process to become ready */
#define CONTROL_HANDOVER_ENV	"PENSTOCK_HANDOVER"
#define CONTROL_HANDOVER_HELLO	"penstock 1" /* the number is that of what follows */
#define CONTROL_HANDOVER_READY	"ready"
#define CONTROL_WHERE_MAX	128
#define CONTROL_INHERITED_MAX	65536 /* addresses: each port of a broker of Kafka is one */

#define CONTROL_DNS_PENDING_MAX 1024
#define CONTROL_DNS_NAMES_MAX	8192
#define CONTROL_DNS_WAITERS_MAX 65536
#define CONTROL_DNS_SOCKETS_MAX 64
#define CONTROL_DNS_BUCKETS	2048
#define CONTROL_DNS_NEGATIVE_NS (5 * NS_PER_S)
#define CONTROL_DNS_TTL_MIN_NS	(5 * NS_PER_S)
#define CONTROL_DNS_TTL_MAX_NS	(300 * NS_PER_S)
#define CONTROL_DNS_GONE_NS	(60 * NS_PER_S) /* old answers outlive NXDOMAIN by this much */
#define CONTROL_DNS_IDLE_NS	(600 * NS_PER_S)
#define CONTROL_DNS_SWEEP_NS	(5 * NS_PER_S)

enum control_phase {
	CONTROL_STARTING, /* until everything a client needs is known once */
	CONTROL_SERVING,
	CONTROL_LAME_DUCK, /* unready, still accepting: the load balancer looks away */
	CONTROL_DRAINING,  /* listeners closed, lookup connections closing, the rest finishing */
	CONTROL_RESETTING, /* timeouts.drain is over */
	CONTROL_STOPPING,  /* MAIL_STOP sent */
	CONTROL_STOPPED,
};

/* A configuration with its certificates lives until no snapshot refers to it. */
struct control_config {
	struct config *config;
	struct tls_set *tls;
	struct config_tokens *tokens; /* NULL: those of `config` */
	uint64_t files_stamp;	      /* of their files, before they were read */
	uint32_t refs;
	uint32_t *sharers; /* of `config`: the same one with certificates of another day */
};

struct control_snapshot {
	struct control_snapshot *next; /* the one that replaced it */
	struct route *route;
	struct control_config *config;
	uint64_t version;
};

/* Other ports of brokers for a listener that stays. Of each port as many sockets as workers. */
struct control_ports {
	int *fds;	   /* all that the listener will have */
	int *fresh, *gone; /* those of them it has not now, and those it will not have */
	uint32_t fd_count, fresh_count, gone_count;
};

struct control_listener {
	char *name;
	struct addr bind; /* as configured: what tells listeners apart */
	struct addr own;  /* as bound */
	int32_t index;	  /* in config->listeners; -1: gone */
	bool is_open;	  /* the workers have its sockets, or will get them */
	bool is_handed;	  /* they have them */
	bool is_leaving;  /* UNLISTEN is still to be sent */
	uint32_t closing; /* workers that have not said UNLISTENED */
	uint64_t ports;	  /* of brokers of Kafka: what tells their sets apart; 0: none */
	uint32_t port_count;
	/* One per worker, then as many for each of its other ports; NULL: none. */
	int *fds;
	uint32_t fd_count;
	struct control_ports *changed; /* still to be handed to workers; NULL: nothing */
};

enum control_give {
	CONTROL_GIVE_HELLO,
	CONTROL_GIVE_LISTENERS,
	CONTROL_GIVE_ADMIN,
	CONTROL_GIVE_WEB,
	CONTROL_GIVE_END,
	CONTROL_GIVEN,
};

/* How far the process that takes over has been told what it gets: no more fits into the connection
 * than some hundred messages, the rest follows as it reads. */
struct control_giving {
	enum control_give what;
	uint32_t id;	 /* of the listener */
	uint32_t fds_at; /* of its sockets */
};

/* Listening sockets of the process before this one. */
struct control_inherited {
	char what[NET_PASS_TEXT]; /* kind and address */
	int *fds;
	uint32_t count; /* 0: taken */
};

/* What a new configuration needs, made before anything is changed. */
struct control_listen_plan {
	uint32_t id[CONFIG_LISTENERS_MAX];
	int *fds[CONFIG_LISTENERS_MAX]; /* NULL: the sockets stay */
	uint32_t fd_count[CONFIG_LISTENERS_MAX];
	struct control_ports
		*ports[CONFIG_LISTENERS_MAX]; /* where sockets stay; NULL: as they are */
	uint32_t count;
};

/* The ids of the routes in force. */
struct control_rules {
	uint64_t keys[STAT_ROUTES_MAX]; /* of the route that has an id; 0: none has */
	uint16_t id[CONFIG_ROUTES_MAX];
	uint32_t id_count; /* ids from here on were never given out */
};

/* Those of a new configuration. */
struct control_rule_plan {
	uint64_t keys[CONFIG_ROUTES_MAX];
	uint16_t id[CONFIG_ROUTES_MAX];
	bool is_taken[STAT_ROUTES_MAX]; /* by the same route before */
};

struct control_letter {
	struct control_letter *next;
	struct mail mail;
};

struct control_worker {
	struct control_letter *first, **last; /* did not fit into its box */
	uint32_t waiting;
	bool is_stopped;
	bool is_late; /* its heartbeat was missed and that was logged */
};

struct control_learned {
	char *host;
	uint16_t port;
	bool is_tls;
	uint64_t until_ns;
};

struct control_learned_set {
	char *cluster;
	struct control_learned *entries;
	uint32_t count, size;
};

enum control_node_source {
	CONTROL_NODE_TOLD,   /* by an answer to a client */
	CONTROL_NODE_LISTED, /* by an answer to us */
	CONTROL_NODE_SAVED,  /* by the last run */
};

struct control_node {
	int32_t id;
	struct mail_nodes_place place;
	uint64_t told_ns;
	uint64_t missed_ns; /* since then it has not been listed; 0: it was when last asked */
	enum control_node_source source;
};

struct control_node_set {
	char *cluster;
	struct control_node *at;
	uint32_t count, size;
	/* Since then the configuration names other sources than it was learned through: maybe those
	 * of another cluster. They lead clients until a list of the new sources is there, and
	 * nobody is asked at them. 0: not so. */
	uint64_t foreign_ns;
	bool is_changed;       /* since it was saved */
	bool is_warned;	       /* it could not be saved */
	uint64_t save_next_ns; /* not before */
};

struct control_dns_waiter {
	struct control_dns_waiter *next;
	uint64_t ticket;
	uint16_t worker;
};

struct control_dns_entry {
	struct control_dns_entry *next; /* of its bucket */
	struct control_dns_waiter *waiters;
	struct control *control;
	char *host;
	struct addr addrs[MAIL_ADDRS_MAX];
	uint8_t addr_count;
	bool is_pending, is_answered;
	bool is_shown;		 /* in a snapshot, or a ZooKeeper server */
	bool is_warned;		 /* its failing is in the log */
	uint64_t fresh_until_ns; /* no query before */
	uint64_t good_ns;	 /* last time there was an answer */
	uint64_t used_ns;
};

struct control_dns_socket {
	struct uring_op op;
	struct control *control;
	int fd; /* -1: free */
	unsigned events;
};

struct control_dns {
	ares_channel channel;
	bool is_open, is_closing;
	struct control_dns_entry *buckets[CONTROL_DNS_BUCKETS];
	struct control_dns_socket sockets[CONTROL_DNS_SOCKETS_MAX];
	struct timer timer, sweep_timer;
	uint64_t seed;
	int64_t resolv_mtime_ns;
	uint32_t name_count, pending_count, waiter_count;
	uint64_t query_count, failure_count;
};

struct control {
	struct control_config *config;
	struct mail_office *office;
	struct config *(*reload)(void *context, struct config_errors *errors);
	void *reload_context;
	struct tls_tickets *tickets;
	struct timer ticket_timer, certificate_timer;
	struct timer refresh_timer;
	uint64_t refresh_stamp; /* of files that were no use; 0: none */
	struct uring *ring;
	struct timer_wheel wheel;
	struct rng rng;
	enum control_phase phase;
	int exit_code;
	bool is_woken;
	bool is_notified; /* the service manager has READY=1 */

	int signal_fd;
	struct uring_op signal_op;
	struct timer tick_timer;
	uint64_t started_ns;

	struct control_worker *workers;
	struct timer outbox_timer;
	uint32_t outbox_count;

	struct control_listener listeners[STAT_LISTENERS_MAX];
	uint32_t listener_count;
	struct control_rules rules;
	struct addr admin_addr, web_addr; /* ours as well: never dialled */
	int admin_fd, web_fd;		  /* admin's; -1: off */

	struct discovery *discovery;
	uint64_t discovery_due_ns;

	struct control_snapshot *oldest, *newest;
	uint32_t snapshot_count;
	uint64_t version;
	uint64_t loaded_version; /* since this one every cluster has its list; 0: not yet */
	uint64_t published_ns;
	bool is_changed;
	struct timer publish_timer;

	struct control_learned_set learned[CONFIG_CLUSTERS_MAX];
	struct control_node_set nodes[CONFIG_CLUSTERS_MAX]; /* in no order */
	struct control_ask *asks[CONFIG_CLUSTERS_MAX];	    /* in no order; NULL: free */
	struct tls *ask_tls;				    /* NULL: not needed yet */
	/* Cluster numbers in mail sent before this version was taken mean another configuration. */
	uint64_t clusters_since;

	struct timer reload_timer;
	uint64_t reloaded_ns;
	uint64_t config_generation;
	uint64_t config_version;	   /* of the first snapshot of that one */
	uint64_t config_generation_served; /* all workers go by it, at the last look */
	bool is_last_reload_good;

	const char *program; /* our own file; NULL: not known */
	char *const *argv;
	uint64_t program_identity; /* of the file we are made of */
	struct uring_op handover_op;
	struct timer handover_timer;
	int handover_fd; /* to the process that takes over; -1: none does */
	struct control_giving giving;
	pid_t handover_pid;
	bool is_handed_over;
	bool is_reload_wanted; /* while another process was getting ready */
	int predecessor_fd;    /* from the process we take over from, until we serve; -1: none */
	struct control_inherited *inherited;
	uint32_t inherited_count;
	uint32_t inherited_at; /* whom was asked for last */

	struct timer drain_timer;
	uint64_t drain_begun_ns;
	uint64_t drain_deadline_ns;	    /* of the phase; 0: none */
	uint64_t drain_closed[CLOSE_COUNT]; /* when it began */
	uint64_t drain_sessions;

	struct control_dns dns;
	struct admin *admin;
};

static inline const struct config *control_config(const struct control *control)
{
	return control->config->config;
}

/* Not the service yet: the process we take over from is, and goes on if we fail. */
static inline bool control_is_heir(const struct control *control)
{
	return control->predecessor_fd >= 0;
}

/* control.c */
void control_check_ready(struct control *control);
bool control_is_ready(struct control *control, char *ret_reasons, size_t size);

/* control_listen.c */
MUST_USE int control_listen_prepare(struct control *control, const struct config *config,
				    struct control_listen_plan *ret_plan);
void control_listen_commit(struct control *control, const struct config *config,
			   struct control_listen_plan *plan);
void control_listen_abort(struct control_listen_plan *plan);
void control_listen_hand(struct control *control);
void control_listen_close_all(struct control *control);
void control_listen_on_unlistened(struct control *control, const struct mail_unlistened *mail);
uint32_t control_listen_closing(const struct control *control);
void control_listen_fini(struct control *control);
/* Sockets on an address of the listener, one per worker, of the process before us or new ones. Or
 * -errno, which has been logged. */
MUST_USE int control_listen_open(struct control *control, const struct config_listener *listener,
				 const struct addr *addr, int *ret_fds);

/* control_ports.c */
/* 0, or -errno, which has been logged, and nothing has changed. */
MUST_USE int control_ports_prepare(struct control *control, const struct config *config,
				   uint32_t index, const struct control_listener *listener,
				   struct control_ports **ret_ports);
void control_ports_abort(struct control_ports *ports);
/* Takes them over; once the snapshot is published they are for control_ports_hand. */
void control_ports_commit(struct control_listener *listener, struct control_ports *ports);
void control_ports_hand(struct control *control);

/* control_rule.c */
MUST_USE int control_rule_prepare(const struct control *control, const struct config *config,
				  struct control_rule_plan **ret_plan);
void control_rule_commit(struct control *control, const struct config *config,
			 struct control_rule_plan *plan);
void control_rule_build(struct control *control, struct route_builder *builder);

/* control_publish.c */
void control_publish_soon(struct control *control);
/* A snapshot, if one can be made, else soon; then what listeners have for workers: in this order,
 * so that a worker knows a listener's id before it gets its sockets. */
void control_publish_now(struct control *control);
/* Is there a snapshot of the configuration that is in force? Not if memory ran out, or while too
 * many wait for a worker. */
bool control_publish_has_config(const struct control *control);
void control_publish_sweep(struct control *control);
void control_publish_fini(struct control *control);
bool control_publish_is_taken(const struct control *control, uint64_t version);
/* Takes both over. NULL: out of memory, and they are still the caller's. */
MUST_USE struct control_config *control_publish_config(struct config *config, struct tls_set *tls);
/* The configuration of `old` with other certificates and tokens, read from files of this stamp. */
MUST_USE struct control_config *control_publish_config_again(struct control_config *old,
							     struct tls_set *tls,
							     struct config_tokens *tokens,
							     uint64_t files_stamp);
/* Gives both back to the caller. */
void control_publish_config_undo(struct control_config *config);
void control_publish_config_put(struct control_config *config);

/* control_mail.c */
void control_mail_take(struct control *control);
/* Never lost, but for DNS answers beyond CONTROL_OUTBOX_MAX. */
void control_mail_post(struct control *control, uint32_t worker, const struct mail *mail);
void control_mail_post_all(struct control *control, const struct mail *mail);
void control_mail_fini(struct control *control);

/* control_learned.c */
void control_learned_add(struct control *control, const struct mail_learned *mail);
void control_learned_build(struct control *control, uint32_t cluster,
			   struct route_builder *builder);
void control_learned_sweep(struct control *control, uint64_t now_ns);
void control_learned_apply(struct control *control, const struct config *config);
void control_learned_fini(struct control *control);

/* control_nodes_file.c */
typedef void control_node_found(void *owner, const struct control_node *node);
/* Calls `found` for each node that was saved of this cluster. */
void control_nodes_file_load(const struct config *config, const struct config_cluster *cluster,
			     control_node_found *found, void *owner);
/* 0, also where there is nowhere to save it; -errno: `ret_path` is not written. */
MUST_USE int control_nodes_file_save(const struct config *config,
				     const struct config_cluster *cluster,
				     const struct control_node_set *set,
				     char ret_path[CONTROL_NODES_PATH]);

/* control_nodes.c */
void control_nodes_add(struct control *control, const struct mail_node *mail);
/* A broker has listed all there are; `cluster` is its number in the configuration. True: news. */
bool control_nodes_listed(struct control *control, uint32_t cluster,
			  const struct control_node *nodes, uint32_t count);
uint32_t control_nodes_count(const struct control *control, const char *cluster);
/* None of these is known to be of the cluster that the configuration means. */
bool control_nodes_are_foreign(const struct control *control, const char *cluster);
/* NULL: there are not so many. */
const struct control_node *control_nodes_at(const struct control *control, const char *cluster,
					    uint32_t index);
/* NULL: nobody has told of it. */
const struct control_node *control_nodes_find(const struct control *control, uint32_t cluster,
					      int32_t id);
/* It has left the cluster: what is known of it is old. */
void control_nodes_gone(void *context, const char *cluster, int32_t id);
void control_nodes_build(struct control *control, uint32_t cluster, struct route_builder *builder);
/* What has changed since it was last saved; call it every second. */
void control_nodes_save(struct control *control, uint64_t now_ns);
/* Follows a configuration that replaces `old`. */
void control_nodes_apply(struct control *control, const struct config *old,
			 const struct config *config);
void control_nodes_fini(struct control *control);

/* control_dns.c */
MUST_USE int control_dns_open(struct control *control);
void control_dns_close(struct control *control);
void control_dns_ask(struct control *control, const struct mail_dns_ask *ask);
uint32_t control_dns_resolve(void *control, const char *host, struct addr *ret_addrs, uint32_t max,
			     bool *ret_is_final);

/* control_reload.c */
void control_reload_soon(struct control *control);
void control_reload_now(struct control *control);
/* The generation of the configuration that all workers go by, or one before it: looked at now. */
uint64_t control_reload_served(struct control *control);
/* What is wrong with files, line by line into the log. */
void control_reload_log(char *text, enum log_level level);

/* control_refresh.c: after each configuration that comes into force. */
void control_refresh_begin(struct control *control);

/* control_certificates.c: (again) from now on, as the configuration in force says */
void control_certificates_begin(struct control *control);

/* control_handover.c */
void control_handover_begin(struct control *control);
/* Has the program been replaced on disk since we were started? */
bool control_handover_is_due(const struct control *control);
void control_handover_abort(struct control *control);
/* Is a reload the affair of the new process, or will be? */
bool control_handover_takes_reload(struct control *control);

/* control_inherit.c */
/* 0: taken, or there is no predecessor. */
MUST_USE int control_inherit_open(struct control *control);
/* Sockets of that kind and address, `most` or fewer: how many; 0: there are none. */
MUST_USE int control_inherit_take(struct control *control, const char *kind, const char *where,
				  uint32_t most, int *ret_fds);
void control_inherit_done(struct control *control);
void control_inherit_look(struct control *control);
void control_inherit_fini(struct control *control);

/* control_drain.c */
void control_drain_begin(struct control *control, const char *why);
void control_drain_stop(struct control *control, const char *why);
void control_drain_step(struct control *control, uint64_t now_ns);
void control_drain_on_stopped(struct control *control, const struct mail_stopped *mail);

/* control_admin.c; leaves control->admin NULL when both servers are off */
MUST_USE int control_admin_open(struct control *control);
/* The admin address in words, as control_handover and control_inherit know it. */
const char *control_admin_where(const struct config *config,
				char ret_where[static CONTROL_WHERE_MAX]);

/* control_notify.c */
void control_notify_send(const char *text);
void control_notify_reloading(void);
/* That we are alive, if the service manager wants to know; call it every second. */
void control_notify_alive(uint64_t now_ns);
/* Nothing from now on: another process is the service. */
void control_notify_end(void);
