/* kept.h - the values of a model at its best validation so far, in memory and in checkpoints. */
#ifndef AT_KEPT_H
#define AT_KEPT_H
#include "arch/model.h"

#define AT_KEPT_FILE "best.safetensors"

typedef struct at_kept {
    at_real *value; /* [n] of the store */
    int64_t n;
    bool any;           /* there was a validation                               */
    double score, loss; /* of the best: what is maximised, and the loss         */
    int64_t since;      /* validations that were no better, one after the other */
} at_kept;

at_status at_kept_open(at_ctx *c, const at_model *m, at_kept *k);
void at_kept_close(at_kept *k);
/** A validation was made; `better`: its values are the best. */
void at_kept_offer(at_kept *k, const at_model *m, double score, double loss, bool better);
/** Gives the model the best values, if there are any. */
void at_kept_restore(const at_kept *k, at_model *m);
/** AT_KEPT_FILE in the folder. */
at_status at_kept_save(at_ctx *c, const at_kept *k, const char *dir);
/** AT_FORMAT: a file of another model. */
at_status at_kept_load(at_ctx *c, at_kept *k, const char *dir);

#endif
