/* SPDX-License-Identifier: ISC */
/* tarn/dns_message.h: DNS messages, read and written (RFC 1035 section 4, EDNS(0) of RFC 6891).
 *
 * Reading goes once from the front to the end, one question or record at a time; a record's data
 * is a place in the message until tarn_dns_rdata_read expands it. Writing is strict: what does not
 * fit is left out whole, and the counts are always those of what is there.
 *
 * No allocation, no I/O, no clock. Spans in what was read borrow the message.
 */
#ifndef TARN_DNS_MESSAGE_H
#define TARN_DNS_MESSAGE_H

#include <tarn/dns_types.h>

#define TARN_DNS_PORT 53
#define TARN_DNS_HEADER_BYTES 12
#define TARN_DNS_MESSAGE_MAX 65535
#define TARN_DNS_UDP_PLAIN_MAX 512 /* without EDNS */

enum tarn_dns_flag {
    TARN_DNS_QR = 0x8000,
    TARN_DNS_AA = 0x0400,
    TARN_DNS_TC = 0x0200,
    TARN_DNS_RD = 0x0100,
    TARN_DNS_RA = 0x0080,
    TARN_DNS_AD = 0x0020,
    TARN_DNS_CD = 0x0010,
};
#define TARN_DNS_OPCODE(flags) ((unsigned)(flags) >> 11 & 15)
#define TARN_DNS_RCODE(flags) ((unsigned)(flags)&15)
enum tarn_dns_opcode {
    TARN_DNS_QUERY = 0,
    TARN_DNS_NOTIFY = 4, /* RFC 1996 */
    TARN_DNS_UPDATE = 5, /* RFC 2136 */
};
enum tarn_dns_rcode {
    TARN_DNS_NOERROR = 0,
    TARN_DNS_FORMERR = 1,
    TARN_DNS_SERVFAIL = 2,
    TARN_DNS_NXDOMAIN = 3,
    TARN_DNS_NOTIMP = 4,
    TARN_DNS_REFUSED = 5,
    TARN_DNS_YXDOMAIN = 6,
    TARN_DNS_YXRRSET = 7,
    TARN_DNS_NXRRSET = 8,
    TARN_DNS_NOTAUTH = 9,
    TARN_DNS_NOTZONE = 10,
    TARN_DNS_BADVERS = 16,
    TARN_DNS_BADCOOKIE = 23,
};
/* A short upper-case name, "RCODE24" style ones excepted: those are not known here and empty. */
struct tarn_span tarn_dns_rcode_name(unsigned rcode);

struct tarn_dns_header {
    uint16_t id, flags;
    uint16_t counts[4]; /* questions, answers, authorities, additional records */
};
enum tarn_dns_section { TARN_DNS_QUESTION, TARN_DNS_ANSWER, TARN_DNS_AUTHORITY, TARN_DNS_EXTRA };

/* -- reading ------------------------------------------------------------------------------------
 */

struct tarn_dns_question {
    struct tarn_dns_name name;
    uint16_t type, klass;
};
struct tarn_dns_rr {
    enum tarn_dns_section section;
    struct tarn_dns_name owner;
    uint16_t type, klass;
    uint32_t ttl;
    struct tarn_span rdata; /* as it stands in the message, at `rdata_at`: maybe compressed */
    size_t rdata_at, at;    /* at: where the record starts */
};

struct tarn_dns_reader {
    struct tarn_span msg;
    size_t at;
    struct tarn_dns_header header;
    uint16_t left[4];
};
/* False: no whole header. */
TARN_MUST_USE bool tarn_dns_reader_init(struct tarn_dns_reader *r, struct tarn_span msg);
/* TARN_EOF: no more of them; TARN_PEER: malformed, and the reader is at its end. */
TARN_MUST_USE enum tarn_err tarn_dns_read_question(struct tarn_dns_reader *r,
                                                   struct tarn_dns_question *out);
/* The next record of whatever section, after all questions are read. */
TARN_MUST_USE enum tarn_err tarn_dns_read_rr(struct tarn_dns_reader *r, struct tarn_dns_rr *out);
/* All was read and nothing is behind it. */
bool tarn_dns_reader_done(const struct tarn_dns_reader *r);
/* The record's data in its plain form. False: malformed, or the writer is full. */
TARN_MUST_USE bool tarn_dns_rr_data(const struct tarn_dns_reader *r, const struct tarn_dns_rr *rr,
                                    struct tarn_writer *out);

/* -- EDNS ---------------------------------------------------------------------------------------
 */

#define TARN_DNS_EDNS_DO 0x8000u
#define TARN_DNS_EDNS_CO 0x4000u /* RFC 9824 */
enum tarn_dns_option {
    TARN_DNS_OPT_NSID = 3,       /* RFC 5001 */
    TARN_DNS_OPT_ECS = 8,        /* RFC 7871 */
    TARN_DNS_OPT_EXPIRE = 9,     /* RFC 7314 */
    TARN_DNS_OPT_COOKIE = 10,    /* RFC 7873 */
    TARN_DNS_OPT_KEEPALIVE = 11, /* RFC 7828 */
    TARN_DNS_OPT_PADDING = 12,   /* RFC 7830 */
    TARN_DNS_OPT_EDE = 15,       /* RFC 8914 */
};
struct tarn_dns_edns {
    uint16_t udp_bytes, flags;
    uint8_t rcode_high, version;
    struct tarn_span options;
};
/* Of an OPT record. False: its owner is not the root, or an option reaches behind its end. */
TARN_MUST_USE bool tarn_dns_edns_read(const struct tarn_dns_rr *rr, struct tarn_dns_edns *out);
/* Takes the next option off the front of options that were read. */
TARN_MUST_USE bool tarn_dns_option_next(struct tarn_span *options, uint16_t *code,
                                        struct tarn_span *value);
/* The first option with that code. */
TARN_MUST_USE bool tarn_dns_option_find(struct tarn_span options, uint16_t code,
                                        struct tarn_span *value);
void tarn_dns_option_put(struct tarn_writer *w, uint16_t code, struct tarn_span value);
/* An extended error (RFC 8914). */
void tarn_dns_option_put_ede(struct tarn_writer *w, uint16_t info, struct tarn_span text);

/* -- writing ------------------------------------------------------------------------------------
 */

#define TARN_DNS_COMPRESS_MAX 48
struct tarn_dns_builder {
    struct tarn_writer w;
    size_t limit; /* what follows is reserved, see tarn_dns_reserve */
    struct tarn_dns_header header;
    struct {
        uint16_t hash, at;
    } names[TARN_DNS_COMPRESS_MAX]; /* where suffixes of names stand, for compression */
    uint16_t name_count;
    bool compress;
};
/* A message of up to `out.len` bytes, which are at most TARN_DNS_MESSAGE_MAX (longer is cut) and at
 * least a header. */
void tarn_dns_build(struct tarn_dns_builder *b, struct tarn_bytes out, uint16_t id, uint16_t flags);
/* Each is false where it does not fit, and then nothing was written. Sections come in order. */
TARN_MUST_USE bool tarn_dns_put_question(struct tarn_dns_builder *b, struct tarn_span name,
                                         uint16_t type, uint16_t klass);
/* `rdata` is plain. */
TARN_MUST_USE bool tarn_dns_put_rr(struct tarn_dns_builder *b, enum tarn_dns_section section,
                                   struct tarn_span owner, uint16_t type, uint16_t klass,
                                   uint32_t ttl, struct tarn_span rdata);
/* Keeps `bytes` back for what comes last (OPT, TSIG), or with 0 gives them free again. False: there
 * is not so much left. */
TARN_MUST_USE bool tarn_dns_reserve(struct tarn_dns_builder *b, size_t bytes);
/* An OPT record (its options are e->options). `padding`, where not 0: the message becomes a
 * multiple of that many bytes, as far as there is room (RFC 8467). */
TARN_MUST_USE bool tarn_dns_put_opt(struct tarn_dns_builder *b, const struct tarn_dns_edns *e,
                                    size_t padding);
#define TARN_DNS_OPT_BYTES 11 /* without options */
/* Back to an earlier state, which is a copy of the builder from then. */
static inline void tarn_dns_rewind(struct tarn_dns_builder *b,
                                   const struct tarn_dns_builder *then) {
    b->w.len = then->w.len;
    b->header = then->header;
    b->name_count = then->name_count;
}
/* Writes the header; the message. */
struct tarn_span tarn_dns_finish(struct tarn_dns_builder *b);

/* A whole message as text, in the style of dig, for people. `scratch` holds one record's data. */
void tarn_dns_message_print(struct tarn_writer *w, struct tarn_span msg, struct tarn_bytes scratch);

#endif
