/* mome_route.c - a router for each seed: how often it is right, and what it says of each window that
   the losses of the students are known of. */
#include "base/file.h"
#include "base/text.h"
#include "lab/lab_probe.h"
#include "lab/mome_lab.h"
#include "route/router.h"
#include <stdio.h>

enum { PREFIX = 32, READ_WINDOWS = 500 };

const int mome_lengths[MOME_LENGTHS] = {8, 32, 128, 512};

/* The windows that at_lab_result measures. */
static at_probe_spec spec_of(const mome *m) {
    const int64_t T = m->scale->context;
    return (at_probe_spec){
        .context = T, .stride = T, .buckets = 1, .limit = m->l->windows, .spread = true};
}

char *mome_router_path(const mome *m, int k, const at_classifier *kind) {
    char name[96];
    (void)snprintf(name, sizeof name, "routers/%s-s%d-%.8s.safetensors", kind->name, k + 1,
                   m->l->program);
    return at_join(m->l->c, m->l->o->out, name);
}

/* A router of a seed, from its file where this program fitted it before. */
static at_status open_router(mome *m, int k, const at_classifier *kind, at_router **out) {
    at_ctx *c = m->l->c;
    char *folder = at_join(c, m->l->o->out, "routers"), *file = mome_router_path(m, k, kind);
    at_router_options o = at_router_defaults();
    o.seed = (uint64_t)k + 1;
    o.windows = m->scale->route_windows;
    o.classifier = kind;
    o.c = kind->c;
    at_status s = folder && file ? at_make_dir(c, folder) : AT_OOM;
    if (s == AT_OK && at_exists(file)) {
        s = at_router_load(c, file, out);
    } else if (s == AT_OK) {
        s = at_router_train(c, m->l->data, NULL, 0, &o, out);
        if (s == AT_OK) s = at_router_save(c, *out, file);
        if (s == AT_OK) at_log(c, AT_LOG_INFO, "router %s-s%d: fitted", kind->name, k + 1);
    }
    at_free(folder);
    at_free(file);
    return s;
}

static at_status read_windows(mome *m, const at_router *r, mome_router *out) {
    const int64_t T = m->scale->context, read = T < PREFIX ? T : PREFIX;
    const at_probe_spec spec = spec_of(m);
    at_ctx *c = m->l->c;
    int64_t all = 0, at = 0;
    int best;
    for (int d = 0; d < m->domains; d++) all += m->windows[d];
    out->p = at_calloc(c, (size_t)(all * m->domains), sizeof *out->p);
    int32_t *ids = at_malloc(c, (size_t)read * sizeof *ids);
    double *p = at_malloc(c, (size_t)r->n_classes * sizeof *p);
    at_status s = out->p && ids && p ? AT_OK : AT_OOM;
    for (int d = 0; d < m->domains && s == AT_OK; d++) {
        const at_shard *shard = &m->l->data->domain[d].shard[AT_TEST];
        for (int64_t w = 0; w < m->windows[d] && s == AT_OK; w++, at++) {
            at_shard_read(shard, at_probe_start(&spec, shard, w), read, ids);
            s = at_router_predict(c, r, ids, read, p, &best, NULL);
            for (int i = 0; i < m->domains && s == AT_OK; i++)
                out->p[at * m->domains + i] = p[at_router_class(r, mome_domain(m, i))];
        }
    }
    at_free(p);
    at_free(ids);
    return s;
}

static at_status f1_of(mome *m, const at_router *r, int length, double *out) {
    at_router_score score = {0};
    const at_status s =
        at_router_eval(m->l->c, r, m->l->data, AT_TEST, length, READ_WINDOWS, &score);
    *out = score.weighted_f1;
    at_router_score_free(&score);
    return s;
}

static at_status score(mome *m, const at_router *r, double *f1) {
    at_status s = AT_OK;
    for (int i = 0; i < MOME_LENGTHS && s == AT_OK; i++) s = f1_of(m, r, mome_lengths[i], &f1[i]);
    return s;
}

static at_status of_seed(mome *m, int k) {
    mome_router *out = &m->router[k];
    at_status s = AT_OK;
    for (int i = 0; i < MOME_CLASSIFIERS && s == AT_OK; i++) {
        at_router *r = NULL;
        if (at_interrupted(m->l->c))
            s = at_error(m->l->c, AT_INTERRUPTED, "interrupted; the same command goes on");
        if (s == AT_OK) s = open_router(m, k, at_classifiers[i], &r);
        if (s == AT_OK) s = score(m, r, out->f1[i]);
        if (s == AT_OK && !i) s = read_windows(m, r, out);
        at_router_close(r);
    }
    return s;
}

at_status mome_routers(mome *m) {
    const at_probe_spec spec = spec_of(m);
    at_status s = AT_OK;
    for (int d = 0; d < m->domains; d++)
        m->windows[d] = at_probe_windows(&spec, &m->l->data->domain[d].shard[AT_TEST]);
    for (int k = 0; k < m->scale->seeds && s == AT_OK; k++) s = of_seed(m, k);
    return s;
}
