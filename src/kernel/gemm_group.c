/*
 * gemm_group.c - a task is a matrix, a block of the rows of C and a block of its columns: loads
 * that differ from matrix to matrix spread over the workers.
 *
 * Each task packs its rows of A, gathering them.  Where B is not transposed and serves a few rows
 * only it is not packed beforehand: the first tile of a panel reads it where it lies and, if more
 * tiles follow, leaves it packed for them.  So a matrix is read once for a handful of rows, and packing costs no pass
 * of its own.  Rows are dealt evenly to tiles: 16 are two of 8, not one of 14 and one of 2.
 *
 * k is cut into blocks from the shape alone, which fixes the order of every sum.
 */
#include "kernel/gemm_group.h"
#include "base/ints.h"
#include "base/par.h"
#include "kernel/gemm_few.h"

enum {
    KC = AT_BLOCK_K,
    MC = 168,         /* most rows of C in a task: MC x KC of A in the second cache */
    NS = 256,         /* most columns of C in a task of an outer product         */
    PANEL_MAX = 64,   /* mr and nr stay below                                    */
    FEW_MORE = 96,    /* rows up to which reading B is what takes time           */
    AHEAD = 1 << 16,  /* values of B in a block then                             */
    PACKED = 1 << 16, /* most values of A, and of B, a task of an outer product packs   */
    TASKS = 4,        /* at least, for each worker, where there is enough to cut */
    WORTH = 1 << 20,  /* multiply-adds that pay for waking the workers           */
    OWN_A = (MC + PANEL_MAX) * KC,
    OWN_B = (NS + PANEL_MAX) * KC
};

typedef struct task {
    int64_t x, i0, i1, j0, j1; /* matrix; rows (listed, or of C[x]); columns */
} task;

typedef struct job {
    const at_kernels *k;
    const at_gemm_group *g;
    const at_gemm_outer *o;
    const task *tasks;
    at_real *scratch;
    int64_t count; /* of tasks */
    int threads;
} job;

static int64_t parts_of(int64_t n, int64_t most) { return (n + most - 1) / most; }
/* Size of the parts when n is cut evenly into parts of at most `most`. */
static int64_t even(int64_t n, int64_t most) {
    const int64_t parts = parts_of(n, most);
    return parts > 1 ? (n + parts - 1) / parts : n;
}
/* The same in multiples of 8: blocks of k, slices of columns. */
static int64_t even8(int64_t n, int64_t most) {
    const int64_t size = even(n, most);
    return size < n ? at_min((size + 7) / 8 * 8, most) : n;
}

/* ---- rows of A against B ---- */

/* All matrices that have few rows. */
static at_status few_rows(at_compute *cp, const at_gemm_group *g) {
    const at_few_shape s = {g->tb, g->accumulate, g->n, g->k, g->ldb};
    at_few *f = at_malloc(cp->ctx, (size_t)g->of.e * sizeof *f);
    if (!f) return AT_OOM;
    int64_t count = 0;
    for (int64_t x = 0; x < g->of.e; x++) {
        const int64_t *row = g->of.row + g->of.first[x], rows = g->of.first[x + 1] - g->of.first[x];
        if (rows < 1 || !at_is_few(g->tb, rows)) continue;
        at_few *to = &f[count++];
        *to =
            (at_few){.m = (int)rows, .b = g->b ? g->b[x] : NULL, .b16 = g->b16 ? g->b16[x] : NULL};
        for (int i = 0; i < to->m; i++) {
            to->a[i] = g->a + row[i] / g->of.share * g->lda;
            to->c[i] = g->c + row[i] * g->ldc;
        }
    }
    const int64_t need = at_few_scratch(&s, count, cp->threads);
    at_real *room = need > 0 ? at_scratch(cp, need) : NULL;
    if (need == 0 || room) at_few_run(&cp->k, &s, f, count, cp->threads, room);
    at_free(f);
    return need == 0 || room ? AT_OK : AT_OOM;
}

/* Columns of one panel: all rows of the task, a tile after the other, which share in asking for the
   `soon` bytes used next. */
static void panel(const at_kernels *k, int64_t rows, int64_t wide, at_rows_tile *t, int64_t soon,
                  const at_real *pa, at_real *const *c, at_real *pb) {
    const int64_t tiles = parts_of(rows, wide);
    t->prefetch_step = soon / tiles / t->k;
    for (int64_t i = 0; i < rows; i += wide) {
        t->a = pa + i * t->k;
        t->c = c + i;
        t->packed = t->b != pb && rows > wide ? pb : NULL; /* b is NULL where b16 is not */
        k->tile_rows((int)at_min(wide, rows - i), t);
        t->prefetch = (const void *)((uintptr_t)t->prefetch + (uintptr_t)(t->prefetch_step * t->k));
        if (!t->packed) continue;
        t->b = pb;
        t->b16 = NULL;
        t->ldb = k->nr;
    }
}

/* Columns [j, j + nb) x rows [p, p + kb) of op(B[x]) packed as panels. */
static void pack_panels(const at_kernels *k, const at_gemm_group *g, int64_t x, int64_t j,
                        int64_t nb, int64_t p, int64_t kb, at_real *pb) {
    const int64_t at = g->tb ? j * g->ldb + p : p * g->ldb + j;
    if (g->b16)
        (g->tb ? k->pack_transposed16 : k->pack16)(kb, nb, k->nr, g->b16[x] + at, g->ldb, pb);
    else
        (g->tb ? k->pack_transposed : k->pack)(kb, nb, k->nr, g->b[x] + at, g->ldb, pb);
}

static size_t size_of_b(const at_gemm_group *g) { return g->b16 ? sizeof **g->b16 : sizeof **g->b; }

/* Where value `at` of matrix x lies; it may be past its end. */
static const void *place(const at_gemm_group *g, int64_t x, int64_t at) {
    const uintptr_t base = g->b16 ? (uintptr_t)g->b16[x] : (uintptr_t)g->b[x];
    return (const void *)(base + (uintptr_t)at * size_of_b(g));
}

/* A block of k: small where B is read for few rows, so that this block and the next one, which is
   asked for meanwhile, stay in the second cache. */
static int64_t block_k(const at_gemm_group *g, const task *t) {
    const int64_t rows = g->of.first[t->x + 1] - g->of.first[t->x];
    if (g->tb || rows > FEW_MORE) return even8(g->k, KC);
    const int64_t most = AHEAD / g->n / 8 * 8, least = rows > FEW_MORE / 2 ? 128 : 64;
    return even8(g->k, most < least ? least : at_min(most, KC));
}

/* What the panels of one block of k of a task have in common. */
typedef struct block {
    const at_gemm_group *g;
    const task *t;
    int64_t rows, wide; /* of A; in a tile */
    int64_t p, kb;      /* terms [p, p + kb) */
    const at_real *pa;
    at_real *const *c;
    at_real *pb;
} block;

/* Columns [j, j + nb), packed along the rows of B, which for many tiles is cheaper than to have the
   first tile of each panel gather it from as many pages as B has rows. */
static void packed_columns(const at_kernels *k, const block *b, int64_t j, int64_t nb) {
    const int64_t bytes = k->nr * b->kb * (int64_t)sizeof(at_real);
    pack_panels(k, b->g, b->t->x, j, nb, b->p, b->kb, b->pb);
    for (int64_t i = 0; i < nb; i += k->nr) {
        at_real *here = b->pb + i * b->kb;
        at_rows_tile tile = {.n = at_min(k->nr, nb - i), .k = b->kb, .wa = b->wide, .c0 = j + i};
        tile.add = b->g->accumulate || b->p > 0;
        tile.b = here;
        tile.ldb = k->nr;
        tile.prefetch = here + k->nr * b->kb; /* the next panel */
        panel(k, b->rows, b->wide, &tile, bytes, b->pa, b->c, here);
    }
}

/* Columns [j, j + nr), read where they lie by the first tile; `soon` bytes from `next` are used after
   them. */
static void lying_columns(const at_kernels *k, const block *b, int64_t j, const void *next,
                          int64_t soon) {
    const int64_t at = b->p * b->g->ldb + j;
    at_rows_tile tile = {.n = k->nr, .k = b->kb, .wa = b->wide, .c0 = j, .ldb = b->g->ldb};
    tile.add = b->g->accumulate || b->p > 0;
    if (b->g->b16)
        tile.b16 = b->g->b16[b->t->x] + at;
    else
        tile.b = b->g->b[b->t->x] + at;
    tile.prefetch = next;
    panel(k, b->rows, b->wide, &tile, soon, b->pa, b->c, b->pb);
}

/* next: the matrix this worker will probably read after this one. */
static void many_rows(const at_kernels *k, const at_gemm_group *g, const task *t, int64_t next,
                      at_real *pa, at_real *pb) {
    const int64_t rows = t->i1 - t->i0, wide = even(rows, k->mr);
    const int64_t kc = block_k(g, t);
    const bool whole = g->ldb == t->j1 - t->j0; /* a block of B is one piece */
    const bool packed = g->tb || rows > FEW_MORE;
    int64_t from[MC];
    at_real *c[MC];
    for (int64_t i = 0; i < rows; i++) {
        from[i] = g->of.row[t->i0 + i] / g->of.share;
        c[i] = g->c + g->of.row[t->i0 + i] * g->ldc;
    }
    for (int64_t p = 0; p < g->k; p += kc) {
        const block b = {g, t, rows, wide, p, at_min(kc, g->k - p), pa, c, pb};
        const bool more = p + b.kb < g->k;
        const int64_t after = more ? t->x : next, after_at = more ? (p + b.kb) * g->ldb : 0;
        const int64_t bytes = k->nr * b.kb * (int64_t)size_of_b(g);
        k->pack_gathered_transposed(b.kb, rows, (int)wide, g->a + p, g->lda, from, pa);
        int64_t j = t->j0;
        for (; !packed && j + k->nr <= t->j1; j += k->nr) /* a tile reads all of nr */
            lying_columns(k, &b, j, place(g, after, after_at + j * b.kb), whole ? bytes : 0);
        for (; j < t->j1; j += NS) packed_columns(k, &b, j, at_min(NS, t->j1 - j));
    }
}

static void group_part(void *arg, int64_t begin, int64_t end, int worker) {
    const job *w = arg;
    at_real *pa = w->scratch + worker * at_scratch_stride(OWN_A + OWN_B), *pb = pa + OWN_A;
    for (int64_t i = begin; i < end; i++) {
        const int64_t then = i + w->threads < w->count ? i + w->threads : i;
        const int64_t next = w->tasks[then].x;
        many_rows(w->k, w->g, &w->tasks[i], next, pa, pb);
    }
}

/* ---- A^T B ---- */

/* Rows of C[x] one after the other, since for few terms it is C that is read and written. */
static void outer_task(const at_kernels *k, const at_gemm_outer *g, const task *t, at_real *pa,
                       at_real *pb) {
    const int64_t begin = g->of.first[t->x], terms = g->of.first[t->x + 1] - begin;
    const int64_t kc = even8(terms, KC), mb = t->i1 - t->i0, wide = even(mb, k->mr);
    int64_t ra[KC];
    for (int64_t p = 0; p < terms; p += kc) {
        const int64_t kb = at_min(kc, terms - p), *row = g->of.row + begin + p;
        for (int64_t l = 0; l < kb; l++) ra[l] = row[l] / g->of.share;
        k->pack_gathered(kb, mb, (int)wide, g->a + t->i0, g->lda, ra, pa);
        k->pack_gathered(kb, t->j1 - t->j0, k->nr, g->b + t->j0, g->ldb, row, pb);
        for (int64_t i = 0; i < mb; i += wide) {
            const int64_t rows = at_min(wide, mb - i);
            at_real *c[PANEL_MAX];
            for (int64_t r = 0; r < rows; r++) c[r] = g->c[t->x] + (t->i0 + i + r) * g->ldc;
            at_rows_tile tile = {.k = kb, .a = pa + i * kb, .wa = wide, .ldb = k->nr, .add = true};
            tile.c = c;
            for (tile.c0 = t->j0; tile.c0 < t->j1; tile.c0 += k->nr) {
                tile.n = at_min(k->nr, t->j1 - tile.c0);
                tile.b = pb + (tile.c0 - t->j0) * kb;
                k->tile_rows((int)rows, &tile);
            }
        }
    }
}

static void outer_part(void *arg, int64_t begin, int64_t end, int worker) {
    const job *w = arg;
    at_real *pa = w->scratch + worker * at_scratch_stride(OWN_A + OWN_B), *pb = pa + OWN_A;
    for (int64_t i = begin; i < end; i++) outer_task(w->k, w->o, &w->tasks[i], pa, pb);
}

/* ---- tasks ---- */

static void run(at_compute *cp, job *w, int64_t count, int64_t work, at_par_fn f) {
    w->count = count;
    w->threads = work < WORTH ? 1 : cp->threads;
    at_par_for(w->threads, count, 1, f, w);
}

/* Matrices with more than a few rows, `blocks` blocks of them. */
static at_status many(at_compute *cp, const at_gemm_group *g, int64_t blocks, int64_t total) {
    const int64_t *first = g->of.first, nr = cp->k.nr;
    int64_t count = 0;
    /* columns are cut where blocks of rows are too few to share out: A is packed for each cut */
    const int64_t wanted =
        at_min(parts_of((int64_t)cp->threads * TASKS, blocks), parts_of(g->n, 64));
    const int64_t cols = cp->threads > 1 ? parts_of(parts_of(g->n, wanted), nr) * nr : g->n;
    task *t = at_malloc(cp->ctx, (size_t)(blocks * parts_of(g->n, cols)) * sizeof *t);
    job w = {.k = &cp->k, .g = g, .tasks = t};
    if (t) w.scratch = at_scratch(cp, OWN_A + OWN_B);
    if (!w.scratch) {
        at_free(t);
        return AT_OOM;
    }
    for (int64_t x = 0; x < g->of.e; x++) {
        const int64_t rows = first[x + 1] - first[x], size = even(rows, MC);
        if (at_is_few(g->tb, rows)) continue;
        for (int64_t j = 0; j < g->n; j += cols)
            for (int64_t i = first[x]; i < first[x + 1]; i += size)
                t[count++] =
                    (task){x, i, at_min(i + size, first[x + 1]), j, at_min(j + cols, g->n)};
    }
    run(cp, &w, count, total * g->n * g->k, group_part);
    at_free(t);
    return AT_OK;
}

at_status at_gemm_group_run(at_compute *cp, const at_gemm_group *g) {
    int64_t blocks = 0, total = 0, few = 0;
    for (int64_t x = 0; x < g->of.e && g->n > 0; x++) {
        const int64_t rows = g->of.first[x + 1] - g->of.first[x];
        if (!at_is_few(g->tb, rows)) {
            blocks += parts_of(rows, MC);
            total += rows;
        } else if (rows > 0)
            few++;
    }
    at_status s = few > 0 ? few_rows(cp, g) : AT_OK;
    if (s == AT_OK && blocks > 0) s = many(cp, g, blocks, total);
    return s;
}

/* Size of the parts of n rows or columns of C[x]: many where there are few terms, which makes for
   less packing, if there are matrices enough to share out. */
static int64_t outer_part_of(const at_compute *cp, int64_t n, int64_t terms, int64_t most,
                             bool enough) {
    const int64_t more = at_min(cp->block.thin / 2, PACKED) / even8(terms, KC);
    return even8(n, enough && more > most ? more / 8 * 8 : most);
}

at_status at_gemm_outer_run(at_compute *cp, const at_gemm_outer *g) {
    const int64_t *first = g->of.first;
    const int64_t total = first[g->of.e] - first[0];
    if (total <= 0 || g->m <= 0 || g->n <= 0) return AT_OK;
    const int64_t each = parts_of(g->m, MC / 2) * parts_of(g->n, NS / 2);
    int64_t count = 0, used = 0;
    task *t = at_malloc(cp->ctx, (size_t)(g->of.e * each) * sizeof *t);
    job w = {.k = &cp->k, .o = g, .tasks = t};
    if (t) w.scratch = at_scratch(cp, OWN_A + OWN_B);
    if (!w.scratch) {
        at_free(t);
        return AT_OOM;
    }
    for (int64_t x = 0; x < g->of.e; x++) used += g->c[x] && first[x] < first[x + 1];
    for (int64_t x = 0; x < g->of.e; x++) {
        const int64_t terms = first[x + 1] - first[x];
        if (!g->c[x] || terms == 0) continue;
        const bool enough = used >= (int64_t)cp->threads * TASKS;
        const int64_t rows = outer_part_of(cp, g->m, terms, MC, enough);
        const int64_t cols = outer_part_of(cp, g->n, terms, NS, enough);
        for (int64_t j = 0; j < g->n; j += cols)
            for (int64_t i = 0; i < g->m; i += rows)
                t[count++] = (task){x, i, at_min(i + rows, g->m), j, at_min(j + cols, g->n)};
    }
    run(cp, &w, count, total * g->m * g->n, outer_part);
    at_free(t);
    return AT_OK;
}
