/* SPDX-License-Identifier: ISC */
/* Servers that send what the input says, behind the id and the question that were asked where a bit
 * says so. However they answer, a question costs a bounded number of messages, and it ends. */
#include "../fakenet.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct tarn_span input;

/* A byte: bit 0, the head and question are right; bits 1-3, how many more replies; the flags and
 * counts behind it, a length, and what follows the question. */
static void script(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    uint8_t how, out[2000];
    (void)server;
    (void)stream;
    for (unsigned i = 0; i < 8; i++) {
        struct tarn_writer w = TARN_WRITER_ARRAY(out);
        struct tarn_span head, body;
        uint16_t len;
        if (!tarn_span_u8(&input, &how) || !tarn_span_take(&input, 8, &head)
            || !tarn_span_u16be(&input, &len))
            return;
        body = tarn_span_first(input, TARN_MIN(len, (uint16_t)1000));
        input = tarn_span_after(input, body.len);
        if (how & 1) {
            tarn_writer_span_put(&w, tarn_span_first(query, 2));
            tarn_writer_u8(&w, head.ptr[0] | 0x80);
            tarn_writer_u8(&w, head.ptr[1]);
            tarn_writer_u16be(&w, 1);
            tarn_writer_span_put(&w, tarn_span_after(head, 2));
            struct tarn_span q = tarn_span_after(query, 12);
            tarn_writer_span_put(&w, tarn_span_first(q, q.len - (query.ptr[11] ? 23 : 0)));
        }
        tarn_writer_span_put(&w, body);
        fake_reply(tarn_writer_span(&w));
        if ((how >> 1 & 7) <= i)
            return;
    }
}

static unsigned done_count;
static void done(struct tarn_resolver_request *r) {
    struct tarn_span data;
    done_count++;
    while (tarn_resolver_next(&r->records, &data))
        if (r->type == TARN_DNS_A && data.len != 4)
            abort();
    if (r->records.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const struct tarn_endpoint servers[] = {{TARN_IP_ADDR_V4(10, 0, 0, 1), 53},
                                                   {TARN_IP_ADDR_V4(10, 0, 0, 2), 53}};
    static const uint16_t types[] = {TARN_DNS_A, TARN_DNS_MX, TARN_DNS_TXT, TARN_DNS_HTTPS};
    struct memory mem = MEMORY(1 << 20);
    struct tarn_random_seeded random;
    struct tarn_dns_client *client;
    tarn_random_seeded_init(&random, 3);
    fake_init();
    fake.script = script;
    fake_now = TARN_SEC(1);
    input = tarn_span_of(bytes, size);
    struct tarn_dns_client_config config = {.alloc = &mem.alloc,
                                            .tasks = &fake.tasks,
                                            .random = &random.random,
                                            .clock = &fake_clock,
                                            .net = &fake.net,
                                            .server_count = 2,
                                            .cache_entries = 3,
                                            .no_random_case = true};
    memcpy(config.servers, servers, sizeof servers);
    if (tarn_dns_client_new(&config, &client))
        abort();
    done_count = 0;
    for (unsigned i = 0; i < 6; i++) {
        struct tarn_resolver_request r = {
            .name = TARN_SPAN_LIT("www.example."), .type = types[i % 4], .done = done};
        struct tarn_dns_client_stats before, after;
        tarn_dns_client_stats(client, &before);
        if (tarn_resolver_start(tarn_dns_client_resolver(client), &r))
            abort();
        fake_pass(client, fake_now + TARN_SEC(200));
        tarn_dns_client_stats(client, &after);
        if (done_count != i + 1 || after.sent - before.sent > 8
            || after.streams - before.streams > 8)
            abort();
    }
    if (fake.live)
        abort();
    tarn_dns_client_free(client);
    if (mem.bytes)
        abort();
    return 0;
}
