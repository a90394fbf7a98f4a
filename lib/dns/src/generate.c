/* SPDX-License-Identifier: ISC */
/* $GENERATE start-stop[/step] owner [TTL] [class] type data, as BIND has it: in owner and data, $
 * is the number, ${offset,width,base} the number plus offset, padded; \$ is a dollar. */
#include "zonefile.h"

#define LINE_MAX 4096
#define RECORD_WIDTH_MAX 255

struct range {
    uint64_t start, stop, step;
};

static bool parse_range(struct tarn_span text, struct range *out) {
    struct tarn_span start, stop;
    bool ok =
        tarn_span_split(&text, '-', &start) && tarn_span_parse_dec(start, INT32_MAX, &out->start);
    bool step = tarn_span_split(&text, '/', &stop);
    out->step = 1;
    return ok && tarn_span_parse_dec(stop, INT32_MAX, &out->stop)
           && (!step || tarn_span_parse_dec(text, INT32_MAX, &out->step)) && out->step > 0
           && out->start <= out->stop;
}

static void put_number(struct tarn_writer *w, uint64_t v, unsigned width, uint8_t base) {
    if (base == 'd') {
        tarn_writer_dec_pad(w, v, TARN_MIN(width, 64u));
        return;
    }
    bool upper = base == 'X' || base == 'N', nibbles = base == 'n' || base == 'N';
    unsigned bits = base == 'o' ? 3 : 4, digits = 1;
    while (v >> bits * digits && digits < 21)
        digits++;
    if (nibbles) { /* the lowest first, with dots, and `width` counts those */
        for (unsigned i = 0; i < digits || 2 * i + 1 <= width; i++) {
            unsigned d = i < 16 ? (unsigned)(v >> 4 * i) & 15 : 0;
            if (i)
                tarn_writer_u8(w, '.');
            tarn_writer_u8(w, (uint8_t)(d < 10 ? '0' + d : (upper ? 'A' : 'a') + d - 10));
        }
        return;
    }
    for (unsigned i = TARN_MAX(digits, width); i-- > 0;) {
        unsigned d = i < digits ? (unsigned)(v >> bits * i) & ((1u << bits) - 1) : 0;
        tarn_writer_u8(w, (uint8_t)(d < 10 ? '0' + d : (upper ? 'A' : 'a') + d - 10));
    }
}

/* What is between ${ and }. */
static bool put_modified(struct tarn_writer *w, struct tarn_span text, uint64_t i) {
    struct tarn_span offset, width_text;
    uint64_t off, width = 0;
    uint8_t base = 'd';
    bool more = tarn_span_split(&text, ',', &offset);
    bool negative = tarn_span_starts(offset, TARN_SPAN_LIT("-"));
    if (!tarn_span_parse_dec(tarn_span_after(offset, negative), INT32_MAX, &off)
        || (negative && off > i))
        return false;
    if (more) {
        bool has_base = tarn_span_split(&text, ',', &width_text);
        if (!tarn_span_parse_dec(width_text, RECORD_WIDTH_MAX, &width)
            || (has_base && text.len != 1))
            return false;
        if (has_base)
            base = tarn_span_at(text, 0);
    }
    if (base != 'd' && base != 'o' && base != 'x' && base != 'X' && base != 'n' && base != 'N')
        return false;
    put_number(w, negative ? i - off : i + off, (unsigned)width, base);
    return true;
}

static bool put_text(struct tarn_writer *w, struct tarn_span text, uint64_t i) {
    uint8_t c;
    while (tarn_span_u8(&text, &c)) {
        if (c == '\\') {
            tarn_writer_u8(w, c);
            if (tarn_span_u8(&text, &c))
                tarn_writer_u8(w, c);
        } else if (c != '$') {
            tarn_writer_u8(w, c);
        } else if (tarn_span_starts(text, TARN_SPAN_LIT("$"))) {
            tarn_writer_str(w, "\\$");
            text = tarn_span_after(text, 1);
        } else if (tarn_span_starts(text, TARN_SPAN_LIT("{"))) {
            struct tarn_span inside;
            text = tarn_span_after(text, 1);
            if (!tarn_span_split(&text, '}', &inside) || !put_modified(w, inside, i))
                return false;
        } else {
            tarn_writer_dec(w, i);
        }
    }
    return true;
}

/* The line for one number: a blank between words, whatever stood there. */
static bool put_line(struct tarn_writer *w, struct dns_lexer words, uint64_t i) {
    bool first = true;
    for (; words.word.kind == DNS_WORD || words.word.kind == DNS_QUOTED; dns_lexer_next(&words)) {
        if (!first)
            tarn_writer_u8(w, ' ');
        first = false;
        if (!put_text(w, words.word.text, i))
            return false;
    }
    return true;
}

bool dns_zonefile_generate(struct dns_zonefile *z, struct dns_zonefile_in *in) {
    struct dns_word at = in->l.word;
    struct range range;
    if (at.kind != DNS_WORD || !parse_range(at.text, &range))
        return dns_zonefile_fail_here(z, in, "not a range such as 1-10 or 0-100/5");
    dns_lexer_next(&in->l);
    struct dns_lexer words = in->l;
    dns_lexer_skip_line(&in->l);
    if (in->l.word.kind == DNS_BAD)
        return dns_zonefile_fail_here(z, in, in->l.why);
    for (uint64_t i = range.start; i <= range.stop; i += range.step) {
        uint8_t text[LINE_MAX];
        struct tarn_writer w = TARN_WRITER_ARRAY(text);
        struct dns_zonefile_in line = {.name = in->name, .origin = in->origin};
        if (z->generated++ >= z->config->generate_max)
            return dns_zonefile_fail(z, in, at.line, at.column, "it makes too many records");
        if (!put_line(&w, words, i))
            return dns_zonefile_fail(z, in, at.line, at.column, "a bad ${offset,width,base}");
        if (!tarn_writer_ok(&w))
            return dns_zonefile_fail(z, in, at.line, at.column, "it makes too long a line");
        dns_lexer_init(&line.l, tarn_writer_span(&w));
        dns_lexer_next(&line.l);
        if (!dns_zonefile_record(z, &line)) {
            z->error->line = at.line; /* the line that was made is nowhere */
            z->error->column = at.column;
            return false;
        }
        in->owner = line.owner;
    }
    return true;
}
