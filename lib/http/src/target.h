/* SPDX-License-Identifier: ISC */
/* target.h: request targets (RFC 9112 section 3.2). */
#ifndef TARN_HTTP_TARGET_H
#define TARN_HTTP_TARGET_H

#include <tarn/http_request.h>

/* uri-host [":" port]; empty is valid (RFC 9112 section 3.2). */
bool target_host_is_valid(struct tarn_span host);
/* Sets form, path, query and host from method and target. False: not a target for that method. */
bool target_split(struct tarn_http_request *r);

#endif
