/*
 * run.h - an eager evaluation of ops; in training they are recorded on a tape for the backward
 * pass.
 *
 * An op is evaluated where it is written.  When the run trains and an input needs a gradient, a
 * node joins the tape; at_backward walks the tape from the loss back.  The first failing op keeps
 * its status and sentence in the run; every later op sees NULL and returns NULL, so model code is
 * checked once, at its end.
 *
 * Write one recorded op per statement: C does not order the evaluation of arguments, and the order
 * of nodes decides addresses, dropout draws and last bits.
 */
#ifndef AT_RUN_H
#define AT_RUN_H
#include "base/arena.h"
#include "base/par.h"
#include "kernel/gemm.h"
#include "tensor/tensor.h"

typedef struct at_run at_run;
typedef struct at_node at_node;

/** What an op costs. */
typedef struct at_cost {
    double forward, backward; /* floating-point operations of its products; backward: of the inputs
                                 that need a gradient */
    double share;             /* of its parameters that one token uses */
    double scratch;           /* bytes that its backward takes and gives back */
} at_cost;

typedef struct at_op {
    const char *name;
    void (*fwd)(at_node *n);                    /* fill n->out from n->in                         */
    void (*bwd)(at_node *n);                    /* at_grad(n,i)[...] += ...; NULL: no gradient    */
    void (*cost)(const at_node *n, at_cost *c); /* NULL: no products, all its parameters used */
} at_op;

struct at_node {
    const at_op *op;
    at_run *run;
    at_tensor **in, *out;
    int n_in;
    void *attr;    /* the op's own struct: sizes, eps, saved buffers */
    at_node *prev; /* the tape: a list walked backwards              */
};

enum { AT_POOL_SIZES = 32 };
typedef struct at_pool { /* gradient buffers waiting for reuse, by size */
    size_t bytes[AT_POOL_SIZES];
    void *free[AT_POOL_SIZES];
    int n;
} at_pool;

/** What the ops of a run cost together. */
typedef struct at_tally {
    double forward, backward; /* floating-point operations of products                 */
    double active;            /* parameters that one token uses, embedding rows apart  */
    double bytes;             /* of values, which a dry run counts and does not have   */
    double peak;              /* of these and what is in the arena, with an op's scratch */
} at_tally;

struct at_run {
    at_ctx *ctx;
    at_compute *cp;  /* kernels and workers                              */
    at_arena *arena; /* activations, nodes and gradients (borrowed)      */
    at_pool pool;
    at_node *tape;   /* last node recorded; NULL when not training         */
    bool train;      /* record                                             */
    bool dry;        /* shapes only: nothing is computed, values have no memory. Needs a tally   */
    at_tally *tally; /* counts what ops cost, or NULL                       */
    at_parts parts;  /* of the tokens, when several sequences are continued: products give each the
                       bits that it gets alone; n = 0: one part           */
    uint64_t seed;   /* of dropout, and of experts drawn                   */
    uint64_t draw;   /* times that either was drawn so far                 */
    int n_nodes;
    at_status status; /* the first error sticks                          */
    char message[512];
};

/** A fresh evaluation over an arena (borrowed; rewind it afterwards). */
void at_run_init(at_run *r, at_compute *cp, at_arena *arena, bool train, uint64_t seed);
/** The run's status; its sentence moves to the context. */
at_status at_run_status(at_run *r);

/** Fail the run once; later failures are ignored.  Always returns NULL. */
void *at_fail(at_run *r, at_status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

at_tensor *at_new(at_run *r, int rank, const int64_t *dim); /* not zeroed */
at_tensor *at_new2(at_run *r, int64_t d0, int64_t d1);
/** Same values in another shape of as many values; gradients go to t. */
at_tensor *at_view(at_run *r, at_tensor *t, int rank, const int64_t *dim);
/** Stop-gradient: the same values, through which no gradient flows. */
at_tensor *at_detach(at_run *r, at_tensor *t);
/** Arena memory that lives as long as the run: an op's attributes, values saved for backward. */
void *at_run_alloc(at_run *r, size_t bytes);

/** The same for values that ops alone write and read: in a dry run they are counted, and there is
    room for a pointer. */
void *at_run_values(at_run *r, size_t bytes);

/**
 * Evaluate op now; record it when training and some input needs a gradient.
 * in    n_in inputs; a NULL entry is an absent optional input
 * out   allocated by the caller with at_new; NULL after an earlier failure
 * attr  the op's struct from at_run_alloc, or NULL
 */
at_tensor *at_apply(at_run *r, const at_op *op, at_tensor *const *in, int n_in, at_tensor *out,
                    void *attr);

/** The same for an op that can read inputs in BF16 (t->bf16).  at_apply hands any other op copies
    of such inputs in at_real, which live as long as the run. */
at_tensor *at_apply_bf16(at_run *r, const at_op *op, at_tensor *const *in, int n_in, at_tensor *out,
                         void *attr);

/** The gradient of input i, to be added to: zeroed on first use.  NULL: not wanted. */
at_real *at_grad(at_node *n, int i);
/** The same, but not zeroed on first use: *fresh says that the op must assign every value. */
at_real *at_grad_fresh(at_node *n, int i, bool *fresh);

/** Backward pass from `loss` ([1]): gradients of parameters += scale d loss / d param.  The
    gradient buffer of an activation is reused as soon as its node is done. */
at_status at_backward(at_run *r, at_tensor *loss, at_real scale);
/** The same from any tensor; t->grad holds the gradient with respect to it (its cotangent). */
at_status at_backward_from(at_run *r, at_tensor *t);

/** The parts of the rows of x, or NULL where they are one. */
const at_parts *at_run_parts(const at_run *r, const at_tensor *x);

/** at_par_for with the run's workers. */
void at_run_par(at_run *r, int64_t n, int64_t grain, at_par_fn f, void *arg);

#endif
