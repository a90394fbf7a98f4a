/* SPDX-License-Identifier: ISC */
#include <tarn/csum.h>
#include <tarn/ip_lower.h>

/* Both families sum alike: addresses, length, protocol. The prefix of a mapped address is left out.
 */
uint32_t tarn_ip_pseudo_csum(const struct tarn_ip_meta *meta, uint32_t upper_len) {
    size_t skip = tarn_ip_addr_is_v4(&meta->dst) ? 12 : 0;
    uint32_t sum = tarn_csum_add(0, tarn_span_after(TARN_SPAN_ARRAY(meta->src.bytes), skip));
    sum = tarn_csum_add(sum, tarn_span_after(TARN_SPAN_ARRAY(meta->dst.bytes), skip));
    sum = tarn_csum_join(sum, upper_len, 0);
    return tarn_csum_join(sum, meta->proto, 0);
}
