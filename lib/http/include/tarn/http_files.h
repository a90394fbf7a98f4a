/* SPDX-License-Identifier: ISC */
/* tarn/http_files.h: a handler that serves the values of a store as files (RFC 9110).
 *
 * GET and HEAD; index.html for directories, which are redirected to their name with a slash;
 * content types by extension; strong entity tags from the store's digests, Last-Modified;
 * conditional requests in the order of RFC 9110 section 13.2.2; single and multiple byte ranges
 * with If-Range; a "name.gz" beside "name" for clients that accept gzip.
 *
 * Bodies are borrowed from the store and lent to the flow: nothing is copied (beyond what fits
 * beside a head). So the store must be able to borrow; values that it cannot borrow are answered
 * with 500. Memory is taken by tarn_http_files_new: for the multipart ranges under way, of which
 * each has a bound. Requests allocate nothing.
 */
#ifndef TARN_HTTP_FILES_H
#define TARN_HTTP_FILES_H

#include <tarn/http.h>
#include <tarn/kv.h>

struct tarn_http_files_config {
    struct tarn_alloc *alloc;
    struct tarn_kv *kv; /* outlives the handler; its calls must not wait */
    /* The value of Cache-Control, as "max-age=60"; empty: no such field. Stays. */
    struct tarn_span cache_control;
    /* The key of the page that is sent with a 404, as "404.html"; empty: a line of text. Stays. */
    struct tarn_span not_found;
    /* Multipart responses at a time; beyond that a request for several ranges gets the whole file.
     */
    uint32_t multipart_max;
};

#define TARN_HTTP_RANGES_MAX 8 /* in one request: more, and it gets the whole file */

struct tarn_http_files;
/* TARN_LIMIT: not enough memory. */
TARN_MUST_USE enum tarn_err tarn_http_files_new(const struct tarn_http_files_config *config,
                                                struct tarn_http_files **out);
struct tarn_http_handler *tarn_http_files_handler(struct tarn_http_files *files);
/* No exchange may be open. */
void tarn_http_files_delete(struct tarn_http_files *files);

/* The media type of a file name by its extension; "application/octet-stream" where it is not known.
 */
struct tarn_span tarn_http_content_type(struct tarn_span name);

#endif
