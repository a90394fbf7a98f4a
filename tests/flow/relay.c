/* SPDX-License-Identifier: ISC */
/* A relay between two pipes: a - left | right - b. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/flow_pipe.h>
#include <tarn/flow_relay.h>

static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a, (void)align;
    return calloc(1, bytes);
}
static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops heap_ops = {heap_get, heap_put};
static struct tarn_alloc heap = {&heap_ops};

static struct tarn_tasks tasks;
static struct tarn_pipes *pipes;
static struct tarn_flow *a, *b;
static struct tarn_flow_relay relay;
static unsigned dones;
static enum tarn_err result;

static void on_done(struct tarn_flow_relay *r, enum tarn_err err) {
    cr_assert_eq(r, &relay);
    memset(&relay, 0xee, sizeof relay); /* it may be freed in here */
    dones++;
    result = err;
}

static void turn(void) {
    while (tarn_tasks_run(&tasks)) {
    }
}

static void begin(void) {
    struct tarn_pipes_config config = {&heap, &tasks, 2, 1000, 8, 0};
    struct tarn_flow *left, *right;
    dones = 0;
    tarn_tasks_init(&tasks);
    cr_assert_eq(tarn_pipes_new(&config, &pipes), TARN_OK);
    cr_assert_eq(tarn_pipes_pair(pipes, &a, &left), TARN_OK);
    cr_assert_eq(tarn_pipes_pair(pipes, &right, &b), TARN_OK);
    relay.done = on_done;
    tarn_flow_relay_start(&relay, &tasks, left, right);
}

static void end(unsigned times, enum tarn_err err) {
    turn();
    cr_assert_eq(dones, times);
    if (times)
        cr_assert_eq(result, err);
    cr_assert_eq(tarn_pipes_live(pipes), 0);
    tarn_pipes_delete(pipes);
}

static void say(struct tarn_flow *f, const char *text) {
    size_t n;
    cr_assert_eq(tarn_flow_write(f, tarn_span_str(text), &n), TARN_OK);
    cr_assert_eq(n, strlen(text));
}

static enum tarn_err hear(struct tarn_flow *f, const char *text) {
    uint8_t buf[100];
    size_t n = 0;
    turn();
    enum tarn_err err = tarn_flow_read(f, TARN_BYTES_ARRAY(buf), &n);
    if (!err)
        cr_assert(n == strlen(text) && memcmp(buf, text, n) == 0, "%.*s", (int)n, buf);
    return err;
}

Test(relay, carries_both_ways_and_counts) {
    begin();
    say(a, "hello");
    cr_assert_eq(hear(b, "hello"), TARN_OK);
    say(b, "good day");
    cr_assert_eq(hear(a, "good day"), TARN_OK);
    cr_assert_eq(relay.bytes[0], 5);
    cr_assert_eq(relay.bytes[1], 8);
    tarn_flow_close(a);
    turn();
    tarn_flow_close(b);
    end(1, TARN_OK);
}

Test(relay, nothing_is_done_inside_start) {
    begin();
    say(a, "early");
    cr_assert_eq(relay.bytes[0], 0);
    cr_assert_eq(hear(b, "early"), TARN_OK);
    tarn_flow_abort(a);
    tarn_flow_close(b);
    end(1, TARN_PEER);
}

Test(relay, a_half_close_passes_and_the_other_way_goes_on) {
    begin();
    say(a, "question");
    tarn_flow_shutdown(a);
    cr_assert_eq(hear(b, "question"), TARN_OK);
    cr_assert_eq(hear(b, ""), TARN_EOF);
    cr_assert_eq(dones, 0);
    say(b, "answer");
    cr_assert_eq(hear(a, "answer"), TARN_OK);
    tarn_flow_shutdown(b);
    cr_assert_eq(hear(a, ""), TARN_EOF);
    cr_assert_eq(dones, 1);
    tarn_flow_close(a);
    tarn_flow_close(b);
    end(1, TARN_OK);
}

Test(relay, a_reset_passes) {
    begin();
    turn();
    tarn_flow_abort(a);
    cr_assert_eq(hear(b, ""), TARN_PEER);
    tarn_flow_close(b);
    end(1, TARN_PEER);
}

Test(relay, a_reset_passes_after_a_half_close) {
    begin();
    tarn_flow_shutdown(a);
    turn();
    tarn_flow_abort(a);
    cr_assert_eq(hear(b, ""), TARN_PEER);
    tarn_flow_close(b);
    end(1, TARN_PEER);
}

Test(relay, a_slow_reader_stops_its_writer_and_loses_nothing) {
    uint8_t out[100], in[100];
    size_t n, sent = 0, got = 0;
    begin();
    for (unsigned i = 0; i < 100; i++) { /* more than both pipes hold */
        for (size_t k = 0; k < sizeof out; k++)
            out[k] = (uint8_t)((sent + k) % 251);
        if (tarn_flow_write(a, TARN_SPAN_ARRAY(out), &n) == TARN_OK)
            sent += n;
        turn();
    }
    cr_assert_eq(sent, 2000, "two pipes of 1000, and not a byte between them");
    while (tarn_flow_read(b, TARN_BYTES_ARRAY(in), &n) == TARN_OK) {
        for (size_t k = 0; k < n; k++)
            cr_assert_eq(in[k], (got + k) % 251);
        got += n;
        turn();
    }
    cr_assert_eq(got, sent);
    tarn_flow_close(a);
    tarn_flow_close(b);
    end(1, TARN_OK);
}

Test(relay, aborted_by_its_owner_it_says_nothing) {
    begin();
    turn();
    tarn_flow_relay_abort(&relay);
    cr_assert_eq(hear(a, ""), TARN_PEER);
    tarn_flow_close(a);
    tarn_flow_close(b);
    end(0, TARN_OK);
}
