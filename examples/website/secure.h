/* SPDX-License-Identifier: ISC */
#ifndef WEBSITE_SECURE_H
#define WEBSITE_SECURE_H

#include <tarn/app.h>
#include <tarn/flow.h>

/* TLS on what `below` accepts. The fingerprint of the certificate, for `name` where it is made
 * here, is said. NULL: no identity, which was said, or not enough memory. */
struct tarn_listener *website_secure(struct tarn_env *env, struct tarn_listener *below,
                                     struct tarn_span name, uint32_t connections);

/* What a connection may take, at most. */
#define WEBSITE_TLS_BYTES ((size_t)48 << 10)

#endif
