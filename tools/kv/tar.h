/* SPDX-License-Identifier: ISC */
/* tar.h: a store's values as a tar archive (ustar; pax for what does not fit), and back. */
#ifndef TARN_KV_TAR_TOOL_H
#define TARN_KV_TAR_TOOL_H

#include <stdio.h>

#include "file.h"

enum tarn_err tar_write(struct tarn_kv *kv, FILE *out);
/* Larger values than `piece` bytes are written in pieces. `why` is a text for every error: of
 * TARN_PEER, what is wrong with the archive; else the key. */
enum tarn_err tar_load(struct tarn_alloc *alloc, struct tarn_kv *kv, const char *path, size_t piece,
                       char *why, size_t why_bytes);

#endif
