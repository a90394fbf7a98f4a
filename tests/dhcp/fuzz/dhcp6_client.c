/* SPDX-License-Identifier: ISC */
/* Several replies and jumps in time in one case. The first options of each reply are made so that
 * it gets past the first checks. */
#include "../rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint32_t drain(struct tarn_dhcp6_client *c, uint32_t xid, tarn_time now) {
    uint8_t buf[TARN_DHCP6_MESSAGE_BYTES_MAX];
    for (;;) {
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        if (!tarn_dhcp6_client_output(c, &w, now))
            break;
        xid = (uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3];
    }
    while (tarn_dhcp6_client_event(c) != TARN_DHCP6_NONE)
        ;
    return xid;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const uint8_t ids[] = "\0\1\0\x0a\0\3\0\1\2\0\0\0\0\7\0\2\0\4\0\3\0\1";
    struct tarn_span in = tarn_span_of(bytes, size);
    struct memory mem;
    struct tarn_dhcp6_client *c;
    struct tarn_dhcp6_client_config config = {
        .mac = MAC, .stateful = !(size & 4), .rapid_commit = size & 1, .probe = size & 2};
    uint8_t op;
    uint16_t len;
    uint32_t xid = 0;
    tarn_time now = 0;
    memory_init(&mem, 1 << 14, size);
    config.alloc = &mem.arena.alloc;
    config.random = &mem.random.random;
    if (tarn_dhcp6_client_new(&config, &c))
        abort();
    tarn_dhcp6_client_start(c, now);
    while (tarn_span_u8(&in, &op) && tarn_span_u16be(&in, &len)) {
        struct tarn_span data = tarn_span_first(in, TARN_MIN(len, (uint16_t)1000));
        uint8_t buf[1100];
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        switch (op & 7) {
        case 0:
        case 1:
            in = tarn_span_after(in, data.len);
            tarn_writer_u32be(&w, (op & 1 ? 7u : 2u) << 24 | xid);
            tarn_writer_mem(&w, ids, sizeof ids - 1);
            tarn_writer_span_put(&w, data);
            tarn_dhcp6_client_input(c, tarn_writer_span(&w), now);
            break;
        case 2:
            in = tarn_span_after(in, data.len);
            tarn_dhcp6_client_input(c, data, now);
            break;
        case 3: now += TARN_SEC(len); break;
        case 4: now = TARN_MAX(now, TARN_MIN(tarn_dhcp6_client_deadline(c), TARN_NEVER / 2)); break;
        case 5: tarn_dhcp6_client_confirm(c, now); break;
        case 6: tarn_dhcp6_client_conflict(c, now); break;
        default:
            if (op & 8)
                tarn_dhcp6_client_link_up(c, now);
            else
                tarn_dhcp6_client_release(c, now);
            tarn_dhcp6_client_start(c, now);
            break;
        }
        tarn_dhcp6_client_tick(c, now);
        xid = drain(c, xid, now);
        if (tarn_dhcp6_client_deadline(c) == 0 && now > 0)
            abort();
    }
    free(mem.mem);
    return 0;
}
