/*
 * lm.h - a language model: a single network (plain), or experts behind a router (composed).
 *
 * A composed model is a folder like any other: config.json with model_type "artel-modular",
 * router.safetensors, tokenizer.json, artel.json with a passport for each expert, and the weights: a file
 * an expert under experts/ where experts are whole models; where they are trunks over one embedding,
 * model.safetensors for what they share and a file a trunk under modules/.  An ensemble has whole models and
 * may do without a router.  A plain model of trunks has
 * its experts, too, but no router.
 */
#ifndef AT_LM_H
#define AT_LM_H
#include "infer/voice.h"
#include "route/router.h"
#include "token/tokenizer.h"

#define AT_MODULAR_TYPE "artel-modular"

typedef struct at_expert {
    char *name;
    at_model *model; /* NULL: a trunk, see at_lm_voice */
} at_expert;

typedef struct at_lm {
    char *path;
    at_expert *expert; /* one for a plain model, its name NULL */
    int n_experts;
    at_trunks *trunks;       /* NULL: experts are whole models */
    at_router *router;       /* NULL for a plain model         */
    int *class_of;           /* [n_experts] class in the router */
    int64_t ensemble;        /* experts that answer a text together, see ensemble.h; 0: one does */
    at_tokenizer *tokenizer; /* NULL when the folder has none  */
    char *hash;              /* of the tokenizer, or NULL      */
    int64_t vocab, context;  /* context: the shortest of all   */
} at_lm;

/** Mapped, read only: several contexts may use it at the same time. */
at_status at_lm_load(at_ctx *c, const char *dir, at_lm **out);
void at_lm_close(at_lm *m);
/** at_model_finite of every expert. */
at_status at_lm_finite(at_ctx *c, at_lm *m);
/** A network of it whose configuration tells of all: sizes, numbers of ids.  It may have no values. */
const at_model *at_lm_shape(const at_lm *m);
int64_t at_lm_numel(const at_lm *m);

/* ---- asking ---- */

/** Of a common trunk: run with the others; left out; run alone. */
typedef enum at_common_use { AT_COMMON_ON, AT_COMMON_OFF, AT_COMMON_ONLY } at_common_use;

/** How an answer is to be made; zero, or NULL for a pointer to it: the router chooses among all. */
typedef struct at_ask {
    const bool *allowed; /* [n_experts] the router chooses among these; NULL: among all */
    const bool
        *together; /* [n_experts] the mean of these answers, whatever the router says; or NULL */
    at_common_use common;
    uint64_t members; /* of a mixture that was extended, its base and modules that take part, see
                         at_members_mask; 0: all */
} at_ask;

/** The modules of a mixture that was extended; NULL: it has none. */
const at_members *at_lm_members(const at_lm *m);
/** AT_ARG: what this model cannot do. */
at_status at_lm_check_ask(at_ctx *c, const at_lm *m, const at_ask *ask);
/** Whether `ask` says by itself who answers, so that nobody is chosen. */
bool at_ask_is_set(const at_ask *ask);
/** Chooses the expert for these tokens: the most probable of the allowed ones.  probs ([n_experts], may be
    NULL): the router's probabilities.  For a plain model: 0 with probability 1.  -1 where at_ask_is_set.
    AT_ARG: no router, and more than one to choose from. */
at_status at_lm_route(at_ctx *c, const at_lm *m, const int32_t *ids, int64_t n, const at_ask *ask,
                      double *probs, int *best);
/** What computes the answer of the expert so chosen.  AT_MISMATCH: trunks trained with another tokenizer;
    and what loading them says, since it may be here that their files are opened. */
at_status at_lm_voice(at_ctx *c, const at_lm *m, const at_ask *ask, int expert, at_voice *out);
/** Whether an expert has part in that answer. */
bool at_lm_speaks(const at_ask *ask, int expert, int i);
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
