/* balance.c - see balance.h. */
#include "data/balance.h"
#include "base/rng.h"
#include "data/align.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Splits do not depend on the seed, so that runs of different seeds are tested on the same text. */
enum { SPLIT_SEED = 0x5917 };

static double place(uint64_t key) { return at_uniform(SPLIT_SEED, AT_STREAM_SHUFFLE, key); }

static void bounds(const at_balance *b, int split, double *lo, double *hi) {
    *lo = 0;
    for (int k = 0; k < split; k++) *lo += b->share[k];
    *hi = *lo + b->share[split];
    if (split == AT_SPLITS - 1) *hi = 1;
}

static at_split split_of(const at_balance *b, uint64_t key) {
    const double u = place(key);
    double lo, hi;
    for (int k = AT_SPLITS - 1; k > 0; k--) {
        bounds(b, k, &lo, &hi);
        if (u >= lo && b->share[k] > 0) return (at_split)k;
    }
    return AT_TRAIN;
}

/* ---- files ---- */

/* How far a split may be from its share, as a part of that share: beyond CLOSE files are moved; if
   it is beyond FAR even then, files are cut into their stretches. */
static const double CLOSE = 0.25, FAR = 0.5;

/* The part of a group (a file) that is in one domain. */
typedef struct part {
    uint64_t group;
    double bytes;
    at_split split;
    bool moved;
} part;

static int by_group(const void *a, const void *b) {
    const part *x = a, *y = b;
    return x->group < y->group ? -1 : x->group > y->group;
}

/* The groups of a domain in order, from the heap.  *all: their bytes. */
static part *parts_of(at_ctx *c, const at_stage *s, int64_t *n, double *all) {
    part *p = at_malloc(c, (size_t)s->n * sizeof *p);
    *n = 0;
    *all = 0;
    if (!p) return NULL;
    for (int64_t i = 0; i < s->n; i++) {
        const at_staged *d = &s->doc[i];
        p[i] = (part){d->group, (double)d->bytes, d->split, false};
        *all += p[i].bytes;
    }
    qsort(p, (size_t)s->n, sizeof *p, by_group);
    for (int64_t i = 0; i < s->n; i++)
        if (*n > 0 && p[*n - 1].group == p[i].group)
            p[*n - 1].bytes += p[i].bytes;
        else
            p[(*n)++] = p[i];
    return p;
}

/* How far each split is from its share of all bytes; returns the largest distance as a part of the
   share. */
static double distances(const part *p, int64_t n, double all, const at_balance *b,
                        double apart[AT_SPLITS]) {
    double most = 0;
    for (int k = 0; k < AT_SPLITS; k++) apart[k] = -b->share[k];
    for (int64_t i = 0; i < n; i++) apart[p[i].split] += p[i].bytes / all;
    for (int k = 0; k < AT_SPLITS; k++)
        if (b->share[k] > 0) most = fmax(most, fabs(apart[k]) / b->share[k]);
    return most;
}

/* Moves the file whose move helps most; false: none helps.  The measure is the sum of squared
   distances over shares.  It falls with every move, so that this ends. */
static bool move_one(part *p, int64_t n, double all, const at_balance *b,
                     const double apart[AT_SPLITS]) {
    double best = -1e-12;
    part *which = NULL;
    at_split to = AT_TRAIN;
    for (int64_t i = 0; i < n; i++) {
        const double w = p[i].bytes / all;
        const double less = (w * w - 2 * w * apart[p[i].split]) / b->share[p[i].split];
        for (int k = 0; k < AT_SPLITS; k++) {
            if (b->share[k] <= 0 || k == (int)p[i].split) continue;
            const double change = less + (w * w + 2 * w * apart[k]) / b->share[k];
            if (change >= best) continue;
            best = change;
            which = &p[i];
            to = (at_split)k;
        }
    }
    if (!which) return false;
    which->split = to;
    which->moved = true;
    return true;
}

/* Sets the split of the documents of the moved groups. */
static void follow(at_stage *s, const part *p, int64_t n) {
    for (int64_t i = 0; i < s->n; i++) {
        const part wanted = {.group = s->doc[i].group};
        const part *found = bsearch(&wanted, p, (size_t)n, sizeof *p, by_group);
        if (found && found->moved) s->doc[i].split = found->split;
    }
}

/* When there are few files their splits are far from the shares by chance; moves whole files until
   they are close.  *most: the largest distance left. */
static at_status move_files(at_ctx *c, at_stage *domain, int n, int d, const at_balance *b,
                            double *most) {
    int64_t parts;
    double all, apart[AT_SPLITS];
    part *p = parts_of(c, &domain[d], &parts, &all);
    if (!p) return c->status;
    bool moved = false;
    *most = 0; /* a domain without bytes is not out of balance */
    while (all > 0 && (*most = distances(p, parts, all, b, apart)) > CLOSE &&
           move_one(p, parts, all, b, apart))
        moved = true;
    for (int i = 0; moved && i < n; i++) follow(&domain[i], p, parts);
    at_free(p);
    return AT_OK;
}

static bool has_stretches(const at_stage *s) {
    bool found = false;
    for (int64_t i = 0; i < s->n && !found; i++) found = s->doc[i].group != s->doc[i].key;
    return found;
}

/* The last resort: a group for each stretch of a file. */
static void cut_files(at_ctx *c, at_stage *s, const at_balance *b) {
    s->cut = true;
    for (int64_t i = 0; i < s->n; i++) {
        s->doc[i].group = s->doc[i].key;
        s->doc[i].split = split_of(b, s->doc[i].key);
    }
    at_log(c, AT_LOG_WARN,
           "domain \"%s\": its files are too few to give every split its share (%lld read): the "
           "stretches of a file go into splits one by one, so that what is tested on comes from "
           "files that were trained on",
           s->name, (long long)s->left.files);
}

static at_status split_files(at_ctx *c, at_stage *domain, int n, const at_balance *b) {
    double most;
    at_status s = AT_OK;
    for (int round = 0; round < 3; round++) /* a file may be in several domains */
        for (int i = 0; i < n && !s; i++)
            if (has_stretches(&domain[i])) s = move_files(c, domain, n, i, b, &most);
    for (int i = 0; i < n && !s; i++) {
        if (!has_stretches(&domain[i])) continue;
        s = move_files(c, domain, n, i, b, &most);
        const bool with_others = b->aligned && b->aligned[i];
        for (int k = 0; !s && most > FAR && k < n; k++) /* stretches stay with their translations */
            if (k == i || (with_others && b->aligned[k])) cut_files(c, &domain[k], b);
    }
    return s;
}

/* ---- no split without a document ---- */

static void count_splits(const at_stage *s, int64_t count[AT_SPLITS]) {
    memset(count, 0, AT_SPLITS * sizeof *count);
    for (int64_t i = 0; i < s->n; i++) count[s->doc[i].split]++;
}

/* The group to move into an empty split: of those whose split has other documents, too, the one
   whose hash is nearest to the range of hashes of the empty one. */
static bool nearest(const at_stage *s, const at_balance *b, int split, uint64_t *group) {
    int64_t count[AT_SPLITS];
    double lo, hi, best = HUGE_VAL;
    count_splits(s, count);
    bounds(b, split, &lo, &hi);
    for (int64_t i = 0; i < s->n; i++) {
        const at_staged *d = &s->doc[i];
        if (count[d->split] < 2) continue;
        const double u = place(d->group), away = u < lo ? lo - u : u - hi;
        if (away < best) {
            best = away;
            *group = d->group;
        }
    }
    return best < HUGE_VAL;
}

static at_status fill_splits(at_ctx *c, at_stage *domain, int n, const at_balance *b) {
    int wanted = 0;
    for (int k = 0; k < AT_SPLITS; k++) wanted += b->share[k] > 0;
    for (int round = 0; round < 4 * AT_SPLITS * n; round++) {
        int at = -1, split = 0;
        for (int i = 0; i < n && at < 0; i++) {
            int64_t count[AT_SPLITS];
            count_splits(&domain[i], count);
            for (int k = 0; k < AT_SPLITS && at < 0; k++)
                if (b->share[k] > 0 && count[k] == 0) at = i, split = k;
        }
        if (at < 0) return AT_OK;
        uint64_t group = 0;
        if (domain[at].n < wanted || !nearest(&domain[at], b, split, &group))
            return at_error(
                c, AT_FORMAT,
                "domain \"%s\": expected at least %d documents, one a split, found %lld "
                "(a long text is cut into documents at blank lines)",
                domain[at].name, wanted, (long long)domain[at].n);
        for (int i = 0; i < n; i++)
            for (int64_t j = 0; j < domain[i].n; j++)
                if (domain[i].doc[j].group == group) domain[i].doc[j].split = (at_split)split;
    }
    return at_error(c, AT_FORMAT, "the documents are too few to give every domain every split");
}

at_status at_balance_split(at_ctx *c, at_stage *domain, int n, const at_balance *b, uint64_t seed) {
    for (int i = 0; i < n; i++)
        for (int64_t j = 0; j < domain[i].n; j++) {
            at_staged *d = &domain[i].doc[j];
            d->split = split_of(b, d->group);
            d->order = at_rand64(seed, AT_STREAM_SHUFFLE, d->key);
        }
    const at_status s = split_files(c, domain, n, b);
    return s ? s : fill_splits(c, domain, n, b);
}

/* ---- order ---- */

typedef struct ranked {
    uint64_t order;
    int64_t index;
} ranked;

static int by_order(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

int64_t *at_balance_order(at_ctx *c, const at_stage *s, at_split split, int64_t *count) {
    *count = 0;
    ranked *r = at_malloc(c, (size_t)s->n * sizeof *r);
    int64_t *out = r ? at_malloc(c, (size_t)s->n * sizeof *out) : NULL;
    if (!out) {
        at_free(r);
        return NULL;
    }
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (s->doc[i].split == split) r[n++] = (ranked){s->doc[i].order, i};
    qsort(r, (size_t)n, sizeof *r, by_order);
    for (int64_t i = 0; i < n; i++) out[i] = r[i].index;
    at_free(r);
    *count = n;
    return out;
}

/* ---- balance ---- */

static double total(const at_stage *s, at_split split, at_unit unit) {
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (s->doc[i].split == split) sum += (double)at_staged_units(&s->doc[i], unit);
    return sum;
}

static at_status take_split(at_ctx *c, at_stage *s, at_split split, const at_balance *b,
                            double target) {
    int64_t n;
    int64_t *order = at_balance_order(c, s, split, &n);
    if (!order) return c->status;
    /* cap / least is the ratio that is allowed; target lies between them */
    const double cap = target * (1 + b->max_diff / 200), least = cap / (1 + b->max_diff / 100);
    double sum = 0;
    at_staged *passed = NULL;
    for (int64_t i = 0; i < n && sum < target; i++) {
        at_staged *d = &s->doc[order[i]];
        const double units = (double)at_staged_units(d, b->unit);
        if (sum + units > cap) {
            if (!passed) passed = d;
            continue;
        }
        sum += units;
        d->take = INT64_MAX;
    }
    if (sum < least && passed && b->unit != AT_UNIT_DOCS) passed->take = (int64_t)(target - sum);
    at_free(order);
    return AT_OK;
}

at_status at_balance_take(at_ctx *c, at_stage *domain, int n, const at_balance *b) {
    for (int k = 0; k < AT_SPLITS; k++) {
        double smallest = HUGE_VAL, largest = 0; /* total over weight; weight */
        for (int i = 0; i < n; i++) {
            const double w = at_balance_weight(b, i);
            smallest = fmin(smallest, total(&domain[i], (at_split)k, b->unit) / w);
            largest = fmax(largest, w);
        }
        const double limit =
            b->limit > 0 ? (double)b->limit * b->share[k] / b->share[AT_TRAIN] : HUGE_VAL;
        smallest = fmin(smallest, limit / largest);
        if (b->aligned) {
            const at_status s =
                at_align_take(c, domain, n, b, (at_split)k, b->equal ? smallest : limit, &smallest);
            if (s) return s;
        }
        for (int i = 0; i < n; i++) {
            if (b->aligned && b->aligned[i]) continue;
            const double all = total(&domain[i], (at_split)k, b->unit);
            const double target = b->equal ? smallest * at_balance_weight(b, i) : fmin(all, limit);
            const at_status s = take_split(c, &domain[i], (at_split)k, b, target);
            if (s) return s;
        }
    }
    return AT_OK;
}
