/*
 * gemm.c - blocked matrix product around the microkernel `tile` (Goto & van de Geijn 2008,
 * "Anatomy of high-performance matrix multiplication").
 *
 *   k is cut into blocks of at most AT_KC terms, from the shape alone: this fixes the order of sums.
 *   A block of B (kb x nb) is packed into panels of nr columns, a block of A (mb x kb) into panels
 *   of mr rows, both zero-padded; the microkernel `tile` multiplies a panel of A by a panel of B.
 *   How m and n are cut depends on the number of workers, but never changes a bit of C.
 *
 * Three ways, by shape:
 *   few   A has few rows (at_is_few): B is read once and not packed, see gemm_few.h.
 *   thin  A fits the cache of a core: A is packed once for all workers, which divide the columns
 *         among them and pack their own slices of B.
 *   fat   B is packed once for all workers, which divide the rows among them and pack their own
 *         slices of A.
 */
#include "kernel/gemm.h"
#include "base/cpu.h"
#include "base/ints.h"
#include "base/par.h"
#include "kernel/gemm_few.h"

enum { ALIGN = 64 }; /* bytes: a cache line */

/* Multiples of 84 rows are whole panels of 4, 6, 12 and 14 rows. */
at_blocking at_blocking_for(int64_t second, int64_t third) {
    const int64_t value = (int64_t)sizeof(at_real), column = AT_KC * value;
    if (second <= 0) second = 512 << 10;
    if (third <= 0) third = 8 << 20;
    return (at_blocking){.mc = at_clamp(second / 3 / column / 84 * 84, 84, AT_MC),
                         .mc_group = at_clamp(second / 2 / column / 84 * 84, AT_MC, AT_MC_GROUP),
                         .nc_own = at_clamp(second / 4 / column / 64 * 64, 64, AT_NC_OWN),
                         .nc = AT_NC,
                         .shared = at_clamp(third / 8 / value, 1 << 18, 1 << 20),
                         .thin = at_clamp(second / 2 / value, 1 << 14, 1 << 18)};
}

/* Values of a worker's packing buffers: its slice of A, then its slice of B.  Those of worker w
   begin at own + w * own_values. */
static int64_t own_a(const at_blocking *b) { return (b->mc + AT_PANEL_MAX) * AT_KC; }
static int64_t own_values(const at_blocking *b) {
    return own_a(b) + (b->nc_own + AT_PANEL_MAX) * AT_KC;
}

/* A buffer that grows; growing loses its contents. */
typedef struct buffer {
    void *base;     /* as allocated        */
    at_real *start; /* the same, aligned   */
    int64_t cap;    /* values from start   */
} buffer;

typedef struct scratch {
    at_real *own;                /* = slices.start                         */
    buffer slices, shared, lent; /* lent: by at_scratch     */
} scratch;

static at_real *grow(at_ctx *c, buffer *b, int64_t need) {
    if (need <= b->cap) return b->start;
    void *p = at_malloc(c, (size_t)need * sizeof(at_real) + ALIGN);
    if (!p) return NULL;
    at_free(b->base);
    b->base = p;
    b->start = (at_real *)(((uintptr_t)p + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    b->cap = need;
    return b->start;
}

at_status at_compute_open(at_compute *cp, at_ctx *c) {
    const at_blocking b = at_blocking_for(at_cpu_cache(2), at_cpu_cache(3));
    return at_compute_open_with(cp, c, &b);
}

at_status at_compute_open_with(at_compute *cp, at_ctx *c, const at_blocking *block) {
    *cp = (at_compute){.ctx = c, .threads = c->threads > 0 ? c->threads : 1, .block = *block};
    at_kernels_fill(&cp->k, c->cpu);
    scratch *s = at_calloc(c, 1, sizeof *s);
    if (!s) return AT_OOM;
    cp->scratch = s;
    s->own = grow(c, &s->slices, (int64_t)cp->threads * own_values(block));
    if (s->own) return AT_OK;
    at_compute_close(cp);
    return AT_OOM;
}

void at_compute_close(at_compute *cp) {
    scratch *s = cp->scratch;
    if (s) {
        at_free(s->slices.base);
        at_free(s->shared.base);
        at_free(s->lent.base);
        at_free(s);
    }
    cp->scratch = NULL;
}

int64_t at_scratch_stride(int64_t values) { return at_round_up(values, ALIGN); }

at_real *at_scratch(at_compute *cp, int64_t values) {
    scratch *s = cp->scratch;
    return grow(cp->ctx, &s->lent, cp->threads * at_scratch_stride(values));
}

/* A worker's slice of A, and of B. */
static at_real *slice_a(const at_compute *cp, int worker) {
    const scratch *s = cp->scratch;
    return s->own + (int64_t)worker * own_values(&cp->block);
}
static at_real *slice_b(const at_compute *cp, int worker) {
    return slice_a(cp, worker) + own_a(&cp->block);
}

/* The buffer all workers read. */
static at_real *share(at_compute *cp, int64_t need) {
    scratch *s = cp->scratch;
    return grow(cp->ctx, &s->shared, need);
}

/* ---- pieces ---- */

/* Terms in a block of k.  Blocks are equal up to rounding, so that the last one is not tiny. */
static int64_t block_k(int64_t k) {
    const int64_t parts = at_div_up(k, AT_KC);
    return parts > 1 ? at_round_up(at_div_up(k, parts), 8) : k;
}

/* Rows [i0, i0+mb) x [p0, p0+kb) of op(A) as panels of mr rows. */
static void pack_a(const at_kernels *k, const at_gemm *g, int64_t i0, int64_t mb, int64_t p0,
                   int64_t kb, at_real *to) {
    if (g->ta)
        k->pack(kb, mb, k->mr, g->a + p0 * g->lda + i0, g->lda, to);
    else
        k->pack_transposed(kb, mb, k->mr, g->a + i0 * g->lda + p0, g->lda, to);
}

/* [p0, p0+kb) x columns [j0, j0+nb) of op(B) as panels of nr columns. */
static void pack_b(const at_kernels *k, const at_gemm *g, int64_t j0, int64_t nb, int64_t p0,
                   int64_t kb, at_real *to) {
    const int64_t at = g->tb ? j0 * g->ldb + p0 : p0 * g->ldb + j0;
    if (g->b16)
        (g->tb ? k->pack_transposed16 : k->pack16)(kb, nb, k->nr, g->b16 + at, g->ldb, to);
    else
        (g->tb ? k->pack_transposed : k->pack)(kb, nb, k->nr, g->b + at, g->ldb, to);
}

/* A tile that reaches beyond the edge of C is computed in a buffer; the part inside is copied. */
static void edge_tile(const at_kernels *k, int64_t kb, const at_real *a, const at_real *b, bool add,
                      at_real *c, int64_t ldc, int64_t rows, int64_t cols) {
    at_real t[AT_TILE_MAX];
    k->tile(kb, a, b, AT_TILE_SET, t, k->nr);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            c[i * ldc + j] = add ? c[i * ldc + j] + t[i * k->nr + j] : t[i * k->nr + j];
}

/* C[i0.., j0..] (mb x nb) from packed panels.  The first block of k (p0 = 0) writes C, later ones
   add to it; the last one adds the bias. */
static void multiply(const at_kernels *k, const at_gemm *g, int64_t i0, int64_t mb, int64_t j0,
                     int64_t nb, int64_t p0, int64_t kb, const at_real *a, const at_real *b) {
    const bool plus = g->accumulate || p0 > 0, last = p0 + kb >= g->k;
    for (int64_t j = 0; j < nb; j += k->nr)
        for (int64_t i = 0; i < mb; i += k->mr) {
            const int64_t rows = at_min(k->mr, mb - i), cols = at_min(k->nr, nb - j);
            at_real *c = g->c + (i0 + i) * g->ldc + j0 + j;
            if (rows == k->mr && cols == k->nr)
                k->tile(kb, a + i * kb, b + j * kb, plus ? AT_TILE_ADD : AT_TILE_SET, c, g->ldc);
            else
                edge_tile(k, kb, a + i * kb, b + j * kb, plus, c, g->ldc, rows, cols);
            if (g->bias && last)
                for (int64_t r = 0; r < rows; r++) k->acc(cols, g->bias + j0 + j, c + r * g->ldc);
        }
}

/* A with few rows: no packing. */
static at_status run_few(at_compute *cp, const at_gemm *g, int threads) {
    const at_few_shape s = {g->tb, g->accumulate, g->n, g->k, g->ldb};
    at_few f = {.m = (int)g->m, .b = g->b, .b16 = g->b16};
    for (int i = 0; i < f.m; i++) {
        f.a[i] = g->a + i * g->lda;
        f.c[i] = g->c + i * g->ldc;
    }
    const int64_t need = at_few_scratch(&s, 1, threads);
    at_real *room = need > 0 ? share(cp, need) : NULL;
    if (need > 0 && !room) return AT_OOM;
    at_few_run(&cp->k, &s, &f, 1, threads, room);
    for (int i = 0; g->bias && i < f.m; i++) cp->k.acc(g->n, g->bias, f.c[i]);
    return AT_OK;
}

/* The rows of parts with few of them together; those of each other part by themselves. */
static at_status run_parts(at_compute *cp, const at_gemm *g) {
    const at_few_shape s = {g->tb, g->accumulate, g->n, g->k, g->ldb};
    const int most = g->tb ? (int)AT_FEW_TRANSPOSED : (int)AT_FEW;
    at_few *f = at_malloc(cp->ctx, (size_t)g->parts->n * sizeof *f);
    if (!f) return AT_OOM;
    int64_t count = 0;
    at_status st = AT_OK;
    for (int64_t x = 0, row = 0; x < g->parts->n && st == AT_OK; row += g->parts->rows[x++]) {
        at_gemm part = *g;
        part.m = g->parts->rows[x];
        part.a += row * g->lda;
        part.c += row * g->ldc;
        part.parts = NULL;
        if (!at_is_few(g->tb, part.m)) st = at_gemm_run(cp, &part);
        for (int64_t i = 0; i < part.m && at_is_few(g->tb, part.m); i++) {
            if (!count || f[count - 1].m == most) f[count++] = (at_few){.b = g->b, .b16 = g->b16};
            at_few *to = &f[count - 1];
            to->a[to->m] = part.a + i * g->lda;
            to->c[to->m++] = part.c + i * g->ldc;
        }
    }
    const int64_t need = count ? at_few_scratch(&s, count, cp->threads) : 0;
    at_real *partial = need > 0 ? share(cp, need) : NULL;
    if (st == AT_OK && need > 0 && !partial) st = AT_OOM;
    if (st == AT_OK && count) at_few_run(&cp->k, &s, f, count, cp->threads, partial);
    for (int64_t x = 0; x < count && g->bias; x++)
        for (int i = 0; i < f[x].m; i++) cp->k.acc(g->n, g->bias, f[x].c[i]);
    at_free(f);
    return st;
}

/* k = 0: the sum is empty. */
static void no_product(const at_kernels *k, const at_gemm *g) {
    for (int64_t i = 0; i < g->m; i++) {
        at_real *c = g->c + i * g->ldc;
        for (int64_t j = 0; j < g->n && !g->accumulate; j++) c[j] = 0;
        if (g->bias) k->acc(g->n, g->bias, c);
    }
}

/* ---- one worker ---- */

at_status at_gemm_serial(at_compute *cp, const at_gemm *g, int worker) {
    const at_kernels *k = &cp->k;
    at_real *pa = slice_a(cp, worker), *pb = slice_b(cp, worker);
    if (g->m <= 0 || g->n <= 0) return AT_OK;
    if (g->k <= 0) {
        no_product(k, g);
        return AT_OK;
    }
    if (at_is_few(g->tb, g->m) && !g->ta) return run_few(cp, g, 1);
    const int64_t kc = block_k(g->k), mc = cp->block.mc / k->mr * k->mr;
    const int64_t nc = cp->block.nc_own / k->nr * k->nr;
    for (int64_t j = 0; j < g->n; j += nc)
        for (int64_t p = 0; p < g->k; p += kc) {
            const int64_t nb = at_min(nc, g->n - j), kb = at_min(kc, g->k - p);
            pack_b(k, g, j, nb, p, kb, pb);
            for (int64_t i = 0; i < g->m; i += mc) {
                const int64_t mb = at_min(mc, g->m - i);
                pack_a(k, g, i, mb, p, kb, pa);
                multiply(k, g, i, mb, j, nb, p, kb, pa, pb);
            }
        }
    return AT_OK;
}

/* ---- all workers ---- */

/* What the workers of one at_par_for need.  `packed` is shared by all: the blocks of k in [p0, p1),
   of `stride` values each, of columns [j0, j0+nb) of B (fat) or of all rows of A (thin). */
typedef struct job {
    at_compute *cp;
    const at_gemm *g;
    at_real *packed;
    int64_t kc, p0, p1, stride;
    int64_t j0, nb;
} job;

static void thin_pack(void *arg, int64_t begin, int64_t end, int worker) {
    const job *w = arg;
    at_real *to = w->packed;
    (void)worker;
    for (int64_t p = w->p0; p < w->p1; p += w->kc, to += w->stride) {
        const int64_t kb = at_min(w->kc, w->p1 - p);
        pack_a(&w->cp->k, w->g, begin, end - begin, p, kb, to + begin * kb);
    }
}

static void thin_columns(void *arg, int64_t begin, int64_t end, int worker) {
    const job *w = arg;
    const at_real *pa = w->packed;
    at_real *pb = slice_b(w->cp, worker);
    for (int64_t p = w->p0; p < w->p1; p += w->kc, pa += w->stride) {
        const int64_t kb = at_min(w->kc, w->p1 - p);
        pack_b(&w->cp->k, w->g, begin, end - begin, p, kb, pb);
        multiply(&w->cp->k, w->g, 0, w->g->m, begin, end - begin, p, kb, pa, pb);
    }
}

static void fat_pack(void *arg, int64_t begin, int64_t end, int worker) {
    const job *w = arg;
    at_real *to = w->packed;
    (void)worker;
    for (int64_t p = w->p0; p < w->p1; p += w->kc, to += w->stride) {
        const int64_t kb = at_min(w->kc, w->p1 - p);
        pack_b(&w->cp->k, w->g, w->j0 + begin, end - begin, p, kb, to + begin * kb);
    }
}

static void fat_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *w = arg;
    const at_real *pb = w->packed;
    at_real *pa = slice_a(w->cp, worker);
    for (int64_t p = w->p0; p < w->p1; p += w->kc, pb += w->stride) {
        const int64_t kb = at_min(w->kc, w->p1 - p);
        pack_a(&w->cp->k, w->g, begin, end - begin, p, kb, pa);
        multiply(&w->cp->k, w->g, begin, end - begin, w->j0, w->nb, p, kb, pa, pb);
    }
}

/* Size of the shares into which n is cut: a multiple of `unit`, at most `most`, so small that each
   worker gets two.  Of the sizes between that and its half the one with which the workers are
   finished first. */
static int64_t share_of(int64_t n, int64_t unit, int64_t most, int threads) {
    const int64_t each = threads > 1 ? at_div_up(n, 2 * threads) : n;
    const int64_t top = at_min(at_round_up(each, unit), most / unit * unit);
    int64_t best = top, least = INT64_MAX;
    for (int64_t size = top; threads > 1 && size >= unit && 2 * size >= top; size -= unit) {
        const int64_t shares = at_div_up(n, size), last = n - (shares - 1) * size;
        const bool alone = (shares - 1) % threads == 0; /* the last share, in its round */
        const int64_t time = (shares - 1) / threads * size + (alone ? last : size);
        if (time >= least) continue;
        least = time;
        best = size;
    }
    return best;
}

/* Terms of k packed at a time: as many blocks as fit the shared buffer.  One pair of at_par_for
   does them all, and a worker's part of C stays in its cache from block to block. */
static int64_t group_of(const at_compute *cp, const at_gemm *g, int64_t kc, int64_t stride) {
    const int64_t blocks = at_max(cp->block.shared / stride, 1);
    return at_min(blocks * kc, at_round_up(g->k, kc));
}

static at_status run_thin(at_compute *cp, const at_gemm *g, int64_t kc) {
    const at_kernels *k = &cp->k;
    job w = {.cp = cp, .g = g, .kc = kc, .stride = at_round_up(g->m, k->mr) * kc};
    const int64_t group = group_of(cp, g, kc, w.stride);
    w.packed = share(cp, group / kc * w.stride);
    if (!w.packed) return AT_OOM;
    for (w.p0 = 0; w.p0 < g->k; w.p0 = w.p1) {
        w.p1 = at_min(w.p0 + group, g->k);
        at_par_for(cp->threads, g->m, share_of(g->m, k->mr, g->m + k->mr, cp->threads), thin_pack,
                   &w);
        at_par_for(cp->threads, g->n, share_of(g->n, k->nr, cp->block.nc_own, cp->threads),
                   thin_columns, &w);
    }
    return AT_OK;
}

static at_status run_fat(at_compute *cp, const at_gemm *g, int64_t kc) {
    const at_kernels *k = &cp->k;
    const int64_t nc = cp->block.nc / k->nr * k->nr;
    job w = {.cp = cp, .g = g, .kc = kc, .stride = at_round_up(at_min(g->n, nc), k->nr) * kc};
    const int64_t group = group_of(cp, g, kc, w.stride);
    w.packed = share(cp, group / kc * w.stride);
    if (!w.packed) return AT_OOM;
    for (w.j0 = 0; w.j0 < g->n; w.j0 += nc)
        for (w.p0 = 0; w.p0 < g->k; w.p0 = w.p1) {
            w.nb = at_min(nc, g->n - w.j0);
            w.p1 = at_min(w.p0 + group, g->k);
            at_par_for(cp->threads, w.nb, share_of(w.nb, k->nr, nc, cp->threads), fat_pack, &w);
            at_par_for(cp->threads, g->m, share_of(g->m, k->mr, cp->block.mc, cp->threads),
                       fat_rows, &w);
        }
    return AT_OK;
}

at_status at_gemm_run(at_compute *cp, const at_gemm *g) {
    if (g->m <= 0 || g->n <= 0) return AT_OK;
    if (g->k <= 0) {
        no_product(&cp->k, g);
        return AT_OK;
    }
    if (g->parts) return run_parts(cp, g);
    if (at_is_few(g->tb, g->m) && !g->ta) return run_few(cp, g, cp->threads);
    if (g->m * g->k * g->n < AT_PARALLEL_MIN) return at_gemm_serial(cp, g, 0);
    const int64_t kc = block_k(g->k);
    return g->m * kc <= cp->block.thin && g->n >= g->m ? run_thin(cp, g, kc) : run_fat(cp, g, kc);
}
