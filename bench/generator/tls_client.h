/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The client's side of TLS, with OpenSSL: no other file of the generator knows it. What all
 * connections share is made once from the options of the run; each connection then has an SSL.
 */
#ifndef BENCH_TLS_CLIENT_H
#define BENCH_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct load;
struct ssl_st;

struct tls_client;

/* From --sni, --alpn, --cafile, --insecure, --cipher and --resume; exits when it cannot. */
struct tls_client *tls_client_make(struct load *l);
void tls_client_free(struct tls_client *c);
/* Many connections that do nothing: their buffers are given back after every use. */
void tls_client_save_memory(struct tls_client *c);

/* Begins a connection on a socket, whose fd stays the caller's. With --resume it takes a session
 * of an earlier one if there is any. */
struct ssl_st *tls_client_begin(struct tls_client *c, int fd);
void tls_client_end(struct ssl_st *ssl); /* frees it; sends nothing */

/* As send(2) and recv(2): EAGAIN when the socket has to be waited for, EPROTO for what is wrong
 * inside TLS; 0 when the peer has closed, with close_notify or without. The handshake is made in
 * passing. After EAGAIN from send the next call must have the very same bytes, and the result is
 * all of them. */
ssize_t tls_client_send(struct ssl_st *ssl, const void *data, size_t size);
ssize_t tls_client_recv(struct ssl_st *ssl, void *into, size_t size);
int tls_client_shake(struct ssl_st *ssl);    /* only the handshake: 1 when it is complete */
void tls_client_say_end(struct ssl_st *ssl); /* close_notify */

bool tls_client_is_agreed(const struct ssl_st *ssl); /* the handshake is complete */
bool tls_client_was_resumed(const struct ssl_st *ssl);
/* Version, cipher suite and group of a connection, whose handshake is complete; they are noted as
 * "tls" in the result, those of the last one that was kept. */
void tls_client_keep_kind(struct tls_client *c, struct ssl_st *ssl);
void tls_client_note(const struct tls_client *c, struct load *l);

#endif
