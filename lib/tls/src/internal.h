/* SPDX-License-Identifier: ISC */
#ifndef TARN_TLS_INTERNAL_H
#define TARN_TLS_INTERNAL_H

#include <tarn/tls_session.h>
#include <tarn/writer.h>

#define FINE TARN_TLS_FINE
#define RECORD_HEAD 5
#define RECORD_PLAIN_MAX 16384
#define RECORD_CIPHER_MAX (RECORD_PLAIN_MAX + 256)
#define OUT_RESERVE 64 /* room that alerts and key updates always find */

enum content { CONTENT_CCS = 20, CONTENT_ALERT = 21, CONTENT_HANDSHAKE = 22, CONTENT_APP = 23 };
enum message {
    MSG_HELLO_REQUEST = 0, /* TLS 1.2 */
    MSG_CLIENT_HELLO = 1,
    MSG_SERVER_HELLO = 2,
    MSG_NEW_TICKET = 4,
    MSG_END_OF_EARLY_DATA = 5,
    MSG_ENCRYPTED_EXTENSIONS = 8,
    MSG_CERTIFICATE = 11,
    MSG_SERVER_KEY_EXCHANGE = 12, /* TLS 1.2 */
    MSG_CERTIFICATE_REQUEST = 13,
    MSG_SERVER_HELLO_DONE = 14, /* TLS 1.2 */
    MSG_CERTIFICATE_VERIFY = 15,
    MSG_CLIENT_KEY_EXCHANGE = 16, /* TLS 1.2 */
    MSG_FINISHED = 20,
    MSG_CERTIFICATE_STATUS = 22,
    MSG_KEY_UPDATE = 24,
    MSG_MESSAGE_HASH = 254,
};
enum extension {
    EXT_SERVER_NAME = 0,
    EXT_MAX_FRAGMENT = 1,
    EXT_STATUS_REQUEST = 5,
    EXT_GROUPS = 10,
    EXT_POINT_FORMATS = 11,
    EXT_SIG_ALGS = 13,
    EXT_ALPN = 16,
    EXT_MASTER_SECRET = 23,
    EXT_RECORD_SIZE_LIMIT = 28,
    EXT_PRE_SHARED_KEY = 41,
    EXT_EARLY_DATA = 42,
    EXT_VERSIONS = 43,
    EXT_COOKIE = 44,
    EXT_PSK_MODES = 45,
    EXT_SIG_ALGS_CERT = 50,
    EXT_KEY_SHARE = 51,
    EXT_RENEGOTIATION = 0xff01,
};
#define NAMED_CURVE 3                                       /* TLS 1.2, RFC 8422 section 5.4 */
enum cert_type { CERT_TYPE_RSA = 1, CERT_TYPE_ECDSA = 64 }; /* TLS 1.2, RFC 8422 section 5.5 */
/* What message comes next. */
enum phase {
    WAIT_CLIENT_HELLO,
    WAIT_SIGNATURE, /* ours, for a server's or a client's CertificateVerify */
    WAIT_SERVER_HELLO,
    WAIT_ENCRYPTED_EXTENSIONS,
    WAIT_CERT_OR_REQUEST,
    WAIT_CERTIFICATE,
    WAIT_CERTIFICATE_VERIFY,
    WAIT_END_OF_EARLY_DATA,
    WAIT_FINISHED,
    /* TLS 1.2 has an order of its own. */
    WAIT12_CERTIFICATE,
    WAIT12_SERVER_KEY,
    WAIT12_REQUEST_OR_DONE,
    WAIT12_DONE,
    WAIT12_CLIENT_KEY,
    WAIT12_CERTIFICATE_VERIFY,
    WAIT12_CCS,
    WAIT12_FINISHED,
    CONNECTED,
};

/* A ClientHello, taken apart (RFC 8446 section 4.1.2). */
struct hello {
    uint16_t version;
    struct tarn_span random, session_id, suites, compressions;
    struct tarn_span versions, groups, schemes, shares, name, alpn, limit, psk_modes, psk, points,
        renegotiation, master_secret, status, fragment;
    bool has_versions, has_groups, has_schemes, has_shares, has_name, has_alpn, has_limit, has_psk,
        has_psk_modes, has_early, has_points, has_renegotiation, has_master_secret, has_status,
        has_fragment;
};
/* Whether a list of 16-bit numbers has one. */
bool list_has(struct tarn_span list, uint16_t wanted);

/* handshake.c: messages out, and the transcript. A message may be longer than a record. */
struct tarn_writer message_begin(struct tarn_tls *t, uint8_t type);
/* The length in the head, for who needs it before the end. */
void message_close(struct tarn_writer *w);
enum tarn_tls_alert message_end(struct tarn_tls *t, struct tarn_writer *w);
void transcript_start(struct tarn_tls *t);
void transcript_add(struct tarn_tls *t, struct tarn_span message);
void transcript_choose(struct tarn_tls *t);
/* Replaces a first ClientHello by its hash (section 4.4.1). */
void transcript_retry(struct tarn_tls *t);
/* hash->digest_bytes of the transcript as it is. */
struct tarn_span transcript_hash(const struct tarn_tls *t, uint8_t out[64]);
/* As if `more` had been added, with a hash that may not be chosen yet. */
struct tarn_span transcript_hash_with(const struct tarn_tls *t, const struct tarn_digest *hash,
                                      struct tarn_span more, uint8_t out[64]);
/* One message, whole; from the record layer. */
enum tarn_tls_alert handshake_message(struct tarn_tls *t, struct tarn_span message);
/* Length-prefixed vectors while writing. */
size_t vector_open(struct tarn_writer *w);
void vector_close(struct tarn_writer *w, size_t at);
/* And while reading: false where it is short. */
bool vector8(struct tarn_span *in, struct tarn_span *out);
bool vector16(struct tarn_span *in, struct tarn_span *out);
bool vector24(struct tarn_span *in, struct tarn_span *out);

/* record.c */
enum tarn_tls_alert record_put(struct tarn_tls *t, uint8_t type, size_t len);
enum tarn_tls_alert ccs_put(struct tarn_tls *t);
/* The one that means nothing, for those in between (RFC 8446 appendix D.4): once, if at all. */
enum tarn_tls_alert compat_put(struct tarn_tls *t);
/* A handshake message of `len` bytes that stands in message_room, in as many records as it takes.
 */
enum tarn_tls_alert records_put(struct tarn_tls *t, size_t len);
struct tarn_bytes message_room(struct tarn_tls *t);
void record_input(struct tarn_tls *t);
size_t record_wanted(const struct tarn_tls *t);
struct tarn_bytes record_room(struct tarn_tls *t); /* where the next record's text goes */
void fail(struct tarn_tls *t, enum tarn_tls_alert alert);

/* schedule.c */
void schedule_start(struct tarn_tls *t); /* from t->psk */
void schedule_early(struct tarn_tls *t, struct tarn_tls_keys *k);
void schedule_handshake(struct tarn_tls *t, struct tarn_span shared);
void schedule_master(struct tarn_tls *t);
void schedule_resumption(struct tarn_tls *t); /* after the client's Finished */
/* The key of one ticket (section 4.6.1), and a binder under a key (section 4.2.11.2). */
void psk_from_nonce(const struct tarn_tls *t, struct tarn_span nonce, uint8_t out[48]);
void binder_mac(const struct tarn_digest *hash, const uint8_t psk[48], struct tarn_span transcript,
                uint8_t out[48]);
void keys_set(struct tarn_tls *t, struct tarn_tls_keys *k, const uint8_t secret[48]);
void keys_install(struct tarn_tls *t, struct tarn_tls_keys *k, struct tarn_span key);
void tell(const struct tarn_tls *t, const char *label, struct tarn_span secret);
void keys_next(struct tarn_tls *t, struct tarn_tls_keys *k);
void finished_mac(const struct tarn_tls *t, const uint8_t secret[48], uint8_t out[48]);
void expand_label(const struct tarn_digest *hash, struct tarn_span secret, const char *label,
                  struct tarn_span context, struct tarn_bytes out);

/* suite.c */
struct suite {
    uint16_t id; /* of TLS 1.3; NO_SUITE where a version has none */
    uint16_t id_12_ecdsa, id_12_rsa;
    uint8_t explicit_bytes; /* of the nonce, in TLS 1.2 */
    const struct tarn_aead *aead;
    const struct tarn_digest *hash;
};
#define SUITES 5
#define SUITE_FALLBACK 0x5600      /* TLS_FALLBACK_SCSV (RFC 7507) */
#define SUITE_RENEGOTIATION 0x00ff /* TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746) */
#define NO_SUITE 0                 /* TLS_NULL_WITH_NULL_NULL, which is never offered */
const struct suite *suite_at(size_t i);
bool suite_is_on(const struct tarn_tls *t, size_t i);
int suite_of(const struct tarn_tls *t, uint16_t id);
int suite12_of(const struct tarn_tls *t, uint16_t id, bool *by_rsa);
bool version_is_on(const struct tarn_tls *t, uint16_t version);

/* group.c: key exchange. */
#define GROUPS 4
uint16_t group_id(size_t i);
bool group_is_on(const struct tarn_tls *t, size_t i);
int group_of(const struct tarn_tls *t, uint16_t id);
/* A client's share, and what the server's answer makes of it. */
enum tarn_tls_alert group_offer(struct tarn_tls *t, size_t group, struct tarn_writer *w);
enum tarn_tls_alert group_finish(struct tarn_tls *t, size_t group, struct tarn_span share,
                                 uint8_t shared[64], size_t *len);
/* A server's answer to a share. */
enum tarn_tls_alert group_answer(struct tarn_tls *t, size_t group, struct tarn_span share,
                                 struct tarn_writer *w, uint8_t shared[64], size_t *len);

/* auth.c: Certificate, CertificateVerify, Finished, both ways. */
void put_schemes(struct tarn_writer *w);
bool schemes_parse(struct tarn_span list, uint16_t *bits);
bool choose_identity(struct tarn_tls *t);
/* TLS 1.2: a client's signature is made over the transcript's digest, so with SHA-256 or SHA-384.
 */
void put_transcript_schemes(struct tarn_writer *w);
/* A scheme and a signature of the other side's key: over `text`, or over the transcript. */
enum tarn_tls_alert check_signature(struct tarn_tls *t, struct tarn_span *in, struct tarn_span text,
                                    bool by_transcript);
enum tarn_tls_alert send_certificate(struct tarn_tls *t, struct tarn_span context);
/* Signs at once where the key is here; otherwise phase is WAIT_SIGNATURE afterwards. */
enum tarn_tls_alert send_certificate_verify(struct tarn_tls *t);
enum tarn_tls_alert send_finished(struct tarn_tls *t);
enum tarn_tls_alert take_certificate(struct tarn_tls *t, struct tarn_span body);
enum tarn_tls_alert take_certificate_verify(struct tarn_tls *t, struct tarn_span body);
enum tarn_tls_alert take_finished(struct tarn_tls *t, struct tarn_span body);
/* Has to_sign signed; where the key is elsewhere, phase is WAIT_SIGNATURE afterwards. */
enum tarn_tls_alert sign_or_ask(struct tarn_tls *t);
enum tarn_tls_alert signature_ready(struct tarn_tls *t, struct tarn_span signature);

/* server.c, client.c */
enum tarn_tls_alert server_hello(struct tarn_tls *t, struct tarn_span message,
                                 struct tarn_span body);
enum tarn_tls_alert server_after_signature(struct tarn_tls *t);
enum tarn_tls_alert client_start(struct tarn_tls *t);
enum tarn_tls_alert client_server_hello(struct tarn_tls *t, struct tarn_span message,
                                        struct tarn_span body);
enum tarn_tls_alert client_encrypted_extensions(struct tarn_tls *t, struct tarn_span body);
enum tarn_tls_alert client_certificate_request(struct tarn_tls *t, struct tarn_span body);
enum tarn_tls_alert client_after_finished(struct tarn_tls *t);
enum tarn_tls_alert client_after_signature(struct tarn_tls *t);

/* psk.c: a client's offer, and a server's choice. */
void psk_take_session(struct tarn_tls *t);
void psk_put_modes(struct tarn_writer *w);
bool psk_is_offered(const struct tarn_tls *t);
/* Must be the last extension; psk_put_binder when the message is whole. */
void psk_put_offer(struct tarn_tls *t, struct tarn_writer *w);
void psk_put_binder(struct tarn_tls *t, struct tarn_writer *w);
/* The keys of early data, once the ClientHello has been sent. */
void psk_start_early(struct tarn_tls *t);
void psk_forget(struct tarn_tls *t);
/* psk_key_exchange_modes (section 4.2.9), which go before. */
enum tarn_tls_alert psk_take_modes(struct tarn_tls *t, struct tarn_span ext);
/* `ext` is pre_shared_key of the ClientHello `message`. Sets t->resumed, the suite and the key
 * where a ticket of ours is among them, and says which; the suites that may be taken are in
 * `suites`. */
enum tarn_tls_alert psk_choose(struct tarn_tls *t, struct tarn_span message, struct tarn_span ext,
                               struct tarn_span suites, bool wants_early);

/* ticket.c, session.c */
#define TICKET_PLAIN_BYTES_MAX (160 + TARN_TLS_SPKI_BYTES_MAX)
struct ticket {
    uint8_t suite;
    uint64_t number;
    int64_t issued, expires;
    uint32_t age_add, early_max;
    struct tarn_span psk, name_hash, alpn, spki;
};
/* Opens a ticket into `plain`, where the spans point; false: not one of ours, or none that is good
 * now. */
bool ticket_open(struct tarn_tls *t, struct tarn_span sealed, struct tarn_bytes plain,
                 struct ticket *out);
bool ticket_use(struct tarn_tls_tickets *tickets, uint64_t number); /* false: it was */
void name_hash(const struct tarn_tls *t, uint8_t out[16]);
enum tarn_tls_alert send_tickets(struct tarn_tls *t);
enum tarn_tls_alert take_ticket(struct tarn_tls *t, struct tarn_span body);
/* What both versions' ClientHello and its answers share. */
enum tarn_tls_alert take_name(struct tarn_tls *t, struct tarn_span ext);
enum tarn_tls_alert take_limit(struct tarn_tls *t, struct tarn_span ext);

/* tls12.c: what both roles of TLS 1.2 need (RFC 5246). */
enum tarn_tls_alert tls12_message(struct tarn_tls *t, struct tarn_span message,
                                  struct tarn_span body);
enum tarn_tls_alert tls12_change_cipher_spec(struct tarn_tls *t, struct tarn_span body);
/* ec_point_formats (RFC 8422 section 5.1.2). */
enum tarn_tls_alert tls12_take_points(struct tarn_span ext);
void tls12_master(struct tarn_tls *t, struct tarn_span shared);
enum tarn_tls_alert tls12_send_finished(struct tarn_tls *t);
enum tarn_err tls12_export(const struct tarn_tls *t, const char *label, struct tarn_span context,
                           struct tarn_bytes out);
/* tls12_server.c, tls12_client.c */
enum tarn_tls_alert tls12_server_hello(struct tarn_tls *t, const struct hello *h,
                                       struct tarn_span message);
enum tarn_tls_alert tls12_server_signed(struct tarn_tls *t, struct tarn_span signature);
enum tarn_tls_alert tls12_client_key(struct tarn_tls *t, struct tarn_span message,
                                     struct tarn_span body);
void tls12_put_hello(struct tarn_writer *w);
enum tarn_tls_alert tls12_client_server_hello(struct tarn_tls *t, struct tarn_span message,
                                              struct tarn_span body);
enum tarn_tls_alert tls12_server_key(struct tarn_tls *t, struct tarn_span body);
enum tarn_tls_alert tls12_certificate_request(struct tarn_tls *t, struct tarn_span body);
enum tarn_tls_alert tls12_server_done(struct tarn_tls *t, struct tarn_span body);

/* alpn.c */
enum tarn_tls_alert alpn_choose(struct tarn_tls *t, struct tarn_span ext);
enum tarn_tls_alert alpn_accept(struct tarn_tls *t, struct tarn_span ext);
void alpn_put(struct tarn_writer *w, const struct tarn_tls *t);

extern const uint8_t hello_retry_random[32];

#endif
