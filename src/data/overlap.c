/* overlap.c - see overlap.h: a table of the sampled stretches of held-out text, in which those of
   the training text are marked. */
#include "data/overlap.h"
#include "data/shingle.h"

enum { SAMPLE = 1 << 18 };

typedef struct table {
    uint64_t *slot; /* 0: free; lowest bit: seen in training text */
    int64_t cap, entered;
    uint64_t mask; /* hashes whose bits here are 0 are the sample */
    at_stage *domain;
    int n;
    at_bytes text, folded;
} table;

static uint64_t *place(const table *t, uint64_t hash) {
    const uint64_t mask = (uint64_t)t->cap - 1;
    for (uint64_t i = hash >> 20 & mask;; i = (i + 1) & mask)
        if (!t->slot[i] || (t->slot[i] | 1) == (hash | 1)) return &t->slot[i];
}

static bool held_out(const at_staged *d) { return d->split != AT_TRAIN && d->take != 0; }

/* Room for the sample: at most one stretch a byte. */
static at_status table_open(at_ctx *c, table *t) {
    int64_t bytes = 0;
    for (int k = 0; k < t->n; k++)
        for (int64_t i = 0; i < t->domain[k].n; i++)
            if (held_out(&t->domain[k].doc[i])) bytes += t->domain[k].doc[i].bytes;
    while (bytes / (int64_t)(t->mask + 1) > SAMPLE) t->mask = 2 * t->mask + 1;
    /* twice what is expected, and where the sample is a part of all, what chance may add */
    int64_t most = bytes / (int64_t)(t->mask + 1);
    if (t->mask) most += most / 2;
    t->cap = 1024;
    while (t->cap < 2 * most) t->cap *= 2;
    t->slot = at_calloc(c, (size_t)t->cap, sizeof *t->slot);
    return t->slot ? AT_OK : c->status;
}

/* What is done with a sampled stretch. */
typedef enum step { ENTER, MARK, COUNT } step;
typedef struct counts {
    int64_t all, seen;
} counts;

static void document(table *t, step what, counts *n) {
    at_roll r = at_roll_begin(&t->folded, AT_OVERLAP_BYTES);
    uint64_t hash;
    while (at_roll_next(&r, &hash)) {
        if (hash >> 2 & t->mask) continue;
        uint64_t *s = place(t, hash | 2); /* never 0 */
        if (what == ENTER) {
            if (*s || 2 * t->entered > t->cap) continue; /* room is left in any case */
            *s = (hash | 2) & ~UINT64_C(1);
            t->entered++;
        } else if (what == MARK) {
            if (*s) *s |= 1;
        } else {
            n->all++;
            n->seen += (int64_t)(*s & 1);
        }
    }
}

static at_status pass(at_ctx *c, table *t, int domain, at_split split, step what, counts *n) {
    at_stage *s = &t->domain[domain];
    at_status status = AT_OK;
    for (int64_t i = 0; !status && i < s->n; i++) {
        const at_staged *d = &s->doc[i];
        if (d->split != split || d->take == 0) continue;
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "data build: interrupted");
        status = at_stage_text(c, s, d, &t->text);
        if (!status) status = at_fold(c, t->text.p, (size_t)t->text.n, &t->folded);
        if (!status) document(t, what, n);
    }
    return status;
}

at_status at_overlap(at_ctx *c, at_stage *domain, int n, double (*share)[AT_SPLITS]) {
    table t = {.domain = domain, .n = n};
    counts none = {0, 0};
    at_status s = table_open(c, &t);
    for (int k = 0; !s && k < n; k++)
        for (int p = AT_VALIDATION; !s && p < AT_SPLITS; p++)
            s = pass(c, &t, k, (at_split)p, ENTER, &none);
    for (int k = 0; !s && k < n; k++) s = pass(c, &t, k, AT_TRAIN, MARK, &none);
    for (int k = 0; !s && k < n; k++) {
        share[k][AT_TRAIN] = 0;
        for (int p = AT_VALIDATION; !s && p < AT_SPLITS; p++) {
            counts found = {0, 0};
            s = pass(c, &t, k, (at_split)p, COUNT, &found);
            share[k][p] = found.all ? (double)found.seen / (double)found.all : 0;
        }
    }
    at_free(t.slot);
    at_bytes_free(&t.text);
    at_bytes_free(&t.folded);
    return s;
}
