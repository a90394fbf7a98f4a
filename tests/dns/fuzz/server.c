/* SPDX-License-Identifier: ISC */
/* Queries, each behind its length, to a server with a zone that is denied by NSEC and one by NSEC3.
 * Whatever is answered is well-formed and no longer than it may be. */
#include "../serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char first[] =
    "$TTL 60\n@ SOA ns root 5 1 1 1 60\n@ NS ns\n@ NSEC a NS SOA\n"
    "a A 192.0.2.1\na NSEC s A\n*.w MX 1 a\nw RRSIG A 8 1 60 1 1 1 @ AA==\n"
    "s NS ns.s\nns.s A 192.0.2.2\ns NSEC @ NS\nc CNAME a\nl CNAME m\nm CNAME l\n"
    "d DNAME x.w\n$GENERATE 1-40 big TXT \"aaaaaaaaaaaaaaaaaaaaaaaaaaa$\"\n";
static const char second[] =
    "$TTL 60\n@ SOA ns root 5 1 1 1 60\n@ NS ns\n@ NSEC3PARAM 1 0 1 aabb\nx.y A 192.0.2.1\n*.w A 192.0.2.1\n"
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 1 aabb 2t7b4g4vsa5smi47k61mv5bv1a22bojr\n"
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr NSEC3 1 1 1 aabb 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom\nd NS x.d\n";

static bool yes(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                const struct tarn_dns_tsig_key *key) {
    (void)key;
    (void)user;
    (void)zone;
    (void)client;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct serve s;
    static const char *const origins[] = {"a.", "b.", NULL};
    struct tarn_span in = tarn_span_of(bytes, size), query;
    uint16_t len;
    uint8_t how;
    serve_init(&s,
               (struct tarn_dns_server_config){.rrl = {.per_second = 5, .slip = 2, .entries = 16},
                                               .nsid = TARN_SPAN_LIT("x"),
                                               .may_transfer = yes,
                                               .on_notify = yes});
    serve_zone(&s, "a.", first);
    serve_zone(&s, "b.", second);
    while (tarn_span_u8(&in, &how) && tarn_span_u16be(&in, &len)) {
        query = tarn_span_first(in, len);
        in = tarn_span_after(in, len);
        s.request.stream = how & 1;
        s.request.now += TARN_MS(how);
        struct tarn_span answer = serve_raw(&s, query);
        if (!s.request.stream && answer.len > TARN_DNS_UDP_BYTES)
            abort();
        if (answer.len)
            print_answer(answer);
        for (unsigned i = 0; s.transfer.zone; i++) {
            uint8_t out[4096];
            struct tarn_span more = tarn_dns_transfer_next(&s.transfer, 0, TARN_BYTES_ARRAY(out));
            if (!more.len || i > 50)
                abort();
            print_answer(more);
        }
    }
    serve_fini(&s, origins);
    return 0;
}
