/* SPDX-License-Identifier: ISC */
/* tarn/tls_session.h: resumption (RFC 8446 sections 2.2, 4.2.11, 4.6.1): what a server gives out as
 * tickets, and where a client keeps them.
 *
 * Only with a fresh key exchange (psk_dhe_ke): a stolen ticket key opens no recorded connection but
 * its early data. Never allocates, blocks or reads a clock; all memory is the caller's and secret.
 *
 * Tickets are sealed with a key that nobody else has, is made at the first ticket, and replaced
 * when it is older than a ticket may get; one older key is kept. Each ticket is good for one
 * connection: its number stands in a window of bits, as tarn/tls.h's engines on one
 * struct tarn_tls_tickets share it. A ticket that is older than the window, used, or of another
 * key, costs the client a full handshake and nothing else.
 *
 * Early data (0-RTT) is off unless early_bytes_max says otherwise. It is taken once, since the
 * ticket is: a replay, to this server or after it was started again, finds the ticket used or the
 * key gone. Several servers that share a name must not share keys, which there is no way to do
 * here. What an attacker can still do is hold early data back for at most ten seconds.
 *
 * One thread per object. */
#ifndef TARN_TLS_SESSION_H
#define TARN_TLS_SESSION_H

#include <tarn/tls.h>

#define TARN_TLS_TICKET_BYTES_MAX 2048 /* longer ones of servers are not kept */
#define TARN_TLS_TICKET_LIFE_MAX 604800

struct tarn_tls_ticket_key {
    uint8_t name[8], key[32];
    int64_t made;
    bool on;
};
/* A server's tickets. Set up by tarn_tls_tickets_init; early_bytes_max may be set afterwards. */
struct tarn_tls_tickets {
    uint64_t *used; /* bit (number mod bits): that ticket was used */
    size_t used_words;
    uint32_t lifetime_s;
    uint32_t early_bytes_max; /* of early data that one ticket allows; 0: none */
    struct tarn_tls_ticket_key keys[2];
    uint64_t issued; /* the number of the next */
    struct {
        uint64_t resumed, early, replayed, expired, foreign;
    } stats;
};
/* `used` stays and is the window: so many times 64 tickets are remembered, and 64 fewer are good;
 * at least two words. `lifetime_s` is how long a ticket is good, at most TARN_TLS_TICKET_LIFE_MAX.
 */
void tarn_tls_tickets_init(struct tarn_tls_tickets *tickets, uint64_t *used, size_t used_words,
                           uint32_t lifetime_s);

/* All that a client must know to come back. `expires` is never later than that of the session it
 * was resumed from: sooner or later certificates are shown again. */
struct tarn_tls_session {
    int64_t received, expires; /* seconds since 1970 */
    uint32_t age_add, early_bytes_max;
    uint8_t suite; /* enum tarn_tls_suite */
    uint8_t psk[48];
    uint8_t name_len, alpn_len;
    uint8_t name[TARN_TLS_NAME_BYTES_MAX], alpn[TARN_TLS_ALPN_BYTES_MAX];
    uint16_t ticket_len, peer_spki_len;
    uint8_t ticket[TARN_TLS_TICKET_BYTES_MAX], peer_spki[TARN_TLS_SPKI_BYTES_MAX];
};

/* Where a client keeps sessions: to be implemented by anybody. All engines that share one must have
 * the same trust, since whom it was shown to is not asked again. */
struct tarn_tls_sessions;
struct tarn_tls_sessions_ops {
    /* The newest session with the server of that name that is good at `now`; it is gone then. */
    bool (*take)(struct tarn_tls_sessions *s, struct tarn_span name, int64_t now,
                 struct tarn_tls_session *out);
    void (*put)(struct tarn_tls_sessions *s, const struct tarn_tls_session *session);
};
struct tarn_tls_sessions {
    const struct tarn_tls_sessions_ops *ops;
};

/* One in memory: the newest `count` sessions. */
struct tarn_tls_session_cache {
    struct tarn_tls_sessions sessions;
    struct tarn_tls_session *slots;
    size_t count, next;
};
void tarn_tls_session_cache_init(struct tarn_tls_session_cache *cache,
                                 struct tarn_tls_session *slots, size_t count);

#endif
