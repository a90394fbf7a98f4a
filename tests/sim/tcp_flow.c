/* SPDX-License-Identifier: ISC */
/* What tarn/flow.h promises of any flow, checked on TCP between two hosts of the simulator, on a
 * good line and on one that loses, doubles and reorders. */
#include "../flow/conformance.h"
#include "host.h"

#include <criterion/criterion.h>
#include <tarn/netif.h>

enum { PORT = 80 };

struct tcp_rig {
    struct flow_rig rig;
    struct sim_lan lan;
    struct sim_host *hosts[2];
    struct tarn_listener *listener;
};

static void rig_run(struct flow_rig *rig) {
    struct tcp_rig *r = TARN_CONTAINER_OF(rig, struct tcp_rig, rig);
    for (unsigned i = 0; i < 2; i++)
        tarn_sim_wake(&r->hosts[i]->actor);
    tarn_sim_run(r->lan.sim, tarn_sim_now(r->lan.sim) + TARN_SEC(20));
}

static void rig_connect(struct flow_rig *rig, struct tarn_flow **a, struct tarn_flow **b) {
    struct tcp_rig *r = TARN_CONTAINER_OF(rig, struct tcp_rig, rig);
    *a = sim_host_connect(r->hosts[0], r->hosts[1], PORT);
    rig_run(rig);
    cr_assert_eq(tarn_listener_accept(r->listener, b), TARN_OK);
}

static void check(const struct flow_case *c, const struct tarn_sim_link_config *link) {
    struct tcp_rig r = {.rig = {.connect = rig_connect, .run = rig_run}};
    struct sim_host_config host = {0};
    sim_lan_init(&r.lan, 1, link);
    for (unsigned i = 0; i < 2; i++)
        r.hosts[i] = sim_host_new(&r.lan, &host);
    r.listener = sim_host_listen(r.hosts[1], PORT, 4);
    c->run(&r.rig);
    tarn_listener_close(r.listener);
    cr_assert(sim_lan_settle(&r.lan, TARN_SEC(8000)), "%s: %s", c->name, sim_host_text(r.hosts[0]));
    sim_lan_free(&r.lan);
}

Test(tcp_flow, every_promise_holds_on_a_good_line) {
    struct tarn_sim_link_config link = {.path = {.delay = TARN_MS(1)}};
    for (size_t i = 0; i < flow_case_count; i++)
        check(&flow_cases[i], &link);
}

Test(tcp_flow, every_promise_holds_on_a_bad_line) {
    struct tarn_sim_link_config link = {.path = {.delay = TARN_MS(1),
                                                 .loss_ppm = 20000,
                                                 .reorder_ppm = 100000,
                                                 .reorder_by = TARN_MS(3)}};
    for (size_t i = 0; i < flow_case_count; i++)
        check(&flow_cases[i], &link);
}
