/*
 * extend.h - another language for a model of trunks, or of whole experts behind a router: one more of them,
 * trained while everything else is frozen, and a proof that nobody who was there before answers otherwise.
 *
 * Recipe: that of a training run without `model` and `init`, and a section
 *     extend: {name: es, from: random, router: FOLDER}
 * name: of the new expert, and of a domain of the data; from: random, or the expert (or common) that it begins
 * as; one that is a whole model has the configuration of that, or of the first; router: that of the new model, or none, and one is fitted on all domains of the data.
 */
#ifndef AT_EXTEND_H
#define AT_EXTEND_H
#include "train/certify.h"
#include "train/train.h"

typedef struct at_extension {
    char name[65]; /* of the new expert */
    bool trunk;    /* which is one, or a whole model */
    at_certificate proof;
} at_extension;

/**
 * Trains in the folder `run`, which is an ordinary run's: where it has checkpoints already, they are
 * continued.  Then all experts are composed in `out`, which must not exist, with the certificate in
 * certificate.json.  `model`, a composed folder or the model of a run of trunks, is not touched.
 * AT_INTERRUPTED: call it again.  AT_MISMATCH: the certificate does not hold, and there is no `out`.
 */
at_status at_extend(at_ctx *c, at_conf *recipe, const char *model, const char *out, const char *run,
                    at_extension *result);

#endif
