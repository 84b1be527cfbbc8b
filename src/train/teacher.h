/*
 * teacher.h - where the logits that a student is held against come from.
 *
 * A source is a struct of functions.  Today there is one, a model that reads the student's batch
 * beside it; logits captured on disk, or several teachers, are others.  No teacher: kind NULL.
 */
#ifndef AT_TEACHER_H
#define AT_TEACHER_H
#include "arch/read.h"

typedef struct at_teacher at_teacher;

typedef struct at_teacher_kind {
    const char *name, *help;
    /** What it says of micro-batch `index`, read by `in`, into spec; failures stick to the run. */
    void (*give)(const at_teacher *t, at_run *r, const at_input *in, int64_t index,
                 at_head_spec *spec);
    /** AT_CONFIG: it cannot teach sequences of so many tokens. */
    at_status (*check)(const at_teacher *t, at_ctx *c, int64_t context);
} at_teacher_kind;

struct at_teacher {
    const at_teacher_kind *kind;
    void *state; /* of the kind, borrowed */
};

extern const at_teacher_kind at_teacher_kind_live;
/** A model that reads along, borrowed; NULL: no teacher. */
at_teacher at_teacher_live(at_model *m);

#endif
