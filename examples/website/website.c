/* SPDX-License-Identifier: ISC */
/* Serves the folder site/ over HTTP, or HTTPS. It is part of the image, as a tar archive. */
#include "secure.h"

#include <tarn/app.h>
#include <tarn/http_files.h>
#include <tarn/kv_tar.h>

TARN_NET(service);
TARN_KEY_U16(port, 80, "TCP port to listen on");
TARN_KEY_BOOL(tls, "serve HTTPS");
TARN_KEY_STR(tls_name, "localhost",
             "whom a certificate that is made here is for: a DNS name or an address");

#define CONNECTIONS_MIN 8
#define CONNECTIONS_MAX 128
#define HTTP_BYTES ((size_t)24 << 10) /* of a connection, with default limits */

extern const uint8_t website_site[], website_site_end[]; /* from pack.py */

/* The server's deadlines are the loop's. */
struct website {
    struct tarn_poller poller;
    struct tarn_http_server *server;
};

static void server_flush(struct tarn_poller *poller, tarn_time now) {
    tarn_http_server_tick(TARN_CONTAINER_OF(poller, struct website, poller)->server, now);
}

static tarn_time server_deadline(struct tarn_poller *poller) {
    return tarn_http_server_deadline(TARN_CONTAINER_OF(poller, struct website, poller)->server);
}

static int failed(struct tarn_env *env, const char *what, const char *why) {
    tarn_puts(env, "website: ");
    tarn_puts(env, what);
    tarn_puts(env, ": ");
    tarn_puts(env, why);
    tarn_puts(env, "\n");
    return 1;
}

/* What a connection takes is taken at the start: in a small machine there are fewer of them. */
static uint32_t connections_of(struct tarn_env *env, bool secure) {
    size_t each = HTTP_BYTES + (secure ? WEBSITE_TLS_BYTES : 0);
    size_t room = tarn_env_memory_left(env) / 4 * 3 / each;
    return (uint32_t)TARN_MAX(TARN_MIN(room, (size_t)CONNECTIONS_MAX), (size_t)CONNECTIONS_MIN);
}

static void say_listening(struct tarn_env *env, uint16_t number) {
    char text[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "website: listening on port ");
    tarn_writer_dec(&w, number);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

int tarn_main(struct tarn_env *env) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, (uint16_t)tarn_key_u64(env, &port)};
    struct tarn_listener *listener;
    struct tarn_net *net;
    if (tarn_env_net(env, &service, &net))
        return 1;
    enum tarn_err err = tarn_net_listen(net, &local, 128, &listener);
    if (err)
        return failed(env, "cannot listen; choose another with --port", tarn_err_name(err));

    struct secure *secure = NULL;
    if (tarn_key_bool(env, &tls)
        && !(secure = website_secure_new(env, tarn_key_str(env, &tls_name))))
        return failed(env, "no HTTPS", "no identity, or not enough memory");
    struct tarn_http_limits limits = tarn_http_limits_default;
    limits.connections_max = connections_of(env, secure);
    if (secure && !(listener = website_secure(env, secure, listener, limits.connections_max)))
        return failed(env, "no HTTPS", "not enough memory");

    struct tarn_kv_tar_config archive = {
        .alloc = tarn_env_alloc(env),
        .archive = tarn_span_of(website_site, (size_t)(website_site_end - website_site)),
    };
    struct tarn_kv_tar_error why;
    struct tarn_kv_tar *site;
    if (tarn_kv_tar_new(&archive, &why, &site))
        return failed(env, "the site cannot be read", why.why);

    struct tarn_http_files_config pages = {
        .alloc = tarn_env_alloc(env),
        .kv = tarn_kv_tar_kv(site),
        .cache_control = TARN_SPAN_LIT("max-age=60"),
        .not_found = TARN_SPAN_LIT("404.html"),
        .multipart_max = 16,
    };
    struct tarn_http_files *files;
    if (tarn_http_files_new(&pages, &files))
        return failed(env, "the pages cannot be served", "not enough memory");

    struct tarn_http_server_config config = {
        .alloc = tarn_env_alloc(env),
        .tasks = tarn_env_tasks(env),
        .clock = tarn_env_clock(env),
        .listener = listener,
        .limits = &limits,
        .handler = tarn_http_files_handler(files),
    };
    struct website *site_server = TARN_NEW(tarn_env_alloc(env), struct website);
    if (!site_server || tarn_http_server_new(&config, &site_server->server))
        return failed(env, "the server cannot start", "not enough memory");
    site_server->poller = (struct tarn_poller){.flush = server_flush, .deadline = server_deadline};
    tarn_env_add_poller(env, &site_server->poller);
    say_listening(env, local.port);
    tarn_run_forever(env);
}
