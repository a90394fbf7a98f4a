/* SPDX-License-Identifier: ISC */
/* What the keys say, as the resolver wants it. Lists have commas between. */
#include "resolver.h"

static bool next_item(struct tarn_span *list, struct tarn_span *item) {
    if (!list->len)
        return false;
    tarn_span_split(list, ',', item);
    *item = tarn_span_trim(*item, " ");
    return true;
}

/* ADDRESS, or ADDRESS#PORT. */
static bool read_endpoint(struct tarn_span text, struct tarn_endpoint *out) {
    struct tarn_span addr;
    uint64_t port = TARN_DNS_PORT;
    bool has_port = tarn_span_split(&text, '#', &addr);
    if (!tarn_ip_addr_parse(addr, &out->addr)
        || (has_port && !tarn_span_parse_dec(text, 65535, &port)))
        return false;
    out->port = (uint16_t)port;
    return true;
}

static bool read_name(struct tarn_span text, struct tarn_dns_name *out) {
    return tarn_dns_name_parse(text, TARN_SPAN_LIT("\0"), out);
}

bool settings_hints(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c) {
    struct tarn_span item;
    while (next_item(&text, &item)) {
        if (c->hint_count == HINTS_MAX || !read_endpoint(item, &s->hints[c->hint_count]))
            return false;
        c->hint_count++;
        c->hints = s->hints;
    }
    return true;
}

/* NAME@ADDRESS[#PORT], one server each; those of one name are together. */
bool settings_zones(struct settings *s, struct tarn_span text, bool forward,
                    struct tarn_recursor_config *c) {
    struct tarn_span item, name;
    c->zones = s->zones;
    while (next_item(&text, &item)) {
        struct tarn_dns_name parsed;
        struct tarn_endpoint server;
        unsigned i = 0;
        if (!tarn_span_split(&item, '@', &name) || !read_name(name, &parsed)
            || !read_endpoint(item, &server))
            return false;
        while (i < c->zone_count
               && (s->zones[i].forward != forward
                   || !tarn_dns_name_equal(s->zones[i].name, tarn_dns_name_span(&parsed))))
            i++;
        if (i == ZONES_MAX)
            return false;
        if (i == c->zone_count) {
            s->zone_names[i] = parsed;
            s->zones[i] = (struct tarn_recursor_zone){.name = tarn_dns_name_span(&s->zone_names[i]),
                                                      .forward = forward};
            c->zone_count++;
        }
        struct tarn_recursor_zone *z = &s->zones[i];
        if (z->server_count == TARN_RECURSOR_ZONE_SERVERS_MAX)
            return false;
        z->servers[z->server_count++] = server;
    }
    return true;
}

/* "NAME DS TAG ALGORITHM DIGEST HEX" or "NAME DNSKEY ...". */
bool settings_anchors(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c) {
    struct tarn_span item, word;
    while (next_item(&text, &item)) {
        unsigned i = c->anchor_count;
        const char *why;
        uint32_t column;
        if (i == ANCHORS_MAX || !tarn_span_split(&item, ' ', &word)
            || !read_name(word, &s->anchor_names[i]))
            return false;
        item = tarn_span_trim(item, " ");
        if (!tarn_span_split(&item, ' ', &word) || !tarn_dns_type_parse(word, &s->anchors[i].type))
            return false;
        struct tarn_writer w = TARN_WRITER_ARRAY(s->anchor_data[i]);
        if (!tarn_dns_rdata_parse(item, s->anchors[i].type, TARN_SPAN_LIT("\0"), &w, &why, &column))
            return false;
        s->anchors[i].zone = tarn_dns_name_span(&s->anchor_names[i]);
        s->anchors[i].rdata = tarn_writer_span(&w);
        c->anchors = s->anchors;
        c->anchor_count++;
    }
    return true;
}

bool settings_insecure(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c) {
    struct tarn_span item;
    c->insecure = s->insecure;
    while (next_item(&text, &item)) {
        unsigned i = c->insecure_count;
        if (i == INSECURE_MAX || !read_name(item, &s->insecure_names[i]))
            return false;
        s->insecure[i] = tarn_dns_name_span(&s->insecure_names[i]);
        c->insecure_count++;
    }
    return true;
}

bool settings_clients(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c) {
    struct tarn_span item;
    c->clients = s->clients;
    while (next_item(&text, &item)) {
        if (c->client_count == CLIENTS_MAX
            || !tarn_ip_prefix_parse(item, &s->clients[c->client_count]))
            return false;
        c->client_count++;
    }
    return true;
}
