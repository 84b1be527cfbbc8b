/*
 * grow_steps.c - the steps of grow_lab.h that add a module, or a trunk, and what every way comes to.
 *
 * A step's folders are DIR/steps/NAME (the model with its certificate) and NAME.run; NAME.key names what it
 * was made of, so that a finished step is not made again.
 */
#include "base/file.h"
#include "base/sha256.h"
#include "lab/grow_lab.h"
#include "lab/lab_probe.h"
#include "lab/lab_table.h"
#include "train/extend.h"
#include "train/growth.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    grow *m;
    grow_way way;
    int stage;
    int64_t seed;
    char *out, *run, *key; /* paths */
    char *source;          /* the model that is extended */
} step;

static char *path_of(const grow *m, grow_way way, int stage, int64_t seed, const char *suffix) {
    char group[64], name[128];
    grow_group(way, stage, group);
    (void)snprintf(name, sizeof name, "steps/%s-s%lld%s", group, (long long)seed, suffix);
    return at_join(m->l->c, m->l->o->out, name);
}

static void close_step(step *x) {
    at_free(x->out);
    at_free(x->run);
    at_free(x->key);
    at_free(x->source);
}

static at_status open_step(step *x) {
    const grow *m = x->m;
    char group[64];
    grow_group(x->way, 0, group);
    x->out = path_of(m, x->way, x->stage, x->seed, "");
    x->run = path_of(m, x->way, x->stage, x->seed, ".run");
    x->key = path_of(m, x->way, x->stage, x->seed, ".key");
    x->source = x->stage == 1 ? at_lab_model(m->l, group, x->seed)
                              : path_of(m, x->way, x->stage - 1, x->seed, "");
    return x->out && x->run && x->key && x->source ? AT_OK : AT_OOM;
}

static char *recipe_of(const step *x) {
    const grow *m = x->m;
    at_text t;
    at_text_init(&t, m->l->c, 0);
    at_textf(&t, "seed: %lld\nextend: {name: ", (long long)x->seed);
    at_lab_put_quoted(&t, m->l, grow_domain(m, m->old + x->stage - 1));
    if (x->way < GROW_TRUNKS)
        at_textf(&t, ", attention: %d, feed_forward: %d, init: copy, documents: 16",
                 m->scale->att_more, m->scale->ffn_more);
    else
        at_text_add(&t, ", from: ");
    if (x->way == GROW_REVIEWED)
        at_textf(&t, ", router_decay: 0.01, review: %lld, review_share: %g",
                 (long long)m->scale->review, m->scale->review_share);
    if (x->way == GROW_TRUNKS) at_lab_put_quoted(&t, m->l, grow_domain(m, 0));
    at_text_add(&t, "}\ndata: {train: ");
    at_lab_put_quoted(&t, m->l, m->l->o->data);
    at_text_add(&t, "}\n");
    grow_put_training(m, &t, grow_stage_steps(m), m->scale->lr_more);
    return at_text_take(&t);
}

/* What the step is made of: program, data, recipe, and the run that its first model comes from. */
static void key_of(const step *x, const char *recipe, char hex[AT_SHA256_TEXT]) {
    const at_lab_session *l = x->m->l;
    char group[64];
    at_text t;
    grow_group(x->way, 0, group);
    const at_trial *base = at_lab_trial(l, group, x->seed);
    at_text_init(&t, l->c, 0);
    at_textf(&t, "%s\n%s\n%s\n%s", l->program, l->data_hash, base->recipe, recipe);
    at_sha256_text(t.s ? t.s : "", t.n, hex);
    at_text_close(&t);
}

static bool is_done(const step *x, const char *key) {
    at_ctx *c = x->m->l->c;
    char *was = at_exists(x->key) ? at_read_file(c, x->key, 256, NULL) : NULL;
    const bool same = was && !strcmp(was, key) && at_exists(x->out);
    if (!was) at_error_clear(c);
    at_free(was);
    return same;
}

static at_status extend(const step *x, const char *recipe) {
    at_ctx *c = x->m->l->c;
    at_conf *f = NULL;
    at_lm *old = NULL;
    at_extension trunk;
    at_growth *g = at_calloc(c, 1, sizeof *g);
    at_status s = g ? at_conf_parse(c, "extend", recipe, strlen(recipe), &f) : AT_OOM;
    if (s == AT_OK && x->way < GROW_TRUNKS) s = at_lm_load(c, x->source, &old);
    if (s == AT_OK && x->way < GROW_TRUNKS)
        s = at_grow(c, f, x->source, old, x->out, x->run, NULL, 0, g);
    if (s == AT_OK && x->way == GROW_TRUNKS) s = at_extend(c, f, x->source, x->out, x->run, &trunk);
    at_lm_close(old);
    at_conf_close(f);
    at_free(g);
    return s;
}

/* One begun with another key is begun again. */
static at_status make(const step *x, const char *recipe, const char *key) {
    at_ctx *c = x->m->l->c;
    char *was = at_exists(x->key) ? at_read_file(c, x->key, 256, NULL) : NULL;
    at_status s = AT_OK;
    if (!was || strcmp(was, key) != 0) {
        at_error_clear(c);
        s = at_remove_tree(c, x->run);
        if (s == AT_OK) s = at_remove_tree(c, x->out);
        if (s == AT_OK) s = at_write_file(c, x->key, key, strlen(key));
    }
    at_free(was);
    return s == AT_OK ? extend(x, recipe) : s;
}

/* ---- what came of it ---- */

/* Test losses of a folder: of a mixture with all its modules, of trunks each by its own. */
static at_status measure(const step *x) {
    grow *m = x->m;
    at_lab_session *l = m->l;
    at_model *model = NULL;
    char *trunks = at_join(l->c, x->run, "model");
    at_probe_spec spec = {.context = m->scale->context,
                          .stride = m->scale->context,
                          .buckets = 1,
                          .limit = l->windows,
                          .spread = true};
    at_status s = trunks ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_model_load(l->c, x->way == GROW_TRUNKS ? trunks : x->out, false, &model);
    for (int i = 0; i < m->old + x->stage && s == AT_OK; i++) {
        at_probe p;
        const int own = at_model_module(model, grow_domain(m, i));
        spec.modules = own < 0 ? 0 : UINT64_C(1) << own;
        s = at_probe_run(&l->cp, model, &l->data->domain[m->order[i]].shard[AT_TEST], &spec, NULL,
                         &p);
        if (s == AT_OK) m->loss[x->way][x->stage][x->seed - 1][i] = at_probe_loss(&p);
        at_probe_close(&p);
    }
    at_model_close(model);
    at_free(trunks);
    return s;
}

static at_status one_step(grow *m, grow_way way, int stage, int64_t seed) {
    step x = {.m = m, .way = way, .stage = stage, .seed = seed};
    char key[AT_SHA256_TEXT];
    at_status s = open_step(&x);
    char *recipe = s == AT_OK ? recipe_of(&x) : NULL;
    if (s == AT_OK && !recipe) s = AT_OOM;
    if (s == AT_OK) {
        key_of(&x, recipe, key);
        if (!is_done(&x, key)) {
            s = make(&x, recipe, key);
            if (s == AT_OK)
                at_log(m->l->c, AT_LOG_INFO, "%s, stage %d, seed %lld: made", grow_title[way],
                       stage, (long long)seed);
        }
    }
    if (s == AT_OK) s = measure(&x);
    at_free(recipe);
    close_step(&x);
    return s;
}

/* Test losses of the runs that are no steps. */
static void take_runs(grow *m) {
    for (int way = 0; way < GROW_WAYS; way++)
        for (int stage = 0; stage <= GROW_STAGES; stage++)
            for (int64_t k = 0; k < m->scale->seeds; k++)
                for (int i = 0; i < m->domains; i++) {
                    char group[64], key[96];
                    if (stage && way <= GROW_TRUNKS) continue;
                    grow_group((grow_way)way, stage, group);
                    (void)snprintf(key, sizeof key, "by_domain.%s", grow_domain(m, i));
                    m->loss[way][stage][k][i] = at_lab_number(m->l, group, k + 1, key);
                }
}

/* Parameters that learn in a stage: the new ones of a module or trunk, or all of the model. */
static at_status count(grow *m) {
    at_status s = AT_OK;
    for (int way = 0; way < GROW_WAYS && s == AT_OK; way++) {
        char group[64];
        grow_group((grow_way)way, 0, group);
        const double all = at_lab_number(m->l, group, 1, "parameters");
        m->trained[way] = all;
        if (way > GROW_TRUNKS) continue;
        at_model *model = NULL;
        char *path = path_of(m, (grow_way)way, 1, 1, way == GROW_TRUNKS ? ".run/model" : "");
        s = path ? at_model_load(m->l->c, path, false, &model) : AT_OOM;
        if (s == AT_OK) m->trained[way] = (double)at_model_numel(model) - all;
        at_model_close(model);
        at_free(path);
    }
    return s;
}

at_status grow_steps(grow *m) {
    char *folder = at_join(m->l->c, m->l->o->out, "steps");
    at_status s = folder ? at_make_dir(m->l->c, folder) : AT_OOM;
    at_free(folder);
    take_runs(m);
    for (int64_t seed = 1; seed <= m->scale->seeds; seed++)
        for (int way = GROW_MODULES; way <= GROW_TRUNKS; way++)
            for (int stage = 1; stage <= GROW_STAGES && s == AT_OK; stage++)
                s = one_step(m, (grow_way)way, stage, seed);
    return s == AT_OK ? count(m) : s;
}
