/*
 * gemm_few.c - products with few rows of A are bound by reading B, so it is read in long stretches.
 *
 * A transposed B is divided by its rows, which are the columns of C.  Any other B is divided into
 * blocks of k, cut from the shape alone: the first block is written to C; the partial sums of each
 * other block are added to it, in order.  So no bit depends on whether one worker does all blocks,
 * or several do one each into a buffer of partial sums.  (Dividing by columns would have every
 * worker read a short part of each row.)
 */
#include "kernel/gemm_few.h"
#include "base/ints.h"
#include "base/par.h"

enum {
    BLOCK_MAX = 1 << 17,      /* values of B in a block of k                                    */
    BLOCK_ROWS_MIN = 32,      /* rows of B in a block of k, at least                            */
    PART_MIN = 2048,          /* columns of B in a task, at least                               */
    PART_MIN_TRANSPOSED = 64, /* the same where B is transposed                                 */
    ROWS_AGAIN = 32,          /* rows of a transposed B that stay cached for the next rows of A */
    SUMS_MAX = 4096,          /* partial sums on the stack                                      */
    CHUNK_MAX = 1 << 20,      /* values of B that a worker takes at a time, at most             */
    PARALLEL_MIN = 1 << 18    /* fewer values of B are read by one worker                       */
};

/* How the products are cut into tasks. */
typedef struct cut {
    int64_t kb, blocks; /* terms in a block of k; number of blocks, 1: a task does them all */
    int64_t nb, parts;  /* columns of a task; number of such parts                         */
} cut;

typedef struct job {
    const at_kernels *k;
    const at_few_shape *s;
    const at_few *f;
    cut cut;
    at_real *partial; /* n partial sums of each row of C and block of k > 0, see sums_of */
} job;

/* Terms in a block of k: so many rows of B, or all of k where B is transposed. */
static int64_t block_k(const at_few_shape *s) {
    if (s->tb) return s->k;
    const int64_t most = at_max(BLOCK_MAX / s->n, BLOCK_ROWS_MIN);
    return at_round_up(at_div_up(s->k, at_div_up(s->k, most)), 8);
}

/* The sums over terms [p0, p1) for columns [j0, j1), to (or added to) the first columns of c. */
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

/* Columns [j0, j1) of C where B is transposed.  With more than AT_FEW rows of A, some rows of B are
   multiplied by all rows of A, AT_FEW at a time, while they are in the cache. */
static void transposed(const at_kernels *k, const at_few_shape *s, const at_few *f, int64_t j0,
                       int64_t j1) {
    const int groups = (int)at_div_up(f->m, AT_FEW);
    const int64_t nb = groups > 1 ? ROWS_AGAIN : j1 - j0;
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

/* Columns [j0, j1) of C, all blocks of k one after the other. */
static void columns(const at_kernels *k, const at_few_shape *s, const at_few *f, int64_t kb,
                    int64_t j0, int64_t j1) {
    at_real flat[SUMS_MAX], *c[AT_FEW], *sum[AT_FEW];
    const int64_t most = kb < s->k ? SUMS_MAX / f->m : j1 - j0;
    for (int i = 0; i < f->m; i++) sum[i] = flat + i * (SUMS_MAX / f->m);
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
    const int64_t wanted = at_div_up((int64_t)threads * AT_TASKS, count);
    if (threads <= 1 || wanted <= 1 || count * s->n * s->k < PARALLEL_MIN) return c;
    const int64_t least = s->tb ? PART_MIN_TRANSPOSED : PART_MIN, most = at_max(s->n / least, 1);
    if (s->tb || most >= wanted)
        c.nb = at_round_up(at_div_up(s->n, at_min(wanted, most)), 16);
    else
        c.blocks = at_div_up(s->k, c.kb);
    c.parts = at_div_up(s->n, c.nb);
    return c;
}

static at_real *sums_of(const job *w, int64_t x, int i, int64_t block) {
    return w->partial + ((x * AT_FEW + i) * (w->cut.blocks - 1) + block - 1) * w->s->n;
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
                transposed(w->k, s, f, j0, j1);
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
                int threads, at_real *partial) {
    job w = {.k = k, .s = s, .f = f, .cut = cut_of(s, count, threads), .partial = partial};
    const int awake = count * s->n * s->k < PARALLEL_MIN ? 1 : threads;
    /* A worker takes neighbouring tasks: what one prefetches beyond its end the next one reads. */
    const int64_t n = count * w.cut.blocks * w.cut.parts;
    if (n < 1) return;
    const int64_t each = s->n * s->k * count / n;
    const int64_t grain = at_min(n / ((int64_t)awake * 2), each > 0 ? CHUNK_MAX / each : 1);
    at_par_for(awake, n, at_max(grain, 1), tasks, &w);
    for (int64_t x = 0; x < count && w.cut.blocks > 1; x++)
        for (int i = 0; i < f[x].m; i++)
            for (int64_t b = 1; b < w.cut.blocks; b++)
                k->acc(s->n, sums_of(&w, x, i, b), f[x].c[i]);
}
