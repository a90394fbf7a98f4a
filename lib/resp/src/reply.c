/* SPDX-License-Identifier: ISC */
#include <tarn/resp.h>

static void end(struct tarn_writer *w) {
    tarn_writer_mem(w, "\r\n", 2);
}

static void head(struct tarn_writer *w, char type, uint64_t count) {
    tarn_writer_u8(w, (uint8_t)type);
    tarn_writer_dec(w, count);
    end(w);
}

void tarn_resp_put_simple(struct tarn_writer *w, const char *text) {
    tarn_writer_u8(w, '+');
    tarn_writer_str(w, text);
    end(w);
}

void tarn_resp_put_error(struct tarn_writer *w, struct tarn_span text) {
    uint8_t c;
    tarn_writer_u8(w, '-');
    while (tarn_span_u8(&text, &c))
        tarn_writer_u8(w, c < ' ' || c == 0x7f ? '?' : c);
    end(w);
}

void tarn_resp_put_int(struct tarn_writer *w, int64_t value) {
    tarn_writer_u8(w, ':');
    if (value < 0)
        tarn_writer_u8(w, '-');
    tarn_writer_dec(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    end(w);
}

void tarn_resp_put_bulk(struct tarn_writer *w, struct tarn_span value) {
    head(w, '$', value.len);
    tarn_writer_span_put(w, value);
    end(w);
}

void tarn_resp_put_null(struct tarn_writer *w, unsigned version) {
    tarn_writer_str(w, version == 3 ? "_\r\n" : "$-1\r\n");
}

void tarn_resp_put_array(struct tarn_writer *w, uint64_t count) {
    head(w, '*', count);
}

void tarn_resp_put_map(struct tarn_writer *w, unsigned version, uint64_t count) {
    head(w, version == 3 ? '%' : '*', version == 3 ? count : 2 * count);
}

void tarn_resp_put_text(struct tarn_writer *w, unsigned version, struct tarn_span text) {
    if (version != 3) {
        tarn_resp_put_bulk(w, text);
        return;
    }
    head(w, '=', text.len + 4);
    tarn_writer_str(w, "txt:");
    tarn_writer_span_put(w, text);
    end(w);
}

bool tarn_resp_int(struct tarn_span text, int64_t *out) {
    bool negative = text.len && tarn_span_at(text, 0) == '-';
    uint64_t value;
    if (negative)
        text = tarn_span_after(text, 1);
    if (!tarn_span_parse_dec(text, (uint64_t)INT64_MAX + negative, &value))
        return false;
    if (tarn_span_at(text, 0) == '0' && (text.len > 1 || negative))
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}
