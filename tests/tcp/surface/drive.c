/* SPDX-License-Identifier: ISC */
/* The surface driven from outside, as a stranger would: through dlopen and surface.h, with packets
 * made by hand. */
#include "surface.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#define MS 1000000ull

/* -- the shared object -- */

/* clang-format off */
#define FUNCTIONS(X) \
    X(open) X(free) X(now) X(deadline) X(step) X(advance) X(packet_in) X(packet_out) \
    X(socket) X(bind) X(listen) X(accept) X(connect) X(read) X(write) X(shutdown) \
    X(close) X(abort) X(poll) X(getsockname) X(getpeername) X(set) X(get) X(set_congestion) \
    X(info) X(stat) X(recv) X(send) X(sendto)
/* clang-format on */
#define POINTER(name) __typeof__(&tarn_surface_##name) name;
static struct { FUNCTIONS(POINTER) } tarn;

static void load(void) {
    void *so = dlopen(SURFACE_SO, RTLD_NOW | RTLD_LOCAL);
    cr_assert_neq(so, NULL, "%s", dlerror());
#define SYMBOL(name)                                                                               \
    tarn.name = (__typeof__(tarn.name))(uintptr_t)dlsym(so, "tarn_surface_" #name);                \
    cr_assert_neq(tarn.name, NULL, #name);
    FUNCTIONS(SYMBOL)
    cr_assert_neq(dlsym(so, "packetdrill_interface_init"), NULL);
    cr_assert_eq(dlsym(so, "tarn_tcp_new"), NULL);
}

/* -- the peer -- */

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct peer {
    struct tarn_surface *host;
    uint16_t port, host_port;
    uint32_t seq, ack; /* what it sends next, and expects next */
};

struct segment {
    uint32_t seq, ack;
    uint8_t flags;
    size_t len;
    uint8_t data[2000];
    uint64_t when;
};

static const uint8_t host_addr[4] = {192, 168, 0, 1}, peer_addr[4] = {192, 0, 2, 1};

static uint32_t sum(uint32_t s, const uint8_t *p, size_t len) {
    for (size_t i = 0; i < len; i++)
        s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return s;
}
static void seal(uint8_t *at, uint32_t s) {
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    at[0] = (uint8_t)(~s >> 8);
    at[1] = (uint8_t)~s;
}
static void put32(uint8_t *at, uint32_t v) {
    v = htonl(v);
    memcpy(at, &v, 4);
}
static uint32_t get32(const uint8_t *at) {
    uint32_t v;
    memcpy(&v, at, 4);
    return ntohl(v);
}

static void give(struct peer *p, unsigned flags, const uint8_t *options, size_t options_len,
                 const char *data) {
    size_t len = strlen(data), tcp_len = 20 + options_len + len;
    uint8_t b[1600] = {0x45, 0, (uint8_t)((20 + tcp_len) >> 8), (uint8_t)(20 + tcp_len), 0, 0, 0, 0,
                       64,   6};
    uint8_t *tcp = b + 20;
    memcpy(b + 12, peer_addr, 4);
    memcpy(b + 16, host_addr, 4);
    seal(b + 10, sum(0, b, 20));
    memcpy(tcp, &(uint16_t){htons(p->port)}, 2);
    memcpy(tcp + 2, &(uint16_t){htons(p->host_port)}, 2);
    put32(tcp + 4, p->seq);
    put32(tcp + 8, flags & ACK ? p->ack : 0);
    tcp[12] = (uint8_t)((20 + options_len) / 4 << 4);
    tcp[13] = (uint8_t)flags;
    tcp[14] = tcp[15] = 0xff;
    if (options_len > 0)
        memcpy(tcp + 20, options, options_len);
    memcpy(tcp + 20 + options_len, data, len);
    seal(tcp + 16, sum(sum(6 + (uint32_t)tcp_len, b + 12, 8), tcp, tcp_len));
    cr_assert_eq(tarn.packet_in(p->host, b, 20 + tcp_len), 0);
    p->seq += (uint32_t)len + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
}

static bool take(struct peer *p, struct segment *out) {
    uint8_t b[2000];
    ssize_t n = tarn.packet_out(p->host, b, sizeof b, &out->when);
    if (n == 0)
        return false;
    cr_assert_geq(n, 40);
    size_t header = (size_t)(b[32] >> 4) * 4;
    out->seq = get32(b + 24);
    out->ack = get32(b + 28);
    out->flags = b[33];
    out->len = (size_t)n - 20 - header;
    memcpy(out->data, b + 20 + header, out->len);
    p->host_port = (uint16_t)(b[20] << 8 | b[21]);
    return true;
}
static struct segment expect(struct peer *p, unsigned flags) {
    struct segment s = {0};
    cr_assert(take(p, &s), "nothing was sent");
    cr_assert_eq(s.flags, flags, "flags %x, expected %x", s.flags, flags);
    p->ack = s.seq + (uint32_t)s.len + (s.flags & (SYN | FIN) ? 1 : 0);
    return s;
}
static void expect_none(struct peer *p) {
    struct segment s;
    cr_assert_not(take(p, &s), "flags %x, %zu bytes", s.flags, s.len);
}

/* -- both -- */

static const uint8_t syn_options[] = {2, 4, 5, 180, 1, 1, 4, 2}; /* MSS 1460, SACK */

static struct sockaddr_in addr_of(const uint8_t *a, uint16_t port) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (a)
        memcpy(&in.sin_addr, a, 4);
    return in;
}

static struct peer start(const char *options) {
    load();
    struct peer p = {.host = tarn.open(options), .port = 5000, .host_port = 80, .seq = 1000};
    cr_assert_neq(p.host, NULL);
    expect_none(&p);
    return p;
}

static int listening(struct peer *p, int backlog) {
    struct sockaddr_in any = addr_of(NULL, 80);
    int fd = tarn.socket(p->host, AF_INET);
    cr_assert_geq(fd, 0);
    cr_assert_eq(tarn.bind(p->host, fd, (struct sockaddr *)&any, sizeof any), 0);
    cr_assert_eq(tarn.listen(p->host, fd, backlog), 0);
    return fd;
}

/* The peer connects, with a round trip of 100 ms. */
static int accepted(struct peer *p, int listener) {
    struct sockaddr_in who;
    socklen_t bytes = sizeof who;
    cr_assert_eq(tarn.accept(p->host, listener, NULL, NULL), -EAGAIN);
    give(p, SYN, syn_options, sizeof syn_options, "");
    expect(p, SYN | ACK);
    tarn.advance(p->host, tarn.now(p->host) + 100 * MS);
    give(p, ACK, NULL, 0, "");
    cr_assert_eq(tarn.poll(p->host, listener), POLLIN | POLLRDNORM);
    int fd = tarn.accept(p->host, listener, (struct sockaddr *)&who, &bytes);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ntohs(who.sin_port), p->port);
    cr_assert_eq(memcmp(&who.sin_addr, peer_addr, 4), 0);
    return fd;
}

static int connecting(struct peer *p) {
    struct sockaddr_in to = addr_of(peer_addr, p->port);
    int fd = tarn.socket(p->host, AF_INET);
    cr_assert_eq(tarn.connect(p->host, fd, (struct sockaddr *)&to, sizeof to), -EINPROGRESS);
    cr_assert_eq(tarn.connect(p->host, fd, (struct sockaddr *)&to, sizeof to), -EALREADY);
    cr_assert_eq(tarn.poll(p->host, fd), 0);
    expect(p, SYN);
    return fd;
}

static struct tarn_surface_info info_of(struct peer *p, int fd) {
    struct tarn_surface_info info;
    cr_assert_eq(tarn.info(p->host, fd, &info, sizeof info), 0);
    return info;
}

Test(surface, serves_reads_answers_and_closes) {
    struct peer p = start(NULL);
    int listener = listening(&p, 4), fd = accepted(&p, listener);
    char buf[100];
    cr_assert_eq(tarn.read(p.host, fd, buf, sizeof buf), -EAGAIN);
    give(&p, ACK | PSH, NULL, 0, "question");
    cr_assert_eq(tarn.read(p.host, fd, buf, sizeof buf), 8);
    cr_assert_arr_eq(buf, "question", 8);
    cr_assert_eq(tarn.write(p.host, fd, "answer", 6), 6);
    cr_assert_eq(expect(&p, ACK).len, 0); /* the first segments are acknowledged at once */
    cr_assert_arr_eq(expect(&p, ACK | PSH).data, "answer", 6);
    give(&p, ACK | FIN, NULL, 0, "");
    expect(&p, ACK);
    cr_assert_eq(tarn.read(p.host, fd, buf, sizeof buf), 0);
    cr_assert_str_eq(info_of(&p, fd).state, "CLOSE-WAIT");
    cr_assert_eq(tarn.close(p.host, fd), 0);
    expect(&p, ACK | FIN);
    give(&p, ACK, NULL, 0, "");
    cr_assert_eq(tarn.read(p.host, fd, buf, 1), -EBADF);
    uint64_t connections = 1;
    cr_assert_eq(tarn.stat(p.host, "connections", &connections), 0);
    cr_assert_eq(connections, 0);
    cr_assert_eq(tarn.stat(p.host, "nonsense", &connections), -ENOENT);
    tarn.free(p.host);
}

Test(surface, connects_and_tells_who) {
    struct peer p = start("timestamps=0");
    struct sockaddr_in in;
    socklen_t bytes = sizeof in;
    int fd = connecting(&p);
    cr_assert_eq(tarn.getpeername(p.host, fd, (struct sockaddr *)&in, &bytes), -ENOTCONN);
    tarn.advance(p.host, tarn.now(p.host) + 30 * MS);
    give(&p, SYN | ACK, syn_options, sizeof syn_options, "");
    expect(&p, ACK);
    cr_assert(tarn.poll(p.host, fd) & POLLOUT);
    cr_assert_eq(tarn.getpeername(p.host, fd, (struct sockaddr *)&in, &bytes), 0);
    cr_assert_eq(ntohs(in.sin_port), p.port);
    cr_assert_eq(tarn.getsockname(p.host, fd, (struct sockaddr *)&in, &bytes), 0);
    cr_assert_eq(ntohs(in.sin_port), p.host_port);
    struct tarn_surface_info info = info_of(&p, fd);
    cr_assert_str_eq(info.state, "ESTABLISHED");
    cr_assert_eq(info.srtt, 30 * MS);
    cr_assert_eq(info.cwnd, 10 * 1460);
    cr_assert_eq(tarn.set_congestion(p.host, fd, "reno"), 0);
    cr_assert_str_eq(info_of(&p, fd).congestion, "newreno");
    tarn.free(p.host);
}

Test(surface, reset_before_and_after_is_refused_and_reset_and_then_a_broken_pipe) {
    struct peer p = start(NULL);
    char c;
    int64_t error;
    int fd = connecting(&p);
    give(&p, RST | ACK, NULL, 0, "");
    cr_assert(tarn.poll(p.host, fd) & POLLERR);
    cr_assert_eq(tarn.get(p.host, fd, TARN_SURFACE_ERROR, &error), 0);
    cr_assert_eq(error, ECONNREFUSED);
    cr_assert_eq(tarn.get(p.host, fd, TARN_SURFACE_ERROR, &error), 0);
    cr_assert_eq(error, 0);
    p.host_port = 80;
    fd = accepted(&p, listening(&p, 1));
    give(&p, RST, NULL, 0, "");
    cr_assert_eq(tarn.read(p.host, fd, &c, 1), -ECONNRESET);
    cr_assert_eq(tarn.read(p.host, fd, &c, 1), 0);
    cr_assert_eq(tarn.write(p.host, fd, &c, 1), -EPIPE);
    tarn.free(p.host);
}

Test(surface, abort_and_linger_of_zero_reset) {
    struct peer p = start(NULL);
    int listener = listening(&p, 1), fd = accepted(&p, listener);
    cr_assert_eq(tarn.abort(p.host, fd), 0);
    expect(&p, RST | ACK);
    p.seq += 1000000;
    p.port++;
    fd = accepted(&p, listener);
    cr_assert_eq(tarn.set(p.host, fd, TARN_SURFACE_LINGER, 0), 0);
    cr_assert_eq(tarn.close(p.host, fd), 0);
    expect(&p, RST | ACK);
    tarn.free(p.host);
}

Test(surface, times_out_at_virtual_times) {
    struct peer p = start("user_timeout=20000");
    int fd = accepted(&p, listening(&p, 1));
    char c = 'x';
    uint64_t began = tarn.now(p.host);
    struct segment s = {0}, last = {0};
    cr_assert_eq(tarn.write(p.host, fd, &c, 1), 1);
    expect(&p, ACK | PSH);
    while (!(tarn.poll(p.host, fd) & POLLERR))
        cr_assert_not(tarn.step(p.host, began + 30000 * MS));
    cr_assert_eq(tarn.now(p.host), began + 20000 * MS);
    for (unsigned again = 0; take(&p, &s); again++) {
        cr_assert_gt(s.when, last.when);
        last = s;
        cr_assert(again < 20);
    }
    cr_assert_eq(tarn.write(p.host, fd, &c, 1), -ETIMEDOUT);
    cr_assert_eq(tarn.write(p.host, fd, &c, 1), -EPIPE);
    tarn.free(p.host);
}

Test(surface, answers_programmers_errors_as_sockets_do) {
    struct peer p = start(NULL);
    struct sockaddr_in in = addr_of(host_addr, 80), other = addr_of(peer_addr, 80);
    struct sockaddr *addr = (struct sockaddr *)&in;
    char c = 0;
    int a = tarn.socket(p.host, AF_INET), b = tarn.socket(p.host, AF_INET);
    cr_assert_eq(tarn.socket(p.host, AF_UNIX), -EAFNOSUPPORT);
    cr_assert_eq(tarn.bind(p.host, 77, addr, sizeof in), -EBADF);
    cr_assert_eq(tarn.bind(p.host, a, (struct sockaddr *)&other, sizeof in), -EADDRNOTAVAIL);
    cr_assert_eq(tarn.bind(p.host, a, addr, sizeof in), 0);
    cr_assert_eq(tarn.bind(p.host, a, addr, sizeof in), -EINVAL);
    cr_assert_eq(tarn.bind(p.host, b, addr, sizeof in), -EADDRINUSE);
    cr_assert_eq(tarn.accept(p.host, a, NULL, NULL), -EINVAL);
    cr_assert_eq(tarn.read(p.host, a, &c, 1), -ENOTCONN);
    cr_assert_eq(tarn.write(p.host, a, &c, 1), -EPIPE);
    cr_assert_eq(tarn.shutdown(p.host, a, SHUT_WR), -ENOTCONN);
    cr_assert_eq(tarn.listen(p.host, a, 1), 0);
    cr_assert_eq(tarn.connect(p.host, a, addr, sizeof in), -EISCONN);
    cr_assert_eq(tarn.set(p.host, a, TARN_SURFACE_UNREAD, 1), -ENOPROTOOPT);
    cr_assert_eq(tarn.open("mtu=1500,sail=1"), NULL);
    cr_assert_eq(errno, EINVAL);
    tarn.free(p.host);
}

/* Two duplicate ACKs let two segments go, and the window is as it was. */
Test(surface, rfc3042_limited_transmit_with_sack) {
    static char big[15 * 1460];
    struct peer p = start(NULL);
    int fd = accepted(&p, listening(&p, 1));
    uint32_t una = p.ack;
    cr_assert_eq(tarn.write(p.host, fd, big, sizeof big), sizeof big);
    for (int i = 0; i < 10; i++) {
        struct segment s;
        cr_assert(take(&p, &s));
    }
    expect_none(&p);
    tarn.advance(p.host, tarn.now(p.host) + 100 * MS);
    for (uint32_t i = 1; i <= 2; i++) {
        uint8_t sack[12] = {1, 1, 5, 10};
        p.ack = una;
        put32(sack + 4, una + 1460);
        put32(sack + 8, una + 1460 * (i + 1));
        give(&p, ACK, sack, sizeof sack, "");
        cr_assert_eq(expect(&p, ACK).seq, una + 1460 * (9 + i));
        expect_none(&p);
        cr_assert_eq(info_of(&p, fd).cwnd, 10 * 1460);
        cr_assert_eq(info_of(&p, fd).sacked, 1460 * i);
    }
    tarn.free(p.host);
}

Test(surface, flags_peek_and_hold_back) {
    struct peer p = start(NULL);
    int fd = accepted(&p, listening(&p, 1));
    char buf[16];
    give(&p, ACK | PSH, NULL, 0, "question");
    expect(&p, ACK);
    cr_assert_eq(tarn.recv(p.host, fd, buf, sizeof buf, MSG_PEEK), 8);
    cr_assert_arr_eq(buf, "question", 8);
    cr_assert_eq(tarn.recv(p.host, fd, NULL, 5, MSG_TRUNC), 5);
    cr_assert_eq(tarn.recv(p.host, fd, buf, sizeof buf, MSG_DONTWAIT), 3);
    cr_assert_arr_eq(buf, "ion", 3);
    cr_assert_eq(tarn.recv(p.host, fd, buf, sizeof buf, MSG_OOB), -EOPNOTSUPP);
    cr_assert_eq(tarn.send(p.host, fd, "head ", 5, MSG_MORE), 5);
    expect_none(&p);
    cr_assert_eq(tarn.send(p.host, fd, "body", 4, MSG_NOSIGNAL), 4);
    cr_assert_arr_eq(expect(&p, ACK | PSH).data, "head body", 9);
    tarn.free(p.host);
}

Test(surface, options_of_one_socket) {
    static char big[40000];
    struct peer p = start(NULL);
    int listener = listening(&p, 1);
    int64_t value;
    cr_assert_eq(tarn.set(p.host, listener, TARN_SURFACE_MAXSEG, 87), -EINVAL);
    cr_assert_eq(tarn.set(p.host, listener, TARN_SURFACE_MAXSEG, 1000), 0);
    cr_assert_eq(tarn.set(p.host, listener, TARN_SURFACE_RCVBUF, 4000), 0);
    int fd = accepted(&p, listener);
    cr_assert_eq(tarn.get(p.host, fd, TARN_SURFACE_MAXSEG, &value), 0);
    cr_assert_eq(value, 1000);
    cr_assert_eq(info_of(&p, fd).rcv_wnd, 4000);
    cr_assert_eq(tarn.set(p.host, fd, TARN_SURFACE_CORK, 1), 0);
    cr_assert_eq(tarn.write(p.host, fd, big, 1500), 1500);
    cr_assert_eq(expect(&p, ACK).len, 1000);
    expect_none(&p);
    cr_assert_eq(tarn.set(p.host, fd, TARN_SURFACE_CORK, 0), 0);
    cr_assert_eq(expect(&p, ACK | PSH).len, 500);
    give(&p, ACK, NULL, 0, "");
    cr_assert_eq(tarn.set(p.host, fd, TARN_SURFACE_NOTSENT_LOWAT, 2000), 0);
    cr_assert_eq(tarn.write(p.host, fd, big, sizeof big), sizeof big);
    cr_assert_not(tarn.poll(p.host, fd) & POLLOUT);
    cr_assert_eq(tarn.write(p.host, fd, big, 1), -EAGAIN);
    struct tarn_surface_info info = info_of(&p, fd);
    cr_assert_eq(info.bytes_sent, 1500 + info.unacked);
    cr_assert_gt(info.data_segments_out, 10);
    cr_assert_eq(info.data_segments_in, 0);
    tarn.free(p.host);
}

Test(surface, fast_open_sends_with_the_syn_once_a_cookie_is_known) {
    static const uint8_t answer[] = {2, 4, 5, 180, 34, 6, 1, 2, 3, 4, 1, 1};
    struct peer p = start("fast_open=1");
    struct sockaddr_in to = addr_of(peer_addr, p.port);
    struct sockaddr *addr = (struct sockaddr *)&to;
    int fd = tarn.socket(p.host, AF_INET);
    cr_assert_eq(tarn.sendto(p.host, fd, "hello", 5, MSG_FASTOPEN, addr, sizeof to), -EINPROGRESS);
    cr_assert_eq(expect(&p, SYN).len, 0);
    give(&p, SYN | ACK, answer, sizeof answer, "");
    expect(&p, ACK);
    cr_assert_eq(tarn.abort(p.host, fd), 0);
    expect(&p, RST | ACK);
    fd = tarn.socket(p.host, AF_INET);
    cr_assert_eq(tarn.sendto(p.host, fd, "hello", 5, MSG_FASTOPEN, addr, sizeof to), 5);
    cr_assert_arr_eq(expect(&p, SYN).data, "hello", 5);
    cr_assert_eq(tarn.close(p.host, fd), 0);
    fd = tarn.socket(p.host, AF_INET);
    cr_assert_eq(tarn.set(p.host, fd, TARN_SURFACE_FASTOPEN_CONNECT, 1), 0);
    cr_assert_eq(tarn.connect(p.host, fd, addr, sizeof to), 0);
    expect_none(&p);
    cr_assert_eq(tarn.write(p.host, fd, "later", 5), 5);
    cr_assert_arr_eq(expect(&p, SYN).data, "later", 5);
    tarn.free(p.host);
}
