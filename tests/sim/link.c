/* SPDX-License-Identifier: ISC */
/* The link model: each thing that it does to frames, counted, and nothing that it was not asked
 * for. */
#include "seeds.h"
#include "sim.h"

#include <signal.h>
#include <unistd.h>

enum { HOSTS = 3 };

struct lan {
    struct tarn_sim *sim;
    struct tarn_sim_link *link;
    struct tarn_netif *netif[HOSTS];
    struct tarn_sim_alloc alloc;
    struct tarn_pkt_pool pkts;
};

static void lan_of(struct lan *lan, unsigned hosts, uint64_t seed,
                   struct tarn_sim_link_config config) {
    *lan = (struct lan){.sim = tarn_sim_new(seed)};
    tarn_sim_alloc_init(&lan->alloc);
    struct tarn_pkt_pool_config pkts = {{64, 256, 8}};
    cr_assert_eq(tarn_pkt_pool_init(&lan->pkts, &lan->alloc.alloc, &pkts), TARN_OK);
    lan->link = tarn_sim_link_new(lan->sim, &config);
    for (unsigned i = 0; i < hosts; i++)
        lan->netif[i] = tarn_sim_attach(lan->link, &lan->pkts, NULL);
}

static void lan_new(struct lan *lan, uint64_t seed, struct tarn_sim_link_config config) {
    lan_of(lan, HOSTS, seed, config);
}

static void lan_free(struct lan *lan) {
    cr_assert_eq(tarn_sim_pkts_live(&lan->pkts), 0);
    tarn_sim_free(lan->sim);
    tarn_sim_alloc_free_all(&lan->alloc);
}

static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};

/* The type for experiments, since no IP packet is in it. */
static uint16_t frame_type = 0x88b5;

/* A frame of `payload` bytes that count up from `first`. */
static struct tarn_pkt *frame(struct lan *lan, unsigned from, const uint8_t *dst, uint8_t first,
                              size_t payload) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&lan->pkts, 14 + payload);
    cr_assert_not_null(pkt);
    uint8_t bytes[2048] = {0};
    memcpy(bytes, dst, 6);
    memcpy(bytes + 6, lan->netif[from]->mac, 6);
    bytes[12] = (uint8_t)(frame_type >> 8);
    bytes[13] = (uint8_t)frame_type;
    for (size_t i = 0; i < payload; i++)
        bytes[14 + i] = (uint8_t)(first + i);
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(bytes, 14 + payload)));
    return pkt;
}

static void send_one(struct lan *lan, unsigned from, struct tarn_pkt *pkt) {
    cr_assert_eq(tarn_netif_send(lan->netif[from], &pkt, 1), 1);
}

static void send_to(struct lan *lan, unsigned from, unsigned to, uint8_t first, size_t payload) {
    send_one(lan, from, frame(lan, from, lan->netif[to]->mac, first, payload));
}

/* Frees all that has come, and says how many; the first payload byte of each in `firsts`. */
static unsigned drain(struct lan *lan, unsigned host, uint8_t *firsts) {
    unsigned count = 0;
    struct tarn_pkt *pkt;
    while (tarn_netif_recv(lan->netif[host], &pkt, 1) == 1) {
        if (firsts)
            firsts[count] = tarn_span_at(tarn_pkt_head(pkt), 14);
        count++;
        tarn_pkt_free(pkt);
    }
    return count;
}

static const struct tarn_sim_counters *counters(const struct lan *lan) {
    return tarn_sim_link_counters(lan->link);
}

Test(link, floods_the_unknown_and_learns) {
    struct lan lan;
    lan_new(&lan, 1, (struct tarn_sim_link_config){0});
    send_to(&lan, 0, 1, 0, 46);
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(drain(&lan, 0, NULL), 0);
    cr_assert_eq(drain(&lan, 1, NULL), 1);
    cr_assert_eq(drain(&lan, 2, NULL), 1, "1 has not been heard of yet");
    send_to(&lan, 1, 0, 0, 46);
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(drain(&lan, 0, NULL), 1);
    cr_assert_eq(drain(&lan, 2, NULL), 0);
    send_one(&lan, 0, frame(&lan, 0, everyone, 0, 46));
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(drain(&lan, 1, NULL), 1);
    cr_assert_eq(drain(&lan, 2, NULL), 1);
    send_to(&lan, 0, 0, 0, 46);
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(counters(&lan)->unclaimed, 1);
    lan_free(&lan);
}

Test(link, bandwidth_and_delay_make_the_time_of_arrival) {
    struct lan lan;
    lan_new(&lan, 1,
            (struct tarn_sim_link_config){.path = {.bits_per_s = 8000000, .delay = TARN_MS(5)}});
    send_to(&lan, 0, 1, 0, 986); /* 1000 bytes: 1 ms at 8 Mbit/s */
    send_to(&lan, 0, 1, 1, 986);
    tarn_sim_run(lan.sim, TARN_MS(6) - 1);
    cr_assert_eq(drain(&lan, 1, NULL), 0);
    tarn_sim_run(lan.sim, TARN_MS(6));
    cr_assert_eq(drain(&lan, 1, NULL), 1);
    tarn_sim_run(lan.sim, TARN_MS(7) - 1);
    cr_assert_eq(drain(&lan, 1, NULL), 0);
    tarn_sim_run(lan.sim, TARN_MS(7));
    cr_assert_eq(drain(&lan, 1, NULL), 1);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

Test(link, a_full_queue_drops_its_tail_or_refuses) {
    struct lan lan;
    struct tarn_sim_link_config config = {.path = {.bits_per_s = 8000000, .queue_bytes_max = 3000}};
    lan_new(&lan, 1, config);
    for (unsigned i = 0; i < 5; i++)
        send_to(&lan, 0, 1, 0, 986);
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(drain(&lan, 1, NULL), 3);
    cr_assert_eq(counters(&lan)->queue_drops, 2);
    drain(&lan, 2, NULL);
    lan_free(&lan);

    config.path.queue_refuses = true;
    lan_new(&lan, 1, config);
    struct tarn_pkt *pkts[5];
    for (unsigned i = 0; i < 5; i++)
        pkts[i] = frame(&lan, 0, lan.netif[1]->mac, 0, 986);
    cr_assert_eq(tarn_netif_send(lan.netif[0], pkts, 5), 3);
    tarn_sim_run(lan.sim, TARN_MS(10));
    cr_assert_eq(tarn_netif_send(lan.netif[0], pkts + 3, 2), 2);
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(drain(&lan, 1, NULL), 5);
    cr_assert_eq(counters(&lan)->queue_drops, 0);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

/* Sends `n` frames with one path, and answers how many came to host 1 (alone with host 0). */
static unsigned through(struct lan *lan, uint64_t seed, const struct tarn_sim_path *path,
                        unsigned n, uint8_t *firsts) {
    lan_new(lan, seed, (struct tarn_sim_link_config){.path = *path});
    tarn_sim_netif_set_up(lan->netif[2], false);
    unsigned came = 0;
    for (unsigned i = 0; i < n; i++) {
        send_to(lan, 0, 1, (uint8_t)i, 46);
        tarn_sim_run(lan->sim, tarn_sim_now(lan->sim) + TARN_US(10));
        came += drain(lan, 1, firsts ? firsts + came : NULL);
    }
    tarn_sim_run(lan->sim, TARN_NEVER);
    return came + drain(lan, 1, firsts ? firsts + came : NULL);
}

Test(link, loss_is_as_often_as_asked) {
    struct lan lan;
    unsigned came = through(&lan, 7, &(struct tarn_sim_path){.loss_ppm = 200000}, 5000, NULL);
    cr_assert(came > 3900 && came < 4100, "%u", came);
    cr_assert_eq(counters(&lan)->lost, 5000 - came);
    lan_free(&lan);
}

Test(link, bursts_lose_neighbours) {
    struct lan lan;
    static uint8_t firsts[8192];
    struct tarn_sim_path path = {
        .burst_enter_ppm = 10000, .burst_leave_ppm = 100000, .burst_loss_ppm = 1000000};
    unsigned came = through(&lan, 7, &path, 5000, firsts);
    unsigned gaps = 0;
    for (unsigned i = 1; i < came; i++)
        gaps += (uint8_t)(firsts[i - 1] + 1) != firsts[i];
    uint64_t lost = counters(&lan)->burst_lost;
    cr_assert_eq(lost, 5000 - came);
    cr_assert(lost > 200 && lost < 900, "%llu", (unsigned long long)lost);
    cr_assert(gaps > 0 && lost / gaps >= 5, "%u gaps for %llu losses", gaps,
              (unsigned long long)lost);
    lan_free(&lan);
}

Test(link, duplicates) {
    struct lan lan;
    unsigned came = through(&lan, 7, &(struct tarn_sim_path){.duplicate_ppm = 500000}, 1000, NULL);
    cr_assert(came > 1400 && came < 1600);
    cr_assert_eq(came, 1000 + counters(&lan)->duplicated);
    lan_free(&lan);
}

Test(link, jitter_keeps_the_order_and_reordering_does_not) {
    struct lan lan;
    static uint8_t firsts[256];
    struct tarn_sim_path path = {.delay = TARN_MS(1), .jitter = TARN_MS(5)};
    cr_assert_eq(through(&lan, 7, &path, 200, firsts), 200);
    for (unsigned i = 0; i < 200; i++)
        cr_assert_eq(firsts[i], i);
    lan_free(&lan);
    path = (struct tarn_sim_path){.reorder_ppm = 300000, .reorder_by = TARN_MS(1)};
    cr_assert_eq(through(&lan, 7, &path, 200, firsts), 200);
    unsigned backwards = 0;
    for (unsigned i = 1; i < 200; i++)
        backwards += firsts[i] < firsts[i - 1];
    cr_assert(backwards > 20, "%u", backwards);
    lan_free(&lan);
}

static unsigned bits_changed(struct lan *lan, unsigned *in_header) {
    struct tarn_pkt *pkt, *sent = frame(lan, 0, lan->netif[1]->mac, 9, 46);
    uint8_t want[60], got[60];
    unsigned bits = 0;
    cr_assert(tarn_pkt_read(sent, 0, want, sizeof want));
    send_one(lan, 0, sent);
    tarn_sim_run(lan->sim, TARN_NEVER);
    if (tarn_netif_recv(lan->netif[1], &pkt, 1) == 0)
        return 0; /* its address was what changed */
    cr_assert(tarn_pkt_read(pkt, 0, got, sizeof got));
    for (unsigned i = 0; i < sizeof want; i++) {
        unsigned n = (unsigned)__builtin_popcount(want[i] ^ got[i]);
        bits += n;
        if (i < 14)
            *in_header += n;
    }
    tarn_pkt_free(pkt);
    return bits;
}

Test(link, corruption_flips_one_bit_behind_the_header_or_any) {
    struct lan lan;
    unsigned in_header = 0;
    frame_type = 0x0800; /* the link looks where an IP packet's data would begin */
    lan_new(&lan, 3, (struct tarn_sim_link_config){.path = {.corrupt_ppm = 1000000}});
    tarn_sim_netif_set_up(lan.netif[2], false);
    for (unsigned i = 0; i < 200; i++)
        cr_assert_eq(bits_changed(&lan, &in_header), 1);
    cr_assert_eq(in_header, 0);
    lan_free(&lan);
    lan_new(&lan, 3, (struct tarn_sim_link_config){.path = {.corrupt_any_ppm = 1000000}});
    tarn_sim_netif_set_up(lan.netif[2], false);
    for (unsigned i = 0; i < 200; i++)
        cr_assert(bits_changed(&lan, &in_header) <= 8);
    cr_assert(in_header > 10);
    cr_assert_eq(counters(&lan)->corrupted, 200);
    lan_free(&lan);
}

Test(link, truncates) {
    struct lan lan;
    lan_new(&lan, 3, (struct tarn_sim_link_config){.path = {.truncate_ppm = 1000000}});
    for (unsigned i = 0; i < 100; i++)
        send_one(&lan, 0, frame(&lan, 0, everyone, 0, 46));
    tarn_sim_run(lan.sim, TARN_NEVER);
    struct tarn_pkt *pkt;
    unsigned count = 0;
    while (tarn_netif_recv(lan.netif[1], &pkt, 1)) {
        cr_assert_lt(pkt->len, 60);
        tarn_pkt_free(pkt);
        count++;
    }
    cr_assert_eq(count, 100);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

Test(link, frames_too_long_for_the_path_vanish) {
    struct lan lan;
    lan_new(&lan, 3, (struct tarn_sim_link_config){.path = {.frame_bytes_max = 600}});
    send_to(&lan, 0, 1, 0, 600 - 14);
    send_to(&lan, 0, 1, 0, 601 - 14);
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(drain(&lan, 1, NULL), 1);
    cr_assert_eq(counters(&lan)->size_drops, 1);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

Test(link, an_outage_loses_what_is_in_flight_and_what_is_sent) {
    struct lan lan;
    lan_new(&lan, 3, (struct tarn_sim_link_config){.path = {.delay = TARN_MS(10)}});
    tarn_sim_link_outage(lan.link, TARN_MS(15), TARN_MS(30));
    for (unsigned i = 0; i < 5; i++) {
        tarn_sim_run(lan.sim, TARN_MS(10) * i);
        send_one(&lan, 0, frame(&lan, 0, everyone, (uint8_t)i, 46));
    }
    tarn_sim_run(lan.sim, TARN_NEVER);
    uint8_t firsts[8] = {0};
    cr_assert_eq(drain(&lan, 1, firsts), 3);
    cr_assert(firsts[0] == 0 && firsts[1] == 3 && firsts[2] == 4);
    cr_assert_eq(counters(&lan)->down_drops, 2);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

Test(link, a_cable_pulled_out_cuts_one_host_off) {
    struct lan lan;
    lan_new(&lan, 3, (struct tarn_sim_link_config){0});
    tarn_sim_netif_set_up(lan.netif[1], false);
    send_one(&lan, 0, frame(&lan, 0, everyone, 0, 46));
    send_one(&lan, 1, frame(&lan, 1, everyone, 0, 46));
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(drain(&lan, 0, NULL), 0);
    cr_assert_eq(drain(&lan, 1, NULL), 0);
    cr_assert_eq(drain(&lan, 2, NULL), 1);
    lan_free(&lan);
}

Test(link, a_receiver_without_room_or_packets_drops_and_counts) {
    struct lan lan;
    struct tarn_sim_hog hog = {0};
    lan_new(&lan, 3, (struct tarn_sim_link_config){.rx_frames_max = 4});
    for (unsigned i = 0; i < 6; i++)
        send_to(&lan, 0, 1, 0, 46);
    tarn_sim_run(lan.sim, TARN_NEVER);
    cr_assert_eq(counters(&lan)->rx_overflows, 4, "two for each of the two receivers");
    tarn_sim_hog_take(&hog, &lan.pkts);
    cr_assert_eq(drain(&lan, 1, NULL), 0);
    cr_assert_eq(lan.netif[1]->stats.rx_drops, 6);
    tarn_sim_hog_release(&hog);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

struct every_third {
    struct tarn_sim_hook hook;
    unsigned count;
};

static bool drop_third(struct tarn_sim_hook *hook, struct tarn_netif *from, struct tarn_bytes f) {
    struct every_third *t = TARN_CONTAINER_OF(hook, struct every_third, hook);
    (void)from;
    *tarn_bytes_at(f, 14) = 99;
    return ++t->count % 3 != 0;
}

Test(link, a_hook_sees_changes_and_drops) {
    struct lan lan;
    struct every_third t = {.hook.frame = drop_third};
    lan_new(&lan, 3, (struct tarn_sim_link_config){0});
    tarn_sim_link_hook(lan.link, &t.hook);
    for (unsigned i = 0; i < 9; i++)
        send_to(&lan, 0, 1, 0, 46);
    tarn_sim_run(lan.sim, TARN_NEVER);
    uint8_t firsts[16];
    cr_assert_eq(drain(&lan, 1, firsts), 6);
    cr_assert_eq(firsts[0], 99);
    cr_assert_eq(counters(&lan)->hook_drops, 3);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

/* -- offloads -----------------------------------------------------------------------------------
 */

enum { HEADERS = 14 + 20 + 20 };

/* A TCP super-segment of `payload` bytes that count up, with CWR, PSH and FIN set, as the library
 * makes one: a PARTIAL checksum whose field holds the pseudo-header's sum. */
static struct tarn_pkt *super(struct lan *lan, size_t payload, uint16_t gso_size) {
    uint8_t h[HEADERS] = {0};
    memcpy(h, lan->netif[1]->mac, 6);
    memcpy(h + 6, lan->netif[0]->mac, 6);
    static const uint8_t ip_tcp[] = {0x08, 0x00, 0x45, 0,    0,    0,    0xff, 0xff, 0x40, 0,
                                     64,   6,    0,    0,    10,   0,    0,    1,    10,   0,
                                     0,    2,    0x12, 0x34, 0,    80,   0xff, 0xff, 0xff, 0x00,
                                     1,    2,    3,    4,    0x50, 0x99, 0x10, 0};
    memcpy(h + 12, ip_tcp, sizeof ip_tcp);
    h[16] = (uint8_t)((40 + payload) >> 8);
    h[17] = (uint8_t)(40 + payload);
    uint16_t ip_sum = tarn_csum_finish(tarn_csum_add(0, tarn_span_of(h + 14, 20)));
    h[24] = (uint8_t)(ip_sum >> 8);
    h[25] = (uint8_t)ip_sum;
    uint32_t sum = tarn_csum_add(6 + 20 + (uint32_t)payload, tarn_span_of(h + 26, 8));
    h[50] = (uint8_t)(tarn_csum_fold(sum) >> 8);
    h[51] = (uint8_t)tarn_csum_fold(sum);
    struct tarn_pkt *pkt = tarn_pkt_alloc(&lan->pkts, HEADERS + payload);
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(h, sizeof h)));
    for (size_t i = 0; i < payload; i++) {
        uint8_t byte = (uint8_t)(i * 7 + i / 256);
        cr_assert(tarn_pkt_append(pkt, tarn_span_of(&byte, 1)));
    }
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = 34;
    pkt->csum_offset = 16;
    pkt->gso_type = gso_size ? TARN_GSO_TCPV4 : TARN_GSO_NONE;
    pkt->gso_size = gso_size;
    pkt->gso_ecn = true;
    return pkt;
}

/* The checksums of IPv4 and TCP, summed by the book over the frame. */
static void check_sums(const uint8_t *f, size_t len) {
    cr_assert_eq(tarn_csum_finish(tarn_csum_add(0, tarn_span_of(f + 14, 20))), 0);
    uint32_t sum = tarn_csum_add(6 + (uint32_t)(len - 34), tarn_span_of(f + 26, 8));
    cr_assert_eq(tarn_csum_finish(tarn_csum_add(sum, tarn_span_of(f + 34, len - 34))), 0);
    cr_assert_eq((size_t)f[16] << 8 | f[17], len - 14);
}

Test(link, cuts_super_segments_and_completes_checksums) {
    struct lan lan;
    lan_new(&lan, 3,
            (struct tarn_sim_link_config){.features = TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4});
    send_one(&lan, 0, super(&lan, 3500, 1000));
    tarn_sim_run(lan.sim, TARN_NEVER);
    static const uint8_t flags[] = {0x90, 0x10, 0x10, 0x19};
    size_t off = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct tarn_pkt *pkt;
        uint8_t f[2048];
        cr_assert_eq(tarn_netif_recv(lan.netif[1], &pkt, 1), 1);
        size_t len = pkt->len;
        cr_assert_eq(len, HEADERS + (i < 3 ? 1000u : 500u));
        cr_assert_eq(pkt->csum_state, TARN_CSUM_NONE);
        cr_assert_eq(pkt->gso_size, 0);
        cr_assert(tarn_pkt_read(pkt, 0, f, len));
        tarn_pkt_free(pkt);
        check_sums(f, len);
        uint32_t seq = (uint32_t)f[38] << 24 | (uint32_t)f[39] << 16 | (uint32_t)f[40] << 8 | f[41];
        cr_assert_eq(seq, (uint32_t)(0xffffff00u + off));
        cr_assert_eq((uint16_t)((uint16_t)f[18] << 8 | f[19]), (uint16_t)(0xffff + i));
        cr_assert_eq(f[47], flags[i], "flags of piece %u: %x", i, f[47]);
        for (size_t k = HEADERS; k < len; k++, off++)
            cr_assert_eq(f[k], (uint8_t)(off * 7 + off / 256));
    }
    cr_assert_eq(off, 3500);
    cr_assert_eq(counters(&lan)->sent, 4);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

Test(link, hands_supers_over_whole_where_asked) {
    struct lan lan;
    lan_new(&lan, 3,
            (struct tarn_sim_link_config){.features = TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4,
                                          .whole_supers = true});
    send_one(&lan, 0, super(&lan, 3500, 1000));
    tarn_sim_run(lan.sim, TARN_NEVER);
    struct tarn_pkt *pkt;
    cr_assert_eq(tarn_netif_recv(lan.netif[1], &pkt, 1), 1);
    cr_assert_eq(pkt->len, HEADERS + 3500);
    cr_assert_eq(pkt->csum_state, TARN_CSUM_PARTIAL);
    cr_assert_eq(pkt->gso_size, 1000);
    tarn_pkt_free(pkt);
    drain(&lan, 2, NULL);
    lan_free(&lan);
}

Test(link, an_offload_that_was_not_offered_traps, .signal = SIGILL) {
    struct lan lan;
    lan_new(&lan, 3, (struct tarn_sim_link_config){.features = TARN_NETIF_TX_CSUM});
    send_one(&lan, 0, super(&lan, 3500, 1000));
}

/* -- repetition ---------------------------------------------------------------------------------
 */

static uint64_t fingerprint(uint64_t seed, const char *pcap) {
    struct lan lan;
    lan_new(&lan, seed,
            (struct tarn_sim_link_config){.path = {.bits_per_s = 10000000,
                                                   .delay = TARN_MS(3),
                                                   .jitter = TARN_MS(2),
                                                   .loss_ppm = 100000,
                                                   .duplicate_ppm = 100000,
                                                   .reorder_ppm = 100000,
                                                   .reorder_by = TARN_MS(9),
                                                   .corrupt_any_ppm = 100000,
                                                   .truncate_ppm = 50000}});
    if (pcap)
        cr_assert(tarn_sim_link_capture(lan.link, pcap, true));
    uint64_t hash = 0;
    for (unsigned i = 0; i < 300; i++) {
        send_to(&lan, i % 3, (i + 1) % 3, (uint8_t)i, 46 + i);
        tarn_sim_step(lan.sim, TARN_NEVER);
        for (unsigned h = 0; h < HOSTS; h++) {
            struct tarn_pkt *pkt;
            while (tarn_netif_recv(lan.netif[h], &pkt, 1)) {
                uint32_t sum = tarn_pkt_csum(pkt, 0, pkt->len);
                hash = (hash ^ sum ^ tarn_sim_now(lan.sim) ^ h) * 0x100000001b3u;
                tarn_pkt_free(pkt);
            }
        }
    }
    const struct tarn_sim_counters *c = counters(&lan);
    cr_assert(c->lost && c->duplicated && c->reordered && c->corrupted && c->truncated);
    lan_free(&lan);
    return hash;
}

SIM_TEST(link, the_same_seed_is_the_same_run, 20) {
    SIM_CHECK(fingerprint(seed, NULL) == fingerprint(seed, NULL));
    SIM_CHECK(fingerprint(seed, NULL) != fingerprint(seed + 1, NULL));
}

static size_t slurp(const char *path, uint8_t *buf, size_t cap) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    size_t n = fread(buf, 1, cap, file);
    fclose(file);
    return n;
}

Test(link, captures_repeat_to_the_byte_and_change_nothing) {
    static uint8_t a[1 << 20], b[1 << 20];
    char path_a[] = "sim-pcap-a-XXXXXX", path_b[] = "sim-pcap-b-XXXXXX";
    int fd_a = mkstemp(path_a), fd_b = mkstemp(path_b);
    cr_assert(fd_a >= 0 && fd_b >= 0);
    uint64_t hash = fingerprint(5, path_a);
    cr_assert_eq(hash, fingerprint(5, path_b));
    cr_assert_eq(hash, fingerprint(5, NULL));
    size_t n = slurp(path_a, a, sizeof a);
    cr_assert_eq(n, slurp(path_b, b, sizeof b));
    cr_assert_arr_eq(a, b, n);
    close(fd_a);
    close(fd_b);
    unlink(path_a);
    unlink(path_b);
    uint32_t magic, link_type;
    memcpy(&magic, a, 4);
    memcpy(&link_type, a + 20, 4);
    cr_assert_eq(magic, 0xa1b23c4d);
    cr_assert_eq(link_type, 1);
    size_t at = 24, records = 0;
    while (at < n) {
        uint32_t captured;
        memcpy(&captured, a + at + 8, 4);
        at += 16 + captured;
        records++;
    }
    cr_assert_eq(at, n);
    cr_assert_gt(records, 300);
}

SIM_TEST(link, every_frame_is_accounted_for, 50) {
    struct lan lan;
    lan_of(&lan, 2, seed,
           (struct tarn_sim_link_config){.path = {.bits_per_s = 1000000,
                                                  .queue_bytes_max = 20000,
                                                  .jitter = TARN_MS(2),
                                                  .loss_ppm = 100000,
                                                  .burst_enter_ppm = 20000,
                                                  .burst_leave_ppm = 200000,
                                                  .burst_loss_ppm = 800000,
                                                  .duplicate_ppm = 100000,
                                                  .reorder_ppm = 100000,
                                                  .reorder_by = TARN_MS(9),
                                                  .frame_bytes_max = 900},
                                         .rx_frames_max = 8});
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, seed);
    for (unsigned i = 0; i < 400; i++) {
        send_to(&lan, i & 1, ~i & 1, 0, 1 + tarn_random_below(&r.random, 1000));
        if (i % 50 == 0)
            tarn_sim_link_outage(lan.link, tarn_sim_now(lan.sim) + TARN_MS(20),
                                 tarn_sim_now(lan.sim) + TARN_MS(30));
        tarn_sim_run(lan.sim, tarn_sim_now(lan.sim) + tarn_random_below(&r.random, 5000000));
        if (i % 5 == 0) {
            drain(&lan, 0, NULL);
            drain(&lan, 1, NULL);
        }
    }
    tarn_sim_run(lan.sim, TARN_NEVER);
    const struct tarn_sim_counters *c = counters(&lan);
    uint64_t gone = c->lost + c->burst_lost + c->queue_drops + c->size_drops + c->down_drops
                    + c->rx_overflows + c->delivered;
    SIM_CHECK(gone == c->sent + c->duplicated, "sent %llu, gone %llu",
              (unsigned long long)(c->sent + c->duplicated), (unsigned long long)gone);
    drain(&lan, 0, NULL);
    drain(&lan, 1, NULL);
    lan_free(&lan);
}
