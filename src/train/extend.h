/*
 * extend.h - another language for a model of trunks: one more trunk, trained while everything else is
 * frozen, and a proof that nobody who was there before answers otherwise.
 *
 * Recipe: that of a training run without `model` and `init`, and a section
 *     extend: {name: es, from: random, router: FOLDER}
 * name: of the trunk, and of a domain of the data; from: random, or the trunk (or common) that it begins
 * as; router: that of the new model, or none, and one is fitted on all domains of the data.
 */
#ifndef AT_EXTEND_H
#define AT_EXTEND_H
#include "train/certify.h"
#include "train/train.h"

typedef struct at_extension {
    char name[65]; /* of the new trunk */
    at_certificate proof;
} at_extension;

/**
 * Trains in the folder `run`, which is an ordinary run's: where it has checkpoints already, they are
 * continued.  Then the trunks are composed in `out`, which must not exist, with the certificate in
 * certificate.json.  `model`, a composed folder of trunks or the model of a run, is not touched.
 * AT_INTERRUPTED: call it again.  AT_MISMATCH: the certificate does not hold, and there is no `out`.
 */
at_status at_extend(at_ctx *c, at_conf *recipe, const char *model, const char *out, const char *run,
                    at_extension *result);

#endif
