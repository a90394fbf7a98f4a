/* SPDX-License-Identifier: ISC */
/* DNS over TLS is the client's stream with TLS on it: this is all that it takes. */
#include "lookup.h"

#include <tarn/kv_tree.h>
#include <tarn/pem.h>
#include <tarn/tls_flow.h>

#define ANCHORS_MAX 256u
#define CONNECTIONS 8u
#define TRUST_BYTES_MAX (1u << 20)

struct secure {
    struct tarn_dns_secure secure;
    struct tarn_net *net;
    struct tarn_tls_flows *flows;
    struct tarn_span name, alpn;
    struct tarn_tls_config tls;
    struct tarn_x509_policy trust;
    struct tarn_x509 anchors[ANCHORS_MAX];
};

static enum tarn_err connect_to(struct tarn_dns_secure *d, const struct tarn_endpoint *server,
                                struct tarn_flow **out) {
    struct secure *s = TARN_CONTAINER_OF(d, struct secure, secure);
    struct tarn_flow *below;
    enum tarn_err err = tarn_net_connect(s->net, server, &below);
    if (err)
        return err;
    err = tarn_tls_flows_connect(s->flows, below, s->name, out);
    if (err)
        tarn_flow_abort(below);
    return err;
}

static struct tarn_waiter *waiter(void *user) {
    return tarn_env_waiter(user);
}

/* The store's "trust" in `out`. */
static enum tarn_err read_trust(struct tarn_env *env, const struct tarn_device *storage,
                                struct tarn_bytes *out) {
    struct tarn_kv_tree_config config = {.alloc = tarn_env_alloc(env),
                                         .waiter = waiter,
                                         .user = env,
                                         .clock = tarn_env_clock(env),
                                         .random = tarn_env_random(env)};
    struct tarn_kv_tree *tree;
    enum tarn_err err = tarn_env_blk(env, storage, &config.blk);
    if (!err)
        err = tarn_kv_tree_open(&config, &tree);
    if (err)
        return err;
    struct tarn_kv *kv = tarn_kv_tree_kv(tree);
    size_t at = 0;
    for (size_t n = 1; !err && n; at += n)
        err = kv->ops->get_partial(kv, TARN_SPAN_LIT("trust"), at, tarn_bytes_after(*out, at), &n);
    *out = tarn_bytes_first(*out, at);
    tarn_kv_tree_close(tree);
    return err;
}

/* Every certificate, decoded in the place of its text. */
static size_t parse_trust(struct secure *s, struct tarn_bytes text) {
    struct tarn_span rest = tarn_bytes_span(text), label, der;
    size_t used = 0, count = 0;
    while (count < ANCHORS_MAX
           && tarn_pem_next(&rest, &label, tarn_bytes_after(text, used), &der) == TARN_OK)
        if (tarn_x509_parse(der, &s->anchors[count]) == TARN_OK) {
            used += der.len;
            count++;
        }
    return count;
}

struct tarn_dns_secure *lookup_secure(struct tarn_env *env, struct tarn_net *net,
                                      const struct tarn_device *storage, struct tarn_span name,
                                      struct tarn_span alpn) {
    static const struct tarn_dns_secure_ops ops = {.connect = connect_to};
    struct tarn_alloc *alloc = tarn_env_alloc(env);
    struct secure *s = TARN_NEW(alloc, struct secure);
    struct tarn_bytes text = tarn_bytes_of(tarn_alloc_get(alloc, TRUST_BYTES_MAX, 1), 0);
    if (!s || !text.ptr) {
        lookup_say(env, "not enough memory", TARN_SPAN_EMPTY, "");
        return NULL;
    }
    *s = (struct secure){.secure = {&ops}, .net = net, .alpn = alpn};
    s->name = name.len ? name : TARN_SPAN_LIT("resolver.invalid");
    text.len = TRUST_BYTES_MAX;
    if (name.len) {
        enum tarn_err err = read_trust(env, storage, &text);
        s->trust = (struct tarn_x509_policy){.anchors = s->anchors};
        s->trust.anchor_count = err ? 0 : parse_trust(s, text);
        if (!s->trust.anchor_count) {
            lookup_say(env, "no certificates in the store's value \"trust\": ", TARN_SPAN_EMPTY,
                       err ? tarn_err_name(err) : "");
            return NULL;
        }
    }
    s->tls = (struct tarn_tls_config){.trust = &s->trust,
                                      .trust_anybody = !name.len,
                                      .alpn = &s->alpn,
                                      .alpn_count = 1,
                                      .random = tarn_env_random(env)};
    struct tarn_tls_flows_config config = {.alloc = alloc,
                                           .tasks = tarn_env_tasks(env),
                                           .clock = tarn_env_clock(env),
                                           .tls = &s->tls,
                                           .connections = CONNECTIONS};
    enum tarn_err err = tarn_tls_flows_new(&config, &s->flows);
    if (err)
        lookup_say(env, "TLS cannot start: ", TARN_SPAN_EMPTY, tarn_err_name(err));
    return err ? NULL : &s->secure;
}
