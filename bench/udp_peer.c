/* SPDX-License-Identifier: ISC */
/* Both ends of a UDP echo over the host's sockets, in batches of system calls:
 *
 *   udp_peer serve PORT                            what examples/udpecho does
 *   udp_peer drive HOST PORT SECONDS BYTES WINDOW  keeps WINDOW datagrams under way; prints how
 * many came back in a second, and the share that did not */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define BATCH 64u
#define BYTES_MAX 2048u

static struct mmsghdr messages[BATCH];
static struct iovec pieces[BATCH];
static struct sockaddr_in from[BATCH];
static char bufs[BATCH][BYTES_MAX];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_socket(void) {
    int s = socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20;
    if (s < 0)
        fail("socket");
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(s, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return s;
}

static struct sockaddr_in address(const char *host, const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
        fail(host);
    return a;
}

static void prepare(size_t bytes, int named) {
    for (unsigned i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){bufs[i], bytes};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
        if (named) {
            messages[i].msg_hdr.msg_name = &from[i];
            messages[i].msg_hdr.msg_namelen = sizeof from[i];
        }
    }
}

static void serve(const char *port) {
    struct sockaddr_in a = address("0.0.0.0", port);
    int s = open_socket();
    if (bind(s, (struct sockaddr *)&a, sizeof a))
        fail("bind");
    for (;;) {
        prepare(BYTES_MAX, 1);
        int n = recvmmsg(s, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < n; i++)
            pieces[i].iov_len = messages[i].msg_len;
        for (int sent = 0, k; sent < n; sent += k)
            if ((k = sendmmsg(s, messages + sent, (unsigned)(n - sent), 0)) <= 0)
                break;
    }
}

static void drive(const char *host, const char *port, double seconds, size_t bytes,
                  unsigned window) {
    struct sockaddr_in a = address(host, port);
    struct timeval patience = {.tv_usec = 50000};
    int s = open_socket();
    uint64_t back = 0, lost = 0;
    unsigned under_way = 0;
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(s, (struct sockaddr *)&a, sizeof a))
        fail("connect");
    double start = now();
    while (now() < start + seconds) {
        while (under_way < window) {
            unsigned n = window - under_way;
            prepare(bytes, 0);
            int sent = sendmmsg(s, messages, n < BATCH ? n : BATCH, 0);
            if (sent <= 0)
                break;
            under_way += (unsigned)sent;
        }
        prepare(BYTES_MAX, 0);
        int n = recvmmsg(s, messages, BATCH, MSG_WAITFORONE, NULL);
        if (n < 0 && errno != EAGAIN)
            fail("recvmmsg");
        if (n < 0) {
            lost += under_way;
            under_way = 0;
        } else {
            back += (unsigned)n;
            under_way -= (unsigned)n < under_way ? (unsigned)n : under_way;
        }
    }
    printf("%.0f %.6f\n", (double)back / (now() - start), (double)lost / (double)(back + lost + 1));
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(argv[2]);
    if (argc == 7 && strcmp(argv[1], "drive") == 0) {
        drive(argv[2], argv[3], atof(argv[4]), (size_t)atoi(argv[5]), (unsigned)atoi(argv[6]));
        return 0;
    }
    fprintf(stderr, "udp_peer serve PORT | udp_peer drive HOST PORT SECONDS BYTES WINDOW\n");
    return 2;
}
