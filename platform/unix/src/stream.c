/* SPDX-License-Identifier: ISC */
/* Frames over a Unix socket, each behind its length in four bytes: what QEMU's -netdev stream
 * speaks, and needs no rights. We listen; one peer at a time, and the next when it has gone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <vnet_hdr.h>

#include "net.h"

#define PREFIX_BYTES 4u
#define FRAME_BYTES_MAX 65550u /* with its Ethernet header */
#define BUFFER_BYTES (256u << 10)

/* What waits in either direction: bytes [start, end) of `room`. */
struct buffer {
    size_t start, end;
    uint8_t room[BUFFER_BYTES];
};

struct stream {
    struct tarn_netif netif;
    struct tarn_pkt_pool *pkts;
    struct unix_watch door, peer; /* peer.fd -1: nobody is there, and the door is watched */
    bool readable, waits_for_room;
    struct buffer in, out;
};

static struct stream *stream_of(struct tarn_netif *netif) {
    return TARN_CONTAINER_OF(netif, struct stream, netif);
}

/* Moves what there is to the front, once there is less room behind it than `bytes`. */
static void make_room(struct buffer *b, size_t bytes) {
    if (BUFFER_BYTES - b->end >= bytes)
        return;
    memmove(b->room, b->room + b->start, b->end - b->start);
    b->end -= b->start;
    b->start = 0;
}

static void hang_up(struct stream *s) {
    close(s->peer.fd); /* the last reference: epoll forgets it */
    s->peer.fd = -1;
    s->readable = s->waits_for_room = false;
    s->in.start = s->in.end = s->out.start = s->out.end = 0;
    unix_watch_add(&s->door, EPOLLIN);
}

/* -- sending --------------------------------------------------------------------------------------
 */

/* A device that nobody is at takes frames and loses them, as a cable that is not plugged in. */
static void flush(struct stream *s) {
    while (s->peer.fd >= 0 && s->out.start < s->out.end) {
        ssize_t n = send(s->peer.fd, s->out.room + s->out.start, s->out.end - s->out.start,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            s->out.start += (size_t)n;
        } else if (errno == EAGAIN) {
            if (!s->waits_for_room)
                unix_watch_change(&s->peer, EPOLLIN | EPOLLOUT);
            s->waits_for_room = true;
            return;
        } else if (errno != EINTR) {
            hang_up(s);
        }
    }
}

static bool put_frame(struct stream *s, const struct tarn_pkt *pkt) {
    size_t bytes = PREFIX_BYTES + pkt->len;
    make_room(&s->out, bytes);
    if (BUFFER_BYTES - s->out.end < bytes)
        return false;
    uint8_t *to = s->out.room + s->out.end;
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(to, PREFIX_BYTES));
    tarn_writer_u32be(&w, pkt->len);
    TARN_ASSERT(tarn_pkt_read(pkt, 0, to + PREFIX_BYTES, pkt->len));
    s->out.end += bytes;
    s->netif.stats.tx_pkts++;
    s->netif.stats.tx_bytes += pkt->len;
    return true;
}

static size_t stream_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct stream *s = stream_of(netif);
    size_t taken = 0;
    for (; taken < n; taken++) {
        struct tarn_pkt *pkt = pkts[taken];
        if (s->peer.fd < 0 || pkt->len > FRAME_BYTES_MAX)
            netif->stats.tx_drops++;
        else if (!put_frame(s, pkt))
            break;
        tarn_pkt_free(pkt);
    }
    flush(s);
    netif->stats.tx_calls += taken > 0;
    return taken;
}

/* -- receiving ------------------------------------------------------------------------------------
 */

static void fill(struct stream *s) {
    make_room(&s->in, PREFIX_BYTES + FRAME_BYTES_MAX);
    ssize_t n = recv(s->peer.fd, s->in.room + s->in.end, BUFFER_BYTES - s->in.end, MSG_DONTWAIT);
    if (n > 0)
        s->in.end += (size_t)n;
    else if (n < 0 && errno == EAGAIN)
        s->readable = false;
    else if (n == 0 || errno != EINTR)
        hang_up(s);
}

/* The next frame that has come whole. A length that no frame has ends the connection: where the
 * next one begins is not known any more. */
static bool next_frame(struct stream *s, struct tarn_span *frame) {
    struct tarn_span whole = tarn_span_of(s->in.room + s->in.start, s->in.end - s->in.start);
    uint32_t len;
    if (!tarn_span_u32be(&whole, &len))
        return false;
    if (len > FRAME_BYTES_MAX) {
        unix_say("a frame of %u bytes from the other end of the stream: hung up", len);
        hang_up(s);
        return false;
    }
    if (!tarn_span_take(&whole, len, frame))
        return false;
    s->in.start += PREFIX_BYTES + len;
    return true;
}

static size_t stream_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct stream *s = stream_of(netif);
    size_t count = 0, bytes = 0;
    while (count < n && bytes < TARN_RECV_BYTES) {
        struct tarn_span frame;
        if (!next_frame(s, &frame)) {
            if (!s->readable)
                break;
            fill(s);
            continue;
        }
        struct tarn_pkt *pkt = tarn_pkt_alloc(s->pkts, frame.len);
        if (!pkt) {
            netif->stats.rx_drops++;
            continue;
        }
        TARN_ASSERT(tarn_pkt_append(pkt, frame));
        netif->stats.rx_pkts++;
        netif->stats.rx_bytes += frame.len;
        bytes += frame.len;
        pkts[count++] = pkt;
    }
    netif->stats.rx_calls += count > 0;
    return count;
}

static const struct tarn_netif_ops stream_ops = {.send = stream_send, .recv = stream_recv};

/* -- who comes ------------------------------------------------------------------------------------
 */

static uint64_t peer_ready(struct unix_watch *watch, uint32_t events) {
    struct stream *s = TARN_CONTAINER_OF(watch, struct stream, peer);
    s->readable = s->readable || (events & ~(uint32_t)EPOLLOUT);
    if (s->waits_for_room && (events & EPOLLOUT)) {
        s->waits_for_room = false;
        unix_watch_change(&s->peer, EPOLLIN);
        flush(s);
    }
    return (uint64_t)1 << s->netif.device;
}

static uint64_t door_ready(struct unix_watch *watch, uint32_t events) {
    struct stream *s = TARN_CONTAINER_OF(watch, struct stream, door);
    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        s->peer.fd = fd;
        unix_watch_add(&s->peer, EPOLLIN);
        unix_watch_remove(&s->door);
    }
    return (uint64_t)1 << s->netif.device;
}

static enum tarn_err refuse(const struct unix_net_request *r, const char *why) {
    unix_say("--net:%s=unix:%s: %s", r->name, r->value, why);
    return TARN_IO;
}

/* A socket that a process has left behind is removed, one where somebody listens is not. Only this
 * user may connect. */
static enum tarn_err listen_at(const struct unix_net_request *r, int *fd) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(r->value) >= sizeof at.sun_path)
        return refuse(r, "the path is too long for a socket");
    strcpy(at.sun_path, r->value);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return refuse(r, strerror(errno));
    bool taken = connect(*fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(*fd);
    if (taken)
        return refuse(r, "another program listens there");
    if (lstat(r->value, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(r->value);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    bool ok = *fd >= 0 && bind(*fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(*fd, 1) == 0;
    int error = errno;
    umask(mask);
    if (ok)
        return TARN_OK;
    if (*fd >= 0)
        close(*fd);
    return refuse(r, strerror(error));
}

enum tarn_err unix_stream_new(const struct unix_net_request *r, struct tarn_netif **out) {
    int fd;
    if (listen_at(r, &fd))
        return TARN_IO;
    struct stream *s = calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        return refuse(r, "no memory");
    }
    s->netif = (struct tarn_netif){.ops = &stream_ops, .mtu = 1500, .device = unix_device_new()};
    memcpy(s->netif.mac, r->mac, sizeof r->mac);
    s->pkts = r->pkts;
    s->door = (struct unix_watch){fd, door_ready};
    s->peer = (struct unix_watch){-1, peer_ready};
    unix_watch_add(&s->door, EPOLLIN);
    *out = &s->netif;
    return TARN_OK;
}
