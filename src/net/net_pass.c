/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_pass: sockets from one process to another (SCM_RIGHTS), each message a line of text with the
 * descriptors it is about.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <penstock/net.h>

union rights {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * NET_PASS_MAX)];
};

int net_pass_pair(int ret_fds[static 2])
{
	/* SEQPACKET: messages keep their bounds, and the end of the other process is an event. */
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fds) < 0
		       ? -errno
		       : 0;
}

int net_pass_send(int fd, const char *text, const int *fds, uint32_t count)
{
	union rights rights;
	char copy[NET_PASS_TEXT];
	struct iovec bytes = { .iov_base = copy, .iov_len = strlen(text) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	CHECK(count <= NET_PASS_MAX && bytes.iov_len < sizeof(copy));
	memcpy(copy, text, bytes.iov_len);
	if (count > 0) {
		memset(&rights, 0, sizeof(rights));
		message.msg_control = &rights;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		rights.header.cmsg_level = SOL_SOCKET;
		rights.header.cmsg_type = SCM_RIGHTS;
		rights.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&rights.header), fds, sizeof(int) * count);
	}
	ssize_t n;

	do {
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static uint32_t take_rights(struct msghdr *message, int *ret_fds)
{
	uint32_t count = 0;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL;
	     at = CMSG_NXTHDR(message, at)) {
		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		count = (uint32_t)((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(ret_fds, CMSG_DATA(at), sizeof(int) * count);
	}
	return count;
}

ssize_t net_pass_take(int fd, int wait_ms, char *ret_text, size_t size,
		      int ret_fds[static NET_PASS_MAX], uint32_t *ret_count)
{
	union rights rights;
	struct iovec bytes = { .iov_base = ret_text, .iov_len = size - 1 };
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights),
	};
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (wait_ms > 0 && poll(&ready, 1, wait_ms) == 0)
		return -ETIMEDOUT;
	do {
		n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	ret_text[n] = '\0';
	*ret_count = take_rights(&message, ret_fds);
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		return n;
	for (uint32_t i = 0; i < *ret_count; i++)
		(void)close(ret_fds[i]);
	*ret_count = 0;
	return -EMSGSIZE;
}
