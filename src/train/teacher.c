/* teacher.c - a model in the caller's hands that reads along: dropout off, nothing recorded.  Teachers that a
   recipe names are opened and asked by teachers.c. */
#include "train/teacher.h"

static void give(const at_teacher *t, at_run *r, const at_lesson *l, at_head_spec *spec) {
    at_input own = *l->in;
    own.modules = 0; /* those of the student */
    spec->teacher_x = at_model_hidden(t->state, r, &own, &(at_pass){.still = true});
    spec->teacher_w = at_model_head(t->state);
}

static at_status begin(const at_teacher *t, at_ctx *c, const at_recipe *r, at_sampler *s) {
    const at_model *m = t->state;
    (void)s;
    if (m->arch->modules)
        return at_error(c, AT_CONFIG,
                        "the teacher is a model of trunks, which has no answer of its own "
                        "for a text: teach with one network");
    if (r->train.context <= m->dims.context) return AT_OK;
    return at_error(c, AT_CONFIG,
                    "train.context is %lld, but the teacher takes at most %lld tokens",
                    (long long)r->train.context, (long long)m->dims.context);
}

const at_teacher_kind at_teacher_kind_live = {"live", "a model reads the student's batches", give,
                                              begin};

at_teacher at_teacher_live(at_model *m) {
    return m ? (at_teacher){.kind = &at_teacher_kind_live, .state = m} : (at_teacher){0};
}
