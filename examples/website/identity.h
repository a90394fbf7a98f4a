/* SPDX-License-Identifier: ISC */
/* What the website shows itself with over HTTPS. fresh.c makes it anew at each start; website-kept
 * keeps it in a store on a device. */
#ifndef WEBSITE_IDENTITY_H
#define WEBSITE_IDENTITY_H

#include <tarn/app.h>
#include <tarn/x509_issue.h>

#define WEBSITE_CHAIN_MAX 8

struct website_identity {
    struct tarn_private_key key;
    struct tarn_span chain[WEBSITE_CHAIN_MAX]; /* from the leaf on */
    size_t chain_len;
    /* Of one that is made here. */
    uint8_t secret[32], point[TARN_EC_POINT_BYTES_MAX], der[1024];
};

/* Fills `id`, which stays where it is. False: there is none, which the console has been told. */
bool website_identity(struct tarn_env *env, struct tarn_span name, struct website_identity *id);

/* A key, and a certificate for `name` that it signed itself. False: `name` is no name. */
bool website_identity_make(struct tarn_env *env, struct tarn_span name, unsigned days,
                           struct website_identity *id);

#endif
