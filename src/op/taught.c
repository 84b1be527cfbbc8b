/* taught.c - see taught.h. */
#include "op/taught.h"
#include "base/ints.h"
#include "base/maths.h"
#include <string.h>

/* ---- who speaks of which row ---------------------------------------------------------- */

static int64_t row_of(const at_head_teacher *one, int64_t i) { return one->row ? one->row[i] : i; }

/* The only one who speaks of row i; NULL: none, or several. */
static const at_head_teacher *only(const at_taught *t, int64_t i, int *speakers) {
    const at_head_teacher *found = NULL;
    *speakers = 0;
    for (int m = 0; m < t->n; m++)
        if (row_of(&t->one[m], i) >= 0) {
            found = &t->one[m];
            ++*speakers;
        }
    return *speakers == 1 ? found : NULL;
}

/* Whether its row is compared as it is, with what is left as one token. */
static bool lumped(const at_taught *t, const at_head_teacher *one) {
    return one->top && (t->how.kind == AT_KD_FORWARD || t->how.kind == AT_KD_SOFT);
}

static bool in_place(const at_taught *t) { return t->n == 1 && !t->one->row && t->one->x; }

/* ---- opening ----------------------------------------------------------------------------- */

/* Rows of a teacher of n_own: in order, none twice, no further apart than those of the student, so
   that what is said of a block is no larger than the block. */
static bool ascending(const int64_t *row, int64_t n, int64_t n_own) {
    int64_t last = -1;
    for (int64_t i = 0; i < n; i++) {
        if (row[i] < 0) continue;
        if (row[i] >= n_own) return false;
        if (last >= 0 && (row[i] <= row[last] || row[i] - row[last] > i - last)) return false;
        last = i;
    }
    return true;
}

static bool fits(at_run *r, const at_head_teacher *one, const at_tensor *x, int64_t v) {
    const at_tensor *tx = one->x, *tw = one->w;
    const int64_t n = at_rows(x);
    char a[96], b[96];
    if (one->top) {
        if (one->top->n >= 1 && one->top->n <= one->top->v && one->top->v <= v) return true;
        at_fail(r, AT_SHAPE, "head_loss: a teacher of %lld tokens of %lld, the student has %lld",
                (long long)one->top->n, (long long)one->top->v, (long long)v);
        return false;
    }
    bool good = tx && tw && tw->rank == 2 && at_cols(tx) == tw->dim[1];
    if (good && !one->row) good = at_rows(tx) == n;
    if (good && (!one->row || ascending(one->row, n, at_rows(tx)))) return true;
    at_fail(r, AT_SHAPE, "head_loss: x %s; teacher x %s and w %s", at_shape_text(x, a),
            tx ? at_shape_text(tx, b) : "none",
            tx && tw ? at_shape_text(tw, (char[96]){0}) : "none");
    return false;
}

bool at_taught_open(at_run *r, const at_head_spec *spec, const at_tensor *x, int64_t v,
                    int64_t block, at_taught *t) {
    *t = (at_taught){.one = spec->teacher, .n = spec->n_teachers, .how = spec->kd, .v = v};
    if (spec->teacher_x) {
        t->alone = (at_head_teacher){.x = spec->teacher_x, .w = spec->teacher_w, .weight = 1};
        t->one = &t->alone;
        t->n = 1;
    }
    if (!t->n) return true;
    bool dense = false;
    for (int m = 0; m < t->n; m++) {
        const at_head_teacher *one = &t->one[m];
        if (!fits(r, one, x, v)) return false;
        t->v = at_min(t->v, one->top ? one->top->v : one->w->dim[0]);
        dense |= t->n > 1 || !lumped(t, one);
    }
    int speakers;
    for (int64_t i = 0; i < at_rows(x); i++) {
        (void)only(t, i, &speakers);
        t->rows += speakers > 0;
    }
    if (!t->rows) {
        at_fail(r, AT_ARG, "head_loss: no teacher speaks of any row");
        return false;
    }
    const size_t bytes = (size_t)(block * t->v) * sizeof(at_real);
    if (dense && !(t->z = at_run_values(r, bytes))) return false;
    return !dense || in_place(t) || (t->heard = at_run_values(r, bytes));
}

/* ---- a block -------------------------------------------------------------------------------- */

/* Logits of n rows of a teacher who reads, from row `from`: of a larger vocabulary the first v. */
static at_status project(at_run *r, const at_taught *t, const at_head_teacher *one, int64_t from,
                         int64_t n, at_real *out) {
    const int64_t c = at_cols(one->x);
    return at_gemm_run(r->cp, &(at_gemm){.tb = true,
                                         .m = n,
                                         .n = t->v,
                                         .k = c,
                                         .a = one->x->data + from * c,
                                         .lda = c,
                                         .b = one->w->data,
                                         .b16 = one->w->bf16,
                                         .ldb = c,
                                         .c = out,
                                         .ldc = t->v});
}

typedef struct {
    at_run *run;
    const at_taught *t;
    const at_head_teacher *one;
    int64_t begin, from; /* first row of the student's block, and of what is heard */
} hearing;

/* Adds what one says to its rows: as logits where nobody else speaks, else as probabilities. */
static void hear_part(void *arg, int64_t begin, int64_t end, int worker) {
    const hearing *h = arg;
    const at_taught *t = h->t;
    const at_kernels *k = &h->run->cp->k;
    const int64_t v = t->v;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = row_of(h->one, h->begin + i);
        int speakers;
        const at_head_teacher *alone = only(t, h->begin + i, &speakers);
        at_real *z = t->z + i * v;
        if (row < 0 || (alone && lumped(t, alone))) continue;
        at_real *said = t->heard + (row - h->from) * v;
        if (h->one->top) {
            said = t->heard + i * v;
            at_row_spread_top(v, t->how.tau, h->one->top, row, said);
        }
        if (alone) {
            memcpy(z, said, (size_t)v * sizeof *z);
            continue;
        }
        bool first = true;
        double weights = 0;
        for (int m = 0; m < t->n; m++) {
            if (row_of(&t->one[m], h->begin + i) < 0) continue;
            first &= &t->one[m] >= h->one;
            weights += t->one[m].weight;
        }
        if (first) memset(z, 0, (size_t)v * sizeof *z);
        (void)at_row_softmax(k, v, 1 / t->how.tau, said, said);
        k->axpy(v, (at_real)(h->one->weight / weights), said, z);
    }
}

/* Probabilities become logits again: the smallest normal number stands for 0. */
static void mix_part(void *arg, int64_t begin, int64_t end, int worker) {
    const hearing *h = arg;
    const at_taught *t = h->t;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int speakers;
        (void)only(t, h->begin + i, &speakers);
        at_real *z = t->z + i * t->v;
        for (int64_t j = 0; speakers > 1 && j < t->v; j++) {
            const double q = (double)z[j], least = (double)AT_REAL_TINY;
            z[j] = (at_real)(t->how.tau * at_ln(q > least ? q : least));
        }
    }
}

at_status at_taught_block(at_run *r, const at_taught *t, int64_t begin, int64_t rows) {
    if (!t->z) return AT_OK;
    if (in_place(t)) return project(r, t, t->one, begin, rows, t->z);
    hearing h = {.run = r, .t = t, .begin = begin};
    for (int m = 0; m < t->n; m++) {
        h.one = &t->one[m];
        int64_t last = -1;
        h.from = -1;
        for (int64_t i = 0; i < rows; i++) {
            const int64_t row = row_of(h.one, begin + i);
            if (row < 0) continue;
            if (h.from < 0) h.from = row;
            last = row;
        }
        if (last < 0) continue;
        at_status s = AT_OK;
        if (h.one->x) s = project(r, t, h.one, h.from, last - h.from + 1, t->heard);
        if (s != AT_OK) return s;
        at_run_par(r, rows, 8, hear_part, &h);
    }
    at_run_par(r, rows, 8, mix_part, &h);
    return AT_OK;
}

double at_taught_row(const at_run *r, const at_taught *t, int64_t begin, int64_t i,
                     const at_real *s, at_real *tmp, double coef, at_real *ds) {
    int speakers;
    const at_head_teacher *one = only(t, begin + i, &speakers);
    if (!speakers) return 0;
    if (one && lumped(t, one))
        return at_row_kd_top(&r->cp->k, t->v, &t->how, s, one->top, row_of(one, begin + i), tmp,
                             coef, ds);
    return at_row_kd(&r->cp->k, t->v, &t->how, s, t->z + i * t->v, tmp, coef, ds);
}

double at_taught_weight(const at_run *r, const at_taught *t, int64_t begin, int64_t i,
                        int64_t v_student, const at_real *s, int32_t label, at_real *tmp) {
    const at_kernels *k = &r->cp->k;
    int speakers;
    const at_head_teacher *one = only(t, begin + i, &speakers);
    if (!speakers || label < 0) return 0;
    if (t->how.weight == AT_TOKEN_SURPRISE)
        return at_row_weight(k, v_student, &t->how, s, NULL, label, tmp);
    if (label >= t->v) return 1; /* not a token that teachers know */
    if (one && lumped(t, one))
        return 1 - at_row_top_probability(t->v, one->top, row_of(one, begin + i), label);
    return at_row_weight(k, t->v, &t->how, NULL, t->z + i * t->v, label, tmp);
}

double at_taught_cost(const at_taught *t) {
    double flops = 0;
    for (int m = 0; m < t->n; m++)
        if (t->one[m].x)
            flops += 2 * (double)(at_rows(t->one[m].x) * t->v) * (double)at_cols(t->one[m].x);
    return flops;
}
