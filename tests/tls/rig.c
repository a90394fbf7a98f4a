/* SPDX-License-Identifier: ISC */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

static void need(bool ok) {
    if (!ok)
        abort();
}

static void make_key(struct rig *r, int i, struct tarn_random *random,
                     struct tarn_private_key *key) {
    need(tarn_pk_generate(TARN_PK_P256, random, TARN_BYTES_ARRAY(r->secrets[i]),
                          TARN_BYTES_ARRAY(r->points[i]))
         == TARN_OK);
    *key = (struct tarn_private_key){
        .pub = {.type = TARN_PK_P256, .point = TARN_SPAN_ARRAY(r->points[i])},
        .secret = TARN_SPAN_ARRAY(r->secrets[i]),
    };
}

void rig_init(struct rig *r, uint64_t seed) {
    struct tarn_random_seeded random;
    static const struct tarn_span names[1] = {{(const uint8_t *)"www.example.com", 15}};
    struct tarn_span der;
    memset(r, 0, sizeof *r);
    strcpy(r->name, "www.example.com");
    tarn_random_seeded_init(&random, seed);
    make_key(r, 0, &random.random, &r->ca_key);
    make_key(r, 1, &random.random, &r->key);
    make_key(r, 2, &random.random, &r->client_key);
    struct tarn_x509_issue issue = {
        .subject = {.common_name = TARN_SPAN_LIT("CA")},
        .key = &r->ca_key.pub,
        .signer = &r->ca_key,
        .not_before = RIG_NOW - 1,
        .not_after = RIG_NOW + 1000,
        .is_ca = true,
        .path_len = TARN_X509_NO_PATH_LEN,
        .random = &random.random,
    };
    need(tarn_x509_make(&issue, TARN_BYTES_ARRAY(r->ders[0]), &der) == TARN_OK);
    need(tarn_x509_parse(der, &r->ca) == TARN_OK);
    issue.is_ca = false;
    issue.client_auth = true;
    issue.issuer = &r->ca;
    issue.subject = (struct tarn_x509_request){
        .common_name = TARN_SPAN_LIT("leaf"), .dns_names = names, .dns_name_count = 1};
    issue.key = &r->key.pub;
    need(tarn_x509_make(&issue, TARN_BYTES_ARRAY(r->ders[1]), &r->chain[0]) == TARN_OK);
    issue.key = &r->client_key.pub;
    need(tarn_x509_make(&issue, TARN_BYTES_ARRAY(r->ders[2]), &r->client_chain[0]) == TARN_OK);
    r->trust = (struct tarn_x509_policy){.anchors = &r->ca, .anchor_count = 1, .strict = true};
    r->identity = (struct tarn_tls_identity){r->chain, 1, &r->key};
    r->client_identity = (struct tarn_tls_identity){r->client_chain, 1, &r->client_key};
    r->server.config = (struct tarn_tls_config){
        .server = true,
        .identities = &r->identity,
        .identity_count = 1,
        .trust = &r->trust,
        .random = &r->server.random.random,
    };
    r->client.config =
        (struct tarn_tls_config){.trust = &r->trust, .random = &r->client.random.random};
}

void rig_start(struct rig *r, uint64_t seed) {
    tarn_random_seeded_init(&r->server.random, 2 * seed);
    tarn_random_seeded_init(&r->client.random, 2 * seed + 1);
    need(tarn_tls_init(&r->server.tls, &r->server.config, TARN_BYTES_ARRAY(r->server.memory),
                       TARN_SPAN_EMPTY, RIG_NOW + r->later)
         == TARN_OK);
    need(tarn_tls_init(&r->client.tls, &r->client.config, TARN_BYTES_ARRAY(r->client.memory),
                       tarn_span_str(r->name), RIG_NOW + r->later)
         == TARN_OK);
}

size_t rig_take(struct rig_end *from, uint8_t *out, size_t max) {
    size_t total = 0;
    while (tarn_tls_state(&from->tls) & TARN_TLS_SEND && total < max) {
        size_t n = tarn_bytes_copy(tarn_bytes_of(out + total, max - total),
                                   tarn_tls_send_window(&from->tls));
        tarn_tls_send_done(&from->tls, n);
        total += n;
    }
    return total;
}

size_t rig_feed(struct rig_end *to, const uint8_t *data, size_t len, size_t step) {
    size_t used = 0;
    while (used < len) {
        struct tarn_bytes window = tarn_tls_recv_window(&to->tls);
        struct tarn_bytes read = tarn_tls_read_window(&to->tls);
        if (read.len > 0) {
            tarn_tls_read_done(&to->tls, read.len);
            continue;
        }
        if (window.len == 0)
            break;
        size_t n = TARN_MIN(step, len - used);
        n = tarn_bytes_copy(window, tarn_span_of(data + used, n));
        tarn_tls_recv_done(&to->tls, n);
        used += n;
    }
    return used;
}

void rig_run(struct rig *r, size_t step) {
    for (int quiet = 0; quiet < 2;) {
        size_t n = rig_take(&r->client, r->wire, sizeof r->wire);
        rig_feed(&r->server, r->wire, n, step);
        size_t m = rig_take(&r->server, r->wire, sizeof r->wire);
        rig_feed(&r->client, r->wire, m, step);
        quiet = n + m > 0 ? 0 : quiet + 1;
    }
}

bool rig_says(struct rig_end *from, struct rig_end *to, struct tarn_span text) {
    static uint8_t wire[TARN_TLS_RECORD_BYTES_MAX];
    if (tarn_tls_write_window(&from->tls).len < text.len)
        return false;
    tarn_tls_write_done(&from->tls, tarn_bytes_copy(tarn_tls_write_window(&from->tls), text));
    tarn_tls_flush(&from->tls);
    size_t n = rig_take(from, wire, sizeof wire);
    for (size_t used = 0; used < n && tarn_tls_recv_window(&to->tls).len > 0;) {
        size_t k =
            tarn_bytes_copy(tarn_tls_recv_window(&to->tls), tarn_span_of(wire + used, n - used));
        tarn_tls_recv_done(&to->tls, k);
        used += k;
    }
    struct tarn_bytes got = tarn_tls_read_window(&to->tls);
    bool same = tarn_span_equal(tarn_bytes_span(got), text);
    tarn_tls_read_done(&to->tls, got.len);
    return same;
}
