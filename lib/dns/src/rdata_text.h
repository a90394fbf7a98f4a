/* SPDX-License-Identifier: ISC */
#ifndef TARN_DNS_RDATA_TEXT_H
#define TARN_DNS_RDATA_TEXT_H

#include "text.h"
#include "types.h"

/* From the lexer's word to the end of its line. False: p->why, at the lexer's word. */
bool dns_rdata_parse(struct dns_parse *p, uint16_t type);

#endif
