/*
 * overlap.h - how much of what is tested on was trained on, letter by letter.
 *
 * The share of stretches of 48 bytes of folded text (shingle.h), some eight words, in the
 * validation and test text of each domain that occur somewhere in the training text of any domain.
 * A sample of the stretches is looked at, chosen by their hash, so that both sides choose the same
 * ones; about 250 000, in 8 MiB.  Of a document that was cut all is counted.
 */
#ifndef AT_OVERLAP_H
#define AT_OVERLAP_H
#include "data/stage.h"

enum { AT_OVERLAP_BYTES = 48 };

/** share [n][AT_SPLITS]: of the documents taken; of training text, and where there is no stretch,
    0. */
at_status at_overlap(at_ctx *c, at_stage *domain, int n, double (*share)[AT_SPLITS]);

#endif
