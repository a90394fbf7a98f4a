/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/csum.h>
#include <tarn/env.h>
#include <tarn/pkt.h>

#include "memory.h"

#define S(lit) TARN_SPAN_LIT(lit)

static struct memory memory;
static struct tarn_pkt_pool pool;

static void setup(void) {
    struct tarn_pkt_pool_config config = {{2, 2, 2}};
    memory = MEMORY(1 << 20);
    cr_assert_eq(tarn_pkt_pool_init(&pool, &memory.alloc, &config), TARN_OK);
}

static uint32_t live(void) {
    uint32_t n = 0;
    for (size_t i = 0; i < TARN_PKT_CLASSES; i++)
        n += pool.pools[i].live;
    return n;
}

/* Every test ends with all packets given back. */
static void teardown(void) {
    cr_assert_eq(live(), 0);
}

TestSuite(pkt, .init = setup, .fini = teardown);

struct lender {
    struct tarn_lease lease;
    unsigned released;
};

static void released(struct tarn_lease *lease) {
    TARN_CONTAINER_OF(lease, struct lender, lease)->released++;
}

static struct lender lender(void) {
    return (struct lender){.lease = {.holds = 1, .release = released}};
}

static struct tarn_pkt *pkt_of(struct tarn_span head) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pool, head.len);
    cr_assert_not_null(pkt);
    cr_assert(tarn_pkt_append(pkt, head));
    return pkt;
}

static void holds(const struct tarn_pkt *pkt, struct tarn_span expected) {
    static uint8_t got[1 << 17];
    cr_assert_eq(pkt->len, expected.len);
    cr_assert(tarn_pkt_read(pkt, 0, got, pkt->len));
    cr_assert(tarn_span_equal(tarn_span_of(got, pkt->len), expected), "holds %.*s", (int)pkt->len,
              (const char *)got);
}

Test(pkt, the_smallest_class_that_has_room_then_the_next) {
    struct tarn_pkt *a = tarn_pkt_alloc(&pool, 64), *b = tarn_pkt_alloc(&pool, 0),
                    *c = tarn_pkt_alloc(&pool, 0), *d = tarn_pkt_alloc(&pool, 65);
    cr_assert_eq(a->pool_class, TARN_PKT_HEADER);
    cr_assert_eq(b->pool_class, TARN_PKT_HEADER);
    cr_assert_eq(c->pool_class, TARN_PKT_FRAME);
    cr_assert_eq(d->pool_class, TARN_PKT_FRAME);
    struct tarn_pkt *e = tarn_pkt_alloc(&pool, 1514), *f = tarn_pkt_alloc(&pool, TARN_PKT_LEN_MAX);
    cr_assert_eq(e->pool_class, TARN_PKT_SUPER);
    cr_assert_eq(f->pool_class, TARN_PKT_SUPER);
    cr_assert_geq(tarn_pkt_tailroom(f).len, TARN_PKT_LEN_MAX);
    cr_assert_null(tarn_pkt_alloc(&pool, 0));
    cr_assert_eq(pool.pools[TARN_PKT_SUPER].exhausted, 1);
    cr_assert_null(tarn_pkt_alloc(&pool, 1 << 20));
    cr_assert_geq(tarn_pkt_truesize(f), TARN_PKT_LEN_MAX);
    struct tarn_pkt *all[] = {a, b, c, d, e, f};
    for (size_t i = 0; i + 1 < TARN_COUNT_OF(all); i++)
        all[i]->next = all[i + 1];
    tarn_pkt_free_list(a);
    tarn_pkt_free(NULL);
    tarn_pkt_free_list(NULL);
}

Test(pkt, a_budget_that_is_too_small_is_a_limit) {
    struct memory small = MEMORY(100000);
    struct tarn_pkt_pool other;
    struct tarn_pkt_pool_config config = {{1, 1, 2}};
    cr_assert_eq(tarn_pkt_pool_init(&other, &small.alloc, &config), TARN_LIMIT);
}

Test(pkt, layers_prepend_and_pull) {
    struct tarn_pkt *pkt = pkt_of(S("data"));
    struct tarn_writer w = tarn_pkt_prepend(pkt, 3);
    cr_assert_eq(tarn_writer_room(&w), 3);
    tarn_writer_str(&w, "tcp");
    w = tarn_pkt_prepend(pkt, 2);
    tarn_writer_str(&w, "ip");
    holds(pkt, S("iptcpdata"));
    cr_assert(tarn_pkt_pull(pkt, 2));
    holds(pkt, S("tcpdata"));
    cr_assert_not(tarn_pkt_pull(pkt, 8));
    holds(pkt, S("tcpdata"));
    cr_assert(tarn_pkt_pull(pkt, 7));
    cr_assert_eq(pkt->len, 0);
    tarn_pkt_free(pkt);
}

Test(pkt, the_headroom_is_all_there, .signal = SIGILL) {
    struct tarn_pkt *pkt = pkt_of(S("data"));
    struct tarn_writer w = tarn_pkt_prepend(pkt, TARN_PKT_HEADROOM);
    tarn_writer_zero(&w, TARN_PKT_HEADROOM);
    if (!tarn_writer_ok(&w) || pkt->len != TARN_PKT_HEADROOM + 4)
        return; /* no trap: the test fails */
    (void)tarn_pkt_prepend(pkt, 1);
}

Test(pkt, append_and_grow_end_at_the_tailroom) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pool, 10);
    struct tarn_bytes room = tarn_pkt_tailroom(pkt);
    static const uint8_t big[2000];
    cr_assert_eq(room.len, 64);
    cr_assert_not(tarn_pkt_append(pkt, tarn_span_of(big, 65)));
    cr_assert_eq(pkt->len, 0);
    tarn_bytes_copy(room, S("abc"));
    tarn_pkt_grow(pkt, 3);
    cr_assert(tarn_pkt_append(pkt, S("def")));
    holds(pkt, S("abcdef"));
    cr_assert_eq(tarn_pkt_tailroom(pkt).len, 58);
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(big, 58)));
    cr_assert_eq(tarn_pkt_tailroom(pkt).len, 0);
    tarn_pkt_free(pkt);
}

Test(pkt, growing_behind_the_memory_traps, .signal = SIGILL) {
    tarn_pkt_grow(tarn_pkt_alloc(&pool, 10), 65);
}

Test(pkt, a_lease_lives_as_long_as_its_last_user) {
    struct lender l = lender();
    struct tarn_pkt *a = pkt_of(S("head ")), *b = pkt_of(S(""));
    cr_assert(tarn_pkt_lend(a, S("lent"), &l.lease));
    cr_assert(tarn_pkt_lend(a, S(" rom"), NULL));
    cr_assert(tarn_pkt_lend(b, S("lent"), &l.lease));
    holds(a, S("head lent rom"));
    holds(b, S("lent"));
    cr_assert_eq(tarn_pkt_tailroom(a).len, 0);
    cr_assert_not(tarn_pkt_append(a, S("x")));
    cr_assert_eq(l.lease.holds, 3);
    tarn_lease_drop(&l.lease); /* the lender's own */
    tarn_pkt_free(a);
    cr_assert_eq(l.released, 0);
    tarn_pkt_free(b);
    cr_assert_eq(l.released, 1);
}

Test(pkt, dropping_a_lease_too_often_traps, .signal = SIGILL) {
    struct lender l = lender();
    tarn_lease_drop(&l.lease);
    tarn_lease_drop(&l.lease);
}

Test(pkt, lending_ends_at_the_fragment_limit) {
    struct lender l = lender();
    struct tarn_pkt *pkt = pkt_of(S("h"));
    for (size_t i = 0; i < TARN_PKT_FRAGS_MAX; i++)
        cr_assert(tarn_pkt_lend(pkt, S("x"), &l.lease));
    cr_assert_not(tarn_pkt_lend(pkt, S("x"), &l.lease));
    cr_assert_eq(l.lease.holds, 1 + TARN_PKT_FRAGS_MAX);
    cr_assert_eq(pkt->len, 1 + TARN_PKT_FRAGS_MAX);
    tarn_pkt_free(pkt);
    cr_assert_eq(l.lease.holds, 1);
}

Test(pkt, lending_ends_at_the_longest_packet) {
    static const uint8_t big[TARN_PKT_LEN_MAX + 1];
    struct tarn_pkt *pkt = pkt_of(S("h"));
    cr_assert_not(tarn_pkt_lend(pkt, tarn_span_of(big, TARN_PKT_LEN_MAX), NULL));
    cr_assert_not(tarn_pkt_lend(pkt, tarn_span_of(big, (size_t)1 << 32), NULL));
    cr_assert(tarn_pkt_lend(pkt, tarn_span_of(big, TARN_PKT_LEN_MAX - 1), NULL));
    cr_assert_not(tarn_pkt_lend(pkt, S("x"), NULL));
    tarn_pkt_free(pkt);
    pkt = tarn_pkt_alloc(&pool, TARN_PKT_LEN_MAX); /* a head that is longer by its prepends */
    tarn_pkt_grow(pkt, TARN_PKT_LEN_MAX);
    struct tarn_writer w = tarn_pkt_prepend(pkt, 20);
    tarn_writer_zero(&w, 20);
    cr_assert_not(tarn_pkt_lend(pkt, S("x"), NULL));
    tarn_pkt_free(pkt);
}

Test(pkt, trim_at_every_length) {
    static const char text[] = "headfragmentstail";
    for (size_t len = 0; len <= 20; len++) {
        struct lender l[3] = {lender(), lender(), lender()};
        struct tarn_pkt *pkt = pkt_of(S("head"));
        cr_assert(tarn_pkt_lend(pkt, S("frag"), &l[0].lease));
        cr_assert(tarn_pkt_lend(pkt, S(""), NULL));
        cr_assert(tarn_pkt_lend(pkt, S("ments"), &l[1].lease));
        cr_assert(tarn_pkt_lend(pkt, S("tail"), &l[2].lease));
        tarn_pkt_trim(pkt, len);
        holds(pkt, tarn_span_first(tarn_span_str(text), len));
        cr_assert_eq(l[0].lease.holds, 1 + (len > 4));
        cr_assert_eq(l[1].lease.holds, 1 + (len > 8));
        cr_assert_eq(l[2].lease.holds, 1 + (len > 13));
        tarn_pkt_free(pkt);
        for (size_t i = 0; i < 3; i++)
            cr_assert_eq(l[i].lease.holds, 1);
    }
}

/* A packet cut into a head and fragments at random places, and the same bytes in one piece. */
static struct tarn_pkt *scattered(struct tarn_random *r, uint8_t *flat, size_t len) {
    size_t at = tarn_random_below(r, 30);
    tarn_random_fill(r, tarn_bytes_of(flat, len));
    struct tarn_pkt *pkt = pkt_of(tarn_span_of(flat, at));
    while (at < len) {
        size_t n = pkt->nfrags == TARN_PKT_FRAGS_MAX - 1
                       ? len - at
                       : TARN_MIN((size_t)tarn_random_below(r, 40), len - at);
        cr_assert(tarn_pkt_lend(pkt, tarn_span_of(flat + at, n), NULL));
        at += n;
    }
    return pkt;
}

Test(pkt, read_and_checksum_across_fragments) {
    struct tarn_random_seeded seeded;
    struct tarn_random *r = &seeded.random;
    uint8_t flat[257], part[257];
    tarn_random_seeded_init(&seeded, 51);
    for (int round = 0; round < 3000; round++) {
        struct tarn_pkt *pkt = scattered(r, flat, sizeof flat);
        size_t off = tarn_random_below(r, sizeof flat + 1);
        size_t n = tarn_random_below(r, (uint32_t)(sizeof flat - off) + 1);
        struct tarn_span expected = tarn_span_of(flat + off, n);
        cr_assert(tarn_pkt_read(pkt, off, part, n));
        cr_assert(tarn_span_equal(tarn_span_of(part, n), expected));
        cr_assert_eq(tarn_csum_fold(tarn_pkt_csum(pkt, off, n)) % 0xffff,
                     tarn_csum_fold(tarn_csum_add(0, expected)) % 0xffff);
        cr_assert_not(tarn_pkt_read(pkt, off, part, sizeof flat - off + 1));
        cr_assert_not(tarn_pkt_read(pkt, sizeof flat + 1, part, 0));
        cr_assert_not(tarn_pkt_read(pkt, 1, part, SIZE_MAX));
        tarn_pkt_free(pkt);
    }
}

Test(pkt, checksum_behind_the_end_traps, .signal = SIGILL) {
    (void)tarn_pkt_csum(pkt_of(S("abc")), 1, 3);
}

Test(pkt, copy_is_linear_and_keeps_the_metadata) {
    struct tarn_pkt *pkt = pkt_of(S("head ")), *copy;
    cr_assert(tarn_pkt_lend(pkt, S("lent"), NULL));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = 1;
    pkt->csum_offset = 2;
    pkt->gso_size = 1448;
    pkt->gso_type = TARN_GSO_TCPV4;
    pkt->gso_ecn = true;
    copy = tarn_pkt_copy(&pool, pkt);
    cr_assert_not_null(copy);
    tarn_pkt_free(pkt);
    cr_assert_eq(copy->nfrags, 0);
    holds(copy, S("head lent"));
    cr_assert(copy->csum_state == TARN_CSUM_PARTIAL && copy->csum_start == 1
              && copy->csum_offset == 2 && copy->gso_size == 1448
              && copy->gso_type == TARN_GSO_TCPV4 && copy->gso_ecn);
    (void)tarn_pkt_prepend(copy, TARN_PKT_HEADROOM);
    tarn_pkt_free(copy);
}

Test(pkt, copy_without_memory_is_null) {
    struct tarn_pkt *all[6];
    for (size_t i = 0; i < 6; i++)
        cr_assert_not_null(all[i] = tarn_pkt_alloc(&pool, 0));
    cr_assert_null(tarn_pkt_copy(&pool, all[0]));
    for (size_t i = 0; i < 6; i++)
        tarn_pkt_free(all[i]);
}

Test(pkt, csum_start_follows_prepend_and_pull) {
    struct tarn_pkt *pkt = pkt_of(S("datagram"));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    (void)tarn_pkt_prepend(pkt, 20);
    (void)tarn_pkt_prepend(pkt, 14);
    cr_assert_eq(pkt->csum_start, 34);
    cr_assert(tarn_pkt_pull(pkt, 14));
    cr_assert_eq(pkt->csum_start, 20);
    cr_assert(tarn_pkt_pull(pkt, 24));
    cr_assert_eq(pkt->csum_start, 0);
    tarn_pkt_free(pkt);
}

Test(pkt, completing_a_partial_checksum) {
    uint8_t head[10] = {1, 2, 3, 4, 0x12, 0x34, 0, 0, 9, 8};
    struct tarn_pkt *pkt = pkt_of(TARN_SPAN_ARRAY(head));
    cr_assert(tarn_pkt_lend(pkt, S("abc"), NULL));
    head[6] = 0xab, head[7] = 0xcd; /* the pseudo-header's sum */
    tarn_bytes_copy(tarn_bytes_after(tarn_pkt_head_bytes(pkt), 6), tarn_span_of(head + 6, 2));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = 4;
    pkt->csum_offset = 2;
    tarn_pkt_csum_complete(pkt);
    uint8_t got[2];
    cr_assert(tarn_pkt_read(pkt, 6, got, 2));
    /* ~(0x1234 + 0xabcd + 0x0908 + 0x6162 + 0x6300) in one's complement */
    cr_assert_eq(got[0] << 8 | got[1], (uint16_t) ~(0x8b6b + 1));
    cr_assert_eq(pkt->csum_state, TARN_CSUM_NONE);
    tarn_pkt_csum_complete(pkt); /* done already: nothing changes */
    cr_assert_eq(tarn_csum_fold(tarn_pkt_csum(pkt, 4, 9)), (0xffff + 0) - 0xabcd);
    tarn_pkt_free(pkt);
}

Test(pkt, rfc768_a_zero_checksum_of_udp_goes_out_as_ones) {
    struct tarn_pkt *pkt = pkt_of(S("\xff\xff\0\0\0\0\0\0"));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_offset = 6;
    tarn_pkt_csum_complete(pkt);
    holds(pkt, S("\xff\xff\0\0\0\0\xff\xff"));
    tarn_pkt_free(pkt);
}

Test(pkt, rfc9293_a_zero_checksum_of_tcp_stays) {
    struct tarn_pkt *pkt = pkt_of(S("\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_offset = 16;
    tarn_pkt_csum_complete(pkt);
    holds(pkt, S("\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    tarn_pkt_free(pkt);
}

Test(pkt, queue_is_first_in_first_out) {
    struct tarn_pkt_queue q = {0};
    struct tarn_pkt *a = pkt_of(S("a")), *b = pkt_of(S("bc")), *c = pkt_of(S("def"));
    cr_assert_null(tarn_pkt_queue_pop(&q));
    tarn_pkt_queue_push(&q, a);
    tarn_pkt_queue_push(&q, b);
    cr_assert_eq(tarn_pkt_queue_pop(&q), a);
    cr_assert_null(a->next);
    tarn_pkt_queue_push(&q, c);
    cr_assert(q.count == 2 && q.bytes == 5);
    cr_assert_eq(tarn_pkt_queue_pop(&q), b);
    cr_assert_eq(tarn_pkt_queue_pop(&q), c);
    cr_assert(q.count == 0 && q.bytes == 0 && !q.tail && !tarn_pkt_queue_pop(&q));
    tarn_pkt_queue_push(&q, a);
    tarn_pkt_queue_push(&q, b);
    tarn_pkt_free(c);
    tarn_pkt_queue_clear(&q);
    cr_assert(q.count == 0 && !q.head);
}
