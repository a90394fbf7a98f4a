/* SPDX-License-Identifier: ISC */
/* Sends every datagram back to where it came from (RFC 862). */
#include <tarn/app.h>

TARN_NET(service);
TARN_KEY_U16(udp_port, 7007, "UDP port to answer on; the echo service has 7");
TARN_KEY_STR(groups, NULL, "multicast groups to hear too, with commas between");

static void echo(struct tarn_datagram *d, unsigned events) {
    struct tarn_datagram_info from;
    struct tarn_endpoint here;
    struct tarn_bytes data;
    (void)events;
    tarn_datagram_local(d, &here);
    while (tarn_datagram_peek(d, &data, &from) == TARN_OK) {
        struct tarn_datagram_info to = {.remote = from.remote, .local = from.local};
        if (tarn_ip_addr_is_multicast(&from.local.addr))
            to.local.addr = TARN_IP_ADDR_NONE; /* ours: nobody speaks from a group */
        /* What comes from such a port is an answer itself: two echoes would never stop. */
        if (from.remote.port != here.port
            && tarn_datagram_send(d, &to, tarn_bytes_span(data)) == TARN_AGAIN)
            return; /* TARN_DATAGRAM_WRITABLE follows */
        tarn_datagram_consume(d);
    }
}

static bool join(struct tarn_env *env, struct tarn_datagram *d) {
    struct tarn_span list = tarn_key_str(env, &groups), one;
    struct tarn_ip_addr group;
    while (list.len) {
        (void)tarn_span_split(&list, ',', &one);
        if (!tarn_ip_addr_parse(one, &group) || tarn_datagram_join(d, &group, 0, true))
            return false;
    }
    return true;
}

int tarn_main(struct tarn_env *env) {
    struct tarn_datagram_config at = {.local.port = (uint16_t)tarn_key_u64(env, &udp_port)};
    struct tarn_datagram *d;
    struct tarn_net *net;
    if (tarn_env_net(env, &service, &net))
        return 1;
    if (tarn_net_datagram(net, &at, &d)) {
        tarn_puts(env, "udpecho: the port cannot be had: choose another with --udp-port=N\n");
        return 1;
    }
    if (!join(env, d)) {
        tarn_puts(env, "udpecho: --groups takes multicast addresses of networks that are there\n");
        return 1;
    }
    d->on_event = echo;
    tarn_puts(env, "udpecho: listening\n");
    tarn_run_forever(env);
}
