/* SPDX-License-Identifier: ISC */
/* tarn/kv_path.h: the keys of a store, taken apart.
 *
 * A key is a path: segments separated by '/', a leading '/' meaning nothing; "" and "/" are the
 * root. An empty, "." or ".." segment makes the whole key invalid, and so does a NUL byte, so a key
 * from a peer cannot name anything outside its store, in whatever the store keeps its values.
 */
#ifndef TARN_KV_PATH_H
#define TARN_KV_PATH_H

#include <tarn/span.h>

/* The next segment of `*key`, which moves behind it. False at the end, and where the next segment
 * is not valid: then, and only then, `*key` is not empty. */
TARN_MUST_USE bool tarn_kv_path_next(struct tarn_span *key, struct tarn_span *segment);
/* The key in its one spelling (no leading '/'; empty: the root). False: not a key. */
TARN_MUST_USE bool tarn_kv_path_canonical(struct tarn_span key, struct tarn_span *out);
/* The order of two canonical keys: segment by segment in byte order, so that everything below a key
 * follows it directly and "a/b" comes before "a.b". <0, 0, >0. */
int tarn_kv_path_compare(struct tarn_span a, struct tarn_span b);
/* Whether canonical `key` is below canonical `dir`, and not `dir` itself. All keys are below the
 * root. */
bool tarn_kv_path_below(struct tarn_span key, struct tarn_span dir);

#endif
