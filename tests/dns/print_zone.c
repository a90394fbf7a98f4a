/* SPDX-License-Identifier: ISC */
/* Prints a zone file's records, one a line, or its first error: print_zone FILE ORIGIN */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/dns_zonefile.h>

static enum tarn_err print(void *user, const struct tarn_dns_record *r, const char **why) {
    static uint8_t text[400000];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    (void)user;
    (void)why;
    tarn_dns_record_print(&w, r->owner, r->type, r->klass, r->ttl, r->rdata);
    tarn_writer_u8(&w, '\n');
    if (!tarn_writer_ok(&w))
        return TARN_LIMIT;
    fwrite(text, 1, w.len, stdout);
    return TARN_OK;
}

/* The texts are borrowed until the end. */
static uint8_t *texts[64];
static size_t text_count;

static enum tarn_err file_text(void *user, struct tarn_span file, struct tarn_span *text) {
    char name[4096];
    (void)user;
    snprintf(name, sizeof name, "%.*s", (int)file.len, (const char *)file.ptr);
    FILE *f = text_count < TARN_COUNT_OF(texts) ? fopen(name, "rb") : NULL;
    if (!f)
        return TARN_NOT_FOUND;
    long bytes = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : 0;
    uint8_t *data = texts[text_count++] = malloc((size_t)bytes + 1);
    rewind(f);
    *text = tarn_span_of(data, data ? fread(data, 1, (size_t)bytes, f) : 0);
    fclose(f);
    return data ? TARN_OK : TARN_LIMIT;
}

int main(int argc, char **argv) {
    static uint8_t scratch[TARN_DNS_RDATA_MAX];
    struct tarn_dns_zonefile_config config = {
        .record = print, .include = file_text, .scratch = TARN_BYTES_ARRAY(scratch)};
    struct tarn_dns_zonefile_error error;
    struct tarn_dns_name origin;
    if (argc != 3 || !tarn_dns_name_parse(tarn_span_str(argv[2]), TARN_SPAN_LIT("\0"), &origin))
        return 64;
    config.name = tarn_span_str(argv[1]);
    config.origin = tarn_dns_name_span(&origin);
    if (file_text(NULL, config.name, &config.text)) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    if (tarn_dns_zonefile_parse(&config, &error)) {
        char text[5000];
        struct tarn_writer w = TARN_WRITER_ARRAY(text);
        tarn_dns_zonefile_error_print(&w, &error);
        fprintf(stderr, "%.*s\n", (int)tarn_writer_span(&w).len, text);
        return 1;
    }
    return 0;
}
