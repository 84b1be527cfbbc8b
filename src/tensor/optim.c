/* optim.c - the loop over parameters; contiguous ones of a stack are stepped as one.  They are cut
   into chunks of a fixed size, so that sums do not depend on the number of threads. */
#include "tensor/optim.h"
#include "base/ints.h"
#include "base/par.h"
#include <math.h>

#define X(name) &at_optimiser_##name,
const at_optimiser *const at_optimisers[] = {AT_OPTIMISERS(X) NULL};
#undef X

enum { ROUND = 1024 };

typedef struct {
    at_compute *cp;
    const at_real *x;
    double sum[ROUND]; /* one for each chunk; long tensors take several rounds */
} squares;

static void squares_part(void *arg, int64_t begin, int64_t end, int worker) {
    squares *w = arg;
    (void)worker;
    w->sum[begin / AT_OPTIM_CHUNK] = w->cp->k.sumsq(end - begin, w->x + begin);
}

/* Adds to the total so far, so that sums over several tensors have one order. */
static double add_squares(double total, at_compute *cp, int64_t n, const at_real *x) {
    squares w = {.cp = cp};
    const int64_t round = (int64_t)ROUND * AT_OPTIM_CHUNK;
    for (int64_t base = 0; base < n; base += round) {
        const int64_t m = at_min(n - base, round);
        w.x = x + base;
        at_par_for(cp->threads, m, AT_OPTIM_CHUNK, squares_part, &w);
        for (int64_t i = 0; i * AT_OPTIM_CHUNK < m; i++) total += w.sum[i];
    }
    return total;
}

double at_squares(at_compute *cp, int64_t n, const at_real *x) { return add_squares(0, cp, n, x); }

double at_grad_squares(at_compute *cp, const at_store *s) {
    double total = 0;
    for (int64_t i = 0, n, numel; i<s->n; i += n> 0 ? n : 1)
        if ((n = at_store_run(s, i, &numel)))
            total = add_squares(total, cp, numel, s->p[i]->t.grad);
    return total;
}

at_status at_optim_step(at_compute *cp, at_store *s, const at_optim *o, double lr, double norm) {
    const at_optimiser *rule = o->rule ? o->rule : &at_optimiser_adamw;
    at_status status = AT_OK;
    at_update u = {.cp = cp, .o = o, .lr = lr};
    u.clip = o->clip > 0 && norm > o->clip ? o->clip / norm : 1;
    for (int64_t i = 0, n; i < s->n && status == AT_OK; i += n > 0 ? n : 1) {
        if ((n = at_store_run(s, i, &u.n)) == 0) continue;
        u.e = s->p[i];
        u.m = s->m + u.e->moment;
        u.v = s->v + u.e->moment;
        for (int64_t k = 0; k < n; k++) s->p[i + k]->steps++;
        status = rule->step(&u);
    }
    return status;
}
