/* SPDX-License-Identifier: ISC */
/* lib/tcp over lib/ip over a tun device of the kernel's, with a line in between that is as bad as
 * wanted. One of them in a process. */
#ifndef TESTS_PEERS_BAD_LINE_H
#define TESTS_PEERS_BAD_LINE_H

#include <tarn/base.h>
#include <tarn/tcp.h>

/* What the line does to packets, both ways; all zero: nothing. */
struct line {
    uint32_t lost, doubled, late; /* percent; what is late comes up to 10 ms behind others */
    uint16_t mtu;                 /* what is longer is lost; 0: what the device has */
    bool silent;                  /* ... and no ICMP message tells (RFC 1191) */
};
extern struct line line;

extern struct tarn_tcp *tcp;

/* Ends the process with `what` unless `good`. */
void must(bool good, const char *what);
tarn_time now(void);
/* `address` with a prefix length. */
void bad_line_init(int tun, const char *address);
/* Does what is due, and waits for a packet or a deadline, but no longer than a second. */
void turn(void);

#endif
