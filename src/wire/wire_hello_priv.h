/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_hello_priv: what is inside the ClientHello message, for wire_hello.c, which finds it.
 */
#pragma once

#include <penstock/wire/hello.h>

/* The message behind its four bytes of type and length, whole. Fills version, name, alpn. */
enum hello_fault wire_hello_body(struct span body, struct hello *hello);
