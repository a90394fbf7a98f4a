/* SPDX-License-Identifier: ISC */
#include "hypercall.h"

#include <errno.h>
#include <string.h>

/* -- memory ---------------------------------------------------------------------------------------
 */

/* Strictly below the end of memory, and on no page of the image that does not allow it. */
static bool allows(const struct hvt_calls *c, uint64_t addr, uint64_t len, uint64_t lowest,
                   bool write) {
    if (addr < lowest || addr >= c->memory.len || len >= c->memory.len - addr)
        return false;
    for (uint32_t i = 0; len && i < c->image->segment_count; i++) {
        const struct image_segment *seg = &TARN_AT(c->image->segment, i);
        bool allowed = seg->writable || (!write && (seg->readable || seg->executable));
        if (!allowed && addr < seg->page_end && addr + len > seg->page_first)
            return false;
    }
    return true;
}

bool hvt_readable(const struct hvt_calls *c, uint64_t addr, uint64_t len, struct tarn_span *out) {
    return allows(c, addr, len, HVT_BOOT, false)
           && tarn_span_sub(tarn_bytes_span(c->memory), addr, len, out);
}

bool hvt_writable(const struct hvt_calls *c, uint64_t addr, uint64_t len, struct tarn_bytes *out) {
    if (!allows(c, addr, len, SOLO5_IMAGE_BASE, true))
        return false;
    *out = tarn_bytes_first(tarn_bytes_after(c->memory, addr), len);
    return true;
}

static enum hvt_outcome wrong(struct hvt_calls *c, const char *what, uint64_t addr, uint64_t len) {
    c->wrong = what;
    c->wrong_at = addr;
    c->wrong_len = len;
    return HVT_WRONG;
}

static enum hvt_outcome wrong_memory(struct hvt_calls *c, uint64_t addr, uint64_t len) {
    return wrong(c, "a hypercall about memory that it cannot have", addr, len);
}

/* A call's arguments are copied out and back: nothing of them is looked at twice. */
static bool take(struct hvt_calls *c, uint64_t at, void *block, size_t bytes) {
    struct tarn_span s;
    return hvt_readable(c, at, bytes, &s) && tarn_span_copy(&s, block, bytes);
}

static bool take_inout(struct hvt_calls *c, uint64_t at, void *block, size_t bytes) {
    struct tarn_bytes room;
    return hvt_writable(c, at, bytes, &room) && take(c, at, block, bytes);
}

static enum hvt_outcome put(struct hvt_calls *c, uint64_t at, const void *block, size_t bytes) {
    struct tarn_bytes room;
    if (!hvt_writable(c, at, bytes, &room))
        return wrong_memory(c, at, bytes);
    tarn_bytes_copy(room, tarn_span_of(block, bytes));
    return HVT_GOES_ON;
}

/* -- devices --------------------------------------------------------------------------------------
 */

static const struct solo5_entry *device(const struct hvt_calls *c, uint64_t handle,
                                        enum solo5_entry_type type) {
    const struct solo5_manifest *m = &c->image->manifest;
    if (handle >= m->entries)
        return NULL;
    const struct solo5_entry *e = &TARN_AT(m->entry, handle);
    return e->type == (uint32_t)type && e->attached ? e : NULL;
}

static int32_t result_of(long n, uint64_t wanted) {
    if (n == -EAGAIN)
        return HVT_AGAIN;
    return n >= 0 && (uint64_t)n == wanted ? HVT_OK : HVT_EUNSPEC;
}

/* A read of nothing is the end of an emptied socket, or nothing now. */
static int32_t read_frame(struct hvt_calls *c, const struct solo5_entry *e, struct tarn_bytes room,
                          uint64_t *len) {
    long n = c->host->ops->read(c->host, e->host.fd, room);
    if (n == 0 || n == -EAGAIN)
        return HVT_AGAIN;
    if (n < 0)
        return HVT_EUNSPEC;
    *len = (uint64_t)n;
    c->frames++;
    return HVT_OK;
}

static int32_t write_frame(struct hvt_calls *c, const struct solo5_entry *e,
                           struct tarn_span frame) {
    int32_t ret = result_of(c->host->ops->write(c->host, e->host.fd, frame), frame.len);
    c->frames += ret == HVT_OK;
    return ret;
}

static enum hvt_outcome call_net(struct hvt_calls *c, uint64_t at, bool write) {
    struct hvt_net_io io;
    struct tarn_bytes room;
    struct tarn_span frame;
    if (!take_inout(c, at, &io, sizeof io))
        return wrong_memory(c, at, sizeof io);
    const struct solo5_entry *e = device(c, io.handle, SOLO5_ENTRY_NET);
    if (!e)
        io.ret = HVT_EINVAL;
    else if (write && hvt_readable(c, io.data, io.len, &frame))
        io.ret = write_frame(c, e, frame);
    else if (!write && hvt_writable(c, io.data, io.len, &room))
        io.ret = read_frame(c, e, room, &io.len);
    else
        return wrong_memory(c, io.data, io.len);
    return put(c, at, &io, sizeof io);
}

static enum hvt_outcome call_net_many(struct hvt_calls *c, uint64_t at, bool write) {
    struct hvt_net_many io;
    if (!take_inout(c, at, &io, sizeof io))
        return wrong_memory(c, at, sizeof io);
    const struct solo5_entry *e = device(c, io.handle, SOLO5_ENTRY_NET);
    io.done = 0;
    io.ret = e && io.count <= HVT_FRAMES_MAX ? HVT_OK : HVT_EINVAL;
    while (io.ret == HVT_OK && io.done < io.count) {
        struct hvt_frame f;
        struct tarn_bytes room;
        struct tarn_span frame;
        uint64_t f_at = io.frames + io.done * sizeof f;
        if (f_at < io.frames || !take_inout(c, f_at, &f, sizeof f))
            return wrong_memory(c, f_at, sizeof f);
        if (write && hvt_readable(c, f.data, f.len, &frame))
            io.ret = write_frame(c, e, frame);
        else if (!write && hvt_writable(c, f.data, f.len, &room))
            io.ret = read_frame(c, e, room, &f.len);
        else
            return wrong_memory(c, f.data, f.len);
        if (io.ret == HVT_OK) {
            io.done++;
            if (put(c, f_at, &f, sizeof f) != HVT_GOES_ON)
                return HVT_WRONG;
        }
    }
    return put(c, at, &io, sizeof io);
}

static enum hvt_outcome call_block(struct hvt_calls *c, uint64_t at, bool write) {
    struct hvt_block_io io;
    struct tarn_bytes room;
    struct tarn_span data;
    if (!take_inout(c, at, &io, sizeof io))
        return wrong_memory(c, at, sizeof io);
    const struct solo5_entry *e = device(c, io.handle, SOLO5_ENTRY_BLK);
    struct hvt_host *host = c->host;
    if (!e || io.offset >= e->u.blk.capacity || io.len > e->u.blk.capacity - io.offset)
        io.ret = HVT_EINVAL;
    else if (write && hvt_readable(c, io.data, io.len, &data))
        io.ret = result_of(host->ops->pwrite(host, e->host.fd, data, io.offset), io.len);
    else if (!write && hvt_writable(c, io.data, io.len, &room))
        io.ret = result_of(host->ops->pread(host, e->host.fd, room, io.offset), io.len);
    else
        return wrong_memory(c, io.data, io.len);
    return put(c, at, &io, sizeof io);
}

static enum hvt_outcome call_flush(struct hvt_calls *c, uint64_t at) {
    struct hvt_block_io io;
    if (!take_inout(c, at, &io, sizeof io))
        return wrong_memory(c, at, sizeof io);
    const struct solo5_entry *e = device(c, io.handle, SOLO5_ENTRY_BLK);
    io.ret = e ? result_of(c->host->ops->sync(c->host, e->host.fd), 0) : HVT_EINVAL;
    return put(c, at, &io, sizeof io);
}

/* -- and the rest ---------------------------------------------------------------------------------
 */

static enum hvt_outcome call_walltime(struct hvt_calls *c, uint64_t at) {
    struct hvt_walltime t = {.ns = c->host->ops->wall_ns(c->host)};
    return put(c, at, &t, sizeof t);
}

static enum hvt_outcome call_puts(struct hvt_calls *c, uint64_t at) {
    struct hvt_puts p;
    struct tarn_span text;
    if (!take(c, at, &p, sizeof p))
        return wrong_memory(c, at, sizeof p);
    if (!hvt_readable(c, p.data, p.len, &text))
        return wrong_memory(c, p.data, p.len);
    c->host->ops->console(c->host, text);
    return HVT_GOES_ON;
}

static enum hvt_outcome call_poll(struct hvt_calls *c, uint64_t at) {
    struct hvt_poll p;
    if (!take_inout(c, at, &p, sizeof p))
        return wrong_memory(c, at, sizeof p);
    p.count = c->host->ops->poll(c->host, p.timeout_ns, &p.ready);
    return put(c, at, &p, sizeof p);
}

static enum hvt_outcome call_halt(struct hvt_calls *c, uint64_t at) {
    struct hvt_halt h;
    struct tarn_span cookie;
    if (!take(c, at, &h, sizeof h))
        return wrong_memory(c, at, sizeof h);
    if (h.cookie && !hvt_readable(c, h.cookie, HVT_COOKIE_BYTES, &cookie))
        return wrong_memory(c, h.cookie, HVT_COOKIE_BYTES);
    c->has_trap = h.cookie && tarn_span_copy(&cookie, &c->trap, sizeof c->trap);
    c->status = h.status;
    return HVT_HALTED;
}

enum hvt_outcome hvt_hypercall(struct hvt_calls *c, uint16_t port, uint32_t arg) {
    c->calls++;
    switch (port - (int)HVT_PORT) {
    case HVT_CALL_WALLTIME: return call_walltime(c, arg);
    case HVT_CALL_PUTS: return call_puts(c, arg);
    case HVT_CALL_POLL: return call_poll(c, arg);
    case HVT_CALL_BLOCK_WRITE: return call_block(c, arg, true);
    case HVT_CALL_BLOCK_READ: return call_block(c, arg, false);
    case HVT_CALL_NET_WRITE: return call_net(c, arg, true);
    case HVT_CALL_NET_READ: return call_net(c, arg, false);
    case HVT_CALL_HALT: return call_halt(c, arg);
    case HVT_CALL_BLOCK_FLUSH:
        if (c->granted & HVT_FEATURE_FLUSH)
            return call_flush(c, arg);
        break;
    case HVT_CALL_NET_WRITE_MANY:
    case HVT_CALL_NET_READ_MANY:
        if (c->granted & HVT_FEATURE_MANY)
            return call_net_many(c, arg, port == HVT_PORT + HVT_CALL_NET_WRITE_MANY);
        break;
    default: break;
    }
    return wrong(c, "a port that is no hypercall's", port, 0);
}
