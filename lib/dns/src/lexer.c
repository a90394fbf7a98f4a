/* SPDX-License-Identifier: ISC */
#include "text.h"

void dns_lexer_init(struct dns_lexer *l, struct tarn_span text) {
    *l = (struct dns_lexer){.rest = text, .line = 1, .column = 1, .line_start = true};
}

static bool look(const struct dns_lexer *l, uint8_t *c) {
    struct tarn_span s = l->rest;
    return tarn_span_u8(&s, c);
}

static void advance(struct dns_lexer *l) {
    uint8_t c = tarn_span_at(l->rest, 0);
    l->rest = tarn_span_after(l->rest, 1);
    l->column++;
    if (c == '\n') {
        l->line++;
        l->column = 1;
    }
}

static enum dns_word_kind made(struct dns_lexer *l, enum dns_word_kind kind) {
    l->word.kind = kind;
    l->line_start = kind == DNS_LINE_END;
    return kind;
}

static enum dns_word_kind bad(struct dns_lexer *l, const char *why) {
    l->why = why;
    return made(l, DNS_BAD);
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static bool ends_word(uint8_t c) {
    return is_blank(c) || c == '\n' || c == ';' || c == '(' || c == ')' || c == '"';
}

/* The bytes up to where `quoted` or a word ends. */
static enum dns_word_kind take_word(struct dns_lexer *l, bool quoted) {
    struct tarn_span start = l->rest;
    uint8_t c;
    while (look(l, &c) && (quoted ? c != '"' : !ends_word(c))) {
        if (quoted && c == '\n')
            return bad(l, "a string ends with its line");
        advance(l);
        if (c != '\\')
            continue;
        if (!look(l, &c))
            return bad(l, "nothing follows the backslash");
        advance(l);
    }
    l->word.text = tarn_span_first(start, start.len - l->rest.len);
    if (!quoted)
        return made(l, DNS_WORD);
    if (!look(l, &c))
        return bad(l, "a string has no end");
    advance(l);
    return made(l, DNS_QUOTED);
}

static void skip_comment(struct dns_lexer *l) {
    uint8_t c;
    while (look(l, &c) && c != '\n')
        advance(l);
}

enum dns_word_kind dns_lexer_next(struct dns_lexer *l) {
    uint8_t c;
    l->word = (struct dns_word){.kind = DNS_TEXT_END};
    for (;;) {
        l->word.line = l->line;
        l->word.column = l->column;
        if (!look(l, &c))
            return l->depth ? bad(l, "a parenthesis is not closed") : made(l, DNS_TEXT_END);
        if (is_blank(c)) {
            l->word.after_blank |= l->line_start;
            advance(l);
        } else if (c == ';') {
            skip_comment(l);
        } else if (c == '(') {
            l->depth++;
            advance(l);
        } else if (c == ')') {
            if (!l->depth)
                return bad(l, "a closing parenthesis without an opening one");
            l->depth--;
            advance(l);
        } else if (c == '\n') {
            advance(l);
            if (!l->depth)
                return made(l, DNS_LINE_END);
        } else if (c == '"') {
            advance(l);
            return take_word(l, true);
        } else {
            return take_word(l, false);
        }
    }
}

void dns_lexer_skip_line(struct dns_lexer *l) {
    while (l->word.kind != DNS_LINE_END && l->word.kind != DNS_TEXT_END && l->word.kind != DNS_BAD)
        dns_lexer_next(l);
}
