/* SPDX-License-Identifier: ISC */
/* tarn/tls.h: TLS 1.3 (RFC 8446) and 1.2 (RFC 5246), server and client, as an engine without I/O.
 *
 * Four windows: records in, records out, plain text in, plain text out. The caller moves bytes
 * between them and whatever carries them; tarn_tls_state says which windows are open. Never
 * allocates, blocks or reads a clock; time and randomness are arguments. Records are decrypted
 * where they were received. One call handles at most one record.
 *
 * Ownership: the engine and its memory are the caller's, and both are secrets: tarn_tls_wipe. The
 * configuration is borrowed for the engine's life and may serve many engines. A window is valid
 * until the next call. One thread per engine.
 *
 * Limits: a handshake message is at most TARN_TLS_MESSAGE_BYTES_MAX; a chain of certificates that
 * is sent may be split into records, but must fit as a whole into the memory for records out,
 * beside the messages in front of it. On a fault the engine emits the right alert, which is still
 * in the window out, and is closed.
 *
 * Timing: secrets are handled by lib/crypto alone (tarn/pk.h, tarn/aead.h say what is
 * constant-time); where the processor has no AES instructions, AES suites are neither offered nor
 * taken.
 */
#ifndef TARN_TLS_H
#define TARN_TLS_H

#include <tarn/aead.h>
#include <tarn/env.h>
#include <tarn/x509_verify.h>

#define TARN_TLS_RECORD_BYTES_MAX (5 + 16384 + 256)
#define TARN_TLS_MESSAGE_BYTES_MAX 16384
#define TARN_TLS_MEMORY_BYTES (2 * TARN_TLS_RECORD_BYTES_MAX + TARN_TLS_MESSAGE_BYTES_MAX)
#define TARN_TLS_PEER_CERTS_MAX 10
#define TARN_TLS_SPKI_BYTES_MAX 1200
#define TARN_TLS_NAME_BYTES_MAX 255
#define TARN_TLS_ALPN_BYTES_MAX 32

/* RFC 8446 section 6. */
enum tarn_tls_alert {
    TARN_TLS_CLOSE_NOTIFY = 0,
    TARN_TLS_UNEXPECTED_MESSAGE = 10,
    TARN_TLS_BAD_RECORD_MAC = 20,
    TARN_TLS_RECORD_OVERFLOW = 22,
    TARN_TLS_HANDSHAKE_FAILURE = 40,
    TARN_TLS_BAD_CERTIFICATE = 42,
    TARN_TLS_UNSUPPORTED_CERTIFICATE = 43,
    TARN_TLS_CERTIFICATE_REVOKED = 44,
    TARN_TLS_CERTIFICATE_EXPIRED = 45,
    TARN_TLS_CERTIFICATE_UNKNOWN = 46,
    TARN_TLS_ILLEGAL_PARAMETER = 47,
    TARN_TLS_UNKNOWN_CA = 48,
    TARN_TLS_ACCESS_DENIED = 49,
    TARN_TLS_DECODE_ERROR = 50,
    TARN_TLS_DECRYPT_ERROR = 51,
    TARN_TLS_PROTOCOL_VERSION = 70,
    TARN_TLS_INSUFFICIENT_SECURITY = 71,
    TARN_TLS_INTERNAL_ERROR = 80,
    TARN_TLS_INAPPROPRIATE_FALLBACK = 86,
    TARN_TLS_USER_CANCELED = 90,
    TARN_TLS_NO_RENEGOTIATION = 100,
    TARN_TLS_MISSING_EXTENSION = 109,
    TARN_TLS_UNSUPPORTED_EXTENSION = 110,
    TARN_TLS_UNRECOGNIZED_NAME = 112,
    TARN_TLS_BAD_CERTIFICATE_STATUS_RESPONSE = 113,
    TARN_TLS_CERTIFICATE_REQUIRED = 116,
    TARN_TLS_NO_APPLICATION_PROTOCOL = 120,
    TARN_TLS_FINE = 255 /* no alert */
};
const char *tarn_tls_alert_name(enum tarn_tls_alert alert);

/* A certificate chain, from the leaf on, without the root; and the key, or NULL where it lives
 * elsewhere: then the engine asks (TARN_TLS_WANTS_SIGNATURE). */
struct tarn_tls_identity {
    const struct tarn_span *chain;
    size_t chain_len;
    const struct tarn_private_key *key;
    /* A server's: an OCSP response for the leaf (DER), given to clients that ask for it; or empty.
     */
    struct tarn_span staple;
};

struct tarn_tls_tickets; /* tarn/tls_session.h */
struct tarn_tls_sessions;

enum tarn_tls_client_auth { TARN_TLS_NO_CLIENT_AUTH, TARN_TLS_CLIENT_MAY, TARN_TLS_CLIENT_MUST };

/* TLS 1.2 is spoken with ephemeral keys, AEAD and an extended master secret (RFC 7627) only. */
enum tarn_tls_version { TARN_TLS_12 = 0x0303, TARN_TLS_13 = 0x0304 };

struct tarn_tls_config {
    bool server;
    uint16_t version_min, version_max; /* enum tarn_tls_version; 0: the oldest, the newest */
    /* A client that tries again with a lower version_max, after a failure, says so (RFC 7507). */
    bool fallback;
    /* TLS 1.2: a peer that cannot bind the master secret to the handshake (RFC 7627) is taken, too.
     * Nothing is exported then. */
    bool old_master_secret;
    /* A server has at least one. Of those that the client's algorithms allow, the first whose leaf
     * is for the name asked for is taken, else the first. A client: what it is asked to show itself
     * with. */
    const struct tarn_tls_identity *identities;
    size_t identity_count;
    /* Whom to believe: anchors, floors, strictness. `name`, `purpose` and `now` are set by the
     * engine. A client must have it; a server for clients' certificates. */
    const struct tarn_x509_policy *trust;
    enum tarn_tls_client_auth client_auth; /* of a server */
    /* A client that takes any certificate, for tests and opportunistic use: no authentication. */
    bool trust_anybody;
    const struct tarn_span *alpn; /* in order of preference; both sides */
    size_t alpn_count;
    struct tarn_random *random;
    /* Resumption; NULL: none. A server's tickets, a client's store. */
    struct tarn_tls_tickets *tickets;
    struct tarn_tls_sessions *sessions;
    bool early_data; /* a client offers it where the ticket allows it */
    /* Told every secret, in the manner of SSLKEYLOGFILE; NULL for none, as in every real use. */
    void (*keylog)(void *user, const char *label, struct tarn_span client_random,
                   struct tarn_span secret);
    void *keylog_user;
    /* Bit i: group i of tarn/tls.h's list below is neither offered nor taken; and the same for
     * suites. For tests. */
    uint32_t groups_off, suites_off;
    bool grease; /* a client offers values that mean nothing (RFC 8701) */
};
enum tarn_tls_group { TARN_TLS_X25519MLKEM768, TARN_TLS_X25519, TARN_TLS_P256, TARN_TLS_P384 };
/* The ciphers. With TLS 1.2 each stands for a suite with ECDHE_ECDSA and one with ECDHE_RSA; CCM is
 * for ECDHE_ECDSA alone, and with a key of 256 bits for TLS 1.2 alone. */
enum tarn_tls_suite {
    TARN_TLS_AES128_GCM,
    TARN_TLS_AES256_GCM,
    TARN_TLS_CHACHA20_POLY1305,
    TARN_TLS_AES128_CCM,
    TARN_TLS_AES256_CCM
};

enum tarn_tls_states {
    TARN_TLS_RECV = 1 << 0,  /* the window for records in is open */
    TARN_TLS_SEND = 1 << 1,  /* there are records to send */
    TARN_TLS_READ = 1 << 2,  /* there is plain text to read */
    TARN_TLS_WRITE = 1 << 3, /* the window for plain text out is open */
    TARN_TLS_WANTS_SIGNATURE = 1 << 4,
    TARN_TLS_CONNECTED = 1 << 5,   /* the handshake is done, the other side is who it says */
    TARN_TLS_PEER_CLOSED = 1 << 6, /* close_notify came: no more will be read */
    TARN_TLS_CLOSED =
        1 << 7, /* over, by close_notify of ours or a fault; what is to be sent still is */
    /* What can be read (server) or written (client) now is early data: it came or goes before the
     * handshake is done. A client must say it again if it turns out to be TARN_TLS_EARLY_REFUSED.
     */
    TARN_TLS_EARLY = 1 << 8,
};
enum tarn_tls_early {
    TARN_TLS_EARLY_NONE,
    TARN_TLS_EARLY_OFFERED,
    TARN_TLS_EARLY_TAKEN,
    TARN_TLS_EARLY_REFUSED
};

/* One direction's keys. */
struct tarn_tls_keys {
    struct tarn_aead_ctx aead;
    uint8_t secret[48], iv[12];
    uint64_t seq;
    uint8_t explicit_bytes; /* TLS 1.2: of the nonce, in front of each record's text */
    bool on;
};

struct tarn_tls {
    const struct tarn_tls_config *config;
    struct tarn_bytes in, out, message; /* the caller's memory, divided */
    size_t in_len, out_len, out_sent, message_len, app_len;
    struct tarn_bytes plain; /* of the record in `in`, not read yet */
    bool has_fast, has_aes;  /* what this processor can do, asked once */
    uint8_t phase;           /* of the handshake: src/internal.h */
    uint16_t version;        /* agreed on; 0 before */
    enum tarn_tls_alert alert;
    bool closed, close_sent, peer_closed, fault_is_ours, alert_was_theirs;
    int64_t now;

    struct tarn_tls_keys rx, tx;
    const struct tarn_digest *hash;
    uint8_t suite, group;
    struct tarn_digest_ctx transcript_256, transcript_384; /* both, until one is chosen */
    uint8_t secret[48]; /* of the key schedule, as far as it is */
    uint8_t client_secret[48], server_secret[48];
    uint8_t exporter[48]; /* TLS 1.2: the master secret */
    uint8_t client_random[32], server_random[32], session_id[32];
    uint8_t session_id_len;
    uint8_t own_secrets[4][64];          /* key exchange; ML-KEM keeps its seed in the first */
    uint8_t offered;                     /* bit i: a share of group i was sent */
    bool retried, compat_sent, extended, /* TLS 1.2: the master secret is bound */
        asked_for_cert, peer_has_cert, update_owed;
    bool wants_staple;     /* the client asked for an OCSP response, or TLS 1.2's server has one */
    uint8_t max_fragment;  /* what the client asked for (RFC 6066 section 4); 0: nothing */
    uint16_t peer_schemes; /* bit i: of the schemes in src/auth.c */
    const struct tarn_tls_identity *identity;
    struct tarn_span cookie;          /* of a HelloRetryRequest, while it is answered */
    const struct tarn_scheme *scheme; /* that a signature is wanted with */
    uint16_t scheme_id;
    uint16_t key_types; /* TLS 1.2: bit i: a key of enum tarn_pk_type i is of use */
    uint8_t to_sign[168];
    uint8_t to_sign_len;
    uint8_t peer_spki[TARN_TLS_SPKI_BYTES_MAX];
    size_t peer_spki_len;
    enum tarn_x509_reason peer_reason;     /* why a certificate was refused */
    uint8_t name[TARN_TLS_NAME_BYTES_MAX]; /* asked for (client), or that the client asked for */
    uint8_t name_len;
    uint8_t alpn[TARN_TLS_ALPN_BYTES_MAX];
    uint8_t alpn_len;
    size_t record_max;    /* plain text in a record that the other side takes */
    uint32_t early_bytes; /* of early data that may still be passed over */
    /* Resumption: the key (zeros: none), what it was agreed for, and the next one's origin. */
    uint8_t psk[48], resumption[48], later_secret[48];
    bool resumed, psk_offered, may_resume;
    uint8_t early, psk_suite, psk_index, psk_alpn_len;
    uint8_t psk_alpn[TARN_TLS_ALPN_BYTES_MAX];
    uint32_t psk_age, early_max, early_used;
    struct tarn_span ticket; /* in `message`, until a ServerHello came */
    int64_t peer_not_after;
    uint8_t empty_records, key_updates, warnings, compats;
};

/* Starts an engine; a client's first record is in the window out at once. `name` is whom a client
 * calls (DNS name or address; empty: not checked and not sent). `memory` has TARN_TLS_MEMORY_BYTES;
 * `now` is in seconds since 1970 and is what certificates are checked by. TARN_INVALID: memory,
 * name, or a configuration that lacks what it must have. */
TARN_MUST_USE enum tarn_err tarn_tls_init(struct tarn_tls *tls,
                                          const struct tarn_tls_config *config,
                                          struct tarn_bytes memory, struct tarn_span name,
                                          int64_t now);
/* Zeroes all secrets. Its memory and the configuration are not used from then on. */
void tarn_tls_wipe(struct tarn_tls *tls);
unsigned tarn_tls_state(const struct tarn_tls *tls);

/* Records in: put up to its length into the window, and say how much. Empty while it is closed. */
struct tarn_bytes tarn_tls_recv_window(struct tarn_tls *tls);
void tarn_tls_recv_done(struct tarn_tls *tls, size_t n);
/* Records out. */
struct tarn_span tarn_tls_send_window(const struct tarn_tls *tls);
void tarn_tls_send_done(struct tarn_tls *tls, size_t n);
/* Plain text that came; the caller may change it. */
struct tarn_bytes tarn_tls_read_window(struct tarn_tls *tls);
void tarn_tls_read_done(struct tarn_tls *tls, size_t n);
/* Plain text to send: gathered until the window is full, or flushed. */
struct tarn_bytes tarn_tls_write_window(struct tarn_tls *tls);
void tarn_tls_write_done(struct tarn_tls *tls, size_t n);
void tarn_tls_flush(struct tarn_tls *tls);
/* close_notify. Reading goes on until the other side's. */
void tarn_tls_close(struct tarn_tls *tls);

/* With TARN_TLS_WANTS_SIGNATURE: what to sign, with which scheme, by which identity's key; and the
 * answer, or an empty span where there is none. */
struct tarn_span tarn_tls_sign_request(const struct tarn_tls *tls,
                                       const struct tarn_scheme **scheme,
                                       const struct tarn_tls_identity **identity);
void tarn_tls_sign_done(struct tarn_tls *tls, struct tarn_span signature);

/* New keys for what is sent from here on (RFC 8446 section 4.6.3), and the other side's too where
 * asked. Only with TLS 1.3, while connected and with nothing to send. */
TARN_MUST_USE enum tarn_err tarn_tls_update_keys(struct tarn_tls *tls, bool both);

/* Once connected. */
enum tarn_tls_version tarn_tls_version(const struct tarn_tls *tls);
struct tarn_span tarn_tls_alpn(const struct tarn_tls *tls); /* empty: none agreed */
struct tarn_span tarn_tls_name(const struct tarn_tls *tls); /* that the client asked for */
/* The other side's key, and whether it showed a certificate at all. */
TARN_MUST_USE bool tarn_tls_peer_key(const struct tarn_tls *tls, struct tarn_public_key *key);
/* Whether a ticket took the place of certificates. */
bool tarn_tls_resumed(const struct tarn_tls *tls);
/* What became of early data: valid at any time. */
enum tarn_tls_early tarn_tls_early_of(const struct tarn_tls *tls);
/* Keying material for others (RFC 8446 section 7.5, RFC 5705). With TLS 1.2 a context whose ptr is
 * NULL is none, which is not the same there as an empty one. */
TARN_MUST_USE enum tarn_err tarn_tls_export(const struct tarn_tls *tls, const char *label,
                                            struct tarn_span context, struct tarn_bytes out);
/* The alert that ended it, TARN_TLS_FINE for none; *theirs: it was received. */
enum tarn_tls_alert tarn_tls_alert_of(const struct tarn_tls *tls, bool *theirs);

#endif
