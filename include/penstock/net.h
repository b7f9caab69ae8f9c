/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net: every system call on a socket or a pipe, as a function of ours, so that the simulator
 * (tests/sim) can be the kernel. All sockets and pipes are non-blocking and close-on-exec; EINTR is
 * retried here; SIGPIPE never happens (ignored by the process, because splice(2) has no
 * MSG_NOSIGNAL).
 * Thread:   any; a descriptor belongs to one thread at a time
 * Errors:   a count, a descriptor, 0, or -errno; -EAGAIN: wait for readiness
 */
#pragma once

#include <sys/types.h>

#include <penstock/base/addr.h>

/* ---- net_sock.c: bytes and ends of a connected socket -------------------------------------- */

/* Bytes received; 0: the peer's FIN. */
MUST_USE ssize_t net_recv(int fd, void *ret_bytes, size_t size);
/* The same without taking them (MSG_PEEK). */
MUST_USE ssize_t net_peek(int fd, void *ret_bytes, size_t size);
/* Takes bytes that are there, unseen (MSG_TRUNC: TCP does not copy them). */
MUST_USE ssize_t net_discard(int fd, size_t len);
MUST_USE ssize_t net_send(int fd, const void *bytes, size_t len);
/* The same, but may stay here until more follows or net_push is called (MSG_MORE). */
MUST_USE ssize_t net_send_more(int fd, const void *bytes, size_t len);
void net_push(int fd);
/* socket -> pipe and pipe -> socket; -EAGAIN from the first means "no data" or "pipe full". */
MUST_USE ssize_t net_splice_in(int fd, int pipe_write, size_t len);
MUST_USE ssize_t net_splice_out(int pipe_read, int fd, size_t len);
/* Sends FIN. -ENOTCONN is reported as 0: the peer is gone, its reader will see. */
MUST_USE int net_shutdown_write(int fd);
/* Bytes in our send queue that the peer has not acknowledged (SIOCOUTQ). */
MUST_USE int net_unsent(int fd);
/* The pending error of the socket as -errno, or 0. Clears it. */
int net_error(int fd);
/* Readable only when this many bytes are there, or its end (SO_RCVLOWAT); 1: as ever. For a reader
 * that leaves half a record where it is and must not be woken for it again. */
void net_wake_at(int fd, size_t bytes);
/* Would a poll say so? With net_wake_at: also when there is no room for that many. */
bool net_is_readable(int fd);
/* The same for POLLOUT: is a third of the send buffer free? */
bool net_is_writable(int fd);
/* Has the peer sent its FIN, or is the socket broken? Bytes may still be there to read. */
bool net_is_ended(int fd);
/* Closes. With `reset` the peer gets RST instead of FIN (SO_LINGER 0). */
void net_close(int fd, bool reset);
/* TCP_NODELAY and keep-alive (60 s, 10 s, 6 probes) on a socket that was not accepted. */
void net_tune(int fd);
MUST_USE int net_local_addr(int fd, struct addr *ret_addr);

/* ---- net_listen.c -------------------------------------------------------------------------- */

/* `count` SO_REUSEPORT sockets on one address, one per worker. A plain bind comes first, so that a
 * second instance is refused with -EADDRINUSE instead of sharing the port. NODELAY and keep-alive
 * are set here and inherited by accepted sockets. */
MUST_USE int net_listen(const struct addr *addr, uint32_t backlog, uint32_t count, int *ret_fds);
/* The same on an address where sockets of ours listen already: no plain bind. */
MUST_USE int net_listen_beside(const struct addr *addr, uint32_t backlog, uint32_t count,
			       int *ret_fds);
/* -EAGAIN: none waiting. -EMFILE and -ENFILE leave the connection in the queue. */
MUST_USE int net_accept(int fd, struct addr *ret_peer);

/* ---- net_dial.c ---------------------------------------------------------------------------- */

/* A socket connecting to addr, in *ret_fd; -EINPROGRESS (the normal case), 0, or another -errno
 * and no socket. Ready when writable; then net_error says how it went. */
MUST_USE int net_dial(const struct addr *addr, int *ret_fd);

/* The same to a unix socket, which answers at once or not at all. */
MUST_USE int net_dial_unix(const char *path, int *ret_fd);

/* ---- net_ktls.c: sockets whose records the kernel seals and opens -------------------------- */

enum net_ktls_cipher { NET_KTLS_AES_128_GCM, NET_KTLS_AES_256_GCM, NET_KTLS_CHACHA20_POLY1305 };

struct net_ktls_key {
	bool is_tls13;
	enum net_ktls_cipher cipher;
	uint8_t key[32];
	/* The 4 bytes of TLS 1.2's AES-GCM, or the 12 of all others. */
	uint8_t iv[12];
	uint64_t seq; /* of the next record */
};

/* Makes a connected socket one that takes keys; without keys it stays what it was. -ENOENT: this
 * kernel has no TLS, or the module is not loaded. Cannot be undone. */
MUST_USE int net_ktls_attach(int fd);
/* Gives the kernel the key of one direction, or the next one: -EBUSY where it cannot change keys.
 */
MUST_USE int net_ktls_set_key(int fd, bool is_send, const struct net_ktls_key *key);
/* One record that is no data stands in the way of net_recv (-EIO) and net_splice_in (-EINVAL): this
 * takes it. Bytes received and the record's content type. */
MUST_USE ssize_t net_ktls_recv(int fd, void *ret_bytes, size_t size, uint8_t *ret_type);
/* One record of that type. */
MUST_USE ssize_t net_ktls_send(int fd, uint8_t type, const void *bytes, size_t len);
/* A connection to ourselves over the loopback device: what a probe tries things on. */
MUST_USE int net_ktls_pair(int ret_fds[2]);

/* ---- net_pipe.c ---------------------------------------------------------------------------- */

/* fds[0] reads, fds[1] writes; `size` is what it should hold, *ret_size what it got (beyond a
 * user's fs.pipe-user-pages-soft a pipe has 8 KiB: pipe(7)). */
MUST_USE int net_pipe(int fds[2], size_t size, size_t *ret_size);
void net_pipe_close(int fds[2]);

/* ---- net_pass.c: sockets for another process ------------------------------------------------- */

#define NET_PASS_MAX  64  /* descriptors in a message */
#define NET_PASS_TEXT 256 /* its text, the final zero included */

/* Two ends of a connection between processes, both ours and close-on-exec. */
MUST_USE int net_pass_pair(int ret_fds[static 2]);
/* The other process gets descriptors of its own: these stay open and ours. */
MUST_USE int net_pass_send(int fd, const char *text, const int *fds, uint32_t count);
/* The length of the text, which ends with a zero; 0: the other process is gone. The descriptors
 * become the caller's. Waits up to wait_ms for a message. Errors: -EAGAIN, or -ETIMEDOUT after a
 * wait; -EMSGSIZE: not a message of net_pass_send, and dropped. */
MUST_USE ssize_t net_pass_take(int fd, int wait_ms, char *ret_text, size_t size,
			       int ret_fds[static NET_PASS_MAX], uint32_t *ret_count);
