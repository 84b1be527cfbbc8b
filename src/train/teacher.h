/*
 * teacher.h - where the logits that a student is held against come from.
 *
 * A source is a struct of functions: a model that reads the student's batch beside it, or the
 * teachers of a recipe (teachers.h), models and captured logits, several at once.  No teacher: kind
 * NULL.
 */
#ifndef AT_TEACHER_H
#define AT_TEACHER_H
#include "arch/read.h"
#include "train/recipe.h"

typedef struct at_teacher at_teacher;

/** A micro-batch that is to be spoken about. */
typedef struct at_lesson {
    const at_input *in; /* as the student reads it */
    int64_t index;
    const int32_t *domain; /* [B] of each sequence, by the data set's index; NULL: text that is in
                              no shard                                                       */
    const int64_t *start;  /* [B] its first token in the shard                                */
} at_lesson;

typedef struct at_teacher_kind {
    const char *name, *help;
    /** What it says of a micro-batch, into spec; failures stick to the run. */
    void (*give)(const at_teacher *t, at_run *r, const at_lesson *l, at_head_spec *spec);
    /** Before the first lesson.  AT_CONFIG: it cannot teach what this recipe's sampler draws; of windows
        it may ask that they are aligned. */
    at_status (*begin)(const at_teacher *t, at_ctx *c, const at_recipe *r, at_sampler *s);
} at_teacher_kind;

struct at_teacher {
    const at_teacher_kind *kind;
    void *state; /* of the kind, borrowed */
};

extern const at_teacher_kind at_teacher_kind_live;
/** A model that reads along, borrowed; NULL: no teacher. */
at_teacher at_teacher_live(at_model *m);

#endif
