/* kmeans.c - see kmeans.h. */
#include "data/kmeans.h"
#include "base/par.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BEGINNINGS = 4, ROUNDS = 30, PRICE_ROUNDS = 40, GRAIN = 64 };

typedef struct fit {
    const at_sparse *v;
    int64_t n;
    at_kmeans *m;
    double *like;        /* [n, k] */
    double *far;         /* [n]: from the nearest mean so far */
    struct ranked *rank; /* [n] */
    int64_t *count;      /* [k] */
    int *group;
    uint64_t seed;
} fit;

void at_kmeans_free(at_kmeans *m) {
    at_free(m->mean);
    at_free(m->price);
    *m = (at_kmeans){0};
}

/* Likeness of a vector to each group. */
static void likeness(const at_kmeans *m, const at_sparse *v, double *out) {
    for (int j = 0; j < m->k; j++) out[j] = 0;
    for (int64_t i = 0; i < v->n; i++) {
        const double *mean = m->mean + (int64_t)v->index[i] * m->k;
        for (int j = 0; j < m->k; j++) out[j] += v->value[i] * mean[j];
    }
}

static int best(const at_kmeans *m, const double *like) {
    int b = 0;
    for (int j = 1; j < m->k; j++)
        if (like[j] - m->price[j] > like[b] - m->price[b]) b = j;
    return b;
}

int at_kmeans_assign(const at_kmeans *m, const at_sparse *v) {
    double like[AT_KMEANS_MAX];
    likeness(m, v, like);
    return best(m, like);
}

static void likeness_some(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const fit *f = arg;
    for (int64_t i = begin; i < end; i++) likeness(f->m, &f->v[i], f->like + i * f->m->k);
}

/* ---- beginnings ---- */

static void mean_of_one(fit *f, int group, const at_sparse *v) {
    for (int64_t i = 0; i < f->m->width; i++) f->m->mean[i * f->m->k + group] = 0;
    for (int64_t i = 0; i < v->n; i++)
        f->m->mean[(int64_t)v->index[i] * f->m->k + group] = v->value[i];
}

/* k-means++ (Arthur and Vassilvitskii, 2007): each next mean is a vector drawn with the square of
   its distance from the nearest one so far, here 2 (1 - cosine). */
static void begin(fit *f, uint64_t beginning) {
    at_kmeans *m = f->m;
    double *far = f->far;
    uint64_t draws = 0;
    const uint64_t stream = AT_STREAM_CLUSTER + (beginning << 32);
    for (int64_t i = 0; i < f->n; i++) far[i] = 2;
    memset(m->mean, 0, (size_t)(m->width * m->k) * sizeof *m->mean);
    for (int j = 0; j < m->k; j++) {
        double sum = 0, at;
        for (int64_t i = 0; i < f->n; i++) sum += far[i];
        at = at_uniform(f->seed, stream, draws++) * sum;
        int64_t chosen = 0;
        while (chosen < f->n - 1 && (at -= far[chosen]) > 0) chosen++;
        mean_of_one(f, j, &f->v[chosen]);
        for (int64_t i = 0; i < f->n; i++) {
            double like = 0;
            for (int64_t t = 0; t < f->v[i].n; t++)
                like += f->v[i].value[t] * m->mean[(int64_t)f->v[i].index[t] * m->k + j];
            far[i] = fmin(far[i], fmax(0, 2 - 2 * like));
        }
        far[chosen] = 0;
    }
}

/* ---- rounds ---- */

/* Prices at which about as many vectors want each group. */
static void find_prices(fit *f) {
    at_kmeans *m = f->m;
    const double fair = (double)f->n / m->k;
    for (int j = 0; j < m->k; j++) m->price[j] = 0;
    for (int round = 0; round < PRICE_ROUNDS; round++) {
        memset(f->count, 0, (size_t)m->k * sizeof *f->count);
        for (int64_t i = 0; i < f->n; i++) f->count[best(m, f->like + i * m->k)]++;
        const double step = 0.1 * (1 - (double)round / PRICE_ROUNDS);
        for (int j = 0; j < m->k; j++)
            m->price[j] += step * fmax(-1, fmin(1, ((double)f->count[j] - fair) / fair));
    }
}

typedef struct ranked {
    double gap; /* what the best group is better than the second */
    int64_t index;
} ranked;

static int by_gap(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->gap != y->gap) return x->gap > y->gap ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Groups of at most n / k, rounded up; the vectors with most to lose choose first.  Returns how many
   changed their group. */
static int64_t assign(fit *f) {
    at_kmeans *m = f->m;
    const int64_t room = (f->n + m->k - 1) / m->k;
    int64_t changed = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const double *like = f->like + i * m->k;
        const int first = best(m, like);
        double second = -HUGE_VAL;
        for (int j = 0; j < m->k; j++)
            if (j != first) second = fmax(second, like[j] - m->price[j]);
        f->rank[i] = (ranked){m->k > 1 ? like[first] - m->price[first] - second : 0, i};
    }
    qsort(f->rank, (size_t)f->n, sizeof *f->rank, by_gap);
    memset(f->count, 0, (size_t)m->k * sizeof *f->count);
    for (int64_t r = 0; r < f->n; r++) {
        const int64_t i = f->rank[r].index;
        const double *like = f->like + i * m->k;
        int to = -1;
        for (int j = 0; j < m->k; j++)
            if (f->count[j] < room && (to < 0 || like[j] - m->price[j] > like[to] - m->price[to]))
                to = j;
        f->count[to]++;
        changed += f->group[i] != to;
        f->group[i] = to;
    }
    return changed;
}

/* The mean of each group, of length 1. */
static void find_means(fit *f) {
    at_kmeans *m = f->m;
    memset(m->mean, 0, (size_t)(m->width * m->k) * sizeof *m->mean);
    for (int64_t i = 0; i < f->n; i++)
        for (int64_t t = 0; t < f->v[i].n; t++)
            m->mean[(int64_t)f->v[i].index[t] * m->k + f->group[i]] += f->v[i].value[t];
    for (int j = 0; j < m->k; j++) {
        double squares = 0;
        for (int64_t i = 0; i < m->width; i++) {
            const double x = m->mean[i * m->k + j];
            squares += x * x;
        }
        const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
        for (int64_t i = 0; i < m->width; i++) m->mean[i * m->k + j] *= scale;
    }
}

static at_status run(at_ctx *c, fit *f, uint64_t beginning) {
    at_kmeans *m = f->m;
    begin(f, beginning);
    for (int64_t i = 0; i < f->n; i++) f->group[i] = -1;
    int64_t changed = f->n;
    for (m->rounds = 0; m->rounds < ROUNDS && changed > f->n / 1000; m->rounds++) {
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "k-means: interrupted");
        at_par_for(c->threads, f->n, GRAIN, likeness_some, f);
        find_prices(f);
        changed = assign(f);
        find_means(f);
    }
    at_par_for(c->threads, f->n, GRAIN, likeness_some, f);
    find_prices(f); /* those of the last means, for vectors to come */
    m->likeness = 0;
    for (int64_t i = 0; i < f->n; i++)
        m->likeness += f->like[i * m->k + f->group[i]] / (double)f->n;
    return AT_OK;
}

/* ---- the best of several ---- */

static at_status model_open(at_ctx *c, int64_t width, int k, at_kmeans *m) {
    *m = (at_kmeans){.k = k, .width = width};
    m->mean = at_calloc(c, (size_t)(width * k), sizeof *m->mean);
    m->price = at_calloc(c, (size_t)k, sizeof *m->price);
    return m->mean && m->price ? AT_OK : c->status;
}

static at_status best_of(at_ctx *c, fit *f, at_kmeans *out, int *group) {
    at_kmeans one;
    at_status s = model_open(c, out->width, out->k, &one);
    f->m = &one;
    for (uint64_t b = 0; !s && b < BEGINNINGS; b++) {
        s = run(c, f, b);
        if (s || (b > 0 && one.likeness <= out->likeness)) continue;
        const at_kmeans better = one;
        one = *out;
        *out = better;
        memcpy(group, f->group, (size_t)f->n * sizeof *group);
    }
    at_kmeans_free(&one);
    return s;
}

at_status at_kmeans_fit(at_ctx *c, const at_sparse *v, int64_t n, int64_t width, int k,
                        uint64_t seed, at_kmeans *out, int *group) {
    *out = (at_kmeans){0};
    if (k < 1 || k > AT_KMEANS_MAX || k > n)
        return at_error(c, AT_ARG,
                        "expected 1 to %d groups and a vector for each, found %d of %lld",
                        AT_KMEANS_MAX, k, (long long)n);
    fit f = {.v = v, .n = n, .seed = seed};
    f.like = at_malloc(c, (size_t)(n * k) * sizeof *f.like);
    f.far = at_malloc(c, (size_t)n * sizeof *f.far);
    f.rank = at_malloc(c, (size_t)n * sizeof *f.rank);
    f.count = at_malloc(c, (size_t)k * sizeof *f.count);
    f.group = at_malloc(c, (size_t)n * sizeof *f.group);
    at_status s =
        f.like && f.far && f.rank && f.count && f.group ? model_open(c, width, k, out) : c->status;
    if (!s) s = best_of(c, &f, out, group);
    at_free(f.like);
    at_free(f.far);
    at_free(f.rank);
    at_free(f.count);
    at_free(f.group);
    if (s) at_kmeans_free(out);
    return s;
}
