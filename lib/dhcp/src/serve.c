/* SPDX-License-Identifier: ISC */
#include <tarn/dhcp_server.h>

void tarn_dhcp_server_serve(struct tarn_dhcp_server *s, struct tarn_datagram *port, tarn_time now) {
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    struct tarn_bytes data;
    while (tarn_datagram_peek(port, &data, NULL) == TARN_OK) {
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        struct tarn_dhcp_path path;
        if (tarn_dhcp_server_input(s, tarn_bytes_span(data), &w, &path, now)) {
            struct tarn_datagram_info to = {.remote = {path.dst, path.dst_port},
                                            .local = {path.src, 0}};
            (void)!tarn_datagram_send(port, &to, tarn_writer_span(&w)); /* the client asks again */
        }
        tarn_datagram_consume(port);
    }
}

/* The upper half of a network's addresses, 1024 at most, without the last: that is its broadcast.
 */
enum tarn_err tarn_dhcp_server_range(const struct tarn_ip_prefix *net, struct tarn_ip_addr *first,
                                     struct tarn_ip_addr *last) {
    if (!tarn_ip_addr_is_v4(&net->addr) || net->bits < 8 || net->bits > 29)
        return TARN_INVALID;
    uint32_t hosts = 1u << (32 - net->bits);
    uint32_t base = tarn_ip_addr_v4(&net->addr) & ~(hosts - 1);
    uint32_t count = TARN_MIN(hosts / 2, 1024u);
    *first = tarn_ip_addr_from_v4(base + hosts - 1 - count);
    *last = tarn_ip_addr_from_v4(base + hosts - 2);
    return TARN_OK;
}
