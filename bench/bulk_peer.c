/* SPDX-License-Identifier: ISC */
/* Both ends of a bulk transfer over the host's sockets:
 *
 *   bulk_peer serve PORT                     what examples/bulk does
 *   bulk_peer up|down HOST PORT SECONDS      measures; prints bytes per second */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buf[256 * 1024];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *host, const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
        fail(host);
    return a;
}

static void serve(const char *port) {
    struct sockaddr_in a = address("0.0.0.0", port);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 8))
        fail("listen");
    for (;;) {
        int c = accept(listener, NULL, NULL);
        ssize_t n = read(c, buf, sizeof buf);
        if (n > 0 && buf[0] == 'd')
            while (write(c, buf, sizeof buf) > 0)
                ;
        else
            while (n > 0)
                n = read(c, buf, sizeof buf);
        close(c);
    }
}

static double measure(int up, const char *host, const char *port, double seconds) {
    struct sockaddr_in a = address(host, port);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(c, (struct sockaddr *)&a, sizeof a))
        fail("connect");
    memset(buf, up ? 'u' : 'd', sizeof buf);
    if (write(c, buf, 1) != 1)
        fail("write");
    double bytes = 0, start = now(), end = start + seconds;
    while (now() < end) {
        ssize_t n = up ? write(c, buf, sizeof buf) : read(c, buf, sizeof buf);
        if (n <= 0)
            fail(up ? "write" : "read");
        bytes += (double)n;
    }
    if (up) { /* until the other side has taken all of it */
        shutdown(c, SHUT_WR);
        if (read(c, buf, 1) != 0)
            fail("the end");
    }
    double rate = bytes / (now() - start);
    close(c);
    return rate;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(argv[2]);
    if (argc != 5) {
        fprintf(stderr, "usage: bulk_peer serve PORT | up|down HOST PORT SECONDS\n");
        return 64;
    }
    printf("%.0f\n", measure(strcmp(argv[1], "up") == 0, argv[2], argv[3], atof(argv[4])));
    return 0;
}
