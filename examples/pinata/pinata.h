/* SPDX-License-Identifier: ISC */
#ifndef PINATA_H
#define PINATA_H

#include <tarn/app.h>
#include <tarn/tls_flow.h>

#define PINATA_NAME "pinata.example"

/* The authority's certificate, and a server's and a client's identity by it. NULL: no memory. */
struct pinata_identities;
struct pinata_identities *pinata_identities(struct tarn_env *env);
struct tarn_span pinata_ca_pem(const struct pinata_identities *ids);
const struct tarn_tls_config *pinata_server(const struct pinata_identities *ids);
const struct tarn_tls_config *pinata_client(const struct pinata_identities *ids);
struct tarn_tls_flows *pinata_flows(struct tarn_env *env, const struct tarn_tls_config *config,
                                    uint32_t connections);

#endif
