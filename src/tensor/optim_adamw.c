/* optim_adamw.c - Loshchilov & Hutter 2019, arXiv 1711.05101, in the form of PyTorch's AdamW. */
#include "base/maths.h"
#include "base/par.h"
#include "tensor/optim.h"

typedef struct {
    const at_update *u;
    at_adamw h;
} work;

static void step_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    const at_update *u = w->u;
    (void)worker;
    u->cp->k.adamw(end - begin, u->e->t.data + begin, u->e->t.grad + begin, u->m + begin,
                   u->v + begin, &w->h);
}

static at_status step(const at_update *u) {
    const at_optim *o = u->o;
    work w = {.u = u};
    w.h = (at_adamw){.lr = (at_real)u->lr,
                     .b1 = (at_real)o->beta1,
                     .b2 = (at_real)o->beta2,
                     .eps = (at_real)o->eps,
                     .wd = (at_real)o->weight_decay,
                     .clip = (at_real)u->clip,
                     .c1 = (at_real)(1 / (1 - at_powi(o->beta1, u->e->steps))),
                     .c2 = (at_real)(1 / (1 - at_powi(o->beta2, u->e->steps)))};
    if (u->e->of->t.rank < 2) w.h.wd = 0;
    at_par_for(u->cp->threads, u->n, AT_OPTIM_CHUNK, step_part, &w);
    return AT_OK;
}

const at_optimiser at_optimiser_adamw = {"adamw", "AdamW for every parameter", step};
