/* optim.h - AdamW over a store, gradient norm, learning-rate schedules. */
#ifndef AT_OPTIM_H
#define AT_OPTIM_H
#include "tensor/store.h"

typedef struct at_optim {
    double beta1, beta2, eps, weight_decay; /* decay on tensors of rank >= 2 only    */
    double clip;                            /* largest gradient norm; 0: no clipping */
    int64_t t;                              /* steps taken                           */
} at_optim;

/** Norm of all gradients, in double, summed in a fixed order. */
double at_grad_norm(at_compute *cp, const at_store *s);
/** One step with learning rate lr; `norm` is at_grad_norm's. Source: Loshchilov & Hutter 2019,
    arXiv 1711.05101, in the form of PyTorch's AdamW. */
void at_optim_step(at_compute *cp, at_store *s, at_optim *o, double lr, double norm);

typedef enum at_schedule { AT_CONSTANT, AT_LINEAR, AT_COSINE } at_schedule;
/** Factor of the learning rate at `step` of `steps` (from 0): rises linearly over the first
    warmup * steps, then stays, or falls along a line or half a cosine to `floor`. */
double at_schedule_factor(at_schedule k, int64_t step, int64_t steps, double warmup, double floor);

#endif
