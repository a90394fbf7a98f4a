/* SPDX-License-Identifier: ISC */
/* A ClientHello with a ticket and early data, with bytes changed where the input says (two bytes:
 * where; one: what), to a server. */
#include "../rig.h"

#include <string.h>
#include <tarn/tls_session.h>

static struct rig rig;
static struct tarn_tls_tickets tickets, fresh_tickets;
static struct tarn_tls_session slots[2], fresh[2];
static struct tarn_tls_session_cache cache;
static uint64_t used[2];

static void init(void) {
    rig_init(&rig, 1);
    tarn_tls_tickets_init(&tickets, used, 2, 100);
    tickets.early_bytes_max = 1000;
    tarn_tls_session_cache_init(&cache, slots, 2);
    rig.server.config.tickets = &tickets;
    rig.client.config.sessions = &cache.sessions;
    rig.client.config.early_data = true;
    rig_start(&rig, 1);
    rig_run(&rig, 1 << 20);
    memcpy(fresh, slots, sizeof fresh);
    fresh_tickets = tickets;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span in = {data, size};
    uint16_t at;
    uint8_t byte;
    if (!rig.server.config.random)
        init();
    tickets = fresh_tickets;
    memset(used, 0, sizeof used);
    memcpy(slots, fresh, sizeof slots);
    rig_start(&rig, 2);
    size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    if (tarn_tls_state(&rig.client.tls) & TARN_TLS_WRITE) {
        tarn_tls_write_done(&rig.client.tls, tarn_bytes_copy(tarn_tls_write_window(&rig.client.tls),
                                                             TARN_SPAN_LIT("early")));
        n += rig_take(&rig.client, rig.wire + n, sizeof rig.wire - n);
    }
    while (tarn_span_u16be(&in, &at) && tarn_span_u8(&in, &byte))
        rig.wire[at % n] = byte;
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
    return 0;
}
