/* mome_fluency.c - what texts of students with and without a teacher are like. */
#include "artel.h"
#include "lab/mome_lab.h"
#include "report/jsonl.h"
#include <math.h>
#include <string.h>

enum { TOKENS = 64 };

/* Sums over domains, weighed by what there is of each. */
typedef struct {
    double repeated, runs, known, words, right, texts;
} count;

typedef struct {
    at_ctx *c;
    count of[2]; /* of the documents themselves; of the model */
} counts;

/* share of n under a key; nothing where there is none. */
static void add(const cJSON *o, const char *share, const char *n, double *part, double *all) {
    double p, of;
    if (!at_jsonl_number(o, share, &p) || !at_jsonl_number(o, n, &of)) return;
    *part += p * of;
    *all += of;
}

static void take(void *user, const char *line) {
    counts *c = user;
    cJSON *o = at_json_parse(c->c, "fluency", line, strlen(line));
    double temperature;
    count *n = &c->of[at_jsonl_number(o, "temperature", &temperature)];
    add(o, "repeated", "runs", &n->repeated, &n->runs);
    add(o, "known", "words", &n->known, &n->words);
    add(o, "language", "texts", &n->right, &n->texts);
    cJSON_Delete(o);
}

static mome_fluency summary(const count *n) {
    return (mome_fluency){.repeated = n->repeated / n->runs,
                          .unknown = 1 - n->known / n->words,
                          .right = n->right / n->texts};
}

static at_status of_run(mome *m, artel *a, const char *group, int k, const char *router,
                        mome_fluency *out) {
    const double temperature = 0.8;
    char *model = at_lab_model(m->l, group, k + 1);
    counts c = {.c = m->l->c};
    artel_fluency_options o = {.samples = m->scale->samples,
                               .n = TOKENS,
                               .temperatures = &temperature,
                               .n_temperatures = 1,
                               .router = router};
    if (m->scale->context < 2 * TOKENS) {
        o.prompt = m->scale->context / 2;
        o.n = m->scale->context / 2;
    }
    o.sampling.seed = (uint64_t)k + 1;
    at_status s = model ? AT_OK : AT_OOM;
    if (s == AT_OK) s = (at_status)artel_fluency(a, model, m->l->o->data, &o, take, &c);
    if (s != AT_OK && model) s = at_error(m->l->c, s, "%s", artel_error(a));
    *out = summary(&c.of[1]);
    m->documents = summary(&c.of[0]);
    at_free(model);
    return s;
}

const char *const mome_writers[MOME_WRITERS] = {MOME_COMBINED, MOME_ALONE, MOME_COMPUTE};

/* A context of its own, since the function is one of the library's public ones. */
at_status mome_write(mome *m) {
    artel *a = artel_open(m->l->c->threads, NULL, NULL);
    at_status s = a ? AT_OK : at_error(m->l->c, AT_OOM, "out of memory");
    for (int k = 0; k < m->scale->seeds && s == AT_OK; k++) {
        char *router = mome_router_path(m, 0, at_classifiers[0]);
        if (!router) s = AT_OOM;
        for (int i = 0; i < MOME_WRITERS && s == AT_OK; i++) {
            if (at_interrupted(m->l->c))
                s = at_error(m->l->c, AT_INTERRUPTED, "interrupted; the same command goes on");
            if (s == AT_OK) s = of_run(m, a, mome_writers[i], k, router, &m->fluency[i][k]);
        }
        at_free(router);
    }
    artel_close(a);
    return s;
}
