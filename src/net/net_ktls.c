/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_ktls: handing keys to the kernel's TLS (Documentation/networking/tls.rst) and moving the
 * records that are not data, whose content type travels in a control message.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_priv.h"

#define TYPE_DATA 23

int net_ktls_attach(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 ? -errno : 0;
}

static void put_be64(uint8_t at[static 8], uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (56 - 8 * i));
}

union crypto_info {
	struct tls_crypto_info any;
	struct tls12_crypto_info_aes_gcm_128 gcm_128;
	struct tls12_crypto_info_aes_gcm_256 gcm_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

/* The two structures for AES-GCM differ in the size of the key only. The explicit nonce of TLS 1.2
 * goes on with the sequence number, which no record before has used. */
#define FILL_GCM(to, from, cipher)                                                           \
	do {                                                                                 \
		(to)->info.cipher_type = (cipher);                                           \
		memcpy((to)->key, (from)->key, sizeof((to)->key));                           \
		memcpy((to)->salt, (from)->iv, sizeof((to)->salt));                          \
		if ((from)->is_tls13)                                                        \
			memcpy((to)->iv, (from)->iv + sizeof((to)->salt), sizeof((to)->iv)); \
		else                                                                         \
			put_be64((to)->iv, (from)->seq);                                     \
		put_be64((to)->rec_seq, (from)->seq);                                        \
	} while (0)

static socklen_t fill(union crypto_info *info, const struct net_ktls_key *key)
{
	*info = (union crypto_info){ .any.version =
					     key->is_tls13 ? TLS_1_3_VERSION : TLS_1_2_VERSION };
	switch (key->cipher) {
	case NET_KTLS_AES_128_GCM:
		FILL_GCM(&info->gcm_128, key, TLS_CIPHER_AES_GCM_128);
		return sizeof(info->gcm_128);
	case NET_KTLS_AES_256_GCM:
		FILL_GCM(&info->gcm_256, key, TLS_CIPHER_AES_GCM_256);
		return sizeof(info->gcm_256);
	case NET_KTLS_CHACHA20_POLY1305:
		break;
	}
	info->any.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
	memcpy(info->chacha20.key, key->key, sizeof(info->chacha20.key));
	memcpy(info->chacha20.iv, key->iv, sizeof(info->chacha20.iv));
	put_be64(info->chacha20.rec_seq, key->seq);
	return sizeof(info->chacha20);
}

int net_ktls_set_key(int fd, bool is_send, const struct net_ktls_key *key)
{
	union crypto_info info;
	socklen_t size = fill(&info, key);
	int ret = setsockopt(fd, SOL_TLS, is_send ? TLS_TX : TLS_RX, &info, size) < 0 ? -errno : 0;

	explicit_bzero(&info, sizeof(info));
	return ret;
}

/* Room for the one byte of a record type. */
union control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(sizeof(uint8_t))];
};

ssize_t net_ktls_recv(int fd, void *ret_bytes, size_t size, uint8_t *ret_type)
{
	union control control;
	struct iovec iov = { .iov_base = ret_bytes, .iov_len = size };
	struct msghdr msg;
	ssize_t n;

	do {
		msg = (struct msghdr){ .msg_iov = &iov,
				       .msg_iovlen = 1,
				       .msg_control = &control,
				       .msg_controllen = sizeof(control) };
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	} while (UNLIKELY(n < 0 && errno == EINTR));
	if (n < 0)
		return -errno;

	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	*ret_type = TYPE_DATA;
	if (header != NULL && header->cmsg_level == SOL_TLS &&
	    header->cmsg_type == TLS_GET_RECORD_TYPE)
		*ret_type = *CMSG_DATA(header);
	return n;
}

ssize_t net_ktls_send(int fd, uint8_t type, const void *bytes, size_t len)
{
	union control control = { .header = { .cmsg_len = CMSG_LEN(sizeof(type)),
					      .cmsg_level = SOL_TLS,
					      .cmsg_type = TLS_SET_RECORD_TYPE } };
	/* The kernel reads it only. */
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	*CMSG_DATA(&control.header) = type;
	do {
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (UNLIKELY(n < 0 && errno == EINTR));
	return n < 0 ? -errno : n;
}

/* ---- a pair to try things on ---------------------------------------------------------------- */

static int connect_pair(int listener, int ret_fds[2])
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(name);

	if (bind(listener, (struct sockaddr *)&name, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&name, &len) < 0)
		return -errno;
	ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ret_fds[0] < 0)
		return -errno;
	/* It blocks until then: on the loopback device that waits for nobody else. */
	if (connect(ret_fds[0], (struct sockaddr *)&name, len) == 0 &&
	    fcntl(ret_fds[0], F_SETFL, O_NONBLOCK) == 0) {
		ret_fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (ret_fds[1] >= 0) {
			net_tune(ret_fds[0]);
			net_tune(ret_fds[1]);
			return 0;
		}
	}

	int ret = -errno;

	(void)close(ret_fds[0]);
	return ret;
}

int net_ktls_pair(int ret_fds[2])
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0)
		return -errno;

	int ret = connect_pair(listener, ret_fds);

	(void)close(listener);
	return ret;
}
