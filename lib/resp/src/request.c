/* SPDX-License-Identifier: ISC */
#include <tarn/resp.h>

/* The longest "*N" or "$N" there is any sense in. */
#define LENGTH_LINE_MAX 24u

void tarn_resp_parser_init(struct tarn_resp_parser *p, const struct tarn_resp_limits *limits,
                           struct tarn_resp_arg *args) {
    *p = (struct tarn_resp_parser){.limits = *limits, .args = args};
}

void tarn_resp_parser_next(struct tarn_resp_parser *p) {
    tarn_resp_parser_init(p, &p->limits, p->args);
}

static enum tarn_err refuse(struct tarn_resp_parser *p, const char *why) {
    p->error = why;
    return TARN_PEER;
}

struct tarn_span tarn_resp_arg(const struct tarn_resp_parser *p, struct tarn_span in, uint32_t i) {
    struct tarn_resp_arg arg = TARN_AT_N(p->args, p->count, i);
    struct tarn_span out;
    TARN_ASSERT(tarn_span_sub(in, arg.off, arg.len, &out));
    return out;
}

size_t tarn_resp_bytes_wanted(const struct tarn_resp_parser *p) {
    return TARN_MAX(p->seen, p->looked) + 1;
}

/* -- arrays ---------------------------------------------------------------------------------------
 */

/* The number behind a '*' or '$' at p->at, and the end of its line. */
static enum tarn_err length(struct tarn_resp_parser *p, struct tarn_span in, int64_t *out) {
    struct tarn_span rest = tarn_span_after(in, p->at),
                     line = tarn_span_first(rest, LENGTH_LINE_MAX);
    size_t end;
    if (!tarn_span_find(line, '\n', &end))
        return rest.len < LENGTH_LINE_MAX ? TARN_AGAIN
                                          : refuse(p, "Protocol error: too long a length");
    line = tarn_span_first(line, end);
    if (line.len < 2 || tarn_span_at(line, line.len - 1) != '\r'
        || !tarn_resp_int(tarn_span_after(tarn_span_first(line, line.len - 1), 1), out))
        return refuse(p, "Protocol error: not a length");
    p->at += end + 1;
    return TARN_OK;
}

static enum tarn_err array_begin(struct tarn_resp_parser *p, struct tarn_span in) {
    int64_t n;
    enum tarn_err err = length(p, in, &n);
    if (err)
        return err;
    if (n > (int64_t)p->limits.args_max)
        return refuse(p, "Protocol error: too many arguments");
    p->array = true;
    p->wanted = n > 0 ? (uint32_t)n : 0;
    return TARN_OK;
}

static enum tarn_err array_arg(struct tarn_resp_parser *p, struct tarn_span in) {
    struct tarn_resp_arg *arg = &TARN_AT_N(p->args, p->limits.args_max, p->count);
    int64_t n;
    if (p->looked <= p->at) { /* its length is not known yet */
        if (p->at >= in.len)
            return TARN_AGAIN;
        if (tarn_span_at(in, p->at) != '$')
            return refuse(p, "Protocol error: expected '$'");
        enum tarn_err err = length(p, in, &n);
        if (err)
            return err;
        if (n < 0 || n > (int64_t)p->limits.arg_bytes_max)
            return refuse(p, "Protocol error: invalid bulk length");
        *arg = (struct tarn_resp_arg){(uint32_t)p->at, (uint32_t)n};
        p->looked = p->at + (size_t)n + 1;
    }
    struct tarn_span end = tarn_span_after(in, p->at + arg->len);
    if (end.len < 2)
        return TARN_AGAIN;
    if (!tarn_span_starts(end, TARN_SPAN_LIT("\r\n")))
        return refuse(p, "Protocol error: an argument is longer than it said");
    p->at += arg->len + 2;
    p->count++;
    return TARN_OK;
}

static enum tarn_err array_next(struct tarn_resp_parser *p, struct tarn_span in) {
    enum tarn_err err = p->array ? TARN_OK : array_begin(p, in);
    while (!err && p->count < p->wanted)
        err = array_arg(p, in);
    p->bytes = p->at;
    return err;
}

/* -- lines ----------------------------------------------------------------------------------------
 */

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The byte that a backslash in double quotes stands for. */
static uint8_t escaped(struct tarn_span line, size_t *at) {
    static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
    struct tarn_span hex;
    uint64_t value;
    uint8_t c = tarn_span_at(line, *at);
    if (c == 'x' && tarn_span_sub(line, *at + 1, 2, &hex)
        && tarn_span_parse_hex(hex, 255, &value)) {
        *at += 3;
        return (uint8_t)value;
    }
    ++*at;
    for (size_t i = 0; i + 1 < sizeof from; i++)
        if (c == (uint8_t)TARN_AT(from, i))
            return (uint8_t)TARN_AT(to, i);
    return c;
}

/* One word from *at on, unquoted to *to, which is never behind *at. False: quotes that do not
 * close, or text directly behind them. */
static bool word(struct tarn_bytes line, size_t *at, size_t *to) {
    struct tarn_span in = tarn_bytes_span(line);
    uint8_t quote = 0;
    while (*at < in.len) {
        uint8_t c = tarn_span_at(in, *at);
        if (!quote && is_space(c))
            return true;
        ++*at;
        if (quote && c == quote) {
            return *at == in.len || is_space(tarn_span_at(in, *at));
        } else if (!quote && (c == '"' || c == '\'')) {
            quote = c;
            continue;
        } else if (quote == '"' && c == '\\' && *at < in.len) {
            c = escaped(in, at);
        } else if (quote == '\'' && c == '\\' && *at < in.len && tarn_span_at(in, *at) == '\'') {
            c = '\'';
            ++*at;
        }
        *tarn_bytes_at(line, (*to)++) = c;
    }
    return quote == 0;
}

static enum tarn_err words(struct tarn_resp_parser *p, struct tarn_bytes line) {
    size_t at = 0, to = 0;
    for (;;) {
        while (at < line.len && is_space(*tarn_bytes_at(line, at)))
            at++;
        if (at == line.len)
            return TARN_OK;
        if (p->count == p->limits.args_max)
            return refuse(p, "Protocol error: too many arguments");
        size_t start = to;
        if (!word(line, &at, &to))
            return refuse(p, "Protocol error: unbalanced quotes in request");
        if (to - start > p->limits.arg_bytes_max)
            return refuse(p, "Protocol error: too long an argument");
        TARN_AT_N(p->args, p->limits.args_max, p->count++) =
            (struct tarn_resp_arg){(uint32_t)start, (uint32_t)(to - start)};
    }
}

static enum tarn_err line_next(struct tarn_resp_parser *p, struct tarn_bytes in) {
    struct tarn_span rest = tarn_span_after(tarn_bytes_span(in), p->looked);
    size_t end;
    if (!tarn_span_find(rest, '\n', &end)) {
        p->looked = in.len;
        return in.len <= p->limits.line_bytes_max
                   ? TARN_AGAIN
                   : refuse(p, "Protocol error: too big inline request");
    }
    end += p->looked;
    if (end > p->limits.line_bytes_max)
        return refuse(p, "Protocol error: too big inline request");
    p->bytes = end + 1;
    return words(p, tarn_bytes_first(in, end));
}

enum tarn_err tarn_resp_parse(struct tarn_resp_parser *p, struct tarn_bytes in) {
    p->seen = in.len;
    if (!in.len)
        return TARN_AGAIN;
    return *tarn_bytes_at(in, 0) == '*' ? array_next(p, tarn_bytes_span(in)) : line_next(p, in);
}
