/*
 * golden_fixture.h - a folder of tests/golden: the model in it, the tokens it was run on, and what
 * another program computed from them.  The file that includes it initialises `ctx`.
 */
#ifndef GOLDEN_FIXTURE_H
#define GOLDEN_FIXTURE_H
#include "arch/model.h"
#include "check.h"
#include <math.h>
#include <stdio.h>

static at_ctx ctx;

typedef struct {
    at_model *m;
    at_st *golden;
    int64_t B, T;
    int32_t *ids, *labels;
} fixture;

static inline void open_fixture(const char *dir, fixture *f) {
    char path[256];
    OK(at_model_load(&ctx, dir, true, &f->m));
    (void)snprintf(path, sizeof path, "%s/golden.safetensors", dir);
    OK(at_st_open(&ctx, path, &f->golden));
    const at_st_tensor *t = at_st_find(f->golden, "input_ids");
    assert_non_null(t);
    f->B = t->dim[0];
    f->T = t->dim[1];
    const int64_t n = f->B * f->T;
    int64_t *wide = malloc((size_t)n * sizeof *wide);
    f->ids = malloc((size_t)n * sizeof *f->ids);
    f->labels = malloc((size_t)n * sizeof *f->labels);
    OK(at_st_to_i64(&ctx, t, wide));
    for (int64_t i = 0; i < n; i++) f->ids[i] = (int32_t)wide[i];
    for (int64_t i = 0; i < n; i++) /* the next token; the last position has none */
        f->labels[i] = i % f->T == f->T - 1 ? -1 : f->ids[i + 1];
    free(wide);
}

static inline void close_fixture(fixture *f) {
    at_model_close(f->m);
    at_st_close(f->golden);
    free(f->ids);
    free(f->labels);
}

/* |a - b| / |b|, with norms over the whole tensor except the values [skip, skip_end). */
static inline double distance_but(const at_st *golden, const char *name, const at_real *a,
                                  int64_t skip, int64_t skip_end) {
    const at_st_tensor *t = at_st_find(golden, name);
    if (!t) fail_msg("golden file has no tensor %s", name);
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    double *b = malloc((size_t)n * sizeof *b);
    OK(at_st_to_f64(&ctx, t, b));
    double num = 0, den = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i >= skip && i < skip_end) continue;
        num += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        den += b[i] * b[i];
    }
    free(b);
    return sqrt(num / (den + 1e-30));
}

static inline double distance(const at_st *golden, const char *name, const at_real *a) {
    return distance_but(golden, name, a, 0, 0);
}

#endif
