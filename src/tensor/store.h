/*
 * store.h - the parameters of a model, by dotted path.
 *
 * An architecture declares its parameters with at_param; at_store_alloc then places all values in
 * one slab, a contiguous array (and, for training, gradients and moments in others, in the same
 * order).  Values can instead be borrowed from a mapped file.
 */
#ifndef AT_STORE_H
#define AT_STORE_H
#include "tensor/run.h"

typedef enum at_init { AT_INIT_ZERO, AT_INIT_ONE, AT_INIT_NORMAL, AT_INIT_UNIFORM } at_init;

typedef struct at_param_entry {
    at_tensor t; /* t.name is the path */
    at_init init;
    double std;    /* of AT_INIT_NORMAL; UNIFORM is in (-std, std) */
    int64_t first; /* offset in the slabs, values                */
    bool frozen;   /* no gradient, no moments, no decay          */
    bool table;    /* see at_param_table                         */
    int64_t steps; /* that changed it                            */
    char path[1];  /* as long as it needs                        */
} at_param_entry;

typedef struct at_store {
    at_ctx *ctx;
    at_param_entry **p; /* entries never move */
    int64_t n, cap;
    int64_t numel;                 /* of all parameters               */
    at_real *value, *grad, *m, *v; /* slabs; NULL until allocated; value holds the rest alone
                                      where some values are borrowed    */
    at_status status;              /* first failure of at_param sticks */
} at_store;

void at_store_init(at_store *s, at_ctx *c);
void at_store_close(at_store *s);

/** Declare a parameter; NULL on failure, kept in s->status. The tensor lives as long as the
    store. */
at_tensor *at_param(at_store *s, at_init init, double std, int rank, const int64_t *dim,
                    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/** Marks a parameter, which is returned: its rows are looked up or stand for classes (embeddings,
    positions, heads).  It is no map from one space to another, which some optimisers ask for. */
at_tensor *at_param_table(at_tensor *t);
/** The declared parameter of this path, or NULL. */
at_param_entry *at_store_find(const at_store *s, const char *path);

/** Space for the values of all parameters that have none (borrowed ones have); not initialised. */
at_status at_store_alloc(at_store *s);
/** Values by their kind from counter-based draws keyed by (seed, path): independent of order. */
void at_store_randomise(at_store *s, uint64_t seed);
/** Allocates gradients and, when `moments`, Adam's moments, all zero.  Those of frozen parameters
    are never used. */
at_status at_store_train(at_store *s, bool moments);
/** Zero all gradients; none has flowed into any parameter. */
void at_store_zero_grad(at_store *s);
/** Freeze every parameter whose path matches the glob; returns how many. */
int64_t at_store_freeze(at_store *s, const char *glob);

/** AT_NUMERIC names `where`, the first tensor with an infinite value or a NaN, and its place. 
    Reads every value: about as fast as memory delivers them. */
at_status at_store_finite(const at_store *s, const char *where);
/** Index of the first infinite value or NaN, or -1. */
int64_t at_first_not_finite(const at_real *x, int64_t n);

#endif
