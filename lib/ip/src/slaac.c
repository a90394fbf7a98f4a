/* SPDX-License-Identifier: ISC */
/* Addresses made from prefixes: stable and opaque ones (RFC 7217), temporary ones (RFC 8981), and
 * their lifetimes (RFC 4862 section 5.5). */
#include "internal.h"

#define TEMP_VALID TARN_SEC(2 * 86400)
#define TEMP_PREFERRED TARN_SEC(86400)
#define REGEN_ADVANCE TARN_SEC(5)
#define TWO_HOURS TARN_SEC(7200)

/* RFC 7217 section 5: RID = F(Prefix, Net_Iface, Network_ID, DAD_Counter, secret_key), with
 * SipHash-2-4 for F. The interface is named by its hardware address, so it may be replugged. */
static uint64_t stable_id(const struct tarn_ip *ip, const struct iface *iface,
                          const struct tarn_ip_addr *prefix, uint8_t dad_counter) {
    uint8_t buf[15];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    tarn_writer_span_put(&w, tarn_span_first(TARN_SPAN_ARRAY(prefix->bytes), 8));
    tarn_writer_span_put(&w, TARN_SPAN_ARRAY(iface->link->mac));
    tarn_writer_u8(&w, dad_counter);
    return tarn_hash(&ip->stable_key, tarn_writer_span(&w));
}

/* RFC 5453: subnet anycast and its reserved range, and all zeroes. */
static bool is_reserved(uint64_t id) {
    return id == 0 || (id & 0xffffffffffffff80u) == 0xfdffffffffffff80u
           || id >> 24 == 0x02005efffeu;
}

static struct tarn_ip_prefix address_of(struct tarn_ip *ip, const struct iface *iface,
                                        const struct tarn_ip_addr *prefix, enum own_origin origin,
                                        uint8_t dad_counter) {
    struct tarn_ip_prefix p = {.bits = 64};
    struct tarn_writer w = TARN_WRITER_ARRAY(p.addr.bytes);
    uint64_t id = stable_id(ip, iface, prefix, dad_counter);
    for (int i = 0;
         i < 4 && (origin == OWN_TEMPORARY ? i == 0 || is_reserved(id) : is_reserved(id)); i++)
        id = tarn_random_u64(ip->config.random);
    tarn_writer_span_put(&w, tarn_span_first(TARN_SPAN_ARRAY(prefix->bytes), 8));
    tarn_writer_u64be(&w, id);
    return p;
}

enum tarn_err slaac_add(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *prefix,
                        enum own_origin origin, uint8_t dad_counter, tarn_time preferred_until,
                        tarn_time valid_until, bool delay, tarn_time now) {
    struct tarn_ip_prefix p = address_of(ip, iface, prefix, origin, dad_counter);
    struct own *own;
    enum tarn_err err = own_new(ip, iface, &p, origin == OWN_LINK_LOCAL, &own);
    if (err)
        return err;
    own->origin = (uint8_t)origin;
    own->dad_counter = dad_counter;
    own->preferred_until = preferred_until;
    own->valid_until = valid_until;
    dad_start(ip, own, delay, now);
    ip_changed(ip);
    return TARN_OK;
}

static bool same_prefix(const struct own *own, const struct tarn_ip_addr *prefix) {
    struct tarn_ip_prefix p = {.addr = *prefix, .bits = 64};
    return tarn_ip_prefix_contains(&p, &own->prefix.addr);
}

/* The stable address of the prefix of a temporary one: it has the prefix's own lifetimes. */
static const struct own *stable_of(const struct own *temporary) {
    for (const struct own *own = temporary->iface->addrs; own; own = own->next)
        if (own->origin == OWN_STABLE && same_prefix(own, &temporary->prefix.addr))
            return own;
    return NULL;
}

static void temporary_add(struct tarn_ip *ip, const struct own *stable, tarn_time now) {
    /* Section 3.8: up to two fifths of the preferred lifetime, so that hosts do not change in step.
     */
    tarn_time desync = tarn_random_u64(ip->config.random) % (TEMP_PREFERRED * 2 / 5);
    tarn_time preferred = tarn_time_after(now, TEMP_PREFERRED - desync);
    tarn_time valid = tarn_time_after(now, TEMP_VALID);
    preferred = TARN_MIN(preferred, stable->preferred_until);
    valid = TARN_MIN(valid, stable->valid_until);
    struct tarn_ip_addr prefix = stable->prefix.addr;
    if (preferred > tarn_time_after(now, REGEN_ADVANCE))
        (void)!slaac_add(ip, stable->iface, &prefix, OWN_TEMPORARY, 0, preferred, valid, true, now);
}

/* When the address next changes: it makes its successor (temporary ones, a little before they need
 * it), goes out of preference, or goes. */
void slaac_timer(struct tarn_ip *ip, struct own *own, tarn_time now) {
    if (own->valid_until <= now) {
        own_remove(ip, own, now);
        return;
    }
    bool preferred = own->preferred_until > now;
    if (own->state != TARN_IP_ADDR_DUPLICATE && preferred != (own->state == TARN_IP_ADDR_READY)) {
        own->state = preferred ? TARN_IP_ADDR_READY : TARN_IP_ADDR_DEPRECATED;
        ip_changed(ip);
    }
    tarn_time at = preferred ? own->preferred_until : own->valid_until;
    if (own->origin == OWN_TEMPORARY && !own->succeeded) {
        const struct own *stable = stable_of(own);
        if (own->preferred_until > tarn_time_after(now, REGEN_ADVANCE)) {
            at -= REGEN_ADVANCE;
        } else if (stable) {
            own->succeeded = true;
            temporary_add(ip, stable, now);
        }
    }
    tarn_timer_set(&ip->ndp.own_timers, &own->timer, at);
}

/* RFC 4862 section 5.5.3 (e): a short lifetime may be a forger's, so what is left shrinks to two
 * hours at the most. */
static void refresh(struct tarn_ip *ip, struct own *own, tarn_time preferred, tarn_time valid,
                    tarn_time now) {
    tarn_time left = own->valid_until - now;
    tarn_time until = tarn_time_after(now, valid);
    if (valid <= TWO_HOURS && valid <= left)
        until = left <= TWO_HOURS ? own->valid_until : tarn_time_after(now, TWO_HOURS);
    tarn_time preferred_until = tarn_time_after(now, preferred);
    if (own->origin == OWN_TEMPORARY) {
        /* Its own limits are never extended (RFC 8981 section 3.4). */
        until = TARN_MIN(until, own->valid_until);
        preferred_until = TARN_MIN(preferred_until, own->preferred_until);
    }
    own->valid_until = until;
    own->preferred_until = TARN_MIN(preferred_until, until);
    if (own->state != TARN_IP_ADDR_TENTATIVE)
        slaac_timer(ip, own, now);
}

void slaac_prefix(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_prefix *prefix,
                  tarn_time preferred, tarn_time valid, tarn_time now) {
    bool known = false;
    struct own *next;
    for (struct own *own = iface->addrs; own; own = next) {
        next = own->next;
        if ((own->origin == OWN_STABLE || own->origin == OWN_TEMPORARY)
            && same_prefix(own, &prefix->addr)) {
            known = true;
            refresh(ip, own, preferred, valid, now);
        }
    }
    if (known || valid == 0)
        return;
    if (slaac_add(ip, iface, &prefix->addr, OWN_STABLE, 0, tarn_time_after(now, preferred),
                  tarn_time_after(now, valid), true, now)
        || !iface->temporary)
        return;
    for (const struct own *own = iface->addrs; own; own = own->next) {
        if (own->origin == OWN_STABLE && same_prefix(own, &prefix->addr)) {
            temporary_add(ip, own, now);
            return;
        }
    }
}
