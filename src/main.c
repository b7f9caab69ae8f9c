/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * main: from the command line to running threads, and back: the only file that knows both control
 * and the workers. This thread becomes the control thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <penstock/base/err.h>
#include <penstock/base/log.h>
#include <penstock/cli.h>
#include <penstock/control.h>
#include <penstock/tls/set.h>
#include <penstock/worker.h>

struct server {
	struct cli *cli;
	char *const *argv;
	char program[PATH_MAX]; /* our own file; empty: not known */
	uint64_t descriptor_limit;
	struct mail_office office;
	struct worker **workers;
	uint32_t started;
	struct tls_tickets *tickets;
};

/* ---- host ---- */

/* The soft limit is a default for programs that use select(2); ours is the hard one. */
static uint64_t raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

static bool has_ring(void)
{
	struct uring_features features;
	char why[256];

	if (uring_probe(&features, why, sizeof(why)) == 0)
		return true;
	log_error("no_io_uring", "io_uring cannot be used: %s", why);
	return false;
}

/* ---- configuration ---- */

/* Loads what the command line names and makes it fit this host. Also the reload of SIGHUP. */
static struct config *load(void *context, struct config_errors *errors)
{
	struct server *server = context;
	struct config *config = cli_load(server->cli, errors);

	if (config == NULL)
		return NULL;
	uint64_t asked = config->limits.connections;

	if (!config_budget_fit(config, server->descriptor_limit)) {
		config_error(errors, NULL, 0, 0,
			     "the hard limit of %" PRIu64 " open files is too low to serve "
			     "anything; raise LimitNOFILE= or ulimit -Hn",
			     server->descriptor_limit);
		config_free(config);
		return NULL;
	}
	if (config->limits.connections < asked)
		config_warn(errors, NULL, 0, 0,
			    "limits.connections lowered from %" PRIu64 " to %" PRIu64
			    ": the hard limit of open files is %" PRIu64
			    "; raise LimitNOFILE= (systemd) or ulimit -Hn, or lower the limit",
			    asked, config->limits.connections, server->descriptor_limit);
	return config;
}

/* Certificates and keys, and what TLS needs before the first of them. */
static bool load_tls(struct server *server, const struct config *config,
		     struct config_errors *errors, struct tls_set **ret_tls)
{
	if (tls_init(config->limits.tls_memory) < 0 ||
	    (server->tickets = tls_tickets_new()) == NULL) {
		config_error(errors, NULL, 0, 0, "TLS: out of memory");
		return false;
	}
	*ret_tls = tls_set_new(config, server->tickets, errors);
	return *ret_tls != NULL;
}

/* The first load: problems go to standard error as they are; mere warnings are log lines, in the
 * format the configuration asks for. */
static struct config *first_load(struct server *server, struct tls_set **ret_tls)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct config_errors errors = { .out = out != NULL ? out : stderr };
	struct config *config = load(server, &errors);

	if (config != NULL && !load_tls(server, config, &errors, ret_tls)) {
		config_free(config);
		config = NULL;
	}
	if (out == NULL)
		return config;
	(void)fclose(out);
	if (config != NULL)
		log_configure(config->log.level, config->log.format);
	else
		(void)fputs(text, stderr);
	for (char *line = text, *end; config != NULL && (end = strchr(line, '\n')) != NULL;
	     line = end + 1) {
		*end = '\0';
		log_warn("config", "%s", line);
	}
	free(text);
	return config;
}

static void announce(const struct config *config)
{
	struct config_budget budget;

	config_budget(config, &budget);
	log_info("starting",
		 "penstock %s (%s), %u worker%s, at most %" PRIu64 " connections, %" PRIu64
		 " descriptors, %" PRIu64 " MiB of buffers and tables, %" PRIu64
		 " MiB of kernel pipes",
		 PENSTOCK_VERSION, PENSTOCK_COMMIT, config->process.workers,
		 config->process.workers == 1 ? "" : "s", config->limits.connections,
		 budget.descriptors, budget.memory_bytes >> 20, budget.pipe_bytes >> 20);
	if (config_has_tls(config))
		log_info("ktls", "%s",
			 tls_features()->err == 0
				 ? "the kernel takes TLS connections (penstock version says which)"
				 : "this kernel has no TLS: records stay in user space; modprobe "
				   "tls loads it where there is one");
}

/* ---- threads ---- */

static int start_workers(struct server *server, const struct config *config)
{
	uint32_t count = server->office.worker_count;

	server->workers = calloc(count, sizeof(*server->workers));
	if (server->workers == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		int ret = worker_new(&server->workers[i], i, &server->office, config);

		if (ret < 0)
			return ret;
	}
	for (; server->started < count; server->started++) {
		int ret = worker_start(server->workers[server->started]);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static void stop_workers(struct server *server)
{
	const struct mail stop = { .kind = MAIL_STOP };

	/* Those that have stopped on control's word do not mind another. */
	for (uint32_t i = 0; i < server->started; i++) {
		(void)!mail_send(&server->office.workers[i], NULL, &stop);
		int ret = worker_join(server->workers[i]);

		if (ret < 0)
			log_error("worker_failed", "worker %u ended with: %s", i, err_text(ret));
	}
	for (uint32_t i = 0; server->workers != NULL && i < server->office.worker_count; i++)
		if (server->workers[i] != NULL)
			worker_free(server->workers[i]);
	free(server->workers);
}

static int serve(struct server *server, struct config *config, struct tls_set *tls)
{
	const struct control_args args = {
		.config = config,
		.tls = tls,
		.tickets = server->tickets,
		.office = &server->office,
		.reload = load,
		.reload_context = server,
		.program = server->program[0] == '\0' ? NULL : server->program,
		.argv = server->argv,
	};
	struct control *control = NULL;
	int code = CLI_FAILURE;

	announce(config);
	/* Sockets first: a port that is taken ends the start before any thread runs. The control
	 * thread owns `config` from here on; workers only look at it while they are made. */
	if (control_open(&control, &args) < 0)
		return code;

	int ret = start_workers(server, config);

	if (ret == 0)
		code = control_run(control);
	else
		log_error("start_failed", "workers could not be started: %s", err_text(ret));
	stop_workers(server);
	control_close(control);
	return code;
}

/* Now: once the file is replaced, the kernel only says that it is deleted. */
static void find_program(struct server *server)
{
	ssize_t len = readlink("/proc/self/exe", server->program, sizeof(server->program) - 1);

	server->program[len < 0 ? 0 : len] = '\0';
}

static int run(struct cli *cli, char *const *argv)
{
	struct server server = { .cli = cli, .argv = argv };

	/* splice(2) has no MSG_NOSIGNAL. Buffers may hold credentials: no core dump, no ptrace by
	 * others. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_DUMPABLE, 0);
	log_thread_name("control");
	find_program(&server);
	server.descriptor_limit = raise_descriptor_limit();

	struct tls_set *tls = NULL;
	struct config *config = first_load(&server, &tls);

	if (config == NULL)
		return CLI_CONFIG;
	if (!has_ring()) {
		tls_set_free(tls);
		config_free(config);
		tls_tickets_free(server.tickets);
		tls_fini();
		return CLI_CONFIG;
	}
	if (mail_office_init(&server.office, config->process.workers) < 0 || log_start() < 0) {
		log_error("start_failed", "out of memory");
		return CLI_FAILURE;
	}
	int code = serve(&server, config, tls);

	log_stop();
	mail_office_fini(&server.office);
	tls_tickets_free(server.tickets);
	tls_fini();
	return code;
}

int main(int argc, char **argv)
{
	static struct cli cli;

	if (cli_parse(argc, argv, &cli) != 0)
		return CLI_USAGE;
	return cli_is_tool(&cli) ? cli_tool(&cli) : run(&cli, argv);
}
