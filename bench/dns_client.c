/* SPDX-License-Identifier: ISC */
/* Asks a DNS server by the batch, and counts the answers.
 *
 * dns_client ADDRESS PORT SECONDS QUERIES WINDOW
 *
 * QUERIES: a file of whole messages, each behind its length of 16 bits, asked in turn for as long
 * as it takes; up to WINDOW are under way. Prints answers a second, and the share of queries
 * without one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define LOST_AFTER 0.2 /* seconds of silence: what is under way is given up */

struct query {
    uint8_t *bytes;
    size_t len;
};
static struct query *queries;
static size_t query_count;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void load(const char *path) {
    FILE *f = fopen(path, "rb");
    uint8_t head[2];
    size_t room = 0;
    while (f && fread(head, 1, 2, f) == 2) {
        struct query q = {.len = (size_t)head[0] << 8 | head[1]};
        q.bytes = malloc(q.len);
        if (query_count == room)
            queries = realloc(queries, (room = room * 2 + 1024) * sizeof *queries);
        if (!q.bytes || !queries || fread(q.bytes, 1, q.len, f) != q.len)
            break;
        queries[query_count++] = q;
    }
    if (!query_count) {
        fprintf(stderr, "%s: no queries\n", path);
        exit(1);
    }
}

static int dial(const char *address, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1
        || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "%s port %s: %s\n", address, port, strerror(errno));
        exit(1);
    }
    return fd;
}

static unsigned send_some(int fd, size_t *next, unsigned n) {
    static uint16_t id;
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    n = n < BATCH ? n : BATCH;
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < n; i++) {
        struct query *q = &queries[(*next + i) % query_count];
        q->bytes[0] = (uint8_t)(++id >> 8);
        q->bytes[1] = (uint8_t)id;
        pieces[i] = (struct iovec){q->bytes, q->len};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    int sent = sendmmsg(fd, messages, n, 0);
    *next += sent > 0 ? (size_t)sent : 0;
    return sent > 0 ? (unsigned)sent : 0;
}

static unsigned receive_some(int fd) {
    static uint8_t buffers[BATCH][4096];
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){buffers[i], sizeof buffers[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    int n = recvmmsg(fd, messages, BATCH, 0, NULL);
    return n > 0 ? (unsigned)n : 0;
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 64;
    load(argv[4]);
    int fd = dial(argv[1], argv[2]);
    unsigned window = (unsigned)atoi(argv[5]), under_way = 0;
    unsigned long sent = 0, answers = 0, lost = 0;
    double start = now(), end = start + atof(argv[3]), heard = start, t;
    size_t next = 0;
    while ((t = now()) < end) {
        if (under_way < window) {
            unsigned n = send_some(fd, &next, window - under_way);
            under_way += n;
            sent += n;
        }
        unsigned n = receive_some(fd);
        answers += n;
        under_way -= n < under_way ? n : under_way;
        if (n) {
            heard = t;
        } else if (t - heard > LOST_AFTER) {
            lost += under_way;
            under_way = 0;
            heard = t;
        } else {
            struct pollfd p = {fd, POLLIN, 0};
            poll(&p, 1, 1);
        }
    }
    printf("%.0f %.6f\n", (double)answers / (t - start), sent ? (double)lost / (double)sent : 1);
    return 0;
}
