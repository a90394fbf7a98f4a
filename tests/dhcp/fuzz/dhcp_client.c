/* SPDX-License-Identifier: ISC */
/* Several replies and jumps in time in one case. A piece of input is: an operation, a length (two
 * bytes), then for a reply its options, behind a header that gets past the first checks. */
#include "../rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void drain(struct tarn_dhcp_client *c, struct tarn_dhcp_message *last, tarn_time now) {
    struct sent out;
    while (take_output(c, &out, now))
        *last = out.m;
    while (tarn_dhcp_client_event(c) != TARN_DHCP_CLIENT_NONE)
        ;
}

static void input(struct tarn_dhcp_client *c, const struct tarn_dhcp_message *to, uint8_t type,
                  struct tarn_span options, tarn_time now) {
    uint8_t buf[2048];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_dhcp_message m = {.op = 2, .type = type, .xid = to->xid};
    m.yiaddr = TARN_IP_ADDR_V4(10, 0, 0, 50);
    memcpy(m.mac, to->mac, 6);
    tarn_dhcp_write_header(&w, &m);
    tarn_writer_span_put(&w, options);
    tarn_dhcp_client_input(c, tarn_writer_span(&w), now);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct tarn_span s = tarn_span_of(bytes, size);
    struct memory mem;
    struct tarn_dhcp_message last = {0};
    uint8_t op;
    uint16_t len;
    tarn_time now = 0;
    memory_init(&mem, 1 << 14, size);
    struct tarn_dhcp_client *c = client_new(
        &mem, (struct tarn_dhcp_client_config){.rapid_commit = size & 1, .probe = size & 2});
    tarn_dhcp_client_start(c, now);
    while (tarn_span_u8(&s, &op) && tarn_span_u16be(&s, &len)) {
        struct tarn_span data = tarn_span_first(s, TARN_MIN(len, (uint16_t)1400));
        switch (op & 15) {
        default:
            s = tarn_span_after(s, data.len);
            input(c, &last, op & 7, data, now);
            break;
        case 8:
            s = tarn_span_after(s, data.len);
            tarn_dhcp_client_input(c, data, now);
            break;
        case 9: now += TARN_SEC(len); break;
        case 10: now = TARN_MAX(now, TARN_MIN(tarn_dhcp_client_deadline(c), TARN_NEVER / 2)); break;
        case 11: tarn_dhcp_client_confirm(c, now); break;
        case 12: tarn_dhcp_client_conflict(c, now); break;
        case 13: tarn_dhcp_client_link_up(c, now); break;
        case 14:
            tarn_dhcp_client_release(c, now);
            drain(c, &last, now);
            tarn_dhcp_client_start(c, now);
            break;
        }
        tarn_dhcp_client_tick(c, now);
        drain(c, &last, now);
        if (tarn_dhcp_client_deadline(c) == 0)
            abort(); /* everything was taken */
    }
    free(mem.mem);
    return 0;
}
