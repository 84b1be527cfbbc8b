/*
 * gemm_group.c - a task is one matrix, a block of rows of C and a block of its columns, so that the
 * work spreads over the workers even when matrices have very different numbers of rows.
 *
 * Each task gathers its rows of A while it packs them.  A matrix that is not transposed and has up
 * to READ_BOUND rows is not packed beforehand: the first tile of a panel reads it unpacked and, if
 * more tiles follow, leaves the panel packed for them.  So it is read once, and packing needs no
 * pass of its own.  Rows are divided evenly among tiles: 16 are two of 8, not one of 14 and one of
 * 2.
 *
 * k is cut into blocks from the shape alone, which fixes the order of every sum.
 */
#include "kernel/gemm_group.h"
#include "base/ints.h"
#include "base/par.h"
#include "kernel/gemm_few.h"

enum {
    READ_BOUND = 96,     /* up to so many rows reading B is what takes time               */
    BLOCK_B = 1 << 16,   /* values of B in a block then                                   */
    OUTER_MAX = 1 << 16, /* most values of A, and of B, that a task of an outer product packs */
    OWN_A = (AT_MC_GROUP + AT_PANEL_MAX) * AT_KC,
    OWN_B = (AT_NC_OWN + AT_PANEL_MAX) * AT_KC
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

/* Size of equal parts of n, as few as there can be with at most `most` in each. */
static int64_t even(int64_t n, int64_t most) {
    const int64_t parts = at_div_up(n, most);
    return parts > 1 ? at_div_up(n, parts) : n;
}
/* The same, rounded up to multiples of 8. */
static int64_t even8(int64_t n, int64_t most) {
    const int64_t size = even(n, most);
    return size < n ? at_min(at_round_up(size, 8), most) : n;
}

/* ---- rows of A against B ---- */

static const uint16_t *b16_of(const at_gemm_group *g, int64_t x) {
    return g->b16 ? g->b16[x] : NULL;
}

/* All matrices with few rows, see gemm_few.h. */
static at_status few_rows(at_compute *cp, const at_gemm_group *g) {
    const at_few_shape s = {g->tb, g->accumulate, g->n, g->k, g->ldb};
    at_few *f = at_malloc(cp->ctx, (size_t)g->of.e * sizeof *f);
    if (!f) return AT_OOM;
    int64_t count = 0;
    for (int64_t x = 0; x < g->of.e; x++) {
        const int64_t *row = g->of.row + g->of.first[x], rows = g->of.first[x + 1] - g->of.first[x];
        if (rows < 1 || !at_is_few(g->tb, rows)) continue;
        at_few *to = &f[count++];
        *to = (at_few){.m = (int)rows, .b = g->b ? g->b[x] : NULL, .b16 = b16_of(g, x)};
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

/* The columns of C of one panel of B: tile after tile over the rows of the task.  Meanwhile the
   tiles prefetch `ahead` bytes in equal parts. */
static void panel(const at_kernels *k, int64_t rows, int64_t wide, at_rows_tile *t, int64_t ahead,
                  const at_real *pa, at_real *const *c, at_real *pb) {
    const int64_t tiles = at_div_up(rows, wide);
    t->prefetch_step = ahead / tiles / t->k;
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
    if (b16_of(g, x))
        (g->tb ? k->pack_transposed16 : k->pack16)(kb, nb, k->nr, g->b16[x] + at, g->ldb, pb);
    else
        (g->tb ? k->pack_transposed : k->pack)(kb, nb, k->nr, g->b[x] + at, g->ldb, pb);
}

static size_t size_of_b(const at_gemm_group *g, int64_t x) {
    return b16_of(g, x) ? sizeof **g->b16 : sizeof **g->b;
}

/* Address of value `at` of matrix x, for prefetching; it may be past the end. */
static const void *place(const at_gemm_group *g, int64_t x, int64_t at) {
    const uintptr_t base = b16_of(g, x) ? (uintptr_t)g->b16[x] : (uintptr_t)g->b[x];
    return (const void *)(base + (uintptr_t)at * size_of_b(g, x));
}

/* Terms in a block of k: fewer where reading B is what takes time, so that this block and the next
   one, which is prefetched meanwhile, stay in the second-level cache. */
static int64_t block_k(const at_gemm_group *g, const task *t) {
    const int64_t rows = g->of.first[t->x + 1] - g->of.first[t->x];
    if (g->tb || rows > READ_BOUND) return even8(g->k, AT_KC);
    const int64_t most = BLOCK_B / g->n / 8 * 8, least = rows > READ_BOUND / 2 ? 128 : 64;
    return even8(g->k, at_clamp(most, least, AT_KC));
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

/* Columns [j, j + nb) of C from panels packed beforehand, along the rows of B.  For many rows that
   is cheaper than a first tile that reads each panel from as many memory pages as B has rows. */
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

/* Columns [j, j + nr) of C; the first tile reads B unpacked.  `ahead` bytes from `next` on are
   prefetched meanwhile. */
static void unpacked_columns(const at_kernels *k, const block *b, int64_t j, const void *next,
                             int64_t ahead) {
    const int64_t at = b->p * b->g->ldb + j;
    at_rows_tile tile = {.n = k->nr, .k = b->kb, .wa = b->wide, .c0 = j, .ldb = b->g->ldb};
    tile.add = b->g->accumulate || b->p > 0;
    if (b16_of(b->g, b->t->x))
        tile.b16 = b->g->b16[b->t->x] + at;
    else
        tile.b = b->g->b[b->t->x] + at;
    tile.prefetch = next;
    panel(k, b->rows, b->wide, &tile, ahead, b->pa, b->c, b->pb);
}

/* One task.  next: the matrix this worker will probably read after this one. */
static void many_rows(const at_kernels *k, const at_gemm_group *g, const task *t, int64_t next,
                      at_real *pa, at_real *pb) {
    const int64_t rows = t->i1 - t->i0, wide = even(rows, k->mr);
    const int64_t kc = block_k(g, t);
    const bool whole = g->ldb == t->j1 - t->j0; /* whole rows: a block of B is contiguous */
    const bool packed = g->tb || rows > READ_BOUND;
    int64_t from[AT_MC_GROUP];
    at_real *c[AT_MC_GROUP];
    for (int64_t i = 0; i < rows; i++) {
        from[i] = g->of.row[t->i0 + i] / g->of.share;
        c[i] = g->c + g->of.row[t->i0 + i] * g->ldc;
    }
    for (int64_t p = 0; p < g->k; p += kc) {
        const block b = {g, t, rows, wide, p, at_min(kc, g->k - p), pa, c, pb};
        const bool more = p + b.kb < g->k;
        const int64_t after = more ? t->x : next, after_at = more ? (p + b.kb) * g->ldb : 0;
        const int64_t bytes = k->nr * b.kb * (int64_t)size_of_b(g, t->x);
        k->pack_gathered_transposed(b.kb, rows, (int)wide, g->a + p, g->lda, from, pa);
        int64_t j = t->j0;
        for (; !packed && j + k->nr <= t->j1; j += k->nr) /* an unpacked tile reads nr columns */
            unpacked_columns(k, &b, j, place(g, after, after_at + j * b.kb), whole ? bytes : 0);
        for (; j < t->j1; j += AT_NC_OWN) packed_columns(k, &b, j, at_min(AT_NC_OWN, t->j1 - j));
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

/* One task of an outer product.  C[x] is gone through row by row: with few terms most of the time
   goes into reading and writing it. */
static void outer_task(const at_kernels *k, const at_gemm_outer *g, const task *t, at_real *pa,
                       at_real *pb) {
    const int64_t begin = g->of.first[t->x], terms = g->of.first[t->x + 1] - begin;
    const int64_t kc = even8(terms, AT_KC), mb = t->i1 - t->i0, wide = even(mb, k->mr);
    int64_t ra[AT_KC];
    for (int64_t p = 0; p < terms; p += kc) {
        const int64_t kb = at_min(kc, terms - p), *row = g->of.row + begin + p;
        for (int64_t l = 0; l < kb; l++) ra[l] = row[l] / g->of.share;
        k->pack_gathered(kb, mb, (int)wide, g->a + t->i0, g->lda, ra, pa);
        k->pack_gathered(kb, t->j1 - t->j0, k->nr, g->b + t->j0, g->ldb, row, pb);
        for (int64_t i = 0; i < mb; i += wide) {
            const int64_t rows = at_min(wide, mb - i);
            at_real *c[AT_PANEL_MAX];
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
    w->threads = work < AT_PARALLEL_MIN ? 1 : cp->threads;
    at_par_for(w->threads, count, 1, f, w);
}

/* Blocks of at most `most` rows of the matrices with more rows than few. */
static int64_t blocks_of(const at_gemm_group *g, int64_t most) {
    int64_t blocks = 0;
    for (int64_t x = 0; x < g->of.e; x++) {
        const int64_t rows = g->of.first[x + 1] - g->of.first[x];
        if (!at_is_few(g->tb, rows)) blocks += at_div_up(rows, most);
    }
    return blocks;
}

/* All matrices with more rows than few; they have `total` rows.  Each block of rows packs the matrix
   for itself, so blocks are as large as the cache allows if all workers still have enough of them. */
static at_status many(at_compute *cp, const at_gemm_group *g, int64_t total) {
    const int64_t *first = g->of.first, nr = cp->k.nr;
    const int64_t tasks = (int64_t)cp->threads * AT_TASKS, large = cp->block.mc_group;
    const int64_t most = cp->threads > 1 && blocks_of(g, large) < tasks ? AT_MC : large;
    const int64_t blocks = blocks_of(g, most);
    int64_t count = 0;
    /* Columns are divided only where there are too few blocks of rows for the workers, since A is
       packed again for each part. */
    const int64_t wanted = at_min(at_div_up(tasks, blocks), at_div_up(g->n, 64));
    const int64_t cols = cp->threads > 1 ? at_round_up(at_div_up(g->n, wanted), nr) : g->n;
    task *t = at_malloc(cp->ctx, (size_t)(blocks * at_div_up(g->n, cols)) * sizeof *t);
    job w = {.k = &cp->k, .g = g, .tasks = t};
    if (t) w.scratch = at_scratch(cp, OWN_A + OWN_B);
    if (!w.scratch) {
        at_free(t);
        return AT_OOM;
    }
    for (int64_t x = 0; x < g->of.e; x++) {
        const int64_t rows = first[x + 1] - first[x], size = even(rows, most);
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
    int64_t total = 0, few = 0;
    for (int64_t x = 0; x < g->of.e && g->n > 0; x++) {
        const int64_t rows = g->of.first[x + 1] - g->of.first[x];
        if (!at_is_few(g->tb, rows))
            total += rows;
        else if (rows > 0)
            few++;
    }
    at_status s = few > 0 ? few_rows(cp, g) : AT_OK;
    if (s == AT_OK && total > 0) s = many(cp, g, total);
    return s;
}

/* Rows or columns of C[x] in a task, of n in all.  With few terms larger parts fit the buffers and
   need less packing; they are taken if there are enough matrices for all workers. */
static int64_t outer_part_of(const at_compute *cp, int64_t n, int64_t terms, int64_t most,
                             bool enough) {
    const int64_t more = at_min(cp->block.thin / 2, OUTER_MAX) / even8(terms, AT_KC);
    return even8(n, enough && more > most ? more / 8 * 8 : most);
}

at_status at_gemm_outer_run(at_compute *cp, const at_gemm_outer *g) {
    const int64_t *first = g->of.first;
    const int64_t total = first[g->of.e] - first[0];
    if (total <= 0 || g->m <= 0 || g->n <= 0) return AT_OK;
    const int64_t each = at_div_up(g->m, AT_MC / 2) * at_div_up(g->n, AT_NC_OWN / 2);
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
        const bool enough = used >= (int64_t)cp->threads * AT_TASKS;
        const int64_t rows = outer_part_of(cp, g->m, terms, AT_MC, enough);
        const int64_t cols = outer_part_of(cp, g->n, terms, AT_NC_OWN, enough);
        for (int64_t j = 0; j < g->n; j += cols)
            for (int64_t i = 0; i < g->m; i += rows)
                t[count++] = (task){x, i, at_min(i + rows, g->m), j, at_min(j + cols, g->n)};
    }
    run(cp, &w, count, total * g->m * g->n, outer_part);
    at_free(t);
    return AT_OK;
}
