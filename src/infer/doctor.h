/*
 * doctor.h - what is silently wrong with a mixture: it loads, it answers, and some of it does nothing.
 *
 * Each finding comes with what was measured.  Tensors are looked at as they are; then text of a data set,
 * or without one token ids drawn at random, is read once forwards, to see gates and choices, and once
 * backwards, to see which routers the loss of the language model alone reaches.  What depends on the text
 * (who is chosen how often) is told of a data set alone.
 *
 *     not-finite      a tensor has NaN or infinities
 *     zero            a matrix or a row of a router has zeros alone
 *     duplicate       two experts of a bank, or two rows of a router, are the same or nearly (cosine)
 *     k-too-large     a token uses more experts than a bank has that are alive, or the last one it uses has
 *                     a mean gate below AT_DOCTOR_IDLE
 *     no-gradient     the loss of the language model does not reach the rows of a router
 *     gates           gates are not what the configuration says of them, by its key of artel's or another
 *                     program's
 *     gates-twice     what a router puts into the softmax is the result of one
 *     never-chosen    of at least AT_DOCTOR_EXPECT choices that an even load would give it, an expert has none
 *     dead            or less than 1 % of them
 *     aux-discarded   the configuration asks for an auxiliary loss of routers under a name of another
 *                     program, but aux_loss_weight is 0; or it names one, the weight is 0, and the load is
 *                     uneven
 */
#ifndef AT_DOCTOR_H
#define AT_DOCTOR_H
#include "arch/read.h"
#include "data/dataset.h"
#include "infer/diagnosis.h"

#define AT_DOCTOR_COSINE 0.999 /* experts above it are one */
#define AT_DOCTOR_IDLE   1e-4  /* gates below it do nothing */
#define AT_DOCTOR_REACH  1e-7  /* gradient of rows, in root mean squares of that of norms: none */
#define AT_DOCTOR_UNEVEN 0.5   /* normalised entropy of the load */
enum { AT_DOCTOR_EXPECT = 20 };

typedef struct at_doctor_options {
    const char *data; /* NULL: tokens at random          */
    at_split split;   /* of it                           */
    int64_t context;  /* tokens of a window (256)        */
    int64_t windows;  /* of each domain, 0: all          */
    uint64_t seed;    /* of tokens at random             */
} at_doctor_options;

/** dir: a plain model folder.  AT_ARG: a composed one, whose experts are whole models. */
at_status at_doctor(at_compute *cp, const char *dir, const at_doctor_options *o, at_diagnosis *out);

/* ---- between the files of the doctor ---- */

/** Tensors and configuration.  *finite: all values are. */
at_status at_doctor_look(at_ctx *c, const at_model *m, at_diagnosis *d, bool *finite);
/** Gates, choices and gradients. */
at_status at_doctor_read(at_compute *cp, at_model *m, const at_doctor_options *o, at_diagnosis *d);

#endif
