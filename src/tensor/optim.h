/*
 * optim.h - optimisers, in a table; each has a file of its own.
 *
 * A parameter that no gradient has reached since at_store_zero_grad is not changed: no decay, no
 * moments, no step counted.  Each counts its own steps, by which the bias of its moments is
 * corrected.
 */
#ifndef AT_OPTIM_H
#define AT_OPTIM_H
#include "tensor/store.h"

/** Names, in the order of at_optimisers. */
#define AT_OPTIMISERS(X) X(adamw) X(muon)

typedef struct at_optimiser at_optimiser;

typedef struct at_optim {
    const at_optimiser *rule;               /* NULL: AdamW                            */
    double beta1, beta2, eps, weight_decay; /* decay on tensors of rank >= 2 in files */
    double momentum, muon_scale;            /* of Muon, see optim_muon.c              */
    double clip;                            /* largest gradient norm; 0: no clipping  */
} at_optim;

/** One parameter in one step, or several of a stack, one after the other in memory. */
typedef struct at_update {
    at_compute *cp;
    const at_optim *o;
    at_param_entry *e; /* the first                        */
    int64_t n;         /* values of all                    */
    at_real *m, *v;    /* their moments                    */
    double lr;
    double clip; /* factor of the gradient             */
} at_update;

struct at_optimiser {
    const char *name, *help;
    at_status (*step)(const at_update *u); /* e->steps counts this one */
};

#define X(name) extern const at_optimiser at_optimiser_##name;
AT_OPTIMISERS(X)
#undef X
/** By index; NULL ends it. */
extern const at_optimiser *const at_optimisers[];

/** Sum of squares of all gradients, in double, in a fixed order: the square of their norm. */
double at_grad_squares(at_compute *cp, const at_store *s);
/** One step with learning rate lr; norm: that of all gradients of the step, for clipping.  AT_OOM: no
    memory for Muon to work in; then the step is incomplete. */
at_status at_optim_step(at_compute *cp, at_store *s, const at_optim *o, double lr, double norm);

/** Values that a worker takes at a time from loops over a parameter. */
enum { AT_OPTIM_CHUNK = 1 << 16 };
/** Sum of squares of n values, in double, in a fixed order. */
double at_squares(at_compute *cp, int64_t n, const at_real *x);

#endif
