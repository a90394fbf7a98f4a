/* SPDX-License-Identifier: ISC */
/* Hypercalls: each does what the ABI says, and none touches what it may not, whatever the guest's
 * pointers and lengths are. */
#include "calls.h"
#include <criterion/criterion.h>

static struct machine m;

static void begin(uint32_t granted) {
    machine_init(&m, calloc(1, MEMORY_BYTES), granted);
}

static void end(void) {
    free(m.memory);
}

/* Puts the arguments at `at`, calls, and takes them back. */
static enum hvt_outcome call(enum hvt_call nr, uint32_t at, void *block, size_t bytes) {
    memcpy(m.memory + at, block, bytes);
    enum hvt_outcome outcome = hvt_hypercall(&m.calls, (uint16_t)(HVT_PORT + nr), at);
    memcpy(block, m.memory + at, bytes);
    return outcome;
}
#define CALL(nr, block) call(nr, FREE, &(block), sizeof(block))

Test(hvt_hypercall, walltime_puts_and_poll) {
    begin(0);
    struct hvt_walltime t = {0};
    cr_assert_eq(CALL(HVT_CALL_WALLTIME, t), HVT_GOES_ON);
    cr_assert_eq(t.ns, 1234567890123456789u);
    struct hvt_puts p = {FREE + 0x100, 5};
    memcpy(m.memory + FREE + 0x100, "hello", 5);
    cr_assert_eq(CALL(HVT_CALL_PUTS, p), HVT_GOES_ON);
    cr_assert(tarn_span_equal(m.said, TARN_SPAN_LIT("hello")));
    struct hvt_poll w = {.timeout_ns = 77};
    m.frames_in = 1;
    cr_assert_eq(CALL(HVT_CALL_POLL, w), HVT_GOES_ON);
    cr_assert(m.timeout_ns == 77 && w.ready == 2 && w.count == 1);
    end();
}

Test(hvt_hypercall, frames_go_and_come) {
    begin(0);
    struct hvt_net_io io = {.handle = 1, .data = FREE + 0x1000, .len = 100};
    cr_assert_eq(CALL(HVT_CALL_NET_WRITE, io), HVT_GOES_ON);
    cr_assert(io.ret == HVT_OK && m.frames_out == 1);
    cr_assert_eq(CALL(HVT_CALL_NET_READ, io), HVT_GOES_ON);
    cr_assert_eq(io.ret, HVT_AGAIN);
    m.frames_in = 1;
    io.len = 1514;
    cr_assert_eq(CALL(HVT_CALL_NET_READ, io), HVT_GOES_ON);
    cr_assert(io.ret == HVT_OK && io.len == 60 && m.memory[FREE + 0x1000 + 59] == 0xee);
    io.len = 3; /* the host's error is the guest's result, and no end */
    cr_assert_eq(CALL(HVT_CALL_NET_WRITE, io), HVT_GOES_ON);
    cr_assert_eq(io.ret, HVT_EUNSPEC);
    end();
}

Test(hvt_hypercall, a_device_is_one_of_the_manifest_attached_and_of_the_kind) {
    begin(HVT_FEATURE_FLUSH | HVT_FEATURE_MANY);
    static const uint64_t handles[] = {0, 2, 3, 4, 63, 64, 1ull << 32 | 1, UINT64_MAX};
    for (size_t i = 0; i < TARN_COUNT_OF(handles); i++) {
        struct hvt_net_io io = {.handle = handles[i], .data = FREE + 0x1000, .len = 100};
        cr_assert_eq(CALL(HVT_CALL_NET_WRITE, io), HVT_GOES_ON);
        cr_assert_eq(io.ret, HVT_EINVAL, "handle %zu", i);
        struct hvt_net_many many = {.handle = handles[i], .frames = FREE + 0x100, .count = 1};
        cr_assert_eq(CALL(HVT_CALL_NET_READ_MANY, many), HVT_GOES_ON);
        cr_assert_eq(many.ret, HVT_EINVAL);
        struct hvt_block_io b = {
            .handle = handles[i] == 2 ? 1 : handles[i], .data = FREE + 0x1000, .len = 512};
        cr_assert_eq(CALL(HVT_CALL_BLOCK_READ, b), HVT_GOES_ON);
        cr_assert_eq(b.ret, HVT_EINVAL);
        cr_assert_eq(CALL(HVT_CALL_BLOCK_FLUSH, b), HVT_GOES_ON);
        cr_assert_eq(b.ret, HVT_EINVAL);
    }
    end();
}

Test(hvt_hypercall, a_disk_ends_where_it_ends) {
    begin(HVT_FEATURE_FLUSH);
    static const struct {
        uint64_t offset, len;
        int32_t ret;
    } cases[] = {
        {0, 512, HVT_OK},
        {DISK_BYTES - 512, 512, HVT_OK},
        {0, DISK_BYTES, HVT_OK},
        {DISK_BYTES - 511, 512, HVT_EINVAL},
        {DISK_BYTES, 0, HVT_EINVAL},
        {UINT64_MAX - 511, 512, HVT_EINVAL},
        {512, UINT64_MAX - 511, HVT_EINVAL},
        {0, DISK_BYTES + 1, HVT_EINVAL},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        struct hvt_block_io io = {
            .handle = 2, .offset = cases[i].offset, .data = FREE + 0x1000, .len = cases[i].len};
        cr_assert_eq(CALL(HVT_CALL_BLOCK_WRITE, io), HVT_GOES_ON);
        cr_assert_eq(io.ret, cases[i].ret, "write %zu", i);
        cr_assert_eq(CALL(HVT_CALL_BLOCK_READ, io), HVT_GOES_ON);
        cr_assert_eq(io.ret, cases[i].ret, "read %zu", i);
    }
    struct hvt_block_io sync = {.handle = 2};
    cr_assert_eq(CALL(HVT_CALL_BLOCK_FLUSH, sync), HVT_GOES_ON);
    cr_assert_eq(sync.ret, HVT_OK);
    end();
}

Test(hvt_hypercall, many_frames_in_one_call) {
    begin(HVT_FEATURE_MANY);
    struct hvt_frame frames[HVT_FRAMES_MAX];
    for (size_t i = 0; i < HVT_FRAMES_MAX; i++)
        frames[i] = (struct hvt_frame){FREE + 0x1000 + i * 64, 64};
    memcpy(m.memory + FREE + 0x200, frames, sizeof frames);
    struct hvt_net_many io = {.handle = 1, .frames = FREE + 0x200, .count = HVT_FRAMES_MAX};
    cr_assert_eq(CALL(HVT_CALL_NET_WRITE_MANY, io), HVT_GOES_ON);
    cr_assert(io.ret == HVT_OK && io.done == HVT_FRAMES_MAX && m.frames_out == HVT_FRAMES_MAX);
    m.frames_in = 5;
    cr_assert_eq(CALL(HVT_CALL_NET_READ_MANY, io), HVT_GOES_ON);
    cr_assert(io.ret == HVT_AGAIN && io.done == 5);
    memcpy(frames, m.memory + FREE + 0x200, sizeof frames);
    cr_assert(frames[4].len == 60 && frames[5].len == 64);
    cr_assert(m.calls.frames == HVT_FRAMES_MAX + 5 && m.calls.calls == 2);
    io.count = HVT_FRAMES_MAX + 1;
    cr_assert_eq(CALL(HVT_CALL_NET_WRITE_MANY, io), HVT_GOES_ON);
    cr_assert_eq(io.ret, HVT_EINVAL);
    end();
}

Test(hvt_hypercall, what_was_not_granted_is_no_port) {
    begin(0);
    static const uint16_t ports[] = {0,     0x4ff, HVT_PORT, 0x509, 0x50f, 0x510,
                                     0x511, 0x512, 0x513,    0x600, 0xffff};
    for (size_t i = 0; i < TARN_COUNT_OF(ports); i++) {
        cr_assert_eq(hvt_hypercall(&m.calls, ports[i], FREE), HVT_WRONG, "port %#x", ports[i]);
        cr_assert(m.calls.wrong && m.calls.wrong_at == ports[i]);
    }
    end();
}

Test(hvt_hypercall, halt_says_how) {
    begin(0);
    struct hvt_halt h = {.status = 42};
    cr_assert_eq(CALL(HVT_CALL_HALT, h), HVT_HALTED);
    cr_assert(m.calls.status == 42 && !m.calls.has_trap);
    struct hvt_trap trap = {.rip = 0x100123, .rsp = 0x1fff00};
    memcpy(m.memory + DATA, &trap, sizeof trap);
    h = (struct hvt_halt){.cookie = DATA, .status = 255};
    cr_assert_eq(CALL(HVT_CALL_HALT, h), HVT_HALTED);
    cr_assert(m.calls.has_trap && m.calls.trap.rip == 0x100123 && m.calls.trap.rsp == 0x1fff00);
    h.cookie = MEMORY_BYTES - HVT_COOKIE_BYTES;
    cr_assert_eq(CALL(HVT_CALL_HALT, h), HVT_WRONG);
    end();
}

/* Addresses and lengths around every edge, as data to be written to the guest and read from it, and
 * as the arguments themselves. */
Test(hvt_hypercall, memory_is_the_guests_own_and_of_the_right_kind) {
    begin(HVT_FEATURE_MANY);
    static const uint64_t edges[] = {0,
                                     1,
                                     0x1000,
                                     0xffff,
                                     HVT_BOOT,
                                     0x18000,
                                     TEXT - 1,
                                     TEXT,
                                     GUARD - 1,
                                     GUARD,
                                     GUARD + 1,
                                     DATA - 1,
                                     DATA,
                                     FREE,
                                     MEMORY_BYTES - 2,
                                     MEMORY_BYTES - 1,
                                     MEMORY_BYTES,
                                     UINT32_MAX,
                                     1ull << 63,
                                     UINT64_MAX};
    static const uint64_t lens[] = {0,
                                    1,
                                    2,
                                    512,
                                    0x1001,
                                    MEMORY_BYTES - FREE - 1,
                                    MEMORY_BYTES - FREE,
                                    MEMORY_BYTES,
                                    1ull << 63,
                                    UINT64_MAX - FREE,
                                    UINT64_MAX};
    unsigned yes = 0;
    for (size_t a = 0; a < TARN_COUNT_OF(edges); a++) {
        for (size_t l = 0; l < TARN_COUNT_OF(lens); l++) {
            uint64_t at = edges[a], len = lens[l];
            bool inside = at < MEMORY_BYTES && len < MEMORY_BYTES - at;
            bool readable = inside && at >= HVT_BOOT && (!len || at >= DATA || at + len <= GUARD);
            bool writable = inside && at >= TEXT && (!len || at >= DATA);
            struct hvt_net_io io = {.handle = 1, .data = at, .len = len};
            cr_assert_eq(CALL(HVT_CALL_NET_WRITE, io), readable ? HVT_GOES_ON : HVT_WRONG,
                         "read %#lx, %#lx", at, len);
            io = (struct hvt_net_io){.handle = 1, .data = at, .len = len};
            cr_assert_eq(CALL(HVT_CALL_NET_READ, io), writable ? HVT_GOES_ON : HVT_WRONG,
                         "write %#lx, %#lx", at, len);
            struct hvt_puts p = {at, len};
            cr_assert_eq(CALL(HVT_CALL_PUTS, p), readable ? HVT_GOES_ON : HVT_WRONG);
            yes += readable;
        }
        if (edges[a] <= UINT32_MAX)
            cr_assert_eq(hvt_hypercall(&m.calls, HVT_PORT + HVT_CALL_WALLTIME, (uint32_t)edges[a]),
                         edges[a] == DATA || edges[a] == FREE ? HVT_GOES_ON : HVT_WRONG,
                         "arguments at %#lx", edges[a]);
    }
    cr_assert_gt(yes, 20);
    struct hvt_net_many many = {.handle = 1, .frames = UINT64_MAX - 8, .count = 64};
    cr_assert_eq(CALL(HVT_CALL_NET_WRITE_MANY, many), HVT_WRONG);
    many.frames = MEMORY_BYTES - 20;
    cr_assert_eq(CALL(HVT_CALL_NET_WRITE_MANY, many), HVT_WRONG);
    end();
}
