/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_init: wolfSSL's own beginning and end, with our heap under it.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <errno.h>

#include "tls_aead_priv.h"
#include "tls_ktls_priv.h"
#include "tls_wolf.h"

int tls_init(size_t memory_max)
{
	if (tls_memory_init(memory_max) < 0 || wolfSSL_Init() != WOLFSSL_SUCCESS ||
	    tls_random_init() < 0)
		return -ENOMEM;
	tls_aead_mb_probe();
	tls_ktls_probe();
	return 0;
}

void tls_fini(void)
{
	(void)wolfSSL_Cleanup();
}
