/* SPDX-License-Identifier: ISC */
#include "dhcp6.h"

static bool next_option(struct tarn_span *s, uint16_t *code, struct tarn_span *value,
                        bool *broken) {
    uint16_t len;
    if (s->len == 0)
        return false;
    *broken =
        !tarn_span_u16be(s, code) || !tarn_span_u16be(s, &len) || !tarn_span_take(s, len, value);
    return !*broken;
}

static bool parse_addr(struct tarn_span s, struct dhcp6_message *m) {
    struct tarn_ip_addr addr;
    struct tarn_span value;
    uint32_t preferred, valid;
    uint16_t code, status = DHCP6_SUCCESS;
    bool broken = false;
    if (!tarn_span_ipv6(&s, &addr) || !tarn_span_u32be(&s, &preferred)
        || !tarn_span_u32be(&s, &valid))
        return false;
    while (next_option(&s, &code, &value, &broken))
        if (code == DHCP6_OPT_STATUS && !tarn_span_u16be(&value, &status))
            return false;
    /* Section 21.6: an address whose preferred lifetime is the longer one is discarded. */
    if (broken || preferred > valid || (m->has_addr && m->valid > 0))
        return !broken;
    m->has_addr = true;
    m->addr = addr;
    m->preferred = preferred;
    m->valid = valid;
    m->addr_status = status;
    return true;
}

static bool parse_ia(struct tarn_span s, uint32_t iaid, struct dhcp6_message *m) {
    struct tarn_span value;
    uint32_t id, t1, t2;
    uint16_t code;
    bool broken = false;
    if (!tarn_span_u32be(&s, &id) || !tarn_span_u32be(&s, &t1) || !tarn_span_u32be(&s, &t2))
        return false;
    /* Section 21.4: T1 > T2 > 0 makes the association as if it were not there. */
    if (id != iaid || (t1 > t2 && t2 > 0) || m->has_ia)
        return true;
    m->has_ia = true;
    m->t1 = t1;
    m->t2 = t2;
    while (next_option(&s, &code, &value, &broken)) {
        if (code == DHCP6_OPT_IAADDR && !parse_addr(value, m))
            return false;
        if (code == DHCP6_OPT_STATUS && !tarn_span_u16be(&value, &m->ia_status))
            return false;
    }
    return !broken;
}

static bool parse_option(uint16_t code, struct tarn_span v, uint32_t iaid,
                         struct dhcp6_message *m) {
    switch (code) {
    case DHCP6_OPT_CLIENTID: m->client_id = v; return v.len > 2;
    case DHCP6_OPT_SERVERID: m->server_id = v; return v.len > 2 && v.len <= TARN_DHCP6_DUID_MAX;
    case DHCP6_OPT_IA_NA: return parse_ia(v, iaid, m);
    case DHCP6_OPT_PREFERENCE: return tarn_span_u8(&v, &m->preference);
    case DHCP6_OPT_STATUS: return tarn_span_u16be(&v, &m->status);
    case DHCP6_OPT_RAPID_COMMIT: m->rapid_commit = true; return true;
    case DHCP6_OPT_DNS: m->dns = v; return v.len % 16 == 0;
    case DHCP6_OPT_SEARCH: m->search = v; return true;
    case DHCP6_OPT_REFRESH: return tarn_span_u32be(&v, &m->refresh);
    case DHCP6_OPT_SOL_MAX_RT: return tarn_span_u32be(&v, &m->sol_max_rt);
    case DHCP6_OPT_INF_MAX_RT: return tarn_span_u32be(&v, &m->inf_max_rt);
    default: return true;
    }
}

bool dhcp6_parse(struct tarn_span s, uint32_t iaid, struct dhcp6_message *out) {
    struct dhcp6_message m = {0};
    struct tarn_span value;
    uint32_t head;
    uint16_t code;
    bool broken = false;
    if (!tarn_span_u32be(&s, &head))
        return false;
    m.type = (uint8_t)(head >> 24);
    m.xid = head & 0xffffff;
    while (next_option(&s, &code, &value, &broken))
        if (!parse_option(code, value, iaid, &m))
            return false;
    *out = m;
    return !broken;
}
