/* optim.c - the slabs are cut into segments of one parameter each, the segments into chunks whose
   size depends on nothing, so every thread count sums and steps alike. */
#include "tensor/optim.h"
#include "base/maths.h"
#include "base/par.h"
#include <math.h>

enum { CHUNK = 1 << 16 };

typedef struct {
    at_compute *cp;
    const at_store *s;
    at_adamw h;
    double sum[1024]; /* one for each chunk of a parameter; long ones in several rounds */
    int64_t param, base;
} work;

static void norm_part(void *arg, int64_t begin, int64_t end, int worker) {
    work *w = arg;
    (void)worker;
    const at_real *g = w->s->p[w->param]->t.grad + w->base;
    w->sum[begin / CHUNK] = w->cp->k.sumsq(end - begin, g + begin);
}

double at_grad_norm(at_compute *cp, const at_store *s) {
    work w = {.cp = cp, .s = s};
    double total = 0;
    for (w.param = 0; w.param < s->n; w.param++) {
        if (s->p[w.param]->frozen) continue;
        const int64_t n = at_numel(&s->p[w.param]->t), round = (int64_t)1024 * CHUNK;
        for (w.base = 0; w.base < n; w.base += round) {
            const int64_t m = n - w.base < round ? n - w.base : round;
            at_par_for(cp->threads, m, CHUNK, norm_part, &w);
            for (int64_t i = 0; i * CHUNK < m; i++) total += w.sum[i];
        }
    }
    return sqrt(total);
}

static void step_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    const at_param_entry *e = w->s->p[w->param];
    const int64_t at = e->first + begin;
    at_adamw h = w->h;
    (void)worker;
    if (e->t.rank < 2) h.wd = 0;
    w->cp->k.adamw(end - begin, e->t.data + begin, e->t.grad + begin, w->s->m + at, w->s->v + at,
                   &h);
}

void at_optim_step(at_compute *cp, at_store *s, at_optim *o, double lr, double norm) {
    o->t++;
    work w = {.cp = cp, .s = s};
    w.h = (at_adamw){.lr = (at_real)lr,
                     .b1 = (at_real)o->beta1,
                     .b2 = (at_real)o->beta2,
                     .eps = (at_real)o->eps,
                     .wd = (at_real)o->weight_decay,
                     .clip = (at_real)(o->clip > 0 && norm > o->clip ? o->clip / norm : 1),
                     .c1 = (at_real)(1 / (1 - at_powi(o->beta1, o->t))),
                     .c2 = (at_real)(1 / (1 - at_powi(o->beta2, o->t)))};
    for (w.param = 0; w.param < s->n; w.param++)
        if (!s->p[w.param]->frozen)
            at_par_for(cp->threads, at_numel(&s->p[w.param]->t), CHUNK, step_part, &w);
}

double at_schedule_factor(at_schedule k, int64_t step, int64_t steps, double warmup, double floor) {
    const double up = warmup * (double)steps, at = (double)step;
    if (at < up) return (at + 1) / (up + 1 > 1 ? up + 1 : 1);
    const double left = (double)steps - up, x = left > 0 ? (at - up) / left : 1;
    const double done = x > 1 ? 1 : x;
    if (k == AT_LINEAR) return floor + (1 - floor) * (1 - done);
    if (k == AT_COSINE)
        return floor + (1 - floor) * 0.5 * (1 + at_cos(3.14159265358979323846 * done));
    return 1;
}
