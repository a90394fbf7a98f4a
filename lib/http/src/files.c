/* SPDX-License-Identifier: ISC */
#include <tarn/http_files.h>

#include <tarn/http_date.h>
#include <tarn/pool.h>
#include <tarn/writer.h>

#include "chars.h"
#include "conditions.h"

#define KEY_BYTES_MAX 1024 /* a longer path names nothing */
#define FIELDS_BYTES_MAX 1024
#define ETAG_BYTES 34 /* 16 bytes of digest in hex, and quotes */

/* A multipart response under way. */
struct job {
    struct tarn_span value, content_type;
    uint8_t boundary[16];
    struct ranges ranges;
    uint32_t index; /* of the part; count: the end */
    bool in_data;
    uint64_t sent; /* of the part's head, or of its data */
};

struct tarn_http_files {
    struct tarn_http_handler handler;
    struct tarn_http_files_config config;
    struct tarn_pool jobs;
};

/* A file as it will be answered. */
struct file {
    struct tarn_span key, value, content_type;
    struct tarn_span etag;
    int64_t modified;
    bool gzip, varies;
    uint8_t key_room[KEY_BYTES_MAX], etag_room[ETAG_BYTES];
};

/* -- finding
 * ---------------------------------------------------------------------------------------- */

/* The key of a path: "/docs/" is "docs/index.html". */
static bool key_of(struct tarn_span path, struct file *f) {
    struct tarn_writer w = TARN_WRITER_ARRAY(f->key_room);
    bool directory = tarn_span_ends(path, TARN_SPAN_LIT("/"));
    path = tarn_span_after(path, 1);
    f->key = path;
    if (!directory)
        return true;
    tarn_writer_span_put(&w, path);
    tarn_writer_str(&w, "index.html");
    f->key = tarn_writer_span(&w);
    return tarn_writer_ok(&w);
}

static void validators_read(struct tarn_kv *kv, struct tarn_span key, struct file *f) {
    uint8_t digest[TARN_KV_DIGEST_BYTES];
    struct tarn_writer w = TARN_WRITER_ARRAY(f->etag_room);
    struct tarn_span bytes;
    uint64_t word;
    f->etag = TARN_SPAN_EMPTY;
    if (kv->ops->last_modified(kv, key, &f->modified) != TARN_OK)
        f->modified = 0;
    if (kv->ops->digest(kv, key, digest) != TARN_OK)
        return;
    bytes = tarn_span_first(TARN_SPAN_ARRAY(digest), 16);
    tarn_writer_u8(&w, '"');
    while (tarn_span_u64be(&bytes, &word))
        tarn_writer_hex(&w, word, 16);
    tarn_writer_u8(&w, '"');
    f->etag = tarn_writer_span(&w);
}

/* The variant of the file that this client gets, with what it is known by. */
static void variant_choose(struct tarn_http_files *files, const struct tarn_http_request *r,
                           struct file *f) {
    struct tarn_kv *kv = files->config.kv;
    uint8_t room[KEY_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(room);
    struct tarn_span key = f->key, value;
    tarn_writer_span_put(&w, f->key);
    tarn_writer_str(&w, ".gz");
    if (tarn_writer_ok(&w) && kv->ops->borrow(kv, tarn_writer_span(&w), &value) == TARN_OK) {
        f->varies = true;
        if (accepts_gzip(r)) {
            f->gzip = true;
            f->value = value;
            key = tarn_writer_span(&w);
        }
    }
    f->content_type = tarn_http_content_type(f->key);
    validators_read(kv, key, f);
}

/* -- answering
 * -------------------------------------------------------------------------------------- */

static void not_found(struct tarn_http_files *files, struct tarn_http_exchange *x) {
    struct tarn_kv *kv = files->config.kv;
    struct tarn_http_response r = {.status = 404,
                                   .content_type = tarn_http_content_type(files->config.not_found)};
    if (files->config.not_found.len == 0
        || kv->ops->borrow(kv, files->config.not_found, &r.body) != TARN_OK
        || tarn_http_respond(x, &r) != TARN_OK)
        tarn_http_respond_status(x, 404, TARN_SPAN_EMPTY);
}

/* The path with a slash behind it, as a URI again: it was decoded, so it is encoded. It names a
 * dictionary of the store, so it has no empty segment and cannot be taken for "//host". */
static void redirect(struct tarn_http_exchange *x) {
    uint8_t room[FIELDS_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(room);
    struct tarn_span path = x->path;
    uint8_t c;
    tarn_writer_str(&w, "Location: ");
    while (tarn_span_u8(&path, &c)) {
        if (char_is(c, CHAR_PATH)) {
            tarn_writer_u8(&w, c);
        } else {
            tarn_writer_u8(&w, '%');
            tarn_writer_hex(&w, c, 2);
        }
    }
    tarn_writer_u8(&w, '/');
    if (x->request->has_query) {
        tarn_writer_u8(&w, '?');
        tarn_writer_span_put(&w, x->request->query);
    }
    tarn_writer_str(&w, "\r\n");
    tarn_http_respond_status(x, tarn_writer_ok(&w) ? 301 : 414, tarn_writer_span(&w));
}

/* RFC 9110 section 15.4.5: a 304 has these as the 200 would have had them. */
static void write_fields(struct tarn_http_files *files, const struct file *f,
                         struct tarn_writer *w) {
    if (f->etag.len) {
        tarn_writer_span_put(w, TARN_SPAN_LIT("ETag: "));
        tarn_writer_span_put(w, f->etag);
        tarn_writer_span_put(w, TARN_SPAN_LIT("\r\n"));
    }
    tarn_writer_span_put(w, TARN_SPAN_LIT("Last-Modified: "));
    tarn_writer_http_date(w, f->modified);
    tarn_writer_span_put(w, TARN_SPAN_LIT("\r\n"));
    if (files->config.cache_control.len)
        tarn_writer_http_field(w, TARN_SPAN_LIT("Cache-Control"), files->config.cache_control);
    if (f->varies)
        tarn_writer_span_put(w, TARN_SPAN_LIT("Vary: Accept-Encoding\r\n"));
    if (f->gzip)
        tarn_writer_span_put(w, TARN_SPAN_LIT("Content-Encoding: gzip\r\n"));
}

static void write_content_range(struct tarn_writer *w, const struct range *range, uint64_t size) {
    tarn_writer_str(w, "Content-Range: bytes ");
    if (range) {
        tarn_writer_dec(w, range->first);
        tarn_writer_u8(w, '-');
        tarn_writer_dec(w, range->first + range->len - 1);
    } else {
        tarn_writer_u8(w, '*');
    }
    tarn_writer_u8(w, '/');
    tarn_writer_dec(w, size);
    tarn_writer_str(w, "\r\n");
}

/* -- several ranges (RFC 9110 section 14.6)
 * --------------------------------------------------------- */

static struct tarn_span boundary_of(const struct job *job) {
    return TARN_SPAN_ARRAY(job->boundary);
}

/* What stands before part `i`, or behind the last. */
static void write_part_head(struct tarn_writer *w, const struct job *job, uint32_t i) {
    tarn_writer_str(w, "\r\n--");
    tarn_writer_span_put(w, boundary_of(job));
    if (i == job->ranges.count) {
        tarn_writer_str(w, "--\r\n");
        return;
    }
    tarn_writer_str(w, "\r\nContent-Type: ");
    tarn_writer_span_put(w, job->content_type);
    tarn_writer_str(w, "\r\n");
    write_content_range(w, &TARN_AT(job->ranges.at, i), job->value.len);
    tarn_writer_str(w, "\r\n");
}

static uint64_t job_length(const struct job *job) {
    uint64_t total = 0;
    for (uint32_t i = 0; i <= job->ranges.count; i++) {
        struct tarn_writer w = {NULL, 0, 0}; /* only counts */
        write_part_head(&w, job, i);
        total += w.len + (i < job->ranges.count ? TARN_AT(job->ranges.at, i).len : 0);
    }
    return total;
}

/* As much as the stream takes. */
static void job_pump(struct tarn_http_exchange *x, struct job *job) {
    enum tarn_err err = TARN_OK;
    while (!err) {
        size_t n;
        if (job->in_data) {
            const struct range *range = &TARN_AT(job->ranges.at, job->index);
            struct tarn_span data = tarn_span_first(
                tarn_span_after(job->value, (size_t)range->first), (size_t)range->len);
            data = tarn_span_after(data, (size_t)job->sent);
            if (data.len == 0) {
                job->in_data = false;
                job->sent = 0;
                job->index++;
                continue;
            }
            err = tarn_http_stream_lend(x, data, NULL, &n);
        } else {
            uint8_t room[256];
            struct tarn_writer w = TARN_WRITER_ARRAY(room);
            struct tarn_span head;
            write_part_head(&w, job, job->index);
            head = tarn_span_after(tarn_writer_span(&w), (size_t)job->sent);
            if (head.len == 0 && job->index == job->ranges.count) {
                tarn_http_stream_end(x, true);
                return;
            }
            if (head.len == 0) {
                job->in_data = true;
                job->sent = 0;
                continue;
            }
            err = tarn_http_stream_write(x, head, &n);
        }
        job->sent += n;
    }
}

/* False: no room for one more. */
static bool multipart(struct tarn_http_files *files, struct tarn_http_exchange *x,
                      const struct file *f, const struct ranges *ranges,
                      struct tarn_http_response *r) {
    uint8_t room[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(room);
    struct job *job = tarn_pool_take(&files->jobs);
    if (!job)
        return false;
    *job = (struct job){.value = f->value, .content_type = f->content_type, .ranges = *ranges};
    tarn_bytes_fill(TARN_BYTES_ARRAY(job->boundary), '-');
    tarn_bytes_copy(TARN_BYTES_ARRAY(job->boundary), tarn_span_after(f->etag, 1));
    tarn_writer_str(&w, "multipart/byteranges; boundary=");
    tarn_writer_span_put(&w, boundary_of(job));
    r->content_type = tarn_writer_span(&w);
    if (tarn_http_respond_stream(x, r, job_length(job)) != TARN_OK) {
        tarn_pool_put(&files->jobs, job);
        tarn_http_respond_status(x, 500, TARN_SPAN_EMPTY);
        return true;
    }
    x->user = job;
    job_pump(x, job);
    return true;
}

/* -- the handler
 * ------------------------------------------------------------------------------------ */

static void respond_file(struct tarn_http_files *files, struct tarn_http_exchange *x,
                         const struct file *f) {
    const struct validators v = {f->etag, f->modified};
    struct tarn_http_response r = {.content_type = f->content_type, .body = f->value};
    uint8_t room[FIELDS_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(room);
    int64_t now = tarn_http_now(x);
    struct ranges ranges;
    r.status = conditions_check(x->request, &v, now);
    if (r.status == 412) {
        tarn_http_respond_status(x, 412, TARN_SPAN_EMPTY);
        return;
    }
    write_fields(files, f, &w);
    if (r.status == 304) {
        r.content_type = r.body = TARN_SPAN_EMPTY;
    } else {
        r.status = ranges_choose(x->request, &v, f->value.len, now, &ranges);
        tarn_writer_str(&w, "Accept-Ranges: bytes\r\n");
    }
    if (r.status == 416) {
        w = TARN_WRITER_ARRAY(room);
        write_content_range(&w, NULL, f->value.len);
        tarn_http_respond_status(x, 416, tarn_writer_span(&w));
        return;
    }
    if (r.status == 206 && ranges.count > 1) {
        r.fields = tarn_writer_span(&w);
        if (multipart(files, x, f, &ranges, &r))
            return;
        r.status = 200;
    }
    if (r.status == 206) {
        const struct range *range = &TARN_AT(ranges.at, 0);
        write_content_range(&w, range, f->value.len);
        r.body =
            tarn_span_first(tarn_span_after(f->value, (size_t)range->first), (size_t)range->len);
    }
    r.fields = tarn_writer_span(&w);
    if (tarn_http_respond(x, &r) != TARN_OK)
        tarn_http_respond_status(x, 500, TARN_SPAN_EMPTY);
}

/* RFC 9110 section 9.1: what nobody knows is 501, what these files do not do is 405. */
static void respond_method(struct tarn_http_exchange *x) {
    struct tarn_http_response r = {.status = 204, .fields = TARN_SPAN_LIT("Allow: GET, HEAD\r\n")};
    if (x->request->method == TARN_HTTP_OTHER)
        tarn_http_respond_status(x, 501, TARN_SPAN_EMPTY);
    else if (x->request->method != TARN_HTTP_OPTIONS || tarn_http_respond(x, &r) != TARN_OK)
        tarn_http_respond_status(x, 405, TARN_SPAN_LIT("Allow: GET, HEAD\r\n"));
}

static void files_request(struct tarn_http_handler *h, struct tarn_http_exchange *x) {
    struct tarn_http_files *files = TARN_CONTAINER_OF(h, struct tarn_http_files, handler);
    struct tarn_kv *kv = files->config.kv;
    enum tarn_kv_kind kind = TARN_KV_NONE;
    struct file f;
    enum tarn_err err;
    f.gzip = f.varies = false;
    if (x->request->method != TARN_HTTP_GET && x->request->method != TARN_HTTP_HEAD) {
        respond_method(x);
        return;
    }
    if (!key_of(x->path, &f)) {
        not_found(files, x);
        return;
    }
    err = kv->ops->borrow(kv, f.key, &f.value);
    if (err == TARN_OK) {
        variant_choose(files, x->request, &f);
        respond_file(files, x, &f);
    } else if (err == TARN_INVALID && kv->ops->exists(kv, f.key, &kind) == TARN_OK
               && kind == TARN_KV_DICTIONARY) {
        redirect(x);
    } else if (err == TARN_NOT_FOUND || err == TARN_INVALID) {
        not_found(files, x);
    } else {
        tarn_http_respond_status(x, 500, TARN_SPAN_EMPTY);
    }
}

static void files_writable(struct tarn_http_handler *h, struct tarn_http_exchange *x) {
    (void)h;
    job_pump(x, x->user);
}

static void files_done(struct tarn_http_handler *h, struct tarn_http_exchange *x, bool whole) {
    (void)whole;
    if (x->user)
        tarn_pool_put(&TARN_CONTAINER_OF(h, struct tarn_http_files, handler)->jobs, x->user);
}

static const struct tarn_http_handler_ops files_ops = {
    .request = files_request,
    .writable = files_writable,
    .done = files_done,
};

enum tarn_err tarn_http_files_new(const struct tarn_http_files_config *config,
                                  struct tarn_http_files **out) {
    struct tarn_http_files *files = TARN_NEW(config->alloc, struct tarn_http_files);
    if (!files)
        return TARN_LIMIT;
    files->handler.ops = &files_ops;
    files->config = *config;
    if (tarn_pool_init(&files->jobs, config->alloc, sizeof(struct job), _Alignof(struct job),
                       config->multipart_max)) {
        tarn_http_files_delete(files);
        return TARN_LIMIT;
    }
    *out = files;
    return TARN_OK;
}

struct tarn_http_handler *tarn_http_files_handler(struct tarn_http_files *files) {
    return &files->handler;
}

void tarn_http_files_delete(struct tarn_http_files *files) {
    struct tarn_alloc *alloc = files->config.alloc;
    tarn_pool_fini(&files->jobs, alloc);
    tarn_alloc_put(alloc, files, sizeof *files);
}
