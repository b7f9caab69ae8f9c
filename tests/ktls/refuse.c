/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * refuse: preloaded into penstock, a kernel that takes the key of one direction only, which the real
 * one does when memory is short: it refuses REFUSE=tx or REFUSE=rx with ENOMEM; with REFUSE=next-tx
 * or REFUSE=next-rx not the first key of a connection, but those after it. Keys of zeros, by which
 * penstock asks what there is, it takes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int is_real(const void *value)
{
	static const unsigned char zeros[16];
	const struct tls12_crypto_info_aes_gcm_128 *info = value;

	return memcmp(info->key, zeros, sizeof(zeros)) != 0;
}

/* How many keys of this direction the socket has been offered. A socket's first one comes behind
 * its TCP_ULP. */
static unsigned offered[65536][2];

static int is_refused(int fd, int name, const void *value)
{
	const char *refused = getenv("REFUSE");
	int is_next, is_tx;

	if (refused == NULL || !is_real(value))
		return 0;
	is_next = strncmp(refused, "next-", 5) == 0;
	is_tx = strcmp(refused + (is_next ? 5 : 0), "tx") == 0;
	return name == (is_tx ? TLS_TX : TLS_RX) && offered[fd][is_tx]++ >= (unsigned)is_next;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	static int (*real)(int, int, int, const void *, socklen_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "setsockopt");
	if (level == IPPROTO_TCP && name == TCP_ULP)
		memset(offered[fd], 0, sizeof(offered[fd]));
	if (level == SOL_TLS && is_refused(fd, name, value)) {
		errno = ENOMEM;
		return -1;
	}
	return real(fd, level, name, value, size);
}
