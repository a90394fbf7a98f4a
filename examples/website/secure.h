/* SPDX-License-Identifier: ISC */
#ifndef WEBSITE_SECURE_H
#define WEBSITE_SECURE_H

#include <tarn/app.h>
#include <tarn/tls_flow.h>

/* The identity, for `name` where it is made here. It is had before anybody counts the memory that
 * is left. NULL: there is none, which was said, or not enough memory. */
struct secure *website_secure_new(struct tarn_env *env, struct tarn_span name);

/* TLS on what `below` accepts; the certificate's fingerprint is said. NULL: not enough memory. */
struct tarn_listener *website_secure(struct tarn_env *env, struct secure *secure,
                                     struct tarn_listener *below, uint32_t connections);

/* What a connection takes. */
#define WEBSITE_TLS_BYTES (TARN_TLS_MEMORY_BYTES + sizeof(struct tarn_tls))

#endif
