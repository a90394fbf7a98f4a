/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define STATUS(code, reason)                                                                       \
    { code, TARN_SPAN_LIT("HTTP/1.1 " #code " " reason "\r\n"), TARN_SPAN_LIT(reason) }

/* RFC 9110 section 15, RFC 6585. Sorted. */
static const struct status {
    uint16_t code;
    struct tarn_span line, reason;
} statuses[] = {
    STATUS(200, "OK"),
    STATUS(201, "Created"),
    STATUS(202, "Accepted"),
    STATUS(204, "No Content"),
    STATUS(206, "Partial Content"),
    STATUS(301, "Moved Permanently"),
    STATUS(302, "Found"),
    STATUS(303, "See Other"),
    STATUS(304, "Not Modified"),
    STATUS(307, "Temporary Redirect"),
    STATUS(308, "Permanent Redirect"),
    STATUS(400, "Bad Request"),
    STATUS(401, "Unauthorized"),
    STATUS(403, "Forbidden"),
    STATUS(404, "Not Found"),
    STATUS(405, "Method Not Allowed"),
    STATUS(406, "Not Acceptable"),
    STATUS(408, "Request Timeout"),
    STATUS(409, "Conflict"),
    STATUS(410, "Gone"),
    STATUS(411, "Length Required"),
    STATUS(412, "Precondition Failed"),
    STATUS(413, "Content Too Large"),
    STATUS(414, "URI Too Long"),
    STATUS(415, "Unsupported Media Type"),
    STATUS(416, "Range Not Satisfiable"),
    STATUS(417, "Expectation Failed"),
    STATUS(422, "Unprocessable Content"),
    STATUS(429, "Too Many Requests"),
    STATUS(431, "Request Header Fields Too Large"),
    STATUS(500, "Internal Server Error"),
    STATUS(501, "Not Implemented"),
    STATUS(502, "Bad Gateway"),
    STATUS(503, "Service Unavailable"),
    STATUS(504, "Gateway Timeout"),
    STATUS(505, "HTTP Version Not Supported"),
};

static const struct status *status_find(uint16_t code) {
    for (size_t i = 0; i < TARN_COUNT_OF(statuses); i++)
        if (TARN_AT(statuses, i).code == code)
            return &TARN_AT(statuses, i);
    return NULL;
}

struct tarn_span tarn_http_reason(uint16_t code) {
    const struct status *status = status_find(code);
    return status ? status->reason : TARN_SPAN_LIT("Unknown");
}

void status_line_write(struct tarn_writer *w, uint16_t code) {
    const struct status *status = status_find(code);
    if (status) {
        tarn_writer_span_put(w, status->line);
    } else {
        tarn_writer_str(w, "HTTP/1.1 ");
        tarn_writer_dec_pad(w, code, 3);
        tarn_writer_str(w, " Unknown\r\n");
    }
}
