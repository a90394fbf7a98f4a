/* SPDX-License-Identifier: ISC */
/* Keys and certificates, made at the start. The authority's key is wiped once it has signed. */
#include "pinata.h"

#include <tarn/pem.h>
#include <tarn/x509_issue.h>

#define DAY 86400

struct party {
    uint8_t secret[32], point[65], der[1024];
    struct tarn_private_key key;
    struct tarn_span chain[1];
    struct tarn_tls_identity identity;
};

struct pinata_identities {
    struct party ca, server, client;
    struct tarn_x509 ca_cert;
    struct tarn_x509_policy trust;
    struct tarn_tls_config server_config, client_config;
    uint8_t pem[1600];
    size_t pem_len;
};

static bool make(struct party *p, struct tarn_random *random, struct tarn_x509_issue *issue,
                 const struct tarn_private_key *signer) {
    p->key = (struct tarn_private_key){
        .pub = {.type = TARN_PK_P256, .point = TARN_SPAN_ARRAY(p->point)},
        .secret = TARN_SPAN_ARRAY(p->secret),
    };
    if (tarn_pk_generate(TARN_PK_P256, random, TARN_BYTES_ARRAY(p->secret),
                         TARN_BYTES_ARRAY(p->point)))
        return false;
    issue->key = &p->key.pub;
    issue->signer = signer ? signer : &p->key;
    if (tarn_x509_make(issue, TARN_BYTES_ARRAY(p->der), &p->chain[0]))
        return false;
    p->identity = (struct tarn_tls_identity){p->chain, 1, &p->key};
    return true;
}

static bool make_all(struct pinata_identities *ids, struct tarn_random *random, int64_t now) {
    static const struct tarn_span name = {(const uint8_t *)PINATA_NAME, sizeof PINATA_NAME - 1};
    struct tarn_x509_issue issue = {
        .subject = {.common_name = TARN_SPAN_LIT("Pinata's authority")},
        .not_before = now - DAY,
        .not_after = now + 365 * DAY,
        .is_ca = true,
        .path_len = 0,
        .random = random,
    };
    if (!make(&ids->ca, random, &issue, NULL)
        || tarn_x509_parse(ids->ca.chain[0], &ids->ca_cert) != TARN_OK)
        return false;
    issue.is_ca = false;
    issue.issuer = &ids->ca_cert;
    issue.subject =
        (struct tarn_x509_request){.common_name = name, .dns_names = &name, .dns_name_count = 1};
    bool made = make(&ids->server, random, &issue, &ids->ca.key);
    issue.client_auth = true;
    made = made && make(&ids->client, random, &issue, &ids->ca.key);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(ids->ca.secret));
    return made;
}

struct pinata_identities *pinata_identities(struct tarn_env *env) {
    struct pinata_identities *ids = TARN_NEW(tarn_env_alloc(env), struct pinata_identities);
    struct tarn_random *random = tarn_env_random(env);
    if (!ids || !make_all(ids, random, (int64_t)(tarn_wall_ns(env) / 1000000000)))
        return NULL;
    ids->trust =
        (struct tarn_x509_policy){.anchors = &ids->ca_cert, .anchor_count = 1, .strict = true};
    ids->server_config = (struct tarn_tls_config){
        .server = true,
        .identities = &ids->server.identity,
        .identity_count = 1,
        .trust = &ids->trust,
        .client_auth = TARN_TLS_CLIENT_MUST,
        .random = random,
    };
    ids->client_config = (struct tarn_tls_config){
        .identities = &ids->client.identity,
        .identity_count = 1,
        .trust = &ids->trust,
        .random = random,
    };
    struct tarn_writer w = TARN_WRITER_ARRAY(ids->pem);
    tarn_pem_put(&w, "CERTIFICATE", ids->ca.chain[0]);
    ids->pem_len = tarn_writer_span(&w).len;
    return ids;
}

struct tarn_span pinata_ca_pem(const struct pinata_identities *ids) {
    return tarn_span_of(ids->pem, ids->pem_len);
}

const struct tarn_tls_config *pinata_server(const struct pinata_identities *ids) {
    return &ids->server_config;
}

const struct tarn_tls_config *pinata_client(const struct pinata_identities *ids) {
    return &ids->client_config;
}

struct tarn_tls_flows *pinata_flows(struct tarn_env *env, const struct tarn_tls_config *tls,
                                    uint32_t connections) {
    struct tarn_tls_flows_config config = {
        .alloc = tarn_env_alloc(env),
        .tasks = tarn_env_tasks(env),
        .clock = tarn_env_clock(env),
        .tls = tls,
        .connections = connections,
    };
    struct tarn_tls_flows *flows;
    return tarn_tls_flows_new(&config, &flows) == TARN_OK ? flows : NULL;
}
