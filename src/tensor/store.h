/*
 * store.h - the parameters of a model, by dotted path.
 *
 * A parameter is the smallest unit that is trained, frozen or left out.  An architecture declares
 * one with at_param, or many of one shape with at_param_stack: the slots of a bank, a matrix each,
 * or the rows of a router, which files hold as one tensor.  at_store_alloc then places all values
 * in one slab, a contiguous array, and at_store_train gradients and moments in others, in the same
 * order. Values can instead be borrowed from a mapped file.
 */
#ifndef AT_STORE_H
#define AT_STORE_H
#include "tensor/run.h"

typedef enum at_init {
    AT_INIT_ZERO,
    AT_INIT_ONE,
    AT_INIT_NORMAL,
    AT_INIT_UNIFORM,
    AT_INIT_SIGN
} at_init;

typedef struct at_stack at_stack;

typedef struct at_param_entry {
    at_tensor t;    /* t.name is the path; no data and no bf16: absent         */
    at_stack *of;   /* the tensor of files that it is a part of                */
    int64_t moment; /* offset in m and v; -1: no moments                       */
    bool frozen;    /* no gradient, no moments, no decay, no memory for them   */
    bool table;     /* see at_param_table                                      */
    bool absent;    /* without values: whatever needs them is refused          */
    int64_t steps;  /* number of optimiser steps that changed it               */
    char path[1];   /* as long as it needs                                     */
} at_param_entry;

/** Parameters that are one tensor [n, ...] in files.  Most stacks have a single parameter, of the
    same path. */
struct at_stack {
    at_tensor t; /* path and shape in files; data, bf16 and grad are set if those of the
                    parameters are contiguous */
    at_init init;
    double std;       /* of AT_INIT_NORMAL; UNIFORM is in (-std, std)                       */
    int64_t at, n;    /* parameters p[at] ... p[at + n - 1]                                 */
    at_tensor **slot; /* [n] their tensors                                                  */
    bool together;    /* they are always contiguous, gradients too, so that t can be used   */
    char path[1];
};

typedef struct at_store {
    at_ctx *ctx;
    at_param_entry **p; /* parameters; entries never move */
    int64_t n, cap;
    at_stack **stack; /* in the same order; they never move, either */
    int64_t n_stacks, stack_cap;
    int64_t numel;                 /* of all parameters, with what aligns them   */
    int64_t n_grad;                /* the same in the gradients of what is trained */
    at_real *value, *grad, *m, *v; /* slabs; NULL until allocated; value holds the rest alone
                                      where some values are borrowed    */
    char scope[128];               /* before the path of what is declared, see at_store_scope */
    at_status status;              /* first failure of at_param sticks */
} at_store;

void at_store_init(at_store *s, at_ctx *c);
void at_store_close(at_store *s);

/** Declare a parameter; NULL on failure, kept in s->status. The tensor lives as long as the
    store. */
at_tensor *at_param(at_store *s, at_init init, double std, int rank, const int64_t *dim,
                    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/** From now on paths of what is declared are "<scope>.<path>"; "": they are as they are given. */
void at_store_scope(at_store *s, const char *scope);
/** Marks a parameter as a table (embeddings, positions, heads), whose rows are looked up or stand
    for classes; some optimisers treat these differently from linear maps.  Returns t. */
at_tensor *at_param_table(at_tensor *t);
/** Names of a stack: its path in files, and "<bank>.<i>.<part>", the path of slot i. */
typedef struct at_stack_names {
    const char *path, *bank, *part;
} at_stack_names;
/** Declares dim[0] parameters of shape dim[1], ...  Their initial values are those that one
    parameter of this path and the whole shape would have. */
at_stack *at_param_stack(at_store *s, at_init init, double std, int rank, const int64_t *dim,
                         at_stack_names names, bool together);

/** The parameter whose tensor this is: one that at_param returned, or of a stack's slots. */
at_param_entry *at_param_of(at_tensor *t);
/** No gradient, no moments, no decay.  Call it before at_store_train. */
void at_param_freeze(at_param_entry *e);
/** The declared parameter of this path, or NULL. */
at_param_entry *at_store_find(const at_store *s, const char *path);
/** The stack with this path in files, or NULL. */
at_stack *at_store_stack(const at_store *s, const char *path);

/** Space for the values of all parameters that have none (borrowed and absent ones get none); not
    initialised. */
at_status at_store_alloc(at_store *s);
/** Values by their kind from counter-based draws keyed by (seed, path in files): independent of
    order. */
void at_store_randomise(at_store *s, uint64_t seed);
/** Allocates gradients and, when `moments`, Adam's moments, all zero, for the parameters that are
    neither frozen nor absent. */
at_status at_store_train(at_store *s, bool moments);
/** Number of values of the parameters that are neither frozen nor absent. */
int64_t at_store_trained(const at_store *s);
/** How many parameters, from i on in its stack, can be summed and stepped as one: a gradient flowed
    into each, values and gradients are adjacent, and their step counts are equal.  0: no gradient
    flowed into i.  *numel: number of their values. */
int64_t at_store_run(const at_store *s, int64_t i, int64_t *numel);
/** Zero all gradients; none has flowed into any parameter. */
void at_store_zero_grad(at_store *s);
/** Freeze every parameter whose path, or path in files, matches the glob; returns how many.  Call
    it before at_store_train. */
int64_t at_store_freeze(at_store *s, const char *glob);
/** Takes that back. */
int64_t at_store_thaw(at_store *s, const char *glob);

/** AT_NUMERIC names `where`, the first tensor with an infinite value or a NaN, and its place.
    Reads every value: about as fast as memory delivers them. */
at_status at_store_finite(at_ctx *c, const at_store *s, const char *where);
/** Index of the first infinite value or NaN, or -1. */
int64_t at_first_not_finite(const at_real *x, int64_t n);

#endif
