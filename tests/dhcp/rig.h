/* SPDX-License-Identifier: ISC */
/* A client and a server in virtual time, and messages made by hand. */
#ifndef TESTS_DHCP_RIG_H
#define TESTS_DHCP_RIG_H

#include <stdlib.h>
#include <string.h>
#include <tarn/base.h>
#include <tarn/dhcp6_client.h>
#include <tarn/dhcp_client.h>
#include <tarn/dhcp_server.h>

#define SERVER4 TARN_IP_ADDR_V4(10, 0, 0, 1)
#define ANY4 TARN_IP_ADDR_V4(0, 0, 0, 0)
#define ALL4 TARN_IP_ADDR_V4(255, 255, 255, 255)
#define MAC                                                                                        \
    { 2, 0, 0, 0, 0, 7 }

struct memory {
    struct tarn_arena arena;
    struct tarn_random_seeded random;
    void *mem;
};

static inline void memory_init(struct memory *m, size_t bytes, uint64_t seed) {
    m->mem = calloc(1, bytes);
    if (!m->mem)
        abort();
    tarn_arena_init(&m->arena, tarn_bytes_of(m->mem, bytes));
    tarn_random_seeded_init(&m->random, seed);
}

static inline struct tarn_dhcp_client *client_new(struct memory *m,
                                                  struct tarn_dhcp_client_config c) {
    struct tarn_dhcp_client *client;
    const uint8_t mac[6] = MAC;
    c.alloc = &m->arena.alloc;
    c.random = &m->random.random;
    if (c.mac[0] == 0)
        memcpy(c.mac, mac, 6);
    if (tarn_dhcp_client_new(&c, &client))
        abort();
    return client;
}

static inline struct tarn_dhcp_server *server_new(struct memory *m,
                                                  struct tarn_dhcp_server_config c) {
    struct tarn_dhcp_server *server;
    c.alloc = &m->arena.alloc;
    c.random = &m->random.random;
    c.addr = (struct tarn_ip_prefix){SERVER4, 24};
    if (c.first.words[3] == 0) {
        c.first = TARN_IP_ADDR_V4(10, 0, 0, 100);
        c.last = TARN_IP_ADDR_V4(10, 0, 0, 109);
    }
    if (tarn_dhcp_server_new(&c, &server))
        abort();
    return server;
}

/* What a client has just sent. */
struct sent {
    uint8_t bytes[TARN_DHCP_MESSAGE_BYTES_MAX];
    size_t len;
    struct tarn_dhcp_path path;
    struct tarn_dhcp_message m;
};

static inline bool take_output(struct tarn_dhcp_client *c, struct sent *s, tarn_time now) {
    struct tarn_writer w = TARN_WRITER_ARRAY(s->bytes);
    if (!tarn_dhcp_client_output(c, &w, &s->path, now))
        return false;
    s->len = w.len;
    if (!tarn_dhcp_parse(tarn_span_of(s->bytes, s->len), &s->m))
        abort();
    return true;
}

/* A server's answer to `to`, with the usual options; `more` are added raw. */
struct answer {
    uint8_t type;
    struct tarn_ip_addr addr, server;
    uint32_t lease, t1, t2; /* 0: left out */
    struct tarn_span more;
};
static inline size_t write_answer(uint8_t *buf, size_t cap, const struct tarn_dhcp_message *to,
                                  const struct answer *a) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(buf, cap));
    struct tarn_dhcp_message m = {
        .op = TARN_DHCP_BOOTREPLY, .type = a->type, .xid = to->xid, .yiaddr = a->addr};
    memcpy(m.mac, to->mac, 6);
    tarn_dhcp_write_header(&w, &m);
    tarn_dhcp_write_addr(&w, TARN_DHCP_OPT_SERVER_ID, &a->server);
    if (a->lease)
        tarn_dhcp_write_u32(&w, TARN_DHCP_OPT_LEASE_TIME, a->lease);
    if (a->t1)
        tarn_dhcp_write_u32(&w, TARN_DHCP_OPT_T1, a->t1);
    if (a->t2)
        tarn_dhcp_write_u32(&w, TARN_DHCP_OPT_T2, a->t2);
    tarn_writer_span_put(&w, a->more);
    tarn_dhcp_write_end(&w);
    if (!tarn_writer_ok(&w))
        abort();
    return w.len;
}
static inline void answer(struct tarn_dhcp_client *c, const struct tarn_dhcp_message *to,
                          const struct answer *a, tarn_time now) {
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    size_t n = write_answer(buf, sizeof buf, to, a);
    tarn_dhcp_client_input(c, tarn_span_of(buf, n), now);
}

#endif
