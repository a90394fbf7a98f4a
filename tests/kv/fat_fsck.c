/* SPDX-License-Identifier: ISC */
#include "fat_fsck.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t *image;
static size_t image_bytes, sector, cluster_bytes, data, root, root_entries, clusters, table;
static unsigned type;
static uint8_t *seen; /* a byte for each cluster */
static struct fsck result;

static unsigned u16(const uint8_t *p) {
    return p[0] | p[1] << 8;
}
static unsigned u32(const uint8_t *p) {
    return u16(p) | u16(p + 2) << 16;
}

static void problem(const char *text) {
    if (!result.problem)
        result.problem = text;
}

static unsigned follow(unsigned c) {
    const uint8_t *t = image + table;
    if (type == 32) {
        unsigned n = u32(t + c * 4) & 0x0fffffff;
        return n >= 0x0ffffff8 ? ~0u : n;
    }
    if (type == 16) {
        unsigned n = u16(t + c * 2);
        return n >= 0xfff8 ? ~0u : n;
    }
    unsigned n = u16(t + c + c / 2);
    n = c & 1 ? n >> 4 : n & 0xfff;
    return n >= 0xff8 ? ~0u : n;
}

/* Marks a chain; how many clusters it has. */
static size_t chain(unsigned c) {
    size_t n = 0;
    for (; c != ~0u; c = follow(c), n++) {
        if (c < 2 || c >= clusters + 2) {
            problem("a chain leads to what is no cluster, or is free");
            return n;
        }
        if (seen[c]) {
            problem("a cluster is in two chains, or twice in one");
            return n;
        }
        seen[c] = 1;
        result.used++;
    }
    return n;
}

static void directory(unsigned first, unsigned depth);

static uint8_t sum_of(const uint8_t *name) {
    uint8_t sum = 0;
    for (int i = 0; i < 11; i++)
        sum = (uint8_t)(((sum & 1) << 7) + (sum >> 1) + name[i]);
    return sum;
}

struct pieces {
    unsigned open; /* pieces that wait for the short entry */
    unsigned due;
    uint8_t sum;
};

/* One entry; 0: the end. */
static int entry(const uint8_t *e, struct pieces *p, unsigned depth) {
    if (e[0] == 0)
        return 0;
    if (e[0] == 0xe5) {
        result.orphans += p->open;
        p->open = 0;
        return 1;
    }
    if ((e[11] & 0x3f) == 0x0f) {
        unsigned order = e[0] & 0x3f;
        if (e[0] & 0x40) {
            result.orphans += p->open;
            *p = (struct pieces){.sum = e[13], .due = order};
        }
        if (order != p->due || e[13] != p->sum) {
            result.orphans++;
            return 1;
        }
        p->open++;
        p->due--;
        return 1;
    }
    if (p->open && (p->due || p->sum != sum_of(e)))
        result.orphans += p->open;
    *p = (struct pieces){0};
    if (e[11] & 8 || e[0] == '.')
        return 1;
    unsigned first = u16(e + 26) | (type == 32 ? u16(e + 20) << 16 : 0);
    if (e[11] & 0x10) {
        result.directories++;
        if (depth > 40 || first < 2)
            problem("a directory without an end or a beginning");
        else
            directory(first, depth + 1);
        return 1;
    }
    result.files++;
    size_t want = (u32(e + 28) + cluster_bytes - 1) / cluster_bytes;
    if (first == 0 ? want != 0 : chain(first) != want)
        problem("a chain is not as long as its file");
    return 1;
}

static void directory(unsigned first, unsigned depth) {
    struct pieces p = {0};
    if (first == 0) {
        for (size_t i = 0; i < root_entries; i++)
            if (!entry(image + root + i * 32, &p, depth))
                return;
        return;
    }
    chain(first);
    for (unsigned c = first; !result.problem && c != ~0u; c = follow(c))
        for (size_t i = 0; i < cluster_bytes / 32; i++)
            if (!entry(image + data + (c - 2) * cluster_bytes + i * 32, &p, depth)) {
                result.orphans += p.open;
                return;
            }
}

struct fsck fsck(const uint8_t *bytes, size_t len) {
    image = bytes;
    image_bytes = len;
    result = (struct fsck){0};
    sector = u16(image + 11);
    cluster_bytes = image[13] * sector;
    size_t sectors = u16(image + 19) ? u16(image + 19) : u32(image + 32);
    size_t table_sectors = u16(image + 22) ? u16(image + 22) : u32(image + 36);
    table = u16(image + 14) * sector;
    root_entries = u16(image + 17);
    root = table + image[16] * table_sectors * sector;
    data = root + (root_entries * 32 + sector - 1) / sector * sector;
    clusters = (sectors * sector - data) / cluster_bytes;
    type = clusters < 4085 ? 12 : clusters < 65525 ? 16 : 32;
    if (sectors * sector > image_bytes) {
        problem("the volume is larger than its device");
        return result;
    }
    seen = calloc(1, clusters + 2);
    directory(type == 32 ? u32(image + 44) : 0, 0);
    for (unsigned c = 2; c < clusters + 2; c++)
        result.lost += !seen[c] && follow(c) != 0;
    for (unsigned i = 1; i < image[16]; i++)
        if (memcmp(image + table, image + table + i * table_sectors * sector,
                   table_sectors * sector))
            problem("the tables differ");
    free(seen);
    return result;
}
