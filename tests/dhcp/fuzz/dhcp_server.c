/* SPDX-License-Identifier: ISC */
/* Several requests of several clients, and jumps in time, in one case. */
#include "../rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void input(struct tarn_dhcp_server *s, struct tarn_span payload, tarn_time now) {
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_dhcp_path path;
    struct tarn_dhcp_message m;
    if (tarn_dhcp_server_input(s, payload, &w, &path, now)
        && (!tarn_dhcp_parse(tarn_writer_span(&w), &m) || m.op != TARN_DHCP_BOOTREPLY))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct tarn_span in = tarn_span_of(bytes, size);
    struct memory mem;
    uint8_t op, who, len;
    tarn_time now = 0;
    memory_init(&mem, 1 << 14, size);
    struct tarn_dhcp_server *s =
        server_new(&mem, (struct tarn_dhcp_server_config){.authoritative = size & 1,
                                                          .lease_seconds = 300,
                                                          .first = TARN_IP_ADDR_V4(10, 0, 0, 100),
                                                          .last = TARN_IP_ADDR_V4(10, 0, 0, 103)});
    while (tarn_span_u8(&in, &op) && tarn_span_u8(&in, &who) && tarn_span_u8(&in, &len)) {
        struct tarn_span data = tarn_span_first(in, len);
        in = tarn_span_after(in, len);
        if (op == 0x80) {
            now += TARN_SEC(who);
            continue;
        }
        if (op == 0x81) {
            input(s, data, now);
            continue;
        }
        uint8_t buf[600];
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        struct tarn_dhcp_message m = {.op = 1, .type = op & 15, .mac = {2, 0, 0, 0, 0, who & 7}};
        m.ciaddr = op & 0x40 ? TARN_IP_ADDR_V4(10, 0, 0, 100 + (who >> 5)) : ANY4;
        tarn_dhcp_write_header(&w, &m);
        tarn_writer_span_put(&w, data);
        input(s, tarn_writer_span(&w), now);
        if (tarn_dhcp_server_in_use(s) > 4)
            abort();
    }
    tarn_dhcp_server_tick(s, now + TARN_SEC(4000));
    if (tarn_dhcp_server_in_use(s) != 0)
        abort(); /* a lease that never ends */
    free(mem.mem);
    return 0;
}
