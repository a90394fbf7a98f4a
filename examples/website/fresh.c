/* SPDX-License-Identifier: ISC */
/* The website without a store: who it is is made at each start, and forgotten at its end. */
#include "identity.h"

bool website_identity(struct tarn_env *env, struct tarn_span name, struct website_identity *id) {
    bool made = website_identity_make(env, name, 90, id);
    if (!made)
        tarn_puts(env, "website: --tls-name is neither a DNS name nor an address\n");
    return made;
}
