/*
 * gemm_few.c - what takes time is reading B, so it is read in pieces as long as can be.
 *
 * A transposed B is cut by its rows, the columns of C.  Else rows of B are summed in blocks of k,
 * cut from the shape alone: the first block goes to C, each other is summed on its own and added,
 * in order.  So it changes no bit whether one worker does the blocks or each is done by another,
 * in room of its own; cutting columns instead would have every worker read a part of each row.
 */
#include "kernel/gemm_few.h"
#include "base/ints.h"
#include "base/par.h"

enum {
    BLOCK = 1 << 17, /* values of B in a block                                  */
    LEAST = 32,      /* rows of B in a block                                    */
    WIDE = 2048,     /* columns worth a part of their own though rows are cut   */
    NARROW = 64,     /* the same where B is transposed                          */
    AGAIN = 32,      /* rows of a transposed B read again for the next rows of A */
    TASKS = 4,       /* at least, for each worker                               */
    SUMS = 4096,     /* of a block, beside C                                    */
    RUN = 1 << 20,   /* values of B a worker takes at a time, at most           */
    WORTH = 1 << 18  /* values of B that pay for waking the workers             */
};

/* How the products are cut. */
typedef struct cut {
    int64_t kb, blocks; /* terms in a block of k; blocks that are tasks of their own, or 1 */
    int64_t nb, parts;  /* columns in a part; parts                                        */
} cut;

typedef struct job {
    const at_kernels *k;
    const at_few_shape *s;
    const at_few *f;
    cut cut;
    at_real *room; /* n sums of row i of product x in block b > 0: see sums_of */
} job;

static int64_t parts_of(int64_t n, int64_t most) { return (n + most - 1) / most; }

/* Terms in a block of k: rows of B, all of them where it is transposed. */
static int64_t block_k(const at_few_shape *s) {
    if (s->tb) return s->k;
    const int64_t most = BLOCK / s->n > LEAST ? BLOCK / s->n : LEAST;
    return (parts_of(s->k, parts_of(s->k, most)) + 7) / 8 * 8;
}

/* Terms [p0, p1) of columns [j0, j1) to c, of which these columns are the first. */
static void piece(const at_kernels *k, const at_few_shape *s, const at_few *f, int64_t j0,
                  int64_t j1, int64_t p0, int64_t p1, bool add, at_real *const *c) {
    const int64_t at = p0 * s->ldb + j0;
    const at_real *a[AT_FEW];
    for (int i = 0; i < f->m; i++) a[i] = f->a[i] + p0;
    at_few_tile t = {.n = j1 - j0, .k = p1 - p0, .a = a, .ldb = s->ldb, .add = add, .c = c};
    if (f->b16)
        t.b16 = f->b16 + at;
    else
        t.b = f->b + at;
    k->few_rows(f->m, false, &t);
}

/* All terms of columns [j0, j1) where B is transposed: some of its rows against all of A, a few
   rows of A at a time. */
static void turned(const at_kernels *k, const at_few_shape *s, const at_few *f, int64_t j0,
                   int64_t j1) {
    const int groups = (f->m + AT_FEW - 1) / AT_FEW;
    const int64_t nb = groups > 1 ? AGAIN : j1 - j0;
    at_few_tile t = {.k = s->k, .ldb = s->ldb, .add = s->accumulate};
    for (int64_t j = j0; j < j1; j += nb) {
        t.n = at_min(nb, j1 - j);
        if (f->b16)
            t.b16 = f->b16 + j * s->ldb;
        else
            t.b = f->b + j * s->ldb;
        for (int q = 0; q < groups; q++) {
            const int begin = q * f->m / groups, end = (q + 1) * f->m / groups;
            at_real *c[AT_FEW];
            for (int i = begin; i < end; i++) c[i - begin] = f->c[i] + j;
            t.a = f->a + begin;
            t.c = c;
            k->few_rows(end - begin, true, &t);
        }
    }
}

/* Columns [j0, j1), all blocks of k one after the other. */
static void columns(const at_kernels *k, const at_few_shape *s, const at_few *f, int64_t kb,
                    int64_t j0, int64_t j1) {
    at_real flat[SUMS], *c[AT_FEW], *sum[AT_FEW];
    const int64_t most = kb < s->k ? SUMS / f->m : j1 - j0;
    for (int i = 0; i < f->m; i++) sum[i] = flat + i * (SUMS / f->m);
    for (int64_t j = j0; j < j1; j += most) {
        const int64_t end = at_min(j + most, j1);
        for (int i = 0; i < f->m; i++) c[i] = f->c[i] + j;
        piece(k, s, f, j, end, 0, at_min(kb, s->k), s->accumulate, c);
        for (int64_t p = kb; p < s->k; p += kb) {
            piece(k, s, f, j, end, p, at_min(p + kb, s->k), false, sum);
            for (int i = 0; i < f->m; i++) k->acc(end - j, sum[i], c[i]);
        }
    }
}

static cut cut_of(const at_few_shape *s, int64_t count, int threads) {
    cut c = {.kb = block_k(s), .blocks = 1, .nb = s->n, .parts = 1};
    const int64_t wanted = parts_of((int64_t)threads * TASKS, count);
    if (threads <= 1 || wanted <= 1 || count * s->n * s->k < WORTH) return c;
    const int64_t least = s->tb ? NARROW : WIDE, most = s->n / least > 1 ? s->n / least : 1;
    if (s->tb || most >= wanted)
        c.nb = (parts_of(s->n, at_min(wanted, most)) + 15) / 16 * 16;
    else
        c.blocks = parts_of(s->k, c.kb);
    c.parts = parts_of(s->n, c.nb);
    return c;
}

static at_real *sums_of(const job *w, int64_t x, int i, int64_t block) {
    return w->room + ((x * AT_FEW + i) * (w->cut.blocks - 1) + block - 1) * w->s->n;
}

int64_t at_few_scratch(const at_few_shape *s, int64_t count, int threads) {
    return count * AT_FEW * (cut_of(s, count, threads).blocks - 1) * s->n;
}

static void tasks(void *arg, int64_t begin, int64_t end, int worker) {
    const job *w = arg;
    const at_few_shape *s = w->s;
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const int64_t part = t % w->cut.parts, block = t / w->cut.parts % w->cut.blocks;
        const int64_t x = t / w->cut.parts / w->cut.blocks, kb = w->cut.kb;
        const int64_t j0 = part * w->cut.nb, j1 = at_min(j0 + w->cut.nb, s->n);
        const at_few *f = w->f + x;
        at_real *c[AT_FEW];
        if (w->cut.blocks == 1) {
            if (s->tb)
                turned(w->k, s, f, j0, j1);
            else
                columns(w->k, s, f, kb, j0, j1);
            continue;
        }
        for (int i = 0; i < f->m; i++) c[i] = block ? sums_of(w, x, i, block) : f->c[i];
        piece(w->k, s, f, 0, s->n, block * kb, at_min((block + 1) * kb, s->k),
              !block && s->accumulate, c);
    }
}

void at_few_run(const at_kernels *k, const at_few_shape *s, const at_few *f, int64_t count,
                int threads, at_real *room) {
    job w = {.k = k, .s = s, .f = f, .cut = cut_of(s, count, threads), .room = room};
    const int awake = count * s->n * s->k < WORTH ? 1 : threads;
    /* Neighbours in a run: what a task asks for beyond its end is the next one's beginning. */
    const int64_t n = count * w.cut.blocks * w.cut.parts;
    if (n < 1) return;
    const int64_t each = s->n * s->k * count / n;
    const int64_t grain = at_min(n / ((int64_t)awake * 2), each > 0 ? RUN / each : 1);
    at_par_for(awake, n, grain > 1 ? grain : 1, tasks, &w);
    for (int64_t x = 0; x < count && w.cut.blocks > 1; x++)
        for (int i = 0; i < f[x].m; i++)
            for (int64_t b = 1; b < w.cut.blocks; b++)
                k->acc(s->n, sums_of(&w, x, i, b), f[x].c[i]);
}
