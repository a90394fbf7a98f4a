/* SPDX-License-Identifier: ISC */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <tarn/app.h>
#include <tarn/recursor_service.h>

#define HINTS_MAX 16u
#define ZONES_MAX 16u
#define ANCHORS_MAX 16u
#define INSECURE_MAX 16u
#define CLIENTS_MAX 16u

/* Where what the keys say is kept: the resolver borrows it. */
struct settings {
    struct tarn_endpoint hints[HINTS_MAX];
    struct tarn_recursor_zone zones[ZONES_MAX];
    struct tarn_dns_name zone_names[ZONES_MAX], anchor_names[ANCHORS_MAX],
        insecure_names[INSECURE_MAX];
    struct tarn_recursor_anchor anchors[ANCHORS_MAX];
    uint8_t anchor_data[ANCHORS_MAX][520];
    struct tarn_span insecure[INSECURE_MAX];
    struct tarn_ip_prefix clients[CLIENTS_MAX];
};

/* config.c: each fills its part of `c` from a key's text. False: it cannot be understood. */
bool settings_hints(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c);
bool settings_zones(struct settings *s, struct tarn_span text, bool forward,
                    struct tarn_recursor_config *c);
bool settings_anchors(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c);
bool settings_insecure(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c);
bool settings_clients(struct settings *s, struct tarn_span text, struct tarn_recursor_config *c);

#endif
