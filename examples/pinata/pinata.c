/* SPDX-License-Identifier: ISC */
/* A secret to be taken by whoever breaks TLS: after OCaml's Bitcoin Pinata.
 *
 * At its start it makes a certificate authority, a server's and a client's identity, and forgets
 * the authority's key. It gives its secret to nobody but a peer that shows a certificate of that
 * authority and has its key: itself, then, or whoever finds a hole.
 *
 *   port       a page that tells how it goes, and the authority's certificate under /ca.pem
 *   port + 1   TLS server, wants the client's certificate
 *   port + 2   accepts a connection and is the TLS client on it: who joins this one with the one
 *              above sees it talk to itself
 *   port + 3   accepts, hangs up, and calls the caller's port 40001 as a TLS client
 *
 * Nothing is sent before the other side's Finished has been verified. Each connection has
 * ten seconds, and there are few at once. */
#include "pinata.h"

#include <tarn/app.h>
#include <tarn/http.h>

TARN_NET(service);
TARN_KEY_U16(port, 8080,
             "the first of four TCP ports: a page, TLS server, TLS client, TLS client that calls");
TARN_KEY_STR(secret, "nothing of value", "what there is to take");

#define VISITS 16
#define VISIT_NS TARN_SEC(10)
#define CALL_PORT 40001

struct visit {
    struct pinata *pinata;
    struct tarn_flow *flow; /* NULL: free */
    tarn_time deadline;
    bool told;
};

struct pinata {
    struct tarn_poller poller;
    struct tarn_env *env;
    struct tarn_net *net;
    struct tarn_http_handler handler;
    struct tarn_http_server *page;
    struct pinata_identities *ids;
    struct tarn_tls_flows *servers, *clients;
    struct tarn_listener *server, *client, *caller;
    struct visit visits[VISITS];
    uint64_t opened, given, failed, refused;
};

static void visit_end(struct visit *v) {
    v->flow = NULL;
}

/* The other side is known: it gets the secret. Anything else ends the visit. */
static void on_event(struct tarn_flow *flow, unsigned events) {
    struct visit *v = (struct visit *)flow->user;
    size_t n;
    if (events & TARN_FLOW_CONNECTED && !v->told) {
        v->told = true;
        v->pinata->given++;
        struct tarn_span text = tarn_key_str(v->pinata->env, &secret);
        if (tarn_flow_write(flow, text, &n) == TARN_OK) {
            tarn_flow_close(flow);
            visit_end(v);
            return;
        }
    }
    if (events & TARN_FLOW_FAILED) {
        v->pinata->failed += !v->told;
        tarn_flow_close(flow);
        visit_end(v);
    }
}

static struct visit *visit_free(struct pinata *p) {
    for (size_t i = 0; i < VISITS; i++)
        if (!p->visits[i].flow)
            return &p->visits[i];
    return NULL;
}

static void visit_begin(struct pinata *p, struct tarn_flow *flow) {
    struct visit *v = visit_free(p);
    uint8_t byte;
    size_t n;
    if (!v) {
        p->refused++;
        tarn_flow_abort(flow);
        return;
    }
    p->opened++;
    *v = (struct visit){p, flow, tarn_now(p->env) + VISIT_NS, false};
    flow->on_event = on_event;
    flow->user = v;
    /* Nothing is wanted from it; asking sets the handshake going. */
    (void)!tarn_flow_read(flow, tarn_bytes_of(&byte, 1), &n);
}

static void on_server(struct tarn_listener *l) {
    struct pinata *p = (struct pinata *)l->user;
    struct tarn_flow *flow;
    while (tarn_listener_accept(l, &flow) == TARN_OK)
        visit_begin(p, flow);
}

/* TLS client on whatever flow, accepted or called. */
static void be_client(struct pinata *p, struct tarn_flow *below) {
    struct tarn_flow *flow;
    if (tarn_tls_flows_connect(p->clients, below, TARN_SPAN_LIT(PINATA_NAME), &flow)) {
        p->refused++;
        tarn_flow_abort(below);
        return;
    }
    visit_begin(p, flow);
}

static void on_client(struct tarn_listener *l) {
    struct tarn_flow *below;
    while (tarn_listener_accept(l, &below) == TARN_OK)
        be_client((struct pinata *)l->user, below);
}

static void on_caller(struct tarn_listener *l) {
    struct pinata *p = (struct pinata *)l->user;
    struct tarn_flow *below, *back;
    while (tarn_listener_accept(l, &below) == TARN_OK) {
        struct tarn_endpoint local, remote;
        enum tarn_err err = tarn_flow_endpoints(below, &local, &remote);
        tarn_flow_close(below);
        remote.port = CALL_PORT;
        if (!err && visit_free(p) && tarn_net_connect(p->net, &remote, &back) == TARN_OK)
            be_client(p, back);
        else
            p->refused++;
    }
}

static void flush(struct tarn_poller *poller, tarn_time now) {
    struct pinata *p = TARN_CONTAINER_OF(poller, struct pinata, poller);
    tarn_http_server_tick(p->page, now);
    for (size_t i = 0; i < VISITS; i++) {
        struct visit *v = &p->visits[i];
        if (!v->flow || now < v->deadline)
            continue;
        p->failed++;
        tarn_flow_abort(v->flow);
        visit_end(v);
    }
}

static tarn_time deadline(struct tarn_poller *poller) {
    struct pinata *p = TARN_CONTAINER_OF(poller, struct pinata, poller);
    tarn_time first = tarn_http_server_deadline(p->page);
    for (size_t i = 0; i < VISITS; i++)
        if (p->visits[i].flow)
            first = TARN_MIN(first, p->visits[i].deadline);
    return first;
}

static void page_of(const struct pinata *p, struct tarn_writer *w) {
    uint16_t first = (uint16_t)tarn_key_u64(p->env, &port);
    tarn_writer_str(w,
                    "Here is a secret for whoever speaks TLS with me and can show a certificate of "
                    "an authority whose key I have forgotten.\n\nTLS server: port ");
    tarn_writer_dec(w, first + 1u);
    tarn_writer_str(w, "\nTLS client, when you connect: port ");
    tarn_writer_dec(w, first + 2u);
    tarn_writer_str(w, "\nTLS client that calls your port 40001, when you knock at: port ");
    tarn_writer_dec(w, first + 3u);
    tarn_writer_str(w, "\nThe authority: /ca.pem\n\ntried ");
    tarn_writer_dec(w, p->opened);
    tarn_writer_str(w, ", failed ");
    tarn_writer_dec(w, p->failed);
    tarn_writer_str(w, ", refused ");
    tarn_writer_dec(w, p->refused);
    tarn_writer_str(w, ", given ");
    tarn_writer_dec(w, p->given);
    tarn_writer_str(w, "\n");
}

static void request(struct tarn_http_handler *h, struct tarn_http_exchange *x) {
    struct pinata *p = TARN_CONTAINER_OF(h, struct pinata, handler);
    uint8_t text[2048];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (tarn_span_equal(x->request->path, TARN_SPAN_LIT("/ca.pem")))
        tarn_writer_span_put(&w, pinata_ca_pem(p->ids));
    else
        page_of(p, &w);
    struct tarn_http_response r = {.status = 200,
                                   .content_type = TARN_SPAN_LIT("text/plain"),
                                   .body = tarn_writer_span(&w),
                                   .copy_body = true};
    if (tarn_http_respond(x, &r) != TARN_OK)
        tarn_http_respond_status(x, 500, TARN_SPAN_EMPTY);
}

static struct tarn_listener *listen_at(struct pinata *p, unsigned offset) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE,
                                  (uint16_t)(tarn_key_u64(p->env, &port) + offset)};
    struct tarn_listener *l;
    return tarn_net_listen(p->net, &local, 16, &l) == TARN_OK ? l : NULL;
}

static bool start(struct pinata *p) {
    static const struct tarn_http_handler_ops ops = {.request = request};
    struct tarn_listener *page = listen_at(p, 0), *server = listen_at(p, 1);
    p->client = listen_at(p, 2);
    p->caller = listen_at(p, 3);
    if (!page || !server || !p->client || !p->caller)
        return false;
    p->handler.ops = &ops;
    struct tarn_http_server_config http = {
        .alloc = tarn_env_alloc(p->env),
        .tasks = tarn_env_tasks(p->env),
        .clock = tarn_env_clock(p->env),
        .listener = page,
        .handler = &p->handler,
    };
    p->ids = pinata_identities(p->env);
    if (!p->ids || tarn_http_server_new(&http, &p->page) != TARN_OK)
        return false;
    p->servers = pinata_flows(p->env, pinata_server(p->ids), VISITS);
    p->clients = pinata_flows(p->env, pinata_client(p->ids), VISITS);
    if (!p->servers || !p->clients)
        return false;
    p->server = tarn_tls_flows_listen(p->servers, server);
    p->server->on_event = on_server;
    p->client->on_event = on_client;
    p->caller->on_event = on_caller;
    p->server->user = p->client->user = p->caller->user = p;
    p->poller = (struct tarn_poller){.flush = flush, .deadline = deadline};
    tarn_env_add_poller(p->env, &p->poller);
    /* What came before there was somebody to be told. */
    on_server(p->server);
    on_client(p->client);
    on_caller(p->caller);
    return true;
}

int tarn_main(struct tarn_env *env) {
    struct pinata *p = TARN_NEW(tarn_env_alloc(env), struct pinata);
    if (!p || tarn_env_net(env, &service, &p->net))
        return 1;
    p->env = env;
    if (!start(p)) {
        tarn_puts(env,
                  "pinata: not enough memory, or a port is taken; choose others with --port\n");
        return 1;
    }
    tarn_puts(env, "pinata: ready\n");
    tarn_run_forever(env);
}
