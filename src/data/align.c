/* align.c - see align.h. */
#include "data/align.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys that all have ---- */

typedef struct keys {
    uint64_t *key; /* ascending, each once */
    int64_t n;
} keys;

static int ascending(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool has(const keys *k, uint64_t key) {
    return k->n > 0 && bsearch(&key, k->key, (size_t)k->n, sizeof key, ascending) != NULL;
}

/* The files of a domain. */
static at_status files_of(at_ctx *c, const at_stage *s, keys *out) {
    out->key = at_malloc(c, (size_t)s->n * sizeof *out->key);
    if (!out->key) return c->status;
    for (int64_t i = 0; i < s->n; i++) out->key[i] = s->doc[i].file;
    qsort(out->key, (size_t)s->n, sizeof *out->key, ascending);
    out->n = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (out->n == 0 || out->key[out->n - 1] != out->key[i]) out->key[out->n++] = out->key[i];
    return AT_OK;
}

static at_status common_keys(at_ctx *c, const at_stage *domain, int n, const bool *aligned,
                             keys *out) {
    for (int k = 0; k < n; k++) {
        if (!aligned[k]) continue;
        keys of = {0};
        const at_status s = files_of(c, &domain[k], &of);
        if (s) return s;
        if (!out->key) {
            *out = of;
            continue;
        }
        int64_t kept = 0;
        for (int64_t i = 0; i < out->n; i++)
            if (has(&of, out->key[i])) out->key[kept++] = out->key[i];
        out->n = kept;
        at_free(of.key);
    }
    return AT_OK;
}

static at_status stays(at_ctx *c, void *user, at_stage *stage, const at_staged *d, int64_t i,
                       const char *p, size_t bytes, bool *yes) {
    (void)c, (void)p, (void)bytes;
    *yes = has(user, d->file);
    if (!*yes && i == 0) stage->dropped.unaligned++;
    return AT_OK;
}

at_status at_align(at_ctx *c, at_stage *domain, int n, const bool *aligned) {
    keys all = {0};
    at_status s = common_keys(c, domain, n, aligned, &all);
    if (!s && all.n == 0)
        s = at_error(
            c, AT_FORMAT,
            "no document is in all aligned domains: the key of a document is its path below "
            "the source without the name of the domain, or the \"id\" of a JSON line");
    for (int k = 0; !s && k < n; k++)
        if (aligned[k]) s = at_stage_refine(c, &domain[k], stays, &all);
    at_free(all.key);
    return s;
}

/* ---- choosing ---- */

typedef struct piece {
    uint64_t order, file;
    int domain;
    at_staged *doc;
    double units;
} piece;

/* A file in all aligned domains: pieces [begin, end). */
typedef struct tuple {
    int64_t begin, end;
    double *units; /* [n] */
    bool taken;
} tuple;

typedef struct chooser {
    const at_balance *b;
    int n;
    piece *p;
    int64_t n_pieces;
    tuple *t;
    int64_t n_tuples;
    double *units; /* [n_tuples, n] */
    double *size;  /* [n] of what was taken */
} chooser;

static int by_file(const void *a, const void *b) {
    const piece *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->domain != y->domain) return x->domain - y->domain;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static void chooser_close(chooser *k) {
    at_free(k->p);
    at_free(k->t);
    at_free(k->units);
    at_free(k->size);
}

static at_status chooser_open(at_ctx *c, chooser *k, at_stage *domain, at_split split) {
    const at_balance *b = k->b;
    int64_t all = 0;
    for (int i = 0; i < k->n; i++) all += b->aligned[i] ? domain[i].n : 0;
    k->p = at_malloc(c, (size_t)all * sizeof *k->p);
    k->size = at_calloc(c, (size_t)k->n, sizeof *k->size);
    if (!k->p || !k->size) return c->status;
    for (int i = 0; i < k->n; i++)
        for (int64_t j = 0; b->aligned[i] && j < domain[i].n; j++) {
            at_staged *d = &domain[i].doc[j];
            if (d->split != split) continue;
            k->p[k->n_pieces++] = (piece){at_rand64(b->seed, AT_STREAM_SHUFFLE, d->file), d->file,
                                          i, d, (double)at_staged_units(d, b->unit)};
        }
    qsort(k->p, (size_t)k->n_pieces, sizeof *k->p, by_file);
    for (int64_t i = 0; i < k->n_pieces; i++)
        k->n_tuples += i == 0 || k->p[i].file != k->p[i - 1].file;
    k->t = at_calloc(c, (size_t)k->n_tuples, sizeof *k->t);
    k->units = at_calloc(c, (size_t)(k->n_tuples * k->n), sizeof *k->units);
    if (!k->t || !k->units) return c->status;
    tuple *t = k->t - 1;
    for (int64_t i = 0; i < k->n_pieces; i++) {
        if (i == 0 || k->p[i].file != k->p[i - 1].file) {
            t++;
            *t = (tuple){.begin = i, .units = k->units + (t - k->t) * k->n};
        }
        t->end = i + 1;
        t->units[k->p[i].domain] += k->p[i].units;
    }
    return AT_OK;
}

/* Units over weight of the smallest aligned domain, were `more` taken, too. */
static double smallest(const chooser *k, const tuple *more) {
    double least = HUGE_VAL;
    for (int i = 0; i < k->n; i++)
        if (k->b->aligned[i])
            least = fmin(least,
                         (k->size[i] + (more ? more->units[i] : 0)) / at_balance_weight(k->b, i));
    return least;
}

/* Takes a part of a file: of every document its beginning, so that the translations still say the
   same, at least a few words.  Documents are not counted by parts. */
static void take(chooser *k, tuple *t, double part) {
    enum { FEW = 16 };
    t->taken = true;
    for (int64_t i = t->begin; i < t->end; i++) {
        piece *p = &k->p[i];
        const double some = fmax(floor(part * p->units), FEW);
        if (some < p->units && k->b->unit != AT_UNIT_DOCS) {
            t->units[p->domain] -= p->units - some;
            p->units = some;
            p->doc->take = (int64_t)some;
        } else {
            p->doc->take = INT64_MAX;
        }
        k->size[p->domain] += p->units;
    }
}

/* ---- cutting ---- */

/* What a file has in one domain beyond the shortest of its translations. */
typedef struct excess {
    double units;
    int64_t tuple;
} excess;

static int longest_first(const void *a, const void *b) {
    const excess *x = a, *y = b;
    if (x->units != y->units) return x->units > y->units ? -1 : 1;
    return x->tuple < y->tuple ? -1 : x->tuple > y->tuple;
}

/* Cuts `units` off a file in one domain, from its last documents. */
static double cut(chooser *k, const tuple *t, int domain, double units) {
    double off = 0;
    for (int64_t i = t->end; i-- > t->begin && off < units;) {
        piece *p = &k->p[i];
        if (p->domain != domain || p->units <= 0) continue;
        const double less = fmin(p->units, ceil(units - off));
        if (k->b->unit == AT_UNIT_DOCS && less < p->units) break;
        p->units -= less;
        p->doc->take = (int64_t)p->units;
        off += less;
    }
    k->size[domain] -= off;
    return off;
}

/* Cuts a domain to at most `most` units. */
static at_status shorten(at_ctx *c, chooser *k, int domain, double most) {
    if (k->size[domain] <= most) return AT_OK;
    excess *e = at_malloc(c, (size_t)k->n_tuples * sizeof *e);
    if (!e) return c->status;
    const double w = at_balance_weight(k->b, domain);
    int64_t n = 0;
    for (int64_t i = 0; i < k->n_tuples; i++) {
        double least = HUGE_VAL;
        if (!k->t[i].taken) continue;
        for (int j = 0; j < k->n; j++)
            if (k->b->aligned[j])
                least = fmin(least, k->t[i].units[j] / at_balance_weight(k->b, j));
        const double more = k->t[i].units[domain] - least * w;
        if (more > 0) e[n++] = (excess){more, i};
    }
    qsort(e, (size_t)n, sizeof *e, longest_first);
    for (int64_t i = 0; i < n && k->size[domain] > most; i++)
        (void)cut(k, &k->t[e[i].tuple], domain, fmin(e[i].units, k->size[domain] - most));
    at_free(e);
    return AT_OK;
}

at_status at_align_take(at_ctx *c, at_stage *domain, int n, const at_balance *b, at_split split,
                        double target, double *reached) {
    chooser k = {.b = b, .n = n};
    at_status s = chooser_open(c, &k, domain, split);
    const double half = 1 + b->max_diff / 200;
    tuple *passed = NULL;
    for (int64_t i = 0; !s && i < k.n_tuples && smallest(&k, NULL) < target; i++) {
        if (smallest(&k, &k.t[i]) <= target * half)
            take(&k, &k.t[i], 1);
        else if (!passed)
            passed = &k.t[i];
    }
    const double have = s ? 0 : smallest(&k, NULL);
    if (!s && passed && have < target * half / (1 + b->max_diff / 100))
        take(&k, passed, (target - have) / (smallest(&k, passed) - have));
    if (!s) *reached = smallest(&k, NULL);
    for (int i = 0; !s && i < n; i++)
        if (b->aligned[i])
            s = shorten(c, &k, i, b->equal ? *reached * at_balance_weight(b, i) * half : target);
    chooser_close(&k);
    return s;
}
