/* SPDX-License-Identifier: ISC */
#ifndef TARN_X509_CONSTRAINTS_H
#define TARN_X509_CONSTRAINTS_H

#include <tarn/x509_verify.h>

/* Whether all names of `cert` are within the constraints of `issuer` (RFC 5280 section 4.2.1.10).
 * Counts every comparison down from *budget. */
enum tarn_x509_reason constraints_check(const struct tarn_x509 *issuer,
                                        const struct tarn_x509 *cert, uint32_t *budget);

#endif
