/* SPDX-License-Identifier: ISC */
/* A file that may include itself. Each record that it has prints as a line that is a file with just
 * that record. */
#include "../text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct rig {
    struct tarn_span text;
    const struct tarn_dns_record *expected;
    unsigned includes;
};
static uint8_t line[400000], scratch[2][TARN_DNS_RDATA_MAX];

static enum tarn_err compare(void *user, const struct tarn_dns_record *r, const char **why) {
    const struct tarn_dns_record *expected = ((struct rig *)user)->expected;
    (void)why;
    if (r->type != expected->type || r->klass != expected->klass || r->ttl != expected->ttl
        || !tarn_span_equal(r->owner, expected->owner)
        || !tarn_span_equal(r->rdata, expected->rdata))
        abort();
    return TARN_OK;
}

static enum tarn_err record(void *user, const struct tarn_dns_record *r, const char **why) {
    struct tarn_writer w = TARN_WRITER_ARRAY(line);
    struct rig rig = {.expected = r};
    struct tarn_dns_zonefile_error error;
    struct tarn_dns_zonefile_config config = {
        .scratch = TARN_BYTES_ARRAY(scratch[1]), .record = compare, .user = &rig};
    (void)user;
    (void)why;
    tarn_dns_record_print(&w, r->owner, r->type, r->klass, r->ttl, r->rdata);
    config.text = tarn_writer_span(&w);
    if (tarn_dns_zonefile_parse(&config, &error)) {
        fprintf(stderr, "%s: %.*s\n", error.why, (int)w.len, line);
        abort();
    }
    return TARN_OK;
}

static enum tarn_err include(void *user, struct tarn_span file, struct tarn_span *text) {
    struct rig *rig = user;
    (void)file;
    *text = rig->text;
    return rig->includes++ < 30 ? TARN_OK : TARN_NOT_FOUND;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct rig rig = {.text = tarn_span_of(bytes, size)};
    struct tarn_dns_zonefile_error error = {0};
    struct tarn_dns_zonefile_config config = {.text = rig.text,
                                              .origin = TARN_SPAN_LIT("\7example\0"),
                                              .generate_max = 100,
                                              .scratch = TARN_BYTES_ARRAY(scratch[0]),
                                              .record = record,
                                              .include = include,
                                              .user = &rig};
    enum tarn_err err = tarn_dns_zonefile_parse(&config, &error);
    if (err && (!error.why || !error.line || !error.column))
        abort();
    return 0;
}
