/* SPDX-License-Identifier: ISC */
/* The least of the Network Block Device protocol (its doc/proto.md) that others' clients need: the
 * fixed newstyle handshake without TLS, simple replies, one client after the other. */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <tarn/writer.h>
#include <unistd.h>

#define MAGIC_INIT 0x4e42444d41474943ull
#define MAGIC_OPTION 0x49484156454f5054ull
#define MAGIC_OPTION_REPLY 0x3e889045565a9ull
#define MAGIC_REQUEST 0x25609513u
#define MAGIC_REPLY 0x67446698u
#define FLAG_FIXED_NEWSTYLE 1u
#define FLAG_NO_ZEROES 2u
#define REQUEST_BYTES_MAX (32u << 20)
#define OPTION_BYTES_MAX 8192u

enum { OPTION_EXPORT_NAME = 1, OPTION_ABORT = 2, OPTION_INFO = 6, OPTION_GO = 7 };
enum { REPLY_ACK = 1, REPLY_INFO = 3 };
#define REPLY_UNSUPPORTED 0x80000001u
enum { COMMAND_READ, COMMAND_WRITE, COMMAND_DISCONNECT, COMMAND_FLUSH, COMMAND_TRIM };
enum {
    TRANSMIT_HAS_FLAGS = 1,
    TRANSMIT_READ_ONLY = 2,
    TRANSMIT_FLUSH = 4,
    TRANSMIT_FUA = 8,
    TRANSMIT_TRIM = 32
};
#define COMMAND_FLAG_FUA 1u

struct client {
    int fd;
    struct tarn_blk *blk;
    uint32_t flags; /* the client's */
};

static uint8_t data[REQUEST_BYTES_MAX];

/* False: it has gone. */
static bool get(const struct client *c, void *out, size_t len) {
    struct tarn_bytes left = tarn_bytes_of(out, len);
    while (left.len) {
        ssize_t n = read(c->fd, left.ptr, left.len);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        left = tarn_bytes_after(left, n > 0 ? (size_t)n : 0);
    }
    return true;
}

static bool put(const struct client *c, struct tarn_span out) {
    while (out.len) {
        ssize_t n = send(c->fd, out.ptr, out.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
        out = tarn_span_after(out, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* -- the handshake --------------------------------------------------------------------------------
 */

static uint16_t transmission_flags(const struct tarn_blk *blk) {
    unsigned flags = TRANSMIT_HAS_FLAGS;
    flags |= blk->features & TARN_BLK_READ_ONLY ? TRANSMIT_READ_ONLY : 0;
    flags |= blk->features & TARN_BLK_CAN_FLUSH ? TRANSMIT_FLUSH | TRANSMIT_FUA : 0;
    flags |= blk->features & TARN_BLK_CAN_DISCARD ? TRANSMIT_TRIM : 0;
    return (uint16_t)flags;
}

static bool option_reply(const struct client *c, uint32_t option, uint32_t type,
                         struct tarn_span payload) {
    uint8_t out[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(out);
    tarn_writer_u64be(&w, MAGIC_OPTION_REPLY);
    tarn_writer_u32be(&w, option);
    tarn_writer_u32be(&w, type);
    tarn_writer_u32be(&w, (uint32_t)payload.len);
    tarn_writer_span_put(&w, payload);
    return put(c, tarn_writer_span(&w));
}

static bool send_export(const struct client *c) {
    uint8_t out[134];
    struct tarn_writer w = TARN_WRITER_ARRAY(out);
    tarn_writer_u64be(&w, c->blk->blocks * c->blk->block_bytes);
    tarn_writer_u16be(&w, transmission_flags(c->blk));
    if (!(c->flags & FLAG_NO_ZEROES))
        tarn_writer_zero(&w, 124);
    return put(c, tarn_writer_span(&w));
}

static bool send_info(const struct client *c, uint32_t option) {
    uint8_t size[12], blocks[14];
    struct tarn_writer w = TARN_WRITER_ARRAY(size), b = TARN_WRITER_ARRAY(blocks);
    tarn_writer_u16be(&w, 0); /* NBD_INFO_EXPORT */
    tarn_writer_u64be(&w, c->blk->blocks * c->blk->block_bytes);
    tarn_writer_u16be(&w, transmission_flags(c->blk));
    tarn_writer_u16be(&b, 3); /* NBD_INFO_BLOCK_SIZE */
    tarn_writer_u32be(&b, c->blk->block_bytes);
    tarn_writer_u32be(&b, 65536);
    tarn_writer_u32be(&b, REQUEST_BYTES_MAX);
    return option_reply(c, option, REPLY_INFO, tarn_writer_span(&w))
           && option_reply(c, option, REPLY_INFO, tarn_writer_span(&b))
           && option_reply(c, option, REPLY_ACK, TARN_SPAN_EMPTY);
}

/* True: on to the requests. */
static bool handshake(struct client *c) {
    uint8_t hello[18], in[16];
    struct tarn_writer w = TARN_WRITER_ARRAY(hello);
    tarn_writer_u64be(&w, MAGIC_INIT);
    tarn_writer_u64be(&w, MAGIC_OPTION);
    tarn_writer_u16be(&w, FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
    if (!put(c, tarn_writer_span(&w)) || !get(c, in, 4))
        return false;
    struct tarn_span s = tarn_span_of(in, 4);
    if (!tarn_span_u32be(&s, &c->flags))
        return false;
    while (get(c, in, 16)) {
        uint64_t magic;
        uint32_t option, len;
        s = TARN_SPAN_ARRAY(in);
        if (!tarn_span_u64be(&s, &magic) || magic != MAGIC_OPTION || !tarn_span_u32be(&s, &option)
            || !tarn_span_u32be(&s, &len) || len > OPTION_BYTES_MAX || !get(c, data, len))
            return false;
        bool good = true;
        switch (option) {
        case OPTION_EXPORT_NAME: return send_export(c);
        case OPTION_GO: return send_info(c, option);
        case OPTION_INFO: good = send_info(c, option); break;
        case OPTION_ABORT: (void)option_reply(c, option, REPLY_ACK, TARN_SPAN_EMPTY); return false;
        default: good = option_reply(c, option, REPLY_UNSUPPORTED, TARN_SPAN_EMPTY);
        }
        if (!good)
            return false;
    }
    return false;
}

/* -- requests -------------------------------------------------------------------------------------
 */

struct request {
    uint16_t flags, command;
    uint64_t cookie, at;
    uint32_t len;
};

static bool get_request(const struct client *c, struct request *r) {
    uint8_t in[28];
    struct tarn_span s = TARN_SPAN_ARRAY(in);
    uint32_t magic;
    return get(c, in, sizeof in) && tarn_span_u32be(&s, &magic) && magic == MAGIC_REQUEST
           && tarn_span_u16be(&s, &r->flags) && tarn_span_u16be(&s, &r->command)
           && tarn_span_u64be(&s, &r->cookie) && tarn_span_u64be(&s, &r->at)
           && tarn_span_u32be(&s, &r->len);
}

static enum tarn_err perform(const struct client *c, const struct request *r) {
    struct tarn_waiter *waiter = &loop.pump.waiter;
    uint32_t block_bytes = c->blk->block_bytes;
    uint64_t block = r->at / block_bytes;
    enum tarn_err err = TARN_OK;
    if (r->at % block_bytes || r->len % block_bytes)
        return TARN_INVALID;
    switch (r->command) {
    case COMMAND_READ: return tarn_blk_read(c->blk, waiter, block, tarn_bytes_of(data, r->len));
    case COMMAND_WRITE:
        err = tarn_blk_write(c->blk, waiter, block, tarn_span_of(data, r->len));
        break;
    case COMMAND_TRIM: err = tarn_blk_discard(c->blk, waiter, block, r->len / block_bytes); break;
    case COMMAND_FLUSH: return tarn_blk_flush(c->blk, waiter);
    default: return TARN_UNSUPPORTED;
    }
    return !err && r->flags & COMMAND_FLAG_FUA ? tarn_blk_flush(c->blk, waiter) : err;
}

static uint32_t errno_of(enum tarn_err err) {
    switch (err) {
    case TARN_OK: return 0;
    case TARN_LIMIT: return 28;       /* NBD_ENOSPC */
    case TARN_INVALID: return 22;     /* NBD_EINVAL */
    case TARN_UNSUPPORTED: return 95; /* NBD_ENOTSUP */
    default: return 5;                /* NBD_EIO */
    }
}

static void transmission(const struct client *c) {
    struct request r;
    while (get_request(c, &r) && r.command != COMMAND_DISCONNECT) {
        uint8_t out[16];
        bool too_long = r.command <= COMMAND_WRITE && r.len > REQUEST_BYTES_MAX;
        if (too_long || (r.command == COMMAND_WRITE && !get(c, data, r.len)))
            return;
        enum tarn_err err = perform(c, &r);
        struct tarn_writer w = TARN_WRITER_ARRAY(out);
        tarn_writer_u32be(&w, MAGIC_REPLY);
        tarn_writer_u32be(&w, errno_of(err));
        tarn_writer_u64be(&w, r.cookie);
        if (!put(c, tarn_writer_span(&w)))
            return;
        if (!err && r.command == COMMAND_READ && !put(c, tarn_span_of(data, r.len)))
            return;
    }
}

static volatile sig_atomic_t ended;
static void on_signal(int signal) {
    (void)signal;
    ended = 1;
}

void nbd_serve(const char *socket_path, struct tarn_blk *blk) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(socket_path) >= sizeof addr.sun_path)
        fail("%s: too long for a socket", socket_path);
    strcpy(addr.sun_path, socket_path);
    if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof addr) != 0
        || listen(listener, 1) != 0)
        fail("%s: %s", socket_path, strerror(errno));
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    while (!ended) {
        struct client c = {.blk = blk, .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
        if (c.fd < 0 && errno != EINTR)
            fail("%s: %s", socket_path, strerror(errno));
        if (c.fd < 0)
            continue;
        if (handshake(&c))
            transmission(&c);
        close(c.fd);
    }
    close(listener);
    unlink(socket_path);
}
