/*
 * lm.h - a language model: a single network (plain), or experts behind a router (composed).
 *
 * A composed model is a folder like any other: config.json with model_type "artel-modular", one
 * weights file an expert under experts/, router.safetensors, tokenizer.json, and artel.json with
 * a passport for each expert.
 */
#ifndef AT_LM_H
#define AT_LM_H
#include "arch/model.h"
#include "route/router.h"
#include "token/tokenizer.h"

#define AT_MODULAR_TYPE "artel-modular"

typedef struct at_expert {
    char *name;
    at_model *model;
} at_expert;

typedef struct at_lm {
    char *path;
    at_expert *expert; /* one for a plain model, its name NULL */
    int n_experts;
    at_router *router;       /* NULL for a plain model         */
    int *class_of;           /* [n_experts] class in the router */
    at_tokenizer *tokenizer; /* NULL when the folder has none  */
    char *hash;              /* of the tokenizer, or NULL      */
    int64_t vocab, context;  /* context: the shortest of all   */
} at_lm;

/** Mapped, read only: several contexts may use it at the same time. */
at_status at_lm_load(at_ctx *c, const char *dir, at_lm **out);
void at_lm_close(at_lm *m);
/** at_model_finite of every expert. */
at_status at_lm_finite(at_ctx *c, at_lm *m);

/** Chooses the expert for these tokens: the most probable of the allowed ones (a mask over experts,
    or NULL for all).  probs ([n_experts], may be NULL): the router's probabilities.  For a plain
    model: 0 with probability 1. */
at_status at_lm_route(at_ctx *c, const at_lm *m, const int32_t *ids, int64_t n, const bool *allowed,
                      double *probs, int *best);
/** Index of the expert of this name, or -1. */
int at_lm_expert(const at_lm *m, const char *name);

/** The token that ends a text: the tokenizer's, or the one that the configuration of x, which is one of
    m, names; -1: none. */
int32_t at_lm_end(const at_lm *m, const at_model *x);
/** AT_ARG unless each of n ids is one of its vocabulary. */
at_status at_lm_check_ids(at_ctx *c, const at_lm *m, const int32_t *ids, int64_t n);

/** AT_MISMATCH unless the data set was made with this model's tokenizer and no id exceeds its
    vocabulary. */
at_status at_lm_check_data(at_ctx *c, const char *model, const char *hash, int64_t vocab,
                           const char *data, const char *data_hash, int64_t data_vocab);

#endif
