/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_version: one screen for bug reports: what this binary is, which libraries it was built
 * against and which it runs with, and what this kernel and this process are allowed. It includes
 * the headers of all libraries for their version numbers only (tests/lint/layers.txt knows).
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <ares.h>
#include <jansson.h>
#include <limits.h>
#include <link.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <yaml.h>
#include <zlib.h>
#include <zookeeper/zookeeper_version.h>

#include <penstock/base/err.h>
#include <penstock/cli.h>
#include <penstock/tls.h>
#include <penstock/uring.h>

/* By its own file name, since not every library can say its version. */
struct search {
	const char *name; /* "liburing.so" */
	char path[PATH_MAX];
};

static int on_object(struct dl_phdr_info *info, size_t size, void *context)
{
	struct search *search = context;
	const char *slash = strrchr(info->dlpi_name, '/');

	(void)size;
	if (slash == NULL || strncmp(slash + 1, search->name, strlen(search->name)) != 0)
		return 0;
	/* liburing.so.2 is a link to liburing.so.2.3 */
	if (realpath(info->dlpi_name, search->path) == NULL)
		snprintf(search->path, sizeof(search->path), "%s", info->dlpi_name);
	return 1;
}

static void library_print(const char *name, const char *built, const char *object)
{
	struct search search = { .name = object };

	if (dl_iterate_phdr(on_object, &search) == 0)
		printf("  %-14s built with %-10s not linked in\n", name, built);
	else
		printf("  %-14s built with %-10s runs with %s\n", name, built, search.path);
}

static void libraries_print(void)
{
	char microhttpd[32];

	snprintf(microhttpd, sizeof(microhttpd), "%x.%x.%x", (unsigned)MHD_VERSION >> 24,
		 (unsigned)MHD_VERSION >> 16 & 255, (unsigned)MHD_VERSION >> 8 & 255);
	printf("libraries:\n");
	library_print("liburing", "-", "liburing.so");
	library_print("zookeeper", ZOO_VERSION, "libzookeeper_mt.so");
	library_print("libyaml", yaml_get_version_string(), "libyaml-0.so");
	library_print("jansson", JANSSON_VERSION, "libjansson.so");
	library_print("libmicrohttpd", microhttpd, "libmicrohttpd.so");
	library_print("c-ares", ARES_VERSION_STR, "libcares.so");
	library_print("zlib", ZLIB_VERSION, "libz.so");
	library_print("wolfssl", "-", "libwolfssl.so");
	library_print("libcrypto", "-", "libcrypto.so");
#ifdef __x86_64__
	library_print("libipsec-mb", "-", "libIPSec_MB.so");
#endif
}

static void sysctl_print(const char *name, const char *path)
{
	char text[64] = "unknown";
	FILE *file = fopen(path, "re");

	if (file != NULL) {
		if (fgets(text, sizeof(text), file) == NULL)
			snprintf(text, sizeof(text), "unknown");
		fclose(file);
	}
	text[strcspn(text, "\n")] = '\0';
	printf("  %-26s %s\n", name, text);
}

static void limit_print(const char *name, int resource)
{
	struct rlimit limit;
	char texts[2][32];

	if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
		return;
	for (int i = 0; i < 2; i++) {
		rlim_t value = i == 0 ? limit.rlim_cur : limit.rlim_max;

		if (value == RLIM_INFINITY)
			snprintf(texts[i], sizeof(texts[i]), "unlimited");
		else
			snprintf(texts[i], sizeof(texts[i]), "%llu", (unsigned long long)value);
	}
	printf("  %-26s %s soft, %s hard\n", name, texts[0], texts[1]);
}

static void uring_print(void)
{
	struct uring_features features = { .setup_flags = 0 };
	char why[512] = "";
	int ret = uring_probe(&features, why, sizeof(why));

	if (ret < 0) {
		printf("  %-26s no: %s\n", "io_uring", why);
		return;
	}
	printf("  %-26s yes: setup 0x%x, features 0x%x, operations to %u\n", "io_uring",
	       features.setup_flags, features.features, features.last_op);
	printf("  %-26s %s\n", "wake-ups between rings",
	       features.has_msg_ring ? "MSG_RING" : "eventfd");
	printf("  %-26s %s\n", "ring restrictions", features.is_restricted ? "yes" : "no");
}

static const char *const cipher_names[TLS_CIPHERS] = { "AES-128-GCM", "AES-256-GCM",
						       "ChaCha20-Poly1305" };

/* One version of TLS: which ciphers the kernel takes, and in which direction. */
static void ktls_version_print(const struct tls_features *features, bool is_tls13)
{
	printf("  %-26s", is_tls13 ? "kernel TLS 1.3" : "kernel TLS 1.2");
	for (int i = 0; i < TLS_CIPHERS; i++) {
		bool sends = features->can_send[is_tls13][i],
		     receives = features->can_recv[is_tls13][i];

		printf(" %s %s%s", cipher_names[i],
		       sends && receives ? "both ways"
		       : sends		 ? "sending"
		       : receives	 ? "receiving"
					 : "no",
		       i + 1 < TLS_CIPHERS ? "," : "\n");
	}
}

/* Whose code seals and opens the records that the kernel does not. */
static void records_print(void)
{
	printf("  %-26s", "TLS records outside it");
	for (enum tls_cipher i = 0; i < TLS_CIPHERS; i++)
		printf(" %s by %s%s", cipher_names[i], tls_aead_name(i),
		       i + 1 < TLS_CIPHERS ? "," : "\n");
}

static void tls_print(void)
{
	const struct tls_features *features;

	if (tls_init(1 << 20) < 0)
		return;
	features = tls_features();
	if (features->err != 0) {
		printf("  %-26s no: %s\n", "kernel TLS", err_text(features->err));
	} else {
		ktls_version_print(features, false);
		ktls_version_print(features, true);
		printf("  %-26s %s\n", "kernel TLS, key changes",
		       features->can_rekey ? "yes" : "no");
	}
	records_print();
	tls_fini();
}

int cli_version(void)
{
	struct utsname kernel;

	printf("penstock %s, commit %s\n", PENSTOCK_VERSION, PENSTOCK_COMMIT);
#ifdef __clang__
	printf("compiler: clang %s\n", __clang_version__);
#else
	printf("compiler: gcc %s\n", __VERSION__);
#endif
	libraries_print();
	printf("this machine:\n");
	if (uname(&kernel) == 0)
		printf("  %-26s %s %s %s\n", "kernel", kernel.sysname, kernel.release,
		       kernel.machine);
	uring_print();
	tls_print();
	sysctl_print("fs.pipe-max-size", "/proc/sys/fs/pipe-max-size");
	sysctl_print("fs.pipe-user-pages-soft", "/proc/sys/fs/pipe-user-pages-soft");
	sysctl_print("fs.pipe-user-pages-hard", "/proc/sys/fs/pipe-user-pages-hard");
	sysctl_print("net.core.somaxconn", "/proc/sys/net/core/somaxconn");
	limit_print("RLIMIT_NOFILE", RLIMIT_NOFILE);
	limit_print("RLIMIT_MEMLOCK", RLIMIT_MEMLOCK);
	return CLI_FINE;
}
