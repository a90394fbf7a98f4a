/* SPDX-License-Identifier: ISC */
/* What the presentation format is made of: escapes, encodings, and the words of a line. */
#ifndef TARN_DNS_TEXT_INTERNAL_H
#define TARN_DNS_TEXT_INTERNAL_H

#include <tarn/dns_name.h>
#include <tarn/ip_addr.h>

/* One byte of text, with \X and \DDD resolved. False: a bad escape, or no more (then s is empty).
 * *plain: it stood there itself. */
bool dns_text_byte(struct tarn_span *s, uint8_t *out, bool *plain);
/* All of `text`, resolved; false: a bad escape. */
bool dns_text_bytes(struct tarn_span text, struct tarn_writer *out);
/* A character of a label, or of a string between quotes. */
void dns_print_byte(struct tarn_writer *w, uint8_t c, bool in_name);
void dns_print_string(struct tarn_writer *w, struct tarn_span bytes);

/* IPv4-mapped IPv6 addresses are IPv6 here. */
bool dns_parse_addr(struct tarn_span text, bool v4, struct tarn_ip_addr *out);
void dns_print_addr(struct tarn_writer *w, const struct tarn_ip_addr *addr, bool v4);
void dns_print_hex(struct tarn_writer *w, struct tarn_span bytes);
void dns_print_base64(struct tarn_writer *w, struct tarn_span bytes);
void dns_print_base32(struct tarn_writer *w, struct tarn_span bytes);

/* Decoders that take their text in pieces, as it may stand in several words. */
struct dns_decoder {
    uint32_t bits;
    uint8_t have;  /* bits that wait */
    uint8_t width; /* 4, 5 (base32hex), 6 */
    uint8_t chars, pads;
};
bool dns_decode(struct dns_decoder *d, struct tarn_span text, struct tarn_writer *out);
bool dns_decode_end(const struct dns_decoder *d);

/* The words of a zone file (RFC 1035 section 5.1). Parentheses make line ends blank. */
enum dns_word_kind { DNS_WORD, DNS_QUOTED, DNS_LINE_END, DNS_TEXT_END, DNS_BAD };
struct dns_word {
    enum dns_word_kind kind;
    struct tarn_span text; /* escapes as they stand there, without quotes */
    bool after_blank;      /* at the start of a line: it began with blanks */
    uint32_t line, column; /* from 1 */
};
struct dns_lexer {
    struct tarn_span rest;
    uint32_t line, column, depth; /* depth: of parentheses */
    bool line_start;
    struct dns_word word; /* the newest */
    const char *why;      /* of the newest error */
};
void dns_lexer_init(struct dns_lexer *l, struct tarn_span text);
/* Moves to the next word. */
enum dns_word_kind dns_lexer_next(struct dns_lexer *l);
/* Up to the end of the line. */
void dns_lexer_skip_line(struct dns_lexer *l);

/* What the parsers of one record share. */
struct dns_parse {
    struct dns_lexer *l;
    struct tarn_span origin;
    struct tarn_writer *out;
    const char *why;
    uint32_t line, column; /* of the word that was looked at last */
};
bool dns_fail(struct dns_parse *p, const char *why);
/* The next word of the line; false, with a reason: there is none. */
bool dns_want(struct dns_parse *p, struct tarn_span *text);
bool dns_want_number(struct dns_parse *p, uint64_t max, uint64_t *out);
bool dns_want_name(struct dns_parse *p);
bool dns_at_line_end(const struct dns_parse *p);

bool dns_parse_loc(struct dns_parse *p);
/* A size of nothing times ten is nothing: its text would be another's. */
bool dns_loc_has_text(struct tarn_span rdata);
void dns_print_loc(struct tarn_writer *w, struct tarn_span rdata);
bool dns_parse_svc(struct dns_parse *p);
void dns_print_svc(struct tarn_writer *w, struct tarn_span params);
bool dns_check_svc(struct tarn_span params);
bool dns_parse_apl(struct dns_parse *p);
void dns_print_apl(struct tarn_writer *w, struct tarn_span items);
bool dns_check_apl(struct tarn_span items);
bool dns_parse_bitmap(struct dns_parse *p);
void dns_print_bitmap(struct tarn_writer *w, struct tarn_span bitmap);
/* `all` has a bit for each type; types are below 256 * (last + 1). */
void dns_put_bitmap(struct tarn_writer *out, const uint8_t all[8192], unsigned last);
bool dns_check_bitmap(struct tarn_span bitmap);
bool dns_parse_gateway(struct dns_parse *p);
bool dns_parse_time(struct tarn_span text, uint32_t *out);
void dns_print_time(struct tarn_writer *w, uint32_t seconds);

/* A number of seconds: 3600, 1h, 1w2d3h4m5s (as BIND has it). */
bool dns_parse_ttl(struct tarn_span text, uint32_t *out);

#endif
