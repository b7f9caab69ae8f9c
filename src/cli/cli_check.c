/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_check: `penstock check`: everything that is wrong with a configuration, what it may need of
 * this machine, and with --dump the configuration in force.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <penstock/cli.h>
#include <penstock/tls/set.h>

#define MIB (1024u * 1024u)

static uint64_t number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t number = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%" SCNu64, &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* What the machine does not have: not errors, since start copes with both. */
static void host_check(struct config *config, const struct config_budget *budget,
		       struct config_errors *errors)
{
	uint64_t pages = number_in("/proc/sys/fs/pipe-user-pages-soft");
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max != RLIM_INFINITY &&
	    files.rlim_max < budget->descriptors) {
		if (config_budget_fit(config, files.rlim_max))
			config_warn(errors, NULL, 0, 0,
				    "the hard limit of open files is %" PRIu64 ", %" PRIu64
				    " are needed: limits.connections would be lowered from %" PRIu64
				    " to %" PRIu64 "; raise it with LimitNOFILE= of the unit or "
				    "ulimit -Hn",
				    (uint64_t)files.rlim_max, budget->descriptors,
				    config->limits.connections_asked, config->limits.connections);
		else
			config_error(errors, NULL, 0, 0,
				     "the hard limit of open files, %" PRIu64 ", is too low for "
				     "anything; raise it with LimitNOFILE= of the unit or ulimit "
				     "-Hn",
				     (uint64_t)files.rlim_max);
		config->limits.connections = config->limits.connections_asked;
	}
	if (pages > 0 && geteuid() != 0 && budget->pipe_bytes / page > pages)
		config_warn(errors, NULL, 0, 0,
			    "fs.pipe-user-pages-soft is %" PRIu64 ", all pipes together may take "
			    "%" PRIu64 " pages: streams beyond it are copied; raise it, or lower "
			    "limits.pipes",
			    pages, budget->pipe_bytes / page);
}

/* Every file named: is it there, is it what it should be, do the two belong together? */
static void files_check(const struct config *config, struct config_errors *errors)
{
	if (tls_init(config->limits.tls_memory) < 0) {
		config_error(errors, NULL, 0, 0, "TLS: out of memory");
		return;
	}
	tls_set_free(tls_set_new(config, NULL, errors));
	tls_fini();
}

int cli_check(struct cli *cli)
{
	struct config_errors errors = { .out = stderr };
	struct config_budget budget;
	struct config *config = cli_load(cli, &errors);

	if (config != NULL) {
		files_check(config, &errors);
		config_budget(config, &budget);
		if (!cli->is_quiet)
			host_check(config, &budget, &errors);
	}
	if (config == NULL || errors.error_count > 0) {
		fprintf(stderr, "penstock: %u error%s\n", errors.error_count,
			errors.error_count == 1 ? "" : "s");
		config_free(config);
		return CLI_CONFIG;
	}
	if (cli->is_dump)
		config_dump(config, stdout);
	else if (!cli->is_quiet)
		printf("fine: %u cluster%s, %u listener%s, %u worker%s; at the most %" PRIu64
		       " descriptors, %" PRIu64 " MiB of memory and %" PRIu64 " MiB of pipes\n",
		       config->cluster_count, config->cluster_count == 1 ? "" : "s",
		       config->listener_count, config->listener_count == 1 ? "" : "s",
		       config->process.workers, config->process.workers == 1 ? "" : "s",
		       budget.descriptors, budget.memory_bytes / MIB, budget.pipe_bytes / MIB);
	config_free(config);
	return CLI_FINE;
}
