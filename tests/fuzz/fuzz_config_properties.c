/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Any bytes as proxy.conf: never a crash, and what is taken is a configuration that dumps.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <penstock/config.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static FILE *null;
	static char path[40];
	static int fd = -1;

	if (null == NULL) {
		null = fopen("/dev/null", "we");
		fd = memfd_create("proxy.conf", MFD_CLOEXEC);
		CHECK(null != NULL && fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, len, 0) == (ssize_t)len);
	/* With and without the keys that stop the start. */
	const char *all[] = { "*" };
	const char *guards[] = { "authentication*",   "tls*",  "brokerClient*", "servicePortTls",
				 "webServicePortTls", "token*" };
	struct config_proxy_args args[] = {
		{ .file = path },
		{ .file = path, .zookeeper = "z", .ignore = guards, .ignore_count = 6 },
		{ .file = path, .zookeeper = "z", .ignore = all, .ignore_count = 1 },
	};

	for (size_t i = 0; i < COUNT_OF(args); i++) {
		struct config_errors errors = { .out = null };
		struct config *config = config_load_proxy(&args[i], &errors);

		CHECK((config == NULL) == (errors.error_count > 0));
		if (config != NULL)
			config_dump(config, null);
		config_free(config);
	}
	return 0;
}
