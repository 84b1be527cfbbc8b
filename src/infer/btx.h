/*
 * btx.h - dense models that were branched from one seed and trained apart, as the experts of one mixture:
 * Branch-Train-MiX (Sukhbaatar et al. 2024, arXiv 2403.07816); with attention parts as experts, too, BAM
 * (arXiv 2408.08274), which is the shape of a ModuleFormer.
 *
 *     expert i of a bank  = the part of branch i, bit for bit
 *     any other parameter = the mean of the branches', summed in double in their order, or the base's
 *     routers             = drawn by seed and path, as in a fresh model
 *
 * A dense ModuleFormer has one expert a layer and no router: its parts are what becomes experts.
 */
#ifndef AT_BTX_H
#define AT_BTX_H
#include "arch/model.h"

/** What becomes of a part of the branches. */
typedef enum at_btx_part { AT_BTX_AVERAGE, AT_BTX_BASE, AT_BTX_EXPERTS } at_btx_part;

typedef struct at_branch {
    const char *name; /* of the expert                            */
    at_model *model;  /* dense; its path is what messages call it */
} at_branch;

typedef struct at_btx {
    const at_branch *branch;
    int n;
    const at_model *base; /* NULL: nothing is taken from it */
    at_btx_part ffn, attention, rest;
    int64_t k, k_att;    /* experts a token uses, of kinds that have experts */
    const char *gate;    /* gate_type of the mixture */
    int64_t gating_size; /* of gate mlp and gmm      */
    bool renormalise;    /* gates of the chosen are divided by their sum */
    uint64_t seed;       /* of routers               */
} at_btx;

/** AT_MISMATCH names the branch and what differs: not dense, another architecture, key of the
    configuration or tokenizer than the first one's; AT_UNSUPPORTED: an architecture that does not become a
    mixture.  The base is compared, too. */
at_status at_btx_check(at_ctx *c, const at_btx *b);
/** The mixture, with values of its own; at_btx_check was asked before.  Without experts it is dense. */
at_status at_btx_make(at_ctx *c, const at_btx *b, at_model **out);

#endif
