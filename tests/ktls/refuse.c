/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * refuse: preloaded into penstock, a kernel that takes the key of one direction only, which the real
 * one does when memory is short: it refuses REFUSE=tx or REFUSE=rx with ENOMEM. Keys of zeros, by
 * which penstock asks what there is, it takes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/tls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int is_real(const void *value)
{
	static const unsigned char zeros[16];
	const struct tls12_crypto_info_aes_gcm_128 *info = value;

	return memcmp(info->key, zeros, sizeof(zeros)) != 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	static int (*real)(int, int, int, const void *, socklen_t);
	const char *refused = getenv("REFUSE");

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "setsockopt");
	if (refused != NULL && level == SOL_TLS &&
	    name == (strcmp(refused, "tx") == 0 ? TLS_TX : TLS_RX) && is_real(value)) {
		errno = ENOMEM;
		return -1;
	}
	return real(fd, level, name, value, size);
}
