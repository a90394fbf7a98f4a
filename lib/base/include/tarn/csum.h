/* SPDX-License-Identifier: ISC */
/* tarn/csum.h: the Internet checksum (RFC 1071), with incremental update (RFC 1624).
 *
 * A partial sum is the one's complement sum of the 16-bit words that the bytes make in network
 * order, as a number. Any 32-bit number is a valid one: a length or a protocol number is added by
 * tarn_csum_join(sum, number, 0). Pieces add up as long as every piece but the last has even
 * length, or with tarn_csum_join at an odd offset.
 */
#ifndef TARN_CSUM_H
#define TARN_CSUM_H

#include <tarn/span.h>

/* `sum` plus the bytes, which start at an even offset, folded to 16 bits. */
uint32_t tarn_csum_add(uint32_t sum, struct tarn_span data);
/* The same while copying them to `dst`, which must have the room: one pass for both. */
uint32_t tarn_csum_copy(uint32_t sum, struct tarn_bytes dst, struct tarn_span data);
/* `sum` plus a partial sum of bytes that start at `offset`: swapped where that is odd. */
uint32_t tarn_csum_join(uint32_t sum, uint32_t piece, size_t offset);
/* The 16 bits that go on the wire (big-endian value): the folded complement. */
uint16_t tarn_csum_finish(uint32_t sum);
/* The folded sum itself, not complemented: what a transport leaves in its checksum field for
 * whoever completes it (virtio_net_hdr's NEEDS_CSUM). */
uint16_t tarn_csum_fold(uint32_t sum);
/* A checksum field after a 16-bit word under it changed (RFC 1624 section 3, equation 3). */
uint16_t tarn_csum_update16(uint16_t field, uint16_t before, uint16_t after);

#endif
