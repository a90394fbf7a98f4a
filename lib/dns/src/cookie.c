/* SPDX-License-Identifier: ISC */
/* DNS cookies (RFC 7873) in the form that servers share (RFC 9018): version, reserved, time, and a
 * SipHash-2-4 of those, the client's cookie and its address. */
#include "server.h"

#define CLIENT_BYTES 8u
#define SERVER_BYTES 16u
#define AGE_MAX 3600u /* RFC 9018 section 4.3 */
#define FUTURE_MAX 300u

static uint64_t seal(const struct dns_query *q, struct tarn_span head) {
    uint8_t buf[CLIENT_BYTES + 8 + 16];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    const struct tarn_ip_addr *client = &q->request->client.addr;
    tarn_writer_mem(&w, q->client_cookie, CLIENT_BYTES);
    tarn_writer_span_put(&w, head);
    if (tarn_ip_addr_is_v4(client))
        tarn_writer_ipv4(&w, client);
    else
        tarn_writer_ipv6(&w, client);
    return tarn_hash(&q->server->cookie_key, tarn_writer_span(&w));
}

void dns_cookie_read(struct dns_query *q, struct tarn_span value) {
    struct tarn_span server = tarn_span_after(value, CLIENT_BYTES), head, s = value;
    uint32_t version, time;
    uint64_t hash;
    /* RFC 7873 section 5.2.2: 8 bytes, or 16 to 40 */
    if (!tarn_span_copy(&s, q->client_cookie, CLIENT_BYTES)
        || (server.len && (server.len < 8 || server.len > 32))) {
        q->cookie_bad = true;
        return;
    }
    q->has_cookie = true;
    s = server;
    if (server.len != SERVER_BYTES || !tarn_span_u32be(&s, &version) || version >> 24 != 1
        || !tarn_span_u32be(&s, &time) || !tarn_span_u64le(&s, &hash))
        return;
    uint32_t age = q->request->wall_seconds - time;
    head = tarn_span_first(server, 8);
    q->cookie_ok = (age <= AGE_MAX || -age <= FUTURE_MAX) && hash == seal(q, head);
}

void dns_cookie_put(const struct dns_query *q, struct tarn_writer *w) {
    uint8_t buf[CLIENT_BYTES + SERVER_BYTES];
    struct tarn_writer c = TARN_WRITER_ARRAY(buf);
    tarn_writer_mem(&c, q->client_cookie, CLIENT_BYTES);
    tarn_writer_u32be(&c, 1u << 24);
    tarn_writer_u32be(&c, q->request->wall_seconds);
    tarn_writer_u64le(&c, seal(q, tarn_span_after(tarn_writer_span(&c), CLIENT_BYTES)));
    tarn_dns_option_put(w, TARN_DNS_OPT_COOKIE, tarn_writer_span(&c));
}
