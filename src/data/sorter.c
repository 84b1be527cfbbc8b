/* sorter.c - runs sorted in memory, then merged. */
#include "data/sorter.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sorted pairs in the file, and the part of them that is in memory. */
typedef struct run {
    int64_t at, end; /* pairs of the file not read yet */
    at_pair *pair;
    int64_t i, n;
} run;

struct at_sorter {
    char *path;
    FILE *f;
    at_pair *pair; /* [cap]: being collected, later the buffers of the runs */
    int64_t n, cap;
    run *runs;
    int64_t n_runs, runs_cap, written;
    int64_t room; /* pairs of a run in memory */
};

at_status at_sorter_open(at_ctx *c, const char *path, int64_t memory, at_sorter **out) {
    *out = NULL;
    at_sorter *s = at_calloc(c, 1, sizeof *s);
    if (!s) return c->status;
    s->cap = memory / (int64_t)sizeof *s->pair;
    if (s->cap < 64) s->cap = 64;
    s->path = at_strdup(c, path);
    s->pair = at_malloc(c, (size_t)s->cap * sizeof *s->pair);
    if (!s->path || !s->pair) {
        at_sorter_close(s);
        return c->status;
    }
    *out = s;
    return AT_OK;
}

void at_sorter_close(at_sorter *s) {
    if (!s) return;
    if (s->f) {
        (void)fclose(s->f);
        (void)unlink(s->path);
    }
    at_free(s->path);
    at_free(s->pair);
    at_free(s->runs);
    at_free(s);
}

static bool before(const at_pair *a, const at_pair *b) {
    return a->key != b->key ? a->key < b->key : a->value < b->value;
}

static int by_key(const void *a, const void *b) { return before(a, b) ? -1 : before(b, a); }

static at_status spill(at_ctx *c, at_sorter *s) {
    if (s->n == 0) return AT_OK;
    if (!s->f && !(s->f = fopen(s->path, "w+b")))
        return at_error(c, AT_IO, "%s: cannot create: %s", s->path, strerror(errno));
    if (!at_reserve(c, &s->runs, &s->runs_cap, s->n_runs + 1, sizeof *s->runs)) return c->status;
    qsort(s->pair, (size_t)s->n, sizeof *s->pair, by_key);
    if (fwrite(s->pair, sizeof *s->pair, (size_t)s->n, s->f) != (size_t)s->n)
        return at_error(c, AT_IO, "%s: cannot write: %s", s->path, strerror(errno));
    s->runs[s->n_runs++] = (run){.at = s->written, .end = s->written + s->n};
    s->written += s->n;
    s->n = 0;
    return AT_OK;
}

at_status at_sorter_add(at_ctx *c, at_sorter *s, uint64_t key, uint64_t value) {
    if (s->n == s->cap) {
        const at_status status = spill(c, s);
        if (status) return status;
    }
    s->pair[s->n++] = (at_pair){key, value};
    return AT_OK;
}

/* ---- merging ---- */

static at_status fill(at_ctx *c, at_sorter *s, run *r) {
    r->i = 0;
    r->n = r->end - r->at < s->room ? r->end - r->at : s->room;
    if (r->n == 0) return AT_OK;
    const size_t n = (size_t)r->n;
    if (fseeko(s->f, (off_t)(r->at * (int64_t)sizeof *r->pair), SEEK_SET) != 0 ||
        fread(r->pair, sizeof *r->pair, n, s->f) != n)
        return at_error(c, AT_IO, "%s: cannot read: %s", s->path, strerror(errno));
    r->at += r->n;
    return AT_OK;
}

/* Restores the heap of runs, whose top is the next pair, below i. */
static void sink(at_sorter *s, int64_t i) {
    for (;;) {
        int64_t least = i;
        for (int64_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->n_runs; k++)
            if (before(&s->runs[k].pair[s->runs[k].i], &s->runs[least].pair[s->runs[least].i]))
                least = k;
        if (least == i) return;
        const run r = s->runs[i];
        s->runs[i] = s->runs[least];
        s->runs[least] = r;
        i = least;
    }
}

at_status at_sorter_begin(at_ctx *c, at_sorter *s) {
    at_status status = AT_OK;
    if (s->n_runs == 0) { /* all of it is in memory */
        qsort(s->pair, (size_t)s->n, sizeof *s->pair, by_key);
        if (!at_reserve(c, &s->runs, &s->runs_cap, 1, sizeof *s->runs)) return c->status;
        s->runs[0] = (run){.pair = s->pair, .n = s->n};
        s->n_runs = s->n > 0;
        return AT_OK;
    }
    status = spill(c, s);
    if (!status && s->n_runs > s->cap)
        return at_error(c, AT_OOM, "%s: too many runs to merge", s->path);
    s->room = s->cap / s->n_runs;
    for (int64_t i = 0; !status && i < s->n_runs; i++) {
        s->runs[i].pair = s->pair + i * s->room;
        status = fill(c, s, &s->runs[i]);
    }
    for (int64_t i = s->n_runs; !status && i-- > 0;) sink(s, i);
    return status;
}

at_status at_sorter_next(at_ctx *c, at_sorter *s, at_pair *out, bool *more) {
    *more = s->n_runs > 0;
    if (!*more) return AT_OK;
    run *top = &s->runs[0];
    *out = top->pair[top->i++];
    if (top->i == top->n && top->at < top->end) {
        const at_status status = fill(c, s, top);
        if (status) return status;
    }
    if (top->i == top->n) *top = s->runs[--s->n_runs];
    sink(s, 0);
    return AT_OK;
}
