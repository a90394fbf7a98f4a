/* SPDX-License-Identifier: ISC */
/* tarn-rpl FILE...: plays scenarios against the recursive resolver, in virtual time.
 *
 *     tarn-rpl [-v] [--known FILE] FILE.rpl...
 *
 * Prints a line for each: "ok", "FAILED at step N: ..." or "skipped: ..." (a scenario of something
 * that is not this resolver's: response policies, local zones, autotrust's files, ...), and their
 * numbers. --known: a file of lines "FOLDER/FILE reason", which may fail. -v also prints what is
 * sent and what comes. The exit status is 1 where one failed that is not known, or a known one did
 * not.
 *
 * Queries that no range answers stay unanswered; then the clock moves to what the resolver waits
 * for. A QUERY without an answer in 600 virtual seconds has none. */
#include "rpl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PENDING_MAX 256
#define ANSWERS_MAX 64
#define PATIENCE TARN_SEC(600)

struct pending {
    struct tarn_handle handle;
    struct tarn_endpoint server;
    bool stream, held, used;
    size_t len;
    uint8_t message[700];
};
struct play {
    struct scenario *s;
    struct tarn_recursor *r;
    struct step *step;
    struct pending pending[PENDING_MAX];
    unsigned answer_count;
    struct {
        size_t len;
        uint8_t bytes[TARN_DNS_MESSAGE_MAX];
    } answers[ANSWERS_MAX];
    char why[300];
};

static bool verbose;
static tarn_time now;
static uint32_t wall_base;
static bool wall_fixed;

static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a;
    (void)align;
    return calloc(1, bytes);
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a;
    (void)bytes;
    free(ptr);
}
static tarn_time clock_now(struct tarn_clock *c) {
    (void)c;
    return now;
}
static uint64_t clock_wall(struct tarn_clock *c) {
    (void)c;
    uint64_t passed = wall_fixed ? 0 : now / TARN_SEC(1);
    return (wall_base + passed) * 1000000000ull;
}
static const struct tarn_alloc_ops alloc_ops = {get, put};
static const struct tarn_clock_ops clock_ops = {clock_now, clock_wall};
static struct tarn_alloc alloc = {&alloc_ops};
static struct tarn_clock virtual_clock = {&clock_ops};

static void show(const char *what, const struct tarn_ip_addr *a, struct tarn_span message) {
    static uint8_t text[200000], scratch[TARN_DNS_RDATA_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (!verbose)
        return;
    if (a)
        tarn_writer_ip_addr(&w, a);
    tarn_writer_str(&w, "\n");
    tarn_dns_message_print(&w, message, TARN_BYTES_ARRAY(scratch));
    printf("---- %s at %.3f s: %.*s\n", what, (double)now / 1e9, (int)w.len, (char *)text);
}

/* -- servers ------------------------------------------------------------------------------------
 */

static bool serves(const struct range *g, const struct play *p, const struct tarn_ip_addr *a) {
    if (p->step->number < g->from || p->step->number > g->to)
        return false;
    for (unsigned i = 0; i < g->addr_count; i++)
        if (tarn_ip_addr_equal(&g->addrs[i], a))
            return true;
    return g->addr_count == 0;
}

static struct entry *find_entry(const struct play *p, const struct pending *q) {
    for (struct range *g = p->s->ranges; g; g = g->next) {
        if (!serves(g, p, &q->server.addr))
            continue;
        for (struct entry *e = g->entries; e; e = e->next)
            if (entry_matches(e, tarn_span_of(q->message, q->len), q->stream, NULL))
                return e;
    }
    return NULL;
}

static void answer_with(struct play *p, struct pending *q, const struct entry *e) {
    static uint8_t out[TARN_DNS_MESSAGE_MAX];
    struct tarn_span m = entry_message(e, tarn_span_of(q->message, q->len), TARN_BYTES_ARRAY(out));
    struct pending copy = *q;
    q->used = false;
    show("server's answer", &copy.server.addr, m);
    tarn_recursor_input(p->r, copy.handle, &copy.server, m);
}

/* The next step looks at a query like this itself. */
static bool is_wanted(const struct play *p, const struct pending *q) {
    for (const struct step *s = p->step->next; s; s = s->next) {
        if (s->kind == STEP_CHECK_OUT_QUERY)
            return s->entry && (!s->has_addr || tarn_ip_addr_equal(&s->addr, &q->server.addr))
                   && entry_matches(s->entry, tarn_span_of(q->message, q->len), q->stream, NULL);
        if (s->kind != STEP_NOTHING)
            return false;
    }
    return false;
}

static void on_send(struct play *p, const struct tarn_recursor_event *ev) {
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        struct pending *q = &p->pending[i];
        if (q->used)
            continue;
        *q = (struct pending){.handle = ev->query,
                              .server = ev->server,
                              .stream = ev->stream,
                              .used = true,
                              .len = ev->message.len};
        memcpy(q->message, ev->message.ptr, TARN_MIN(ev->message.len, sizeof q->message));
        show("query to", &ev->server.addr, ev->message);
        return;
    }
}

static void on_close(struct play *p, struct tarn_handle h) {
    for (unsigned i = 0; i < PENDING_MAX; i++)
        if (p->pending[i].used && p->pending[i].handle.index == h.index
            && p->pending[i].handle.generation == h.generation)
            p->pending[i].used = false;
}

static void on_reply(struct play *p, struct tarn_span message) {
    show("reply", NULL, message);
    if (p->answer_count == ANSWERS_MAX)
        return;
    p->answers[p->answer_count].len = message.len;
    memcpy(p->answers[p->answer_count++].bytes, message.ptr, message.len);
}

/* Everything that happens without time. */
static void pump(struct play *p) {
    static uint8_t out[TARN_DNS_MESSAGE_MAX];
    struct tarn_recursor_event ev;
    bool more = true;
    for (unsigned turns = 0; more && turns < 10000; turns++) {
        while (tarn_recursor_next(p->r, TARN_BYTES_ARRAY(out), &ev)) {
            if (ev.kind == TARN_RECURSOR_SEND)
                on_send(p, &ev);
            else if (ev.kind == TARN_RECURSOR_CLOSE)
                on_close(p, ev.query);
            else
                on_reply(p, ev.message);
        }
        more = false;
        for (unsigned i = 0; i < PENDING_MAX && !more; i++) {
            struct pending *q = &p->pending[i];
            if (!q->used || is_wanted(p, q))
                continue;
            struct entry *e = find_entry(p, q);
            if (e && !e->no_answer) {
                answer_with(p, q, e);
                more = true;
            }
        }
    }
}

static bool advance(struct play *p, tarn_time until) {
    tarn_time deadline = tarn_recursor_deadline(p->r);
    if (deadline > until) {
        now = TARN_MAX(now, until == TARN_NEVER ? now : until);
        return false;
    }
    now = TARN_MAX(now, deadline);
    tarn_recursor_tick(p->r, now);
    pump(p);
    return true;
}

/* -- steps --------------------------------------------------------------------------------------
 */

static bool fail(struct play *p, const char *what, const char *more) {
    snprintf(p->why, sizeof p->why, "step %u (line %u): %s%s", p->step->number, p->step->line, what,
             more);
    return false;
}

static bool do_query(struct play *p) {
    static uint8_t query[TARN_DNS_MESSAGE_MAX], out[TARN_DNS_MESSAGE_MAX];
    struct step *st = p->step;
    struct tarn_recursor_client client = {.from = {TARN_IP_ADDR_V4(127, 0, 0, 1), 4000},
                                          .stream = st->entry && st->entry->match & MATCH_TCP};
    struct tarn_span answer;
    if (!st->entry)
        return fail(p, "no entry", "");
    if (st->has_addr)
        client.from.addr = st->addr;
    struct tarn_span m = entry_message(st->entry, TARN_SPAN_EMPTY, TARN_BYTES_ARRAY(query));
    show("client's query", NULL, m);
    if (tarn_recursor_query(p->r, &client, m, TARN_BYTES_ARRAY(out), &answer) == TARN_OK
        && answer.len)
        on_reply(p, answer);
    pump(p);
    return true;
}

static bool wait_answer(struct play *p) {
    tarn_time until = now + PATIENCE;
    while (!p->answer_count && advance(p, until)) {
    }
    return p->answer_count > 0;
}

static bool do_check_answer(struct play *p) {
    const char *why = "";
    if (!wait_answer(p))
        return fail(p, "no answer came", "");
    struct tarn_span m = tarn_span_of(p->answers[0].bytes, p->answers[0].len);
    bool ok = !p->step->entry || entry_matches(p->step->entry, m, false, &why);
    p->answer_count--;
    memmove(&p->answers[0], &p->answers[1], p->answer_count * sizeof p->answers[0]);
    return ok || fail(p, "the answer differs in ", why);
}

static struct pending *wanted(struct play *p) {
    struct step *s = p->step;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        struct pending *q = &p->pending[i];
        if (q->used && (!s->has_addr || tarn_ip_addr_equal(&s->addr, &q->server.addr)) && s->entry
            && entry_matches(s->entry, tarn_span_of(q->message, q->len), q->stream, NULL))
            return q;
    }
    return NULL;
}

static bool do_check_out(struct play *p) {
    struct pending *q;
    tarn_time until = now + TARN_SEC(30);
    while (!(q = wanted(p)) && advance(p, until)) {
    }
    if (!q)
        return fail(p, "no such query was sent", "");
    q->held = true;
    if (p->step->entry->copy_id && (p->step->entry->flags & TARN_DNS_QR)) {
        answer_with(p, q, p->step->entry);
        pump(p);
    }
    return true;
}

static bool do_reply(struct play *p) {
    struct pending *any = NULL;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        struct pending *q = &p->pending[i];
        if (q->used && p->step->entry && (!any || q->held)
            && (!p->step->has_addr || tarn_ip_addr_equal(&p->step->addr, &q->server.addr))
            && entry_matches(p->step->entry, tarn_span_of(q->message, q->len), q->stream, NULL))
            any = q;
    }
    if (!any)
        return fail(p, "there is no query to reply to", "");
    answer_with(p, any, p->step->entry);
    pump(p);
    return true;
}

static bool do_step(struct play *p) {
    struct step *st = p->step;
    tarn_time until;
    switch (st->kind) {
    case STEP_QUERY: return do_query(p);
    case STEP_CHECK_ANSWER: return do_check_answer(p);
    case STEP_CHECK_OUT_QUERY: return do_check_out(p);
    case STEP_REPLY: return do_reply(p);
    case STEP_TIMEOUT: advance(p, now + TARN_SEC(30)); return true;
    case STEP_TIME_PASSES:
        until = now + (tarn_time)(st->seconds * 1e9);
        while (advance(p, until)) {
        }
        now = until;
        return true;
    case STEP_FLUSH:
        tarn_recursor_flush(p->r, tarn_dns_name_span(&st->name), st->type);
        return true;
    case STEP_EXPIRE:
        tarn_recursor_expire(p->r, tarn_dns_name_span(&st->name), st->type);
        return true;
    case STEP_TRAFFIC:
    case STEP_NOTHING: pump(p); return true;
    }
    return true;
}

static bool play(struct scenario *s, char *why, size_t why_len) {
    static struct play p;
    struct tarn_random_seeded random;
    p = (struct play){.s = s};
    tarn_random_seeded_init(&random, 1);
    now = TARN_SEC(1000);
    wall_fixed = s->has_override;
    wall_base = s->has_override ? s->wall : (uint32_t)time(NULL);
    s->config.alloc = &alloc;
    s->config.random = &random.random;
    s->config.clock = &virtual_clock;
    s->config.cache_bytes = 4 << 20;
    s->config.questions_max = 64;
    s->config.sha1 = s->config.no_random_case = s->config.no_local_zones = true;
    s->config.client_rate = 1000;
    if (tarn_recursor_new(&s->config, &p.r)) {
        snprintf(why, why_len, "the resolver cannot be made");
        return false;
    }
    bool ok = true;
    for (p.step = s->steps; p.step && ok; p.step = ok ? p.step->next : p.step) {
        if (verbose)
            printf("==== step %u, line %u\n", p.step->number, p.step->line);
        ok = do_step(&p);
    }
    snprintf(why, why_len, "%s", p.why);
    tarn_recursor_free(p.r);
    return ok;
}

/* -- the whole ----------------------------------------------------------------------------------
 */

/* Lines are FOLDER/FILE, as the end of a path. */
static bool is_known(const char *list, const char *path) {
    char line[500], name[200];
    FILE *f = list ? fopen(list, "r") : NULL;
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f))
        if (sscanf(line, "%199s", name) == 1 && name[0] != '#' && strlen(name) <= strlen(path))
            found = strcmp(path + strlen(path) - strlen(name), name) == 0;
    if (f)
        fclose(f);
    return found;
}

int main(int argc, char **argv) {
    static struct scenario s;
    const char *known = NULL;
    unsigned ok = 0, failed = 0, skipped = 0, excused = 0;
    char why[300];
    bool bad = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-v") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--known") == 0 && i + 1 < argc)
            known = argv[++i];
    }
    if (i == argc) {
        fprintf(stderr, "usage: tarn-rpl [-v] [--known FILE] FILE.rpl...\n");
        return 2;
    }
    for (; i < argc; i++) {
        if (!scenario_read(argv[i], &s))
            return 2;
        if (s.reason[0]) {
            printf("%s: skipped: %s\n", argv[i], s.reason);
            skipped++;
        } else if (play(&s, why, sizeof why)) {
            printf("%s: ok\n", argv[i]);
            ok++;
            if (is_known(known, argv[i])) {
                printf("%s: is listed as failing, and does not\n", argv[i]);
                bad = true;
            }
        } else {
            bool excuse = is_known(known, argv[i]);
            printf("%s: %s at %s\n", argv[i], excuse ? "known to fail" : "FAILED", why);
            excused += excuse;
            failed += !excuse;
        }
        scenario_free(&s);
    }
    printf("%u ok, %u failed, %u known to fail, %u skipped\n", ok, failed, excused, skipped);
    return failed || bad;
}
