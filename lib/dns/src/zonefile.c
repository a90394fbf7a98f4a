/* SPDX-License-Identifier: ISC */
#include "zonefile.h"

#define GENERATE_MAX_DEFAULT (1u << 20)

void tarn_dns_zonefile_error_print(struct tarn_writer *w, const struct tarn_dns_zonefile_error *e) {
    tarn_writer_span_put(w, e->file);
    tarn_writer_u8(w, ':');
    tarn_writer_dec(w, e->line);
    tarn_writer_u8(w, ':');
    tarn_writer_dec(w, e->column);
    tarn_writer_str(w, ": ");
    tarn_writer_str(w, e->why);
}

bool dns_zonefile_fail(struct dns_zonefile *z, const struct dns_zonefile_in *in, uint32_t line,
                       uint32_t column, const char *why) {
    if (z->err)
        return false;
    z->err = TARN_INVALID;
    *z->error = (struct tarn_dns_zonefile_error){in->name, line, column, why};
    return false;
}

bool dns_zonefile_fail_here(struct dns_zonefile *z, const struct dns_zonefile_in *in,
                            const char *why) {
    const struct dns_word *word = &in->l.word;
    return dns_zonefile_fail(z, in, word->line, word->column,
                             word->kind == DNS_BAD ? in->l.why : why);
}

static bool at_end(const struct dns_zonefile_in *in) {
    return in->l.word.kind == DNS_LINE_END || in->l.word.kind == DNS_TEXT_END;
}

static bool starts_with_digit(struct tarn_span text) {
    return text.len && tarn_span_at(text, 0) >= '0' && tarn_span_at(text, 0) <= '9';
}

/* [TTL] [class] type, the first two in either order. */
static bool record_head(struct dns_zonefile *z, struct dns_zonefile_in *in,
                        struct tarn_dns_record *r, bool *has_ttl) {
    bool has_class = false;
    *has_ttl = false;
    for (;; dns_lexer_next(&in->l)) {
        struct tarn_span text = in->l.word.text;
        if (in->l.word.kind != DNS_WORD)
            return dns_zonefile_fail_here(z, in, "a type is missing");
        if (!*has_ttl && starts_with_digit(text)) {
            if (!dns_parse_ttl(text, &r->ttl) || r->ttl > INT32_MAX)
                return dns_zonefile_fail_here(z, in, "not a TTL");
            *has_ttl = true;
        } else if (!has_class && tarn_dns_class_parse(text, &r->klass)
                   && !tarn_span_equal_nocase(text, TARN_SPAN_LIT("ANY"))) {
            has_class = true;
        } else if (tarn_dns_type_parse(text, &r->type)) {
            dns_lexer_next(&in->l);
            return true;
        } else {
            return dns_zonefile_fail_here(z, in, "not a type");
        }
    }
}

/* RFC 1035 section 5.1 takes the TTL of the record before, RFC 2308 section 4 that of $TTL; an SOA
 * without either takes its own last field, as BIND does. */
static bool choose_ttl(const struct dns_zonefile *z, struct tarn_dns_record *r) {
    struct tarn_span minimum = tarn_span_after(r->rdata, r->rdata.len - 4);
    if (z->have_ttl)
        r->ttl = z->ttl;
    else if (z->have_last_ttl)
        r->ttl = z->last_ttl;
    else
        return r->type == TARN_DNS_SOA && tarn_span_u32be(&minimum, &r->ttl);
    return true;
}

bool dns_zonefile_record(struct dns_zonefile *z, struct dns_zonefile_in *in) {
    struct tarn_writer data =
        tarn_writer_over(tarn_bytes_first(z->config->scratch, TARN_DNS_RDATA_MAX));
    struct dns_parse p = {.l = &in->l, .origin = tarn_dns_name_span(&in->origin), .out = &data};
    struct tarn_dns_record r = {.klass = z->klass};
    struct dns_word start = in->l.word;
    bool has_ttl;
    if (!start.after_blank) {
        if (start.kind != DNS_WORD)
            return dns_zonefile_fail_here(z, in, "an owner is a word");
        if (!tarn_dns_name_parse(start.text, p.origin, &in->owner))
            return dns_zonefile_fail_here(z, in, "not a name");
        dns_lexer_next(&in->l);
    }
    if (in->owner.len == 0)
        return dns_zonefile_fail_here(z, in, "there is no owner before, to take over");
    if (!record_head(z, in, &r, &has_ttl))
        return false;
    if (!dns_rdata_parse(&p, r.type))
        return dns_zonefile_fail(z, in, p.line, p.column, p.why);
    r.owner = tarn_dns_name_span(&in->owner);
    r.rdata = tarn_writer_span(&data);
    if (!has_ttl && !choose_ttl(z, &r))
        return dns_zonefile_fail(z, in, start.line, start.column, "no TTL: $TTL is missing");
    z->klass = r.klass;
    z->last_ttl = r.ttl;
    z->have_last_ttl = true;
    const char *why = "refused";
    enum tarn_err err = z->config->record(z->config->user, &r, &why);
    if (err) {
        dns_zonefile_fail(z, in, start.line, start.column, why);
        z->err = err;
    }
    return !err;
}

static bool parse_file(struct dns_zonefile *z, struct dns_zonefile_in *in);

static bool name_argument(struct dns_zonefile *z, struct dns_zonefile_in *in,
                          struct tarn_dns_name *out) {
    struct tarn_dns_name name;
    if (in->l.word.kind != DNS_WORD
        || !tarn_dns_name_parse(in->l.word.text, tarn_dns_name_span(&in->origin), &name))
        return dns_zonefile_fail_here(z, in, "not a name");
    *out = name;
    dns_lexer_next(&in->l);
    return true;
}

/* $INCLUDE file [origin]: neither the origin nor the owner in here changes (RFC 1035 section 5.1).
 */
static bool include(struct dns_zonefile *z, struct dns_zonefile_in *in) {
    const struct tarn_dns_zonefile_config *c = z->config;
    struct dns_zonefile_in file = {
        .origin = in->origin, .owner = in->owner, .depth = in->depth + 1};
    struct dns_word word = in->l.word;
    struct tarn_span text;
    if (word.kind != DNS_WORD && word.kind != DNS_QUOTED)
        return dns_zonefile_fail_here(z, in, "a file is missing");
    dns_lexer_next(&in->l);
    if (!at_end(in) && !name_argument(z, in, &file.origin))
        return false;
    if (!at_end(in))
        return dns_zonefile_fail_here(z, in, "more than the directive has");
    if (!c->include)
        return dns_zonefile_fail(z, in, word.line, word.column, "no files are included here");
    if (file.depth > TARN_DNS_INCLUDE_DEPTH_MAX)
        return dns_zonefile_fail(z, in, word.line, word.column, "includes are too deep");
    enum tarn_err err = c->include(c->user, word.text, &text);
    if (err) {
        dns_zonefile_fail(z, in, word.line, word.column, "the file cannot be had");
        z->err = err;
        return false;
    }
    file.name = word.text;
    dns_lexer_init(&file.l, text);
    return parse_file(z, &file);
}

static bool directive(struct dns_zonefile *z, struct dns_zonefile_in *in) {
    struct dns_word word = in->l.word;
    dns_lexer_next(&in->l);
    if (tarn_span_equal_nocase(word.text, TARN_SPAN_LIT("$ORIGIN"))) {
        if (!name_argument(z, in, &in->origin))
            return false;
    } else if (tarn_span_equal_nocase(word.text, TARN_SPAN_LIT("$TTL"))) {
        if (in->l.word.kind != DNS_WORD || !dns_parse_ttl(in->l.word.text, &z->ttl)
            || z->ttl > INT32_MAX)
            return dns_zonefile_fail_here(z, in, "not a TTL");
        z->have_ttl = true;
        dns_lexer_next(&in->l);
    } else if (tarn_span_equal_nocase(word.text, TARN_SPAN_LIT("$INCLUDE"))) {
        return include(z, in);
    } else if (tarn_span_equal_nocase(word.text, TARN_SPAN_LIT("$GENERATE"))) {
        return dns_zonefile_generate(z, in);
    } else {
        return dns_zonefile_fail(z, in, word.line, word.column, "not a directive");
    }
    return at_end(in) || dns_zonefile_fail_here(z, in, "more than the directive has");
}

static bool parse_file(struct dns_zonefile *z, struct dns_zonefile_in *in) {
    for (;;) {
        enum dns_word_kind kind = dns_lexer_next(&in->l);
        if (kind == DNS_TEXT_END)
            return true;
        if (kind == DNS_LINE_END)
            continue;
        if (kind == DNS_BAD)
            return dns_zonefile_fail_here(z, in, in->l.why);
        bool is_directive = kind == DNS_WORD && !in->l.word.after_blank
                            && tarn_span_starts(in->l.word.text, TARN_SPAN_LIT("$"));
        if (!(is_directive ? directive(z, in) : dns_zonefile_record(z, in)))
            return false;
        if (in->l.word.kind == DNS_TEXT_END)
            return true;
    }
}

enum tarn_err tarn_dns_zonefile_parse(const struct tarn_dns_zonefile_config *config,
                                      struct tarn_dns_zonefile_error *error) {
    struct tarn_dns_zonefile_config c = *config;
    struct dns_zonefile z = {.config = &c, .error = error};
    struct dns_zonefile_in in = {.name = config->name};
    if (!c.generate_max)
        c.generate_max = GENERATE_MAX_DEFAULT;
    z.klass = c.klass ? c.klass : TARN_DNS_IN;
    if (c.origin.len)
        tarn_dns_name_copy(&in.origin, c.origin);
    dns_lexer_init(&in.l, c.text);
    return parse_file(&z, &in) ? TARN_OK : z.err;
}
