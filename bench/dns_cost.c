/* SPDX-License-Identifier: ISC */
/* What the server core costs by itself: dns_cost NAMES QUERIES [MISSES]
 *
 * Makes a zone of so many names with an address each, and answers so many queries of names that are
 * strewn over it (MISSES: of names that are not there). Prints the bytes for each record and the
 * time for each query. Under callgrind, what QUERIES more cost is what one costs in instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/dns_server.h>
#include <time.h>

static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a;
    (void)align;
    return calloc(1, bytes);
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a;
    (void)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops ops = {get, put};
static struct tarn_alloc heap = {&ops};

static void must(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void add(struct tarn_dns_zone *z, const char *owner, uint16_t type, const void *data,
                size_t len) {
    struct tarn_dns_name name;
    const char *why;
    must(tarn_dns_name_parse(tarn_span_str(owner), TARN_SPAN_EMPTY, &name), owner);
    struct tarn_dns_record r = {tarn_dns_name_span(&name), tarn_span_of(data, len), type,
                                TARN_DNS_IN, 3600};
    must(tarn_dns_zone_add(z, &r, &why) == TARN_OK, "a record was refused");
}

static struct tarn_dns_zone *zone_of(unsigned names, struct tarn_random *random) {
    struct tarn_dns_zone_config config = {.alloc = &heap,
                                          .random = random,
                                          .origin = TARN_SPAN_LIT("\7example\0"),
                                          .memory_max = 4ull << 30};
    static const uint8_t soa[] = "\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1";
    struct tarn_dns_zone *z;
    const char *why;
    must(tarn_dns_zone_new(&config, &z) == TARN_OK, "no memory");
    add(z, "example.", TARN_DNS_SOA, soa, 22);
    add(z, "example.", TARN_DNS_NS, "", 1);
    for (unsigned i = 0; i < names; i++) {
        char owner[40];
        uint8_t address[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        snprintf(owner, sizeof owner, "host%u.example.", i);
        add(z, owner, TARN_DNS_A, address, 4);
    }
    must(tarn_dns_zone_seal(z, &why) == TARN_OK, "not a zone");
    return z;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    struct tarn_random_seeded random;
    struct tarn_dns_server *server;
    struct tarn_dns_zone_stats stats;
    struct tarn_dns_zone *was;
    struct tarn_dns_request request = {.client = {TARN_IP_ADDR_V4(192, 0, 2, 1), 53}};
    if (argc < 3)
        return 64;
    unsigned names = (unsigned)atoi(argv[1]), queries = (unsigned)atoi(argv[2]), answered = 0;
    tarn_random_seeded_init(&random, 1);
    struct tarn_dns_server_config config = {.alloc = &heap, .random = &random.random};
    must(tarn_dns_server_new(&config, &server) == TARN_OK, "no memory");
    struct tarn_dns_zone *zone = zone_of(names, &random.random);
    must(tarn_dns_server_set_zone(server, zone, &was) == TARN_OK, "no zone");
    double start = seconds();
    for (unsigned i = 0; i < queries; i++) {
        uint8_t query[64] = "\0\1\1\0\0\1\0\0\0\0\0\1", out[1232];
        char label[40];
        struct tarn_writer w = {query, 12, sizeof query};
        unsigned n = (unsigned)(i * 2654435761u) % names;
        int len = snprintf(label, sizeof label, "%s%u", argc > 3 ? "miss" : "host", n);
        tarn_writer_u8(&w, (uint8_t)len);
        tarn_writer_mem(&w, label, (size_t)len);
        tarn_writer_mem(&w, "\7example\0\0\1\0\1\0\0\x29\4\xd0\0\0\0\0\0\0", 24);
        struct tarn_span answer = tarn_dns_server_answer(server, &request, tarn_writer_span(&w),
                                                         TARN_BYTES_ARRAY(out), NULL);
        answered += answer.len > 12 && answer.ptr[7] == (argc > 3 ? 0 : 1);
    }
    double took = seconds() - start;
    must(answered == queries, "not every query was answered");
    tarn_dns_zone_stats(zone, &stats);
    printf("%.1f %.1f\n", (double)stats.bytes / (double)stats.records,
           queries ? took / queries * 1e9 : 0);
    return 0;
}
