/* SPDX-License-Identifier: ISC */
/* Reading a scenario file. */
#include "rpl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <tarn/dns_zonefile.h>
#include <time.h>

#define LINE_MAX_BYTES 8192
#define SECTION_BYTES 65536

struct reader {
    struct scenario *s;
    FILE *file;
    char line[LINE_MAX_BYTES];
    unsigned number;
    char words[8][1024];
    int count;
};

/* -- lines --------------------------------------------------------------------------------------
 */

/* All that a scenario is made of lives as long as the scenario. */
struct block {
    struct block *next;
    max_align_t data[];
};
static struct block *blocks;

static void *fresh(size_t bytes) {
    struct block *b = calloc(1, sizeof *b + bytes);
    if (!b)
        abort();
    b->next = blocks;
    blocks = b;
    return b->data;
}

void scenario_free(struct scenario *s) {
    while (blocks) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
    *s = (struct scenario){0};
}

static void skip(struct scenario *s, const char *what, const char *name) {
    if (!s->reason[0])
        snprintf(s->reason, sizeof s->reason, "%s %.100s", what, name);
}

static bool next_line(struct reader *r) {
    if (!fgets(r->line, sizeof r->line, r->file))
        return false;
    r->number++;
    return true;
}

/* Words up to a comment. */
static void split(struct reader *r) {
    char copy[LINE_MAX_BYTES], *p = copy, *word;
    memcpy(copy, r->line, sizeof copy);
    copy[strcspn(copy, ";")] = 0;
    r->count = 0;
    while (r->count < 8 && (word = strsep(&p, " \t\r\n")))
        if (*word) {
            snprintf(r->words[r->count], sizeof r->words[0], "%s", word);
            r->count++;
        }
}

static bool is_word(struct reader *r, int i, const char *word) {
    return i < r->count && strcmp(r->words[i], word) == 0;
}

static struct tarn_span keep(struct tarn_span s) {
    uint8_t *p = fresh(s.len + 1);
    memcpy(p, s.ptr, s.len);
    return tarn_span_of(p, s.len);
}

static bool name_of(const char *text, struct tarn_dns_name *out) {
    return tarn_dns_name_parse(tarn_span_str(text), TARN_SPAN_LIT("\0"), out);
}

static struct tarn_span kept_name(const char *text) {
    struct tarn_dns_name n;
    return name_of(text, &n) ? keep(tarn_dns_name_span(&n)) : TARN_SPAN_EMPTY;
}

/* -- configuration ------------------------------------------------------------------------------
 */

/* What a scenario may set without a difference here, or what is honoured below. */
static const char *const understood[] = {
    "server",
    "stub-zone",
    "stub-addr",
    "name",
    "forward-zone",
    "forward-addr",
    "trust-anchor",
    "target-fetch-policy",
    "qname-minimisation",
    "query-minimization",
    "trust-anchor-signaling",
    "fake-sha1",
    "val-override-date",
    "val-override-timestamp",
    "minimal-responses",
    "iter-scrub-promiscuous",
    "do-ip6",
    "do-ip4",
    "harden-referral-path",
    "verbosity",
    "log-time-ascii",
    "log-servfail",
    "ede",
    "rrset-roundrobin",
    "aggressive-nsec",
    "serve-expired",
    "serve-expired-ttl",
    "serve-expired-reply-ttl",
    "serve-expired-client-timeout",
    "ede-serve-expired",
    "prefetch",
    "prefetch-key",
    "outbound-msg-retry",
    "harden-unknown-additional",
    "harden-below-nxdomain",
    "harden-algo-downgrade",
    "harden-dnssec-stripped",
    "harden-glue",
    "cache-max-ttl",
    "cache-min-ttl",
    "cache-max-negative-ttl",
    "domain-insecure",
    "module-config",
    "do-not-query-localhost",
    "val-max-restart",
    "stub-first",
    "forward-first",
    "msg-cache-slabs",
    "msg-cache-size",
    "rrset-cache-size",
    "features",
    "iter-scrub-ns",
    "version",
    "hide-version",
    "identity",
    "hide-identity",
    "harden-unverified-glue",
    "max-query-restarts",
    "val-log-level",
    "val-nsec3-keysize-iterations",
    "stub-prime",
    "access-control",
    "use-caps-for-id",
    "max-global-quota",
    "discard-timeout",
    "root-hints",
    "val-bogus-ttl",
    "num-queries-per-thread",
    "iter-scrub-cname",
    "log-queries",
    "val-clean-additional",
    "infra-cache-max-rtt",
    "so-reuseport",
    "interface",
    "port",
    "directory",
    "pidfile",
    "chroot",
    "username",
    "logfile",
    "do-udp",
    "do-tcp",
    "unblock-lan-zones",
    "insecure-lan-zones",
};

struct setting {
    char key[64], value[4096];
};

static bool is_set(const struct setting *v, const char *key) {
    return strcmp(v->key, key) == 0;
}
static bool is_yes(const struct setting *v) {
    return strcasecmp(v->value, "yes") == 0 || strcasecmp(v->value, "on") == 0;
}

static uint32_t date_of(const char *text) {
    struct tm tm = {0};
    if (strlen(text) == 14
        && sscanf(text, "%4d%2d%2d%2d%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                  &tm.tm_min, &tm.tm_sec)
               == 6) {
        tm.tm_year -= 1900;
        tm.tm_mon--;
        return (uint32_t)timegm(&tm);
    }
    return (uint32_t)strtoul(text, NULL, 10);
}

static enum tarn_err take_anchor(void *user, const struct tarn_dns_record *rec, const char **why) {
    struct scenario *s = user;
    (void)why;
    if ((rec->type != TARN_DNS_DS && rec->type != TARN_DNS_DNSKEY)
        || s->config.anchor_count == ANCHORS_MAX)
        return TARN_OK;
    s->anchors[s->config.anchor_count++] = (struct tarn_recursor_anchor){
        .zone = keep(rec->owner), .rdata = keep(rec->rdata), .type = rec->type};
    return TARN_OK;
}

static void set_anchor(struct scenario *s, const char *text) {
    static uint8_t scratch[TARN_DNS_RDATA_MAX];
    char line[5000];
    struct tarn_dns_zonefile_error error;
    snprintf(line, sizeof line, "$TTL 3600\n%s\n", text);
    struct tarn_dns_zonefile_config c = {.name = TARN_SPAN_LIT("anchor"),
                                         .text = tarn_span_str(line),
                                         .origin = TARN_SPAN_LIT("\0"),
                                         .scratch = TARN_BYTES_ARRAY(scratch),
                                         .record = take_anchor,
                                         .user = s};
    if (tarn_dns_zonefile_parse(&c, &error))
        skip(s, "an anchor that cannot be read:", error.why);
}

/* One that stands alone is the root's, as the other style of these files has it. */
static void set_addr(struct scenario *s, const char *text) {
    if (!s->config.zone_count)
        s->zones[s->config.zone_count++].name = TARN_SPAN_LIT("\0");
    struct tarn_recursor_zone *z = &s->zones[s->config.zone_count - 1];
    struct tarn_endpoint e = {.port = 53};
    struct tarn_span port = tarn_span_str(text), addr;
    uint64_t number;
    if (tarn_span_split(&port, '@', &addr) && tarn_span_parse_dec(port, UINT16_MAX, &number))
        e.port = (uint16_t)number;
    if (z->server_count < TARN_RECURSOR_ZONE_SERVERS_MAX && tarn_ip_addr_parse(addr, &e.addr))
        z->servers[z->server_count++] = e;
}

static void set_zone(struct scenario *s, const struct setting *v, bool new_zone, bool forward) {
    if (new_zone && s->config.zone_count < ZONES_MAX)
        s->zones[s->config.zone_count++] = (struct tarn_recursor_zone){.forward = forward};
    else if (is_set(v, "name") && s->config.zone_count)
        s->zones[s->config.zone_count - 1].name = kept_name(v->value);
    else if ((is_set(v, "stub-first") || is_set(v, "forward-first")) && s->config.zone_count)
        s->zones[s->config.zone_count - 1].first = is_yes(v);
    else if (is_set(v, "stub-addr") || is_set(v, "forward-addr"))
        set_addr(s, v->value);
}

static void set_numbers(struct scenario *s, const struct setting *v) {
    struct tarn_recursor_config *c = &s->config;
    uint32_t n = (uint32_t)strtoul(v->value, NULL, 10);
    if (is_set(v, "cache-max-ttl"))
        c->ttl_max = n;
    else if (is_set(v, "cache-min-ttl"))
        c->ttl_min = n;
    else if (is_set(v, "cache-max-negative-ttl"))
        c->negative_ttl_max = n;
    else if (is_set(v, "serve-expired-ttl") && n)
        c->stale_seconds = n;
    else if (is_set(v, "serve-expired-reply-ttl"))
        c->stale_ttl = n;
    else if (is_set(v, "serve-expired-client-timeout")) {
        c->stale_wait_ns = TARN_MS(n);
        c->stale_at_once = n == 0;
    } else if (is_set(v, "val-bogus-ttl"))
        c->bogus_ttl = n;
}

static void set_one(struct scenario *s, const struct setting *v) {
    struct tarn_recursor_config *c = &s->config;
    if (is_set(v, "trust-anchor"))
        set_anchor(s, v->value);
    else if (is_set(v, "qname-minimisation") || is_set(v, "query-minimization"))
        s->has_minimisation = true, c->no_minimisation = !is_yes(v);
    else if (is_set(v, "minimal-responses"))
        c->additional = !is_yes(v);
    else if (is_set(v, "do-ip6"))
        c->no_ipv6 = !is_yes(v);
    else if (is_set(v, "do-ip4"))
        c->no_ipv4 = !is_yes(v);
    else if (is_set(v, "aggressive-nsec"))
        c->no_aggressive = !is_yes(v);
    else if (is_set(v, "prefetch"))
        c->no_prefetch = !is_yes(v);
    else if (is_set(v, "do-not-query-localhost"))
        c->any_address = !is_yes(v);
    else if (is_set(v, "serve-expired"))
        c->stale_seconds = is_yes(v) ? (c->stale_seconds ? c->stale_seconds : 86400) : 0;
    else if (is_set(v, "domain-insecure") && s->insecure_count < LISTS_MAX)
        s->insecure[s->insecure_count++] = kept_name(v->value);
    else if (is_set(v, "val-override-date") || is_set(v, "val-override-timestamp")) {
        s->has_override = true;
        s->ignore_dates = v->value[0] == '-';
        s->wall = date_of(v->value);
    } else
        set_numbers(s, v);
}

/* One setting; what follows it on its line stays there for the next call. */
static bool read_setting(struct reader *r, struct setting *v) {
    char *p = r->line + strspn(r->line, " \t");
    if (*p == ';' || *p == '#')
        return false;
    char *colon = strchr(p, ':');
    if (!colon || (size_t)(colon - p) >= sizeof v->key)
        return false;
    snprintf(v->key, sizeof v->key, "%.*s", (int)(colon - p), p);
    p = colon + 1;
    p += strspn(p, " \t");
    bool zone = strcmp(v->key, "forward-zone") == 0 || strcmp(v->key, "stub-zone") == 0;
    size_t len = zone ? 0 : strcspn(p, "#;\n");
    if (*p == '"') {
        p++;
        len = strcspn(p, "\"\n");
    }
    snprintf(v->value, sizeof v->value, "%.*s", (int)len, p);
    p += len + (p[len] == '"');
    memmove(r->line, p, strlen(p) + 1);
    for (size_t n = strlen(v->value); n && strchr(" \t\r", v->value[n - 1]); n--)
        v->value[n - 1] = 0;
    return v->key[0] != 0;
}

static bool is_understood(const char *key) {
    for (size_t i = 0; i < TARN_COUNT_OF(understood); i++)
        if (strcmp(understood[i], key) == 0)
            return true;
    return false;
}

static void take_setting(struct scenario *s, const struct setting *v) {
    if (!is_understood(v->key))
        skip(s, "setting", v->key);
    if (is_set(v, "module-config")
        && (strstr(v->value, "dns64") || strstr(v->value, "respip") || strstr(v->value, "subnet")
            || strstr(v->value, "cachedb") || strstr(v->value, "python")))
        skip(s, "module", v->value);
    s->has_server |= is_set(v, "server");
    bool forward = is_set(v, "forward-zone");
    set_zone(s, v, forward || is_set(v, "stub-zone"), forward);
    set_one(s, v);
}

static void read_config(struct reader *r) {
    struct scenario *s = r->s;
    struct setting v;
    while (next_line(r)) {
        split(r);
        if (is_word(r, 0, "CONFIG_END"))
            return;
        if (r->count
            && (strstr(r->words[0], "AUTOTRUST_FILE") || strstr(r->words[0], "TEMPFILE")
                || is_word(r, 0, "COMMANDLINE")))
            skip(s, "files of its own:", r->words[0]);
        while (read_setting(r, &v))
            take_setting(s, &v);
    }
}

/* -- entries ------------------------------------------------------------------------------------
 */

struct building {
    struct entry *e;
    struct rr **end;
    enum tarn_dns_section section;
    char text[SECTION_BYTES];
    size_t len;
};

static enum tarn_err take_rr(void *user, const struct tarn_dns_record *rec, const char **why) {
    struct building *b = user;
    struct rr *rr = fresh(sizeof *rr);
    (void)why;
    *rr = (struct rr){.section = b->section,
                      .type = rec->type,
                      .klass = rec->klass,
                      .ttl = rec->ttl,
                      .rdata = keep(rec->rdata)};
    tarn_dns_name_copy(&rr->owner, rec->owner);
    *b->end = rr;
    b->end = &rr->next;
    return TARN_OK;
}

static void end_section(struct reader *r, struct building *b) {
    static uint8_t scratch[TARN_DNS_RDATA_MAX];
    struct tarn_dns_zonefile_error error;
    struct tarn_dns_zonefile_config c = {.name = tarn_span_str(r->s->path),
                                         .text = tarn_span_of(b->text, b->len),
                                         .origin = TARN_SPAN_LIT("\0"),
                                         .scratch = TARN_BYTES_ARRAY(scratch),
                                         .record = take_rr,
                                         .user = b};
    if (b->len && tarn_dns_zonefile_parse(&c, &error)) {
        char text[200];
        snprintf(text, sizeof text, "before line %u: %s", r->number, error.why);
        skip(r->s, "records that are not valid", text);
    }
    b->len = 0;
}

static void add_text(struct building *b, const char *line) {
    size_t n = strlen(line);
    if (b->len == 0) {
        memcpy(b->text, "$TTL 3600\n", 10);
        b->len = 10;
    }
    if (b->len + n + 1 < sizeof b->text) {
        memcpy(b->text + b->len, line, n);
        b->len += n;
    }
}

static void read_match(struct reader *r, struct entry *e) {
    static const struct {
        const char *word;
        unsigned bits;
    } words[] = {
        {"opcode", MATCH_OPCODE},
        {"qtype", MATCH_QTYPE},
        {"qname", MATCH_QNAME},
        {"qcase", MATCH_QCASE},
        {"subdomain", MATCH_SUBDOMAIN},
        {"rcode", MATCH_RCODE},
        {"flags", MATCH_FLAGS},
        {"question", MATCH_QTYPE | MATCH_QNAME},
        {"answer", MATCH_ANSWER},
        {"authority", MATCH_AUTHORITY},
        {"additional", MATCH_ADDITIONAL},
        {"ttl", MATCH_TTL},
        {"DO", MATCH_DO},
        {"noedns", MATCH_NOEDNS},
        {"UDP", MATCH_UDP},
        {"TCP", MATCH_TCP},
        {"all", MATCH_ALL},
        {"all_noedns", MATCH_ALL & ~MATCH_EDNS_DO},
    };
    for (int i = 1; i < r->count; i++) {
        bool known = false;
        for (size_t k = 0; k < TARN_COUNT_OF(words); k++)
            if (is_word(r, i, words[k].word)) {
                e->match |= words[k].bits;
                known = true;
            }
        if (strncmp(r->words[i], "ede=", 4) == 0) {
            e->match |= MATCH_EDE;
            e->ede = strcmp(r->words[i] + 4, "any") == 0 ? -1 : atoi(r->words[i] + 4);
            known = true;
        }
        if (!known)
            skip(r->s, "matching", r->words[i]);
    }
}

static void read_reply(struct reader *r, struct entry *e) {
    static const struct {
        const char *word;
        uint16_t flag;
    } flags[] = {{"QR", TARN_DNS_QR}, {"AA", TARN_DNS_AA}, {"TC", TARN_DNS_TC}, {"RD", TARN_DNS_RD},
                 {"RA", TARN_DNS_RA}, {"AD", TARN_DNS_AD}, {"CD", TARN_DNS_CD}};
    static const char *const opcodes[] = {"QUERY", "IQUERY", "STATUS", "?", "NOTIFY", "UPDATE"};
    static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                         "NOTIMPL", "REFUSED", "YXDOMAIN", "YXRRSET",
                                         "NXRRSET", "NOTAUTH", "NOTZONE"};
    for (int i = 1; i < r->count; i++) {
        for (size_t k = 0; k < TARN_COUNT_OF(flags); k++)
            if (is_word(r, i, flags[k].word))
                e->flags |= flags[k].flag;
        for (unsigned k = 0; k < TARN_COUNT_OF(opcodes); k++)
            if (is_word(r, i, opcodes[k]))
                e->opcode = k;
        for (unsigned k = 0; k < TARN_COUNT_OF(rcodes); k++)
            if (is_word(r, i, rcodes[k]))
                e->rcode = k;
        if (is_word(r, i, "NOTIMP"))
            e->rcode = TARN_DNS_NOTIMP;
        if (is_word(r, i, "BADVERS"))
            e->rcode = TARN_DNS_BADVERS;
        e->dnssec |= is_word(r, i, "DO");
    }
}

static void read_adjust(struct reader *r, struct entry *e) {
    for (int i = 1; i < r->count; i++) {
        if (is_word(r, i, "copy_id") || is_word(r, i, "raw_id"))
            e->copy_id = true;
        else if (is_word(r, i, "copy_query"))
            e->copy_query = true;
        else if (is_word(r, i, "do_not_answer"))
            e->no_answer = true;
        else if (strncmp(r->words[i], "sleep", 5) != 0)
            skip(r->s, "adjusting", r->words[i]);
    }
}

static void read_question(struct reader *r, struct entry *e) {
    if (r->count < 2 || !name_of(r->words[0], &e->qname))
        return;
    uint16_t klass;
    int i = 1;
    e->qclass = TARN_DNS_IN;
    if (tarn_dns_class_parse(tarn_span_str(r->words[i]), &klass)
        && (r->count > 2 || strcmp(r->words[i], "ANY") != 0)) {
        e->qclass = klass;
        i++;
    }
    e->has_question = i < r->count && tarn_dns_type_parse(tarn_span_str(r->words[i]), &e->qtype);
    if (!e->has_question)
        skip(r->s, "a question of type", r->words[r->count - 1]);
}

static void read_hex(struct reader *r, struct entry *e, const char *end) {
    uint8_t bytes[8192];
    size_t n = 0;
    unsigned value = 0, digits = 0;
    while (next_line(r)) {
        split(r);
        if (is_word(r, 0, end) || is_word(r, 0, "ENTRY_END"))
            break;
        for (const char *p = r->line; *p && *p != ';'; p++) {
            unsigned v;
            if (sscanf((char[]){*p, 0}, "%1x", &v) != 1)
                continue;
            value = value << 4 | v;
            if (++digits % 2 == 0 && n < sizeof bytes)
                bytes[n++] = (uint8_t)value;
        }
    }
    e->has_raw = true;
    e->raw = keep(tarn_span_of(bytes, n));
}

static void read_section(struct reader *r, struct building *b) {
    static const char *const names[] = {"QUESTION", "ANSWER", "AUTHORITY", "ADDITIONAL"};
    end_section(r, b);
    for (unsigned i = 0; i < 4; i++)
        if (is_word(r, 1, names[i]))
            b->section = (enum tarn_dns_section)i;
}

/* After ENTRY_BEGIN, up to ENTRY_END. */
static struct entry *read_entry(struct reader *r) {
    static struct building b;
    b = (struct building){.e = fresh(sizeof *b.e)};
    b.e->line = r->number;
    b.end = &b.e->rrs;
    while (next_line(r)) {
        split(r);
        if (is_word(r, 0, "ENTRY_END"))
            break;
        if (is_word(r, 0, "MATCH"))
            read_match(r, b.e);
        else if (is_word(r, 0, "REPLY"))
            read_reply(r, b.e);
        else if (is_word(r, 0, "ADJUST"))
            read_adjust(r, b.e);
        else if (is_word(r, 0, "SECTION"))
            read_section(r, &b);
        else if (is_word(r, 0, "HEX_ANSWER_BEGIN"))
            read_hex(r, b.e, "HEX_ANSWER_END");
        else if (is_word(r, 0, "RAW")) {
            read_hex(r, b.e, "ENTRY_END");
            break;
        } else if (is_word(r, 0, "EXTRA_PACKET") || is_word(r, 0, "HEX_EDNSDATA_BEGIN"))
            skip(r->s, "an entry with", r->words[0]);
        else if (b.section == TARN_DNS_QUESTION)
            read_question(r, b.e);
        else if (r->count)
            add_text(&b, r->line + strspn(r->line, " \t"));
    }
    end_section(r, &b);
    return b.e;
}

/* -- ranges and steps ---------------------------------------------------------------------------
 */

static void add_addr(struct range *g, const char *text) {
    struct tarn_ip_addr a;
    if (g->addr_count < TARN_COUNT_OF(g->addrs) && tarn_ip_addr_parse(tarn_span_str(text), &a))
        g->addrs[g->addr_count++] = a;
}

static struct range *read_range(struct reader *r) {
    struct range *g = fresh(sizeof *g);
    struct entry **end = &g->entries;
    g->from = r->count > 1 ? (unsigned)atoi(r->words[1]) : 0;
    g->to = r->count > 2 ? (unsigned)atoi(r->words[2]) : 0;
    for (int i = 3; i < r->count; i++)
        add_addr(g, r->words[i]);
    while (next_line(r)) {
        split(r);
        if (is_word(r, 0, "RANGE_END"))
            break;
        if (is_word(r, 0, "ADDRESS") && r->count > 1)
            add_addr(g, r->words[1]);
        else if (is_word(r, 0, "ENTRY_BEGIN")) {
            *end = read_entry(r);
            end = &(*end)->next;
        }
    }
    return g;
}

static void read_times(struct reader *r, struct step *st) {
    if (is_word(r, 3, "ELAPSE") && r->count > 4)
        st->seconds = atof(r->words[4]);
    else
        skip(r->s, "time by", r->count > 3 ? r->words[3] : "?");
}

static void read_named(struct reader *r, struct step *st) {
    if (r->count < 6 || !name_of(r->words[3], &st->name)
        || !tarn_dns_type_parse(tarn_span_str(r->words[4]), &st->type))
        skip(r->s, "step", r->words[2]);
}

static struct step *read_step(struct reader *r) {
    static const struct {
        const char *word;
        enum step_kind kind;
    } kinds[] = {{"NOTHING", STEP_NOTHING},
                 {"QUERY", STEP_QUERY},
                 {"CHECK_ANSWER", STEP_CHECK_ANSWER},
                 {"CHECK_OUT_QUERY", STEP_CHECK_OUT_QUERY},
                 {"REPLY", STEP_REPLY},
                 {"TIMEOUT", STEP_TIMEOUT},
                 {"TIME_PASSES", STEP_TIME_PASSES},
                 {"TRAFFIC", STEP_TRAFFIC},
                 {"FLUSH_MESSAGE", STEP_FLUSH},
                 {"EXPIRE_MESSAGE", STEP_EXPIRE}};
    struct step *st = fresh(sizeof *st);
    bool known = false;
    st->number = r->count > 1 ? (unsigned)atoi(r->words[1]) : 0;
    st->line = r->number;
    for (size_t i = 0; i < TARN_COUNT_OF(kinds); i++)
        if (is_word(r, 2, kinds[i].word)) {
            st->kind = kinds[i].kind;
            known = true;
        }
    if (!known)
        skip(r->s, "step", r->count > 2 ? r->words[2] : "?");
    if (st->kind == STEP_TIME_PASSES)
        read_times(r, st);
    else if (st->kind == STEP_FLUSH || st->kind == STEP_EXPIRE)
        read_named(r, st);
    else if (is_word(r, 3, "ADDRESS") && r->count > 4)
        st->has_addr = tarn_ip_addr_parse(tarn_span_str(r->words[4]), &st->addr);
    return st;
}

static void read_scenario(struct reader *r) {
    struct range **range = &r->s->ranges;
    struct step **step = &r->s->steps, *last = NULL;
    while (next_line(r)) {
        split(r);
        if (is_word(r, 0, "SCENARIO_END"))
            return;
        if (is_word(r, 0, "RANGE_BEGIN")) {
            *range = read_range(r);
            range = &(*range)->next;
        } else if (is_word(r, 0, "STEP")) {
            *step = last = read_step(r);
            step = &last->next;
        } else if (is_word(r, 0, "ENTRY_BEGIN") && last) {
            last->entry = read_entry(r);
        } else if (is_word(r, 0, "ADDRESS") && last && r->count > 1) {
            last->has_addr = tarn_ip_addr_parse(tarn_span_str(r->words[1]), &last->addr);
        }
    }
}

/* The two styles have other defaults. The root's servers are hints. */
static void set_style(struct scenario *s) {
    struct tarn_recursor_config *c = &s->config;
    if (s->has_server) {
        c->no_minimisation &= s->has_minimisation;
    } else {
        c->minimise_ns = true;
        c->no_aggressive = false;
    }
    for (unsigned i = 0; i < c->zone_count; i++) {
        const struct tarn_recursor_zone z = s->zones[i];
        if (z.forward || z.name.len != 1 || !z.server_count)
            continue;
        memcpy(s->hints, z.servers, sizeof s->hints);
        c->hints = s->hints;
        c->hint_count = z.server_count;
        s->zones[i] = s->zones[--c->zone_count];
        return;
    }
}

bool scenario_read(const char *path, struct scenario *s) {
    static struct reader r;
    *s = (struct scenario){.path = path};
    r = (struct reader){.s = s, .file = fopen(path, "r")};
    if (!r.file) {
        perror(path);
        return false;
    }
    s->config.no_prefetch = true;
    s->config.no_aggressive = true;
    s->config.no_minimisation = true;
    read_config(&r);
    set_style(s);
    read_scenario(&r);
    fclose(r.file);
    s->config.zones = s->zones;
    s->config.anchors = s->anchors;
    s->config.insecure = s->insecure;
    s->config.insecure_count = s->insecure_count;
    if (!s->steps)
        skip(s, "no steps in", path);
    if (s->ignore_dates)
        skip(s, "signatures whatever their dates", "");
    return true;
}
