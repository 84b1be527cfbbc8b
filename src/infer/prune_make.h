/*
 * prune_make.h - the model that is left when some experts of a mixture are gone.
 *
 * In one of two ways (moduleformer: sections on pruning of arXiv 2306.04640 and its relatives):
 *
 *   remove   their matrices and their rows of the router are gone: every other gate of a token grows by
 *            1 / (1 - the sum of theirs), unless gates are renormalised over the chosen ones;
 *   forbid   their matrices are gone, their rows stay in the sum of the softmax and nobody chooses them:
 *            tokens that would not have chosen them have the bits they had.
 *
 * Experts are numbered anew where rows are removed, and keep their numbers where they are forbidden.
 */
#ifndef AT_PRUNE_MAKE_H
#define AT_PRUNE_MAKE_H
#include "arch/model.h"
#include "infer/prune_choice.h"

typedef struct at_prune_way {
    bool forbid;
    bool
        renormalise; /* gates of what is left are divided by their sum, whatever they were before */
} at_prune_way;

/** In memory: all values but those of routers are m's, which must stay open.  AT_UNSUPPORTED: its
    architecture cannot be without some experts; AT_CONFIG: or not renormalise. */
at_status at_prune_make(at_ctx *c, const at_model *m, const at_prune_choice *choice,
                        at_prune_way way, at_model **out);
/** About the bytes of its file, never fewer. */
double at_prune_bytes(const at_model *m, const at_prune_choice *choice, at_prune_way way);
/** Writes config.json, model.safetensors in the types that m's files have, and the other files of m's
    folder, into a folder that is being made. */
at_status at_prune_write(at_ctx *c, const at_model *m, const at_model *pruned, const char *dir);

#endif
