/* SPDX-License-Identifier: ISC */
/* HTTPS: TLS in front of the website, with the identity that identity.h tells of. */
#include "secure.h"

#include "identity.h"

#include <tarn/tls_session.h>
#include <tarn/x509_issue.h>

#define DAY 86400
#define TICKETS_REMEMBERED 4096
#define TICKETS_LIVE_S 7200

struct secure {
    struct website_identity own;
    struct tarn_span alpn[1];
    struct tarn_tls_identity identity;
    struct tarn_tls_config config;
    struct tarn_tls_tickets tickets;
    uint64_t tickets_used[TICKETS_REMEMBERED / 64];
};

bool website_identity_make(struct tarn_env *env, struct tarn_span name, unsigned days,
                           struct website_identity *id) {
    int64_t now = (int64_t)(tarn_wall_ns(env) / 1000000000);
    struct tarn_random *random = tarn_env_random(env);
    struct tarn_bytes secret = tarn_bytes_first(TARN_BYTES_ARRAY(id->secret), 32);
    struct tarn_bytes point = tarn_bytes_first(TARN_BYTES_ARRAY(id->point), 65);
    id->key = (struct tarn_private_key){
        .pub = {.type = TARN_PK_P256, .point = tarn_bytes_span(point)},
        .secret = tarn_bytes_span(secret),
    };
    id->chain_len = 1;
    struct tarn_x509_issue issue = {
        .subject = {.common_name = name, .dns_names = &name, .dns_name_count = 1},
        .key = &id->key.pub,
        .signer = &id->key,
        .not_before = now - DAY,
        .not_after = now + (int64_t)days * DAY,
        .random = random,
    };
    return tarn_pk_generate(TARN_PK_P256, random, secret, point) == TARN_OK
           && tarn_x509_make(&issue, TARN_BYTES_ARRAY(id->der), &id->chain[0]) == TARN_OK;
}

static void say_fingerprint(struct tarn_env *env, struct tarn_span der) {
    uint8_t hash[32], text[128];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_digest_of(&tarn_sha256, der, TARN_BYTES_ARRAY(hash));
    tarn_writer_str(&w, "website: certificate SHA-256 ");
    for (size_t i = 0; i < sizeof hash; i++)
        tarn_writer_hex(&w, hash[i], 2);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

struct secure *website_secure_new(struct tarn_env *env, struct tarn_span name) {
    struct secure *s = TARN_NEW(tarn_env_alloc(env), struct secure);
    return s && website_identity(env, name, &s->own) ? s : NULL;
}

struct tarn_listener *website_secure(struct tarn_env *env, struct secure *s,
                                     struct tarn_listener *below, uint32_t connections) {
    struct tarn_tls_flows *flows;
    s->alpn[0] = TARN_SPAN_LIT("http/1.1");
    s->identity = (struct tarn_tls_identity){s->own.chain, s->own.chain_len, &s->own.key};
    tarn_tls_tickets_init(&s->tickets, s->tickets_used, TARN_COUNT_OF(s->tickets_used),
                          TICKETS_LIVE_S);
    s->config = (struct tarn_tls_config){
        .server = true,
        .identities = &s->identity,
        .identity_count = 1,
        .alpn = s->alpn,
        .alpn_count = 1,
        .tickets = &s->tickets,
        .old_master_secret = true, /* a public site takes old clients; nothing is exported */
        .random = tarn_env_random(env),
    };
    struct tarn_tls_flows_config config = {
        .alloc = tarn_env_alloc(env),
        .tasks = tarn_env_tasks(env),
        .clock = tarn_env_clock(env),
        .tls = &s->config,
        .connections = connections,
    };
    if (tarn_tls_flows_new(&config, &flows))
        return NULL;
    say_fingerprint(env, s->own.chain[0]);
    return tarn_tls_flows_listen(flows, below);
}
