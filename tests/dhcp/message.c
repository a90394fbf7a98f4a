/* SPDX-License-Identifier: ISC */
#include "rig.h"
#include <criterion/criterion.h>

#define FIXED 240u

/* A message whose options field is `options`, and its file and sname fields, each zero-padded. */
static size_t make(uint8_t *buf, struct tarn_span options, struct tarn_span file,
                   struct tarn_span sname) {
    struct tarn_dhcp_message m = {.op = TARN_DHCP_BOOTREPLY, .type = TARN_DHCP_OFFER};
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(buf, 2000));
    tarn_dhcp_write_header(&w, &m);
    memcpy(buf + 44, sname.ptr ? sname.ptr : buf, sname.len);
    memcpy(buf + 108, file.ptr ? file.ptr : buf, file.len);
    tarn_writer_span_put(&w, options);
    return w.len;
}

#define MAKE(options) make(buf, TARN_SPAN_LIT(options), TARN_SPAN_EMPTY, TARN_SPAN_EMPTY)

Test(rfc2131_2, what_is_written_is_read) {
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_dhcp_message m = {.op = 1, .type = TARN_DHCP_REQUEST, .xid = 0xdeadbeef, .secs = 9},
                             back;
    struct tarn_ip_addr a = SERVER4, got;
    uint16_t u16;
    m.flags = TARN_DHCP_FLAG_BROADCAST;
    m.ciaddr = TARN_IP_ADDR_V4(10, 0, 0, 7);
    m.mac[5] = 9;
    tarn_dhcp_write_header(&w, &m);
    tarn_dhcp_write_addr(&w, TARN_DHCP_OPT_SERVER_ID, &a);
    tarn_dhcp_write_u16(&w, TARN_DHCP_OPT_MTU, 1400);
    tarn_dhcp_write_end(&w);
    cr_assert_eq(w.len, 300, "RFC 951: not shorter");
    cr_assert(tarn_dhcp_parse(tarn_writer_span(&w), &back));
    cr_assert(back.op == 1 && back.type == TARN_DHCP_REQUEST && back.xid == m.xid && back.secs == 9
              && back.flags == m.flags && back.mac[5] == 9);
    cr_assert(tarn_ip_addr_equal(&back.ciaddr, &m.ciaddr));
    cr_assert(tarn_dhcp_option_addr(&back, TARN_DHCP_OPT_SERVER_ID, &got)
              && tarn_ip_addr_equal(&got, &a));
    cr_assert(tarn_dhcp_option_u16(&back, TARN_DHCP_OPT_MTU, &u16) && u16 == 1400);
    cr_assert(!tarn_dhcp_option_u16(&back, TARN_DHCP_OPT_SERVER_ID, &u16), "of another size");
}

Test(rfc2131_2, every_truncation_is_refused_or_whole) {
    uint8_t buf[2000];
    struct tarn_dhcp_message m;
    size_t n = MAKE("\x36\x04\x0a\0\0\x01\x0c\x05hello\xff");
    for (size_t i = 0; i < n; i++) {
        uint8_t *exact = malloc(i ? i : 1); /* so that AddressSanitizer sees a byte too many */
        memcpy(exact, buf, i);
        bool ok = tarn_dhcp_parse(tarn_span_of(exact, i), &m);
        bool boundary = i == FIXED + 3 || i == FIXED + 9 || i == n - 1;
        cr_assert_eq(ok, boundary, "%zu", i); /* an end that is missing is forgiven */
        free(exact);
    }
    for (size_t i = 1; i <= 2; i++) { /* neither another link's addresses nor of another length */
        buf[i] ^= 1;
        cr_assert(!tarn_dhcp_parse(tarn_span_of(buf, n), &m));
        buf[i] ^= 1;
    }
    buf[236] ^= 1;
    cr_assert(!tarn_dhcp_parse(tarn_span_of(buf, n), &m), "the magic cookie");
}

Test(rfc2132, an_option_length_beyond_the_field_is_malformed) {
    uint8_t buf[2000];
    struct tarn_dhcp_message m;
    cr_assert(!tarn_dhcp_parse(tarn_span_of(buf, MAKE("\x0c\xff"
                                                      "abc")),
                               &m));
    cr_assert(!tarn_dhcp_parse(tarn_span_of(buf, MAKE("\x0c")), &m));
    cr_assert(tarn_dhcp_parse(tarn_span_of(buf, MAKE("\0\0\0\xff\x0c\xff")), &m),
              "behind the end nothing is read");
    /* The same in an overloaded field: it must not run into the next one. */
    size_t n = make(buf, TARN_SPAN_LIT("\x34\x01\x03\xff"), TARN_SPAN_EMPTY,
                    TARN_SPAN_LIT("\x0c\x40"
                                  "abc"));
    cr_assert(!tarn_dhcp_parse(tarn_span_of(buf, n), &m));
}

Test(rfc3396, pieces_are_joined_across_the_overloaded_fields) {
    uint8_t buf[2000], value[64];
    struct tarn_dhcp_message m;
    struct tarn_span v;
    size_t n = make(buf,
                    TARN_SPAN_LIT("\x0f\x02on\x34\x01\x03\x0f\x01"
                                  "e\xff"),
                    TARN_SPAN_LIT("\x0f\x03two\xff"), TARN_SPAN_LIT("\x0f\x05three\xff"));
    cr_assert(tarn_dhcp_parse(tarn_span_of(buf, n), &m));
    cr_assert(tarn_dhcp_option(&m, 15, TARN_BYTES_ARRAY(value), &v));
    cr_assert(tarn_span_equal(v, TARN_SPAN_LIT("onetwothree")));
    cr_assert(!tarn_dhcp_option(&m, 15, tarn_bytes_of(value, 10), &v), "longer than the buffer");
    cr_assert(!tarn_dhcp_option(&m, 16, TARN_BYTES_ARRAY(value), &v), "not there");
}

Test(rfc3396, long_values_are_split) {
    uint8_t buf[2000], big[600], value[700];
    struct tarn_dhcp_message m = {.op = 1, .type = 1};
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_span v;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)i;
    tarn_dhcp_write_header(&w, &m);
    tarn_dhcp_write_option(&w, 99, TARN_SPAN_ARRAY(big));
    tarn_dhcp_write_end(&w);
    cr_assert(tarn_dhcp_parse(tarn_writer_span(&w), &m));
    cr_assert(tarn_dhcp_option(&m, 99, TARN_BYTES_ARRAY(value), &v));
    cr_assert(tarn_span_equal(v, TARN_SPAN_ARRAY(big)));
}

Test(rfc3442, routes_are_unpacked) {
    struct tarn_span v = TARN_SPAN_LIT("\x00\x0a\0\0\x01"
                                       "\x18\xc0\xa8\x05\x0a\0\0\x02"
                                       "\x20\x01\x02\x03\x04\0\0\0\0"
                                       "\x0b\x0a\xff\x0a\0\0\x03");
    const char *want[] = {"0.0.0.0/0", "192.168.5.0/24", "1.2.3.4/32", "10.224.0.0/11"};
    struct tarn_dhcp_route r;
    for (size_t i = 0; i < 4; i++) {
        struct tarn_ip_prefix p;
        cr_assert(tarn_ip_prefix_parse(tarn_span_str(want[i]), &p));
        cr_assert(tarn_dhcp_route_next(&v, &r));
        cr_assert(tarn_ip_addr_equal(&r.dst.addr, &p.addr) && r.dst.bits == p.bits, "%s", want[i]);
    }
    cr_assert(!tarn_dhcp_route_next(&v, &r) && v.len == 0);
    v = TARN_SPAN_LIT("\x21\x01\x02\x03\x04\x05\0\0\0\0");
    cr_assert(!tarn_dhcp_route_next(&v, &r) && v.len > 0, "more than 32 bits");
    v = TARN_SPAN_LIT("\x18\xc0\xa8\x05\x0a\0\0");
    cr_assert(!tarn_dhcp_route_next(&v, &r) && v.len > 0, "truncated");
}

static bool search(struct tarn_span v, const char *want) {
    uint8_t buf[256];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    return tarn_dhcp_search_text(v, &w)
           && tarn_span_equal(tarn_writer_span(&w), tarn_span_str(want));
}

Test(rfc3397, names_are_unpacked) {
    cr_assert(search(TARN_SPAN_LIT("\x03"
                                   "eng\x05"
                                   "apple\x03"
                                   "com\0\x09marketing\xc0\x04"),
                     "eng.apple.com marketing.apple.com"));
}

Test(rfc3397, pointers_cannot_loop) {
    uint8_t buf[64];
    const struct tarn_span bad[] = {
        TARN_SPAN_LIT("\xc0\x00"), /* to itself */
        TARN_SPAN_LIT("\x01"
                      "a\xc0\x00"),        /* to the name it is in */
        TARN_SPAN_LIT("\xc0\x02\xc0\x00"), /* forwards */
        TARN_SPAN_LIT("\x01"
                      "a\0\x01"
                      "b\xc0\x03"), /* to its own start */
        TARN_SPAN_LIT("\x01"
                      "a\xc0\x09"), /* outside */
        TARN_SPAN_LIT("\x01"
                      "a"), /* no end */
        TARN_SPAN_LIT("\x05"
                      "ab"), /* a label longer than the value */
        TARN_SPAN_LIT("\x40"
                      "ab"),       /* a reserved kind of label */
        TARN_SPAN_LIT("\x01\n\0"), /* a line break in /etc/resolv.conf */
        TARN_SPAN_LIT("\x03"
                      "a b\0"), /* or a blank */
        TARN_SPAN_LIT("\0"),    /* no name */
        TARN_SPAN_LIT("\xc0"),
        TARN_SPAN_EMPTY,
    };
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        cr_assert(!tarn_dhcp_search_text(bad[i], &w), "%zu", i);
    }
    uint8_t long_name[300];
    for (size_t i = 0; i < sizeof long_name; i++)
        long_name[i] = i % 2 ? 'a' : 1;
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    cr_assert(!tarn_dhcp_search_text(TARN_SPAN_ARRAY(long_name), &w));
}
