/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <tarn/app.h>
#include <tarn/dns_client.h>

/* secure.c: streams with TLS. `name` is whom servers must show to be, by a certificate that one of
 * the store's value "trust" (PEM) stands for; empty: nobody is asked who it is. NULL: the console
 * has said why. */
struct tarn_dns_secure *lookup_secure(struct tarn_env *env, struct tarn_net *net,
                                      const struct tarn_device *storage, struct tarn_span name,
                                      struct tarn_span alpn);
void lookup_say(struct tarn_env *env, const char *a, struct tarn_span b, const char *c);

#endif
