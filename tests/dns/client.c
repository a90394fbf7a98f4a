/* SPDX-License-Identifier: ISC */
#include "fakenet.h"
#include <criterion/criterion.h>

static struct serve s; /* what honest servers know */
static struct tarn_dns_client *client;
static uint8_t query_copy[600];
static struct tarn_span last_query;
static unsigned silent; /* bit n: server n does not answer */

static const struct tarn_endpoint servers[] = {{TARN_IP_ADDR_V4(10, 0, 0, 1), 53},
                                               {TARN_IP_ADDR_V4(10, 0, 0, 2), 53}};

static void honest(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    last_query = tarn_span_first(TARN_SPAN_ARRAY(query_copy),
                                 tarn_bytes_copy(TARN_BYTES_ARRAY(query_copy), query));
    if (silent >> (server->addr.bytes[15] - 1) & 1)
        return;
    s.request.stream = stream;
    fake_reply(serve_raw(&s, query));
}

static void client_new(struct tarn_dns_client_config config) {
    config.alloc = &s.mem.alloc;
    config.tasks = &fake.tasks;
    config.random = &s.random.random;
    config.clock = &fake_clock;
    config.net = &fake.net;
    config.server_count = 2;
    memcpy(config.servers, servers, sizeof servers);
    cr_assert_eq(tarn_dns_client_new(&config, &client), TARN_OK);
}
static void setup(void) {
    fake_init();
    fake.script = honest;
    fake_now = TARN_SEC(1);
    silent = 0;
    serve_init(&s, (struct tarn_dns_server_config){0});
    serve_zone(&s, "example.",
               "$TTL 60\n@ SOA ns root 5 1 1 1 30\n@ NS ns\na A 192.0.2.1\na A 192.0.2.2\n"
               "a AAAA 2001:db8::1\nc CNAME b\nb CNAME a\nloop CNAME loop2\nloop2 CNAME loop\n"
               "host.sub A 192.0.2.9\n"
               "$GENERATE 1-60 big A 10.0.0.$\n$GENERATE 1-300 n$ A 10.0.0.1\n");
    client_new((struct tarn_dns_client_config){0});
}
static void teardown(void) {
    static const char *const origins[] = {"example.", NULL};
    tarn_dns_client_free(client);
    cr_assert_eq(fake.live, 0, "every endpoint and flow is closed");
    serve_fini(&s, origins);
}
TestSuite(client, .init = setup, .fini = teardown);

/* -- asking -------------------------------------------------------------------------------------
 */

struct ask {
    struct tarn_resolver_request r;
    unsigned done;
    char text[8000];
};
static void done(struct tarn_resolver_request *r) {
    struct ask *a = TARN_CONTAINER_OF(r, struct ask, r);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(a->text, sizeof a->text - 1));
    struct tarn_ip_addr addr;
    a->done++;
    tarn_writer_str(&w, r->err == TARN_NOT_FOUND ? "not found"
                        : r->err == TARN_PEER    ? "peer"
                        : r->err == TARN_IO      ? "io"
                        : r->err                 ? "invalid"
                                                 : "");
    if (r->no_name)
        tarn_writer_str(&w, " no name");
    for (struct tarn_span rs = r->records; tarn_resolver_next_addr(&rs, &addr);) {
        if (w.len)
            tarn_writer_u8(&w, ' ');
        tarn_writer_ip_addr(&w, &addr);
    }
    if (r->stale)
        tarn_writer_str(&w, " stale");
    a->text[tarn_writer_span(&w).len] = 0;
}
static void begin(struct ask *a, const char *name, uint16_t type) {
    *a = (struct ask){.r = {.name = tarn_span_str(name), .type = type, .done = done}};
    cr_assert_eq(tarn_resolver_start(tarn_dns_client_resolver(client), &a->r), TARN_OK);
    cr_assert_eq(a->done, 0, "never from inside a call");
}
static struct ask asked;
static const char *resolve(const char *name, uint16_t type) {
    begin(&asked, name, type);
    fake_pass(client, fake_now + TARN_SEC(100));
    fake_now -= TARN_SEC(100);
    cr_assert_eq(asked.done, 1);
    return asked.text;
}
static struct tarn_dns_client_stats stats(void) {
    struct tarn_dns_client_stats st;
    tarn_dns_client_stats(client, &st);
    return st;
}
#define IS(name, type, expected)                                                                   \
    cr_assert_str_eq(resolve(name, TARN_DNS_##type), expected, "%s", asked.text)

Test(client, answers_and_aliases) {
    IS("a.example.", A, "192.0.2.1 192.0.2.2");
    IS("c.example", AAAA, "2001:db8::1");
    IS("loop.example", A, "not found");
    cr_assert_eq(asked.r.no_name, false);
    cr_assert_eq(stats().sent, 3);
}

Test(client, what_was_answered_is_known_as_long_as_it_says) {
    IS("c.example.", A, "192.0.2.1 192.0.2.2");
    fake_now += TARN_SEC(59);
    IS("C.Example.", A, "192.0.2.1 192.0.2.2");
    cr_assert(stats().sent == 1 && stats().hits == 1 && asked.r.ttl_seconds == 1);
    fake_now += TARN_SEC(1);
    IS("c.example.", A, "192.0.2.1 192.0.2.2");
    cr_assert_eq(stats().sent, 2);
}

Test(client, rfc2308_what_is_not_there_is_known_too) {
    IS("no.example.", A, "not found no name");
    IS("no.example.", A, "not found no name");
    IS("a.example.", TXT, "not found");
    IS("a.example.", TXT, "not found");
    cr_assert_eq(stats().sent, 2);
    fake_now += TARN_SEC(30);
    IS("no.example.", A, "not found no name");
    cr_assert_eq(stats().sent, 3, "as long as the SOA's last field says");
}

Test(client, a_silent_server_gives_way_to_the_next) {
    silent = 1;
    begin(&asked, "a.example.", TARN_DNS_A);
    fake_pass(client, fake_now + TARN_MS(999));
    cr_assert_eq(asked.done, 0);
    fake_pass(client, fake_now + TARN_MS(1));
    cr_assert_str_eq(asked.text, "192.0.2.1 192.0.2.2");
}

Test(client, when_nobody_answers_it_ends) {
    tarn_time start = fake_now;
    silent = 3;
    begin(&asked, "a.example.", TARN_DNS_A);
    fake_pass(client, start + TARN_SEC(14) - 1);
    cr_assert_eq(asked.done, 0);
    fake_pass(client, start + TARN_SEC(14)); /* 1 + 1 + 2 + 2 + 4 + 4 */
    cr_assert_str_eq(asked.text, "io");
    cr_assert_eq(stats().sent, 6);
}

Test(client, rfc8767_what_was_known_once_is_better_than_nothing) {
    IS("a.example.", A, "192.0.2.1 192.0.2.2");
    silent = 3;
    fake_now += TARN_SEC(3600);
    IS("a.example.", A, "192.0.2.1 192.0.2.2 stale");
    cr_assert_eq(asked.r.ttl_seconds, 30);
    fake_now += TARN_SEC(90000);
    IS("a.example.", A, "io");
}

Test(client, truncated_answers_come_by_tcp) {
    cr_assert(strncmp(resolve("big.example.", TARN_DNS_A), "10.0.0.1 10.0.0.2 ", 18) == 0);
    cr_assert_eq(stats().streams, 0, "with EDNS it fits");
    for (char *p = asked.text; (p = strchr(p, ' ')); p++)
        asked.done++;
    cr_assert_eq(asked.done, 60);
    char text[16000] = "$TTL 60\n@ SOA ns root 5 1 1 1 30\n@ NS ns\n";
    for (int i = 0; i < 300; i++)
        sprintf(text + strlen(text), "huge A 10.0.%d.%d\n", i >> 8, i & 255);
    serve_zone(&s, "example.", text);
    cr_assert(strncmp(resolve("huge.example.", TARN_DNS_A), "10.0.0.0 ", 9) == 0);
    cr_assert(stats().streams == 1 && stats().uncached == 1);
}

/* -- who guesses ---------------------------------------------------------------------------------
 */

static uint8_t forged[600];
static struct tarn_span copy_of(struct tarn_span m) {
    return tarn_span_first(TARN_SPAN_ARRAY(forged), tarn_bytes_copy(TARN_BYTES_ARRAY(forged), m));
}
static unsigned lies; /* what is wrong with the answers that come before the right one */
static void liar(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    s.request.stream = stream;
    (void)server;
    struct tarn_span truth = serve_raw(&s, query), m = copy_of(truth);
    switch (lies) {
    case 0: forged[0] ^= 1; break;           /* another id */
    case 1: forged[2] &= 0x7f; break;        /* no answer */
    case 2: forged[12 + 1] = 'z'; break;     /* another name */
    case 3: forged[12 + 11 + 1] ^= 1; break; /* another type */
    case 4: m.len = 20; break;               /* cut off */
    case 5: forged[5] = 0; break;            /* no question */
    case 6: m.len -= 1; break;
    }
    fake_reply(m);
    fake_reply(truth);
}

Test(client, rfc5452_what_does_not_fit_is_a_strangers) {
    fake.script = liar;
    for (lies = 0; lies < 7; lies++) {
        char name[20];
        snprintf(name, sizeof name, "n%u.example.", lies + 10);
        cr_assert_str_eq(resolve(name, TARN_DNS_A), "10.0.0.1", "%u: %s", lies, asked.text);
        cr_assert_eq(stats().strangers, lies + 1, "%u", lies);
    }
    cr_assert_eq(stats().streams, 0);
}

static void case_eater(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    struct tarn_span m = copy_of(query);
    (void)server;
    for (size_t i = 12; i < 12 + 11; i++)
        forged[i] = tarn_dns_lower(forged[i]);
    s.request.stream = stream;
    fake_reply(serve_raw(&s, m));
}
Test(client, another_case_is_asked_again_by_tcp) {
    fake.script = case_eater;
    IS("a.example.", A, "192.0.2.1 192.0.2.2");
    cr_assert_eq(stats().streams, 1);
}

Test(client, ids_and_cases_are_random) {
    unsigned same_ids = 0, cases[8] = {0};
    uint16_t last = 0;
    for (unsigned i = 1; i < 200; i++) {
        char name[20];
        snprintf(name, sizeof name, "n%u.example.", i);
        resolve(name, TARN_DNS_A);
        uint16_t id = (uint16_t)(last_query.ptr[0] << 8 | last_query.ptr[1]);
        same_ids += id == last;
        last = id;
        const uint8_t *label = last_query.ptr + 13 + last_query.ptr[12] + 1; /* example */
        for (unsigned j = 0; j < 7; j++)
            cases[j] += label[j] >= 'A' && label[j] <= 'Z';
    }
    cr_assert_lt(same_ids, 3);
    for (unsigned j = 0; j < 7; j++)
        cr_assert(cases[j] > 60 && cases[j] < 140, "%u", cases[j]);
}

static bool drop_cookie;
static void forgetful(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    (void)server;
    s.request.stream = stream;
    struct tarn_span m = query;
    if (drop_cookie && !stream) { /* as a forger's, who does not see the query */
        struct tarn_dns_builder b;
        struct tarn_dns_reader r;
        struct tarn_dns_question q;
        cr_assert(tarn_dns_reader_init(&r, query));
        cr_assert_eq(tarn_dns_read_question(&r, &q), TARN_OK);
        tarn_dns_build(&b, TARN_BYTES_ARRAY(forged), r.header.id, TARN_DNS_RD);
        cr_assert(tarn_dns_put_question(&b, tarn_dns_name_span(&q.name), q.type, q.klass));
        m = tarn_dns_finish(&b);
    }
    fake_reply(serve_raw(&s, m));
}
Test(client, rfc7873_who_had_a_cookie_once_must_have_it) {
    fake.script = forgetful;
    drop_cookie = true;
    IS("n1.example.", A, "10.0.0.1");
    drop_cookie = false;
    IS("n2.example.", A, "10.0.0.1");
    drop_cookie = true;
    begin(&asked, "n3.example.", TARN_DNS_A);
    fake_pass(client, fake_now + TARN_MS(900));
    cr_assert(asked.done == 0 && stats().strangers == 1);
    drop_cookie = false;
    fake_pass(client, fake_now + TARN_SEC(9));
    cr_assert_str_eq(asked.text, "10.0.0.1");
}

/* -- servers that cannot --------------------------------------------------------------------------
 */

static unsigned refusal, plain_queries;
static void refuser(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    bool edns = query.ptr[11] != 0;
    (void)server;
    plain_queries += !edns;
    if (edns || refusal == TARN_DNS_SERVFAIL) {
        copy_of(query);
        forged[2] |= 0x80;
        forged[3] = (uint8_t)refusal;
        forged[11] = 0;
        fake_reply(tarn_span_first(TARN_SPAN_ARRAY(forged), query.len - (edns ? 23 : 0)));
        return;
    }
    s.request.stream = stream;
    fake_reply(serve_raw(&s, query));
}
Test(client, rfc6891_7_servers_without_edns_are_asked_without) {
    fake.script = refuser;
    refusal = TARN_DNS_FORMERR;
    IS("a.example.", A, "192.0.2.1 192.0.2.2");
    cr_assert_eq(stats().sent, 2);
    IS("n1.example.", A, "10.0.0.1");
    cr_assert(stats().sent == 3 && plain_queries == 2, "which is remembered");
}

Test(client, servers_that_fail_are_asked_as_often_as_silent_ones_but_at_once) {
    fake.script = refuser;
    refusal = TARN_DNS_SERVFAIL;
    tarn_time start = fake_now;
    begin(&asked, "a.example.", TARN_DNS_A);
    fake_turn();
    cr_assert_str_eq(asked.text, "peer");
    cr_assert(fake_now == start && stats().sent == 6);
}

static void port_closed(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    if (server->addr.bytes[15] == 2) {
        honest(server, stream, query);
        return;
    }
    fake.current->refused = true;
    tarn_task_post(&fake.tasks, &fake.current->task);
}
Test(client, a_closed_port_is_no_reason_to_wait) {
    fake.script = port_closed;
    begin(&asked, "a.example.", TARN_DNS_A);
    fake_turn();
    cr_assert_eq(asked.done, 1, "the other server was asked at once");
    cr_assert_str_eq(asked.text, "192.0.2.1 192.0.2.2");
}

/* Whatever servers do, a question costs a bounded number of messages. */
static struct tarn_random_seeded chaos_random;
static void chaos(const struct tarn_endpoint *server, bool stream, struct tarn_span query) {
    struct tarn_random *r = &chaos_random.random;
    (void)server;
    for (uint32_t n = tarn_random_below(r, 20); n > 0; n--) {
        struct tarn_span m = copy_of(query);
        s.request.stream = stream;
        if (tarn_random_below(r, 2))
            m = copy_of(serve_raw(&s, query));
        forged[2] |= 0x80;
        if (tarn_random_below(r, 2))
            forged[3] = (uint8_t)((forged[3] & 0xf0) | tarn_random_below(r, 16));
        if (tarn_random_below(r, 3) == 0)
            forged[2] |= 2;
        if (tarn_random_below(r, 3) == 0)
            forged[tarn_random_below(r, (uint32_t)m.len)] ^= (uint8_t)tarn_random_u32(r);
        fake_reply(m);
    }
}
Test(client, hostile_servers_cannot_make_it_talk) {
    fake.script = chaos;
    tarn_random_seeded_init(&chaos_random, 5);
    for (unsigned i = 1; i < 300; i++) {
        struct tarn_dns_client_stats before = stats(), after;
        char name[20];
        snprintf(name, sizeof name, "n%u.example.", i);
        tarn_dns_client_set_servers(client, servers, 2);
        resolve(name, TARN_DNS_A);
        after = stats();
        cr_assert_leq(after.sent - before.sent, 2 * 3 + 2, "each attempt, and once without EDNS");
        cr_assert_leq(after.streams - before.streams, 2 * 3 + 2);
    }
}

/* -- what needs no server, and in which order names are tried -------------------------------------
 */

Test(client, hosts_and_special_names_come_first) {
    tarn_dns_client_free(client);
    client_new((struct tarn_dns_client_config){
        .hosts = TARN_SPAN_LIT("# comment\n192.0.2.7\trouter gate.example # more\n"
                               "2001:db8::7 router\nbad line\n192.0.2.8 Router")});
    IS("router", A, "192.0.2.7 192.0.2.8");
    IS("ROUTER", AAAA, "2001:db8::7");
    IS("gate.example.", A, "192.0.2.7");
    IS("gate.example", AAAA, "not found");
    IS("localhost", A, "127.0.0.1");
    IS("x.localhost.", AAAA, "::1");
    IS("x.invalid", A, "not found no name");
    IS("192.0.2.5", A, "192.0.2.5");
    IS("2001:db8::5", AAAA, "2001:db8::5");
    IS("192.0.2.5", AAAA, "not found");
    IS("a..b", A, "invalid");
    cr_assert_eq(stats().sent, 0);
}

Test(client, search_lists) {
    tarn_dns_client_free(client);
    client_new((struct tarn_dns_client_config){
        .search = {wire_of("sub.example."), wire_of("example.")}, .search_count = 2});
    IS("host", A, "192.0.2.9");
    cr_assert_eq(stats().sent, 1);
    IS("a", A, "192.0.2.1 192.0.2.2");
    cr_assert_eq(stats().sent, 3, "the first has it not");
    IS("host.sub", A, "peer"); /* as it is first: refused, which is no answer */
    IS("nope", A, "peer");
    IS("a.", A, "peer");
    IS("a.example", A, "192.0.2.1 192.0.2.2");
}

Test(client, the_same_question_goes_out_once) {
    struct ask all[10], other;
    silent = 1;
    for (int i = 0; i < 10; i++)
        begin(&all[i], "a.example.", TARN_DNS_A);
    begin(&other, "a.example.", TARN_DNS_AAAA);
    fake_pass(client, fake_now + TARN_MS(10));
    cr_assert_eq(stats().sent, 2);
    tarn_resolver_cancel(tarn_dns_client_resolver(client), &all[3].r);
    tarn_resolver_cancel(tarn_dns_client_resolver(client), &other.r);
    cr_assert_eq(fake.live, 1, "nobody waits for the other");
    fake_pass(client, fake_now + TARN_SEC(5));
    for (int i = 0; i < 10; i++)
        cr_assert_eq(all[i].done, i != 3);
    cr_assert_eq(other.done, 0);
}

Test(client, requests_and_cache_are_bounded) {
    static struct ask all[33];
    silent = 3;
    for (int i = 0; i < 32; i++)
        begin(&all[i], "n1.example.", TARN_DNS_A);
    all[32] = (struct ask){.r = {.name = TARN_SPAN_LIT("a."), .type = 1, .done = done}};
    cr_assert_eq(tarn_resolver_start(tarn_dns_client_resolver(client), &all[32].r), TARN_LIMIT);
    fake_pass(client, fake_now + TARN_SEC(20));
    silent = 0;
    for (int round = 0; round < 2; round++)
        for (int i = 1; i <= 300; i++) {
            char name[32];
            snprintf(name, sizeof name, "n%d.example.", i);
            IS(name, A, "10.0.0.1");
        }
    uint64_t sent = stats().sent;
    IS("n300.example.", A, "10.0.0.1");
    cr_assert_eq(stats().sent, sent, "the newest is there");
    IS("n1.example.", A, "10.0.0.1");
    cr_assert_eq(stats().sent, sent + 1, "the oldest made room");
}

static unsigned again;
static void start_again(struct tarn_resolver_request *r) {
    again++;
    if (again < 5)
        cr_assert_eq(tarn_resolver_start(tarn_dns_client_resolver(client), r), TARN_OK);
}
Test(client, a_request_may_start_again_in_its_done) {
    static struct tarn_resolver_request r = {
        .name = {(const uint8_t *)"a.example.", 10}, .type = 1, .done = start_again};
    cr_assert_eq(tarn_resolver_start(tarn_dns_client_resolver(client), &r), TARN_OK);
    fake_turn();
    cr_assert(again == 5 && stats().sent == 1);
}

Test(client, a_server_that_answers_before_the_call_returns) {
    fake.at_once = true;
    cr_assert_str_eq(resolve("a.example.", TARN_DNS_A), "192.0.2.1 192.0.2.2");
    cr_assert_str_eq(resolve("no.example.", TARN_DNS_A), "not found no name");
    cr_assert(fake.datagrams == 2 && fake.streams == 0);
}

/* -- DNS over TLS and over HTTPS ----------------------------------------------------------------
 */

static void secure_client(struct tarn_dns_secrecy secrecy) {
    tarn_dns_client_free(client);
    client_new((struct tarn_dns_client_config){.secure = &fake.secure_way, .secrecy = secrecy});
}
/* The streams that wait are at their end. */
static void close_idle(void) {
    for (size_t i = 0; i < FAKE_ENDS; i++)
        if (fake.ends[i].used && fake.ends[i].stream)
            fake.ends[i].refused = true;
}

Test(client, rfc7858_questions_go_padded_over_one_stream) {
    secure_client((struct tarn_dns_secrecy){0});
    cr_assert_str_eq(resolve("a.example.", TARN_DNS_A), "192.0.2.1 192.0.2.2");
    cr_assert_eq(last_query.len % 128, 0, "RFC 8467");
    cr_assert_str_eq(resolve("n7.example.", TARN_DNS_A), "10.0.0.1");
    cr_assert(fake.secure == 1 && fake.datagrams == 0 && fake.streams == 0 && stats().reused == 1);
    fake_now += TARN_SEC(11);
    cr_assert_str_eq(resolve("n8.example.", TARN_DNS_A), "10.0.0.1");
    cr_assert_eq(fake.secure, 2, "what waited long is not used");
    close_idle();
    cr_assert_str_eq(resolve("n9.example.", TARN_DNS_A), "10.0.0.1");
    cr_assert(fake.secure == 3 && fake.datagrams == 0, "closed meanwhile: at once anew");
    cr_assert_str_eq(resolve("no.example.", TARN_DNS_A), "not found no name");
}

Test(client, rfc8310_strict_nothing_goes_out_in_the_open) {
    secure_client((struct tarn_dns_secrecy){0});
    fake.refuse_secure = true;
    cr_assert_str_eq(resolve("a.example.", TARN_DNS_A), "io");
    cr_assert(fake.datagrams == 0 && fake.streams == 0 && fake.secure >= 2);
    fake.refuse_secure = false;
    silent = 3;
    cr_assert_str_eq(resolve("a.example.", TARN_DNS_A), "io");
    cr_assert(fake.datagrams == 0 && fake.streams == 0);
}

Test(client, rfc7858_4_1_opportunistic_asks_in_the_open_for_a_while) {
    secure_client((struct tarn_dns_secrecy){.opportunistic = true, .open_port = 5353});
    fake.refuse_secure = true;
    cr_assert_str_eq(resolve("a.example.", TARN_DNS_A), "192.0.2.1 192.0.2.2");
    cr_assert(fake.datagrams == 1 && fake.udp_port == 5353);
    unsigned tried = fake.secure;
    cr_assert_str_eq(resolve("n1.example.", TARN_DNS_A), "10.0.0.1");
    cr_assert(fake.secure == tried && fake.datagrams == 2);
    fake.refuse_secure = false;
    fake_now += TARN_SEC(400);
    unsigned datagrams = fake.datagrams;
    cr_assert_str_eq(resolve("n2.example.", TARN_DNS_A), "10.0.0.1");
    cr_assert(fake.secure == tried + 1 && fake.datagrams == datagrams);
}

#define HTTP_OK "HTTP/1.1 200 OK\r\ncontent-TYPE:application/dns-message\r\nContent-Length: "
static const struct tarn_dns_secrecy https = {.https_host = TARN_SPAN_LIT("dns.example")};

Test(client, rfc8484_over_https) {
    secure_client(https);
    fake.http = HTTP_OK;
    cr_assert_str_eq(resolve("a.example.", TARN_DNS_A), "192.0.2.1 192.0.2.2");
    cr_assert_eq(strncmp(resolve("big.example.", TARN_DNS_A), "10.0.0.", 7), 0);
    cr_assert(fake.secure == 1 && fake.datagrams == 0 && stats().reused >= 1);
    fake.http = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/dns-message\r\n"
                "Content-Length: ";
    cr_assert_str_eq(resolve("n1.example.", TARN_DNS_A), "10.0.0.1");
    cr_assert_str_eq(resolve("n2.example.", TARN_DNS_A), "10.0.0.1");
    cr_assert_eq(fake.secure, 2, "the server said that it would close");
}

Test(client, rfc8484_4_2_1_anything_but_an_answer_is_none) {
    static const char *const bad[] = {
        "HTTP/1.1 404 No\r\nContent-Type: application/dns-message\r\nContent-Length: ",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ",
        "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nX: ",
        "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 5\r\n"
        "Content-Length: ",
        "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n"
        "Transfer-Encoding: chunked\r\nContent-Length: ",
        "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 99999",
        "SSH-2.0\r\n",
    };
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        secure_client(https);
        fake.http = bad[i];
        cr_assert_str_eq(resolve("a.example.", TARN_DNS_A), "io", "%zu", i);
        cr_assert_eq(fake.datagrams, 0);
    }
}
