/*
 * teachers.h - the teachers that a recipe names: models that read along, and logits captured on disk.
 *
 * One for all text, one for each domain, or several for the same text, whose probabilities are mixed
 * by their weights.  A model reads the sequences of its domains and no others.
 */
#ifndef AT_TEACHERS_H
#define AT_TEACHERS_H
#include "data/captured_set.h"
#include "train/teacher.h"

typedef struct at_tutor {
    const char *path;    /* borrowed of the recipe                    */
    at_model *model;     /* or NULL, and                              */
    at_captured *logits; /* with                                      */
    int tau;             /* the number of the recipe's temperature in them */
    double weight;
    bool domain[64]; /* of the data set: those it teaches */
} at_tutor;

typedef struct at_teachers {
    const at_dataset *data; /* borrowed */
    at_tutor one[AT_TEACHERS_MAX];
    int n;
} at_teachers;

/** Opens them.  AT_MISMATCH: other tokenizers, captured over other text; AT_CONFIG: a temperature or a
    context that was not captured, a domain that nobody teaches.  Closed in any case. */
at_status at_teachers_open(at_ctx *c, const at_recipe *r, const at_dataset *d, at_teachers *t);
void at_teachers_close(at_teachers *t);
/** As a source: borrowed. */
at_teacher at_teachers_source(at_teachers *t);

#endif
