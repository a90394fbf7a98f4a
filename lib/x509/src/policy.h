/* SPDX-License-Identifier: ISC */
#ifndef TARN_X509_POLICY_H
#define TARN_X509_POLICY_H

#include <tarn/x509_verify.h>

/* Whether a whole path, with its anchor at the end, has the policies that it demands of itself. At
 * most 32 at a time are followed: TARN_X509_BUDGET. */
enum tarn_x509_reason policies_check(const struct tarn_x509_path *path);

#endif
