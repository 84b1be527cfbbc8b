/*
 * taught.h - what the teachers of head_loss say of a block of the student's rows.
 *
 * One teacher who speaks of a row is taken as it is.  What several say of it is mixed: the mean of
 * their probabilities at the temperature of the loss, by their weights.
 */
#ifndef AT_TAUGHT_H
#define AT_TAUGHT_H
#include "op/top_row.h"

typedef struct at_taught {
    const at_head_teacher *one; /* [n], borrowed while the op computes          */
    at_head_teacher alone;      /* where the spec names one by teacher_x          */
    int n;
    at_kd how;
    int64_t v;      /* tokens compared: those that all of them and the student have  */
    int64_t rows;   /* of the student that some teacher speaks of                     */
    at_real *z;     /* [block, v] logits of what is said, or of the only one asked   */
    at_real *heard; /* [block, v] logits of one of several, or NULL                */
} at_taught;

/** From the spec, for x [N, C] of a student of v tokens; t->n = 0: no teacher.  False: the run has
    failed. */
bool at_taught_open(at_run *r, const at_head_spec *spec, const at_tensor *x, int64_t v,
                    int64_t block, at_taught *t);
/** Rows [begin, begin + rows) of the student. */
at_status at_taught_block(at_run *r, const at_taught *t, int64_t begin, int64_t rows);
/** The loss of row begin + i of the student, whose logits are s, 0 where nobody speaks of it; when ds
    is not NULL, ds += coef * gradient.  tmp: 2 v values. */
double at_taught_row(const at_run *r, const at_taught *t, int64_t begin, int64_t i,
                     const at_real *s, at_real *tmp, double coef, at_real *ds);
/** Unnormalised weight of that row in the loss, see at_token_weight, 0 where nobody speaks of it; the
    student's logits s are of v_student tokens, and so is tmp. */
double at_taught_weight(const at_run *r, const at_taught *t, int64_t begin, int64_t i,
                        int64_t v_student, const at_real *s, int32_t label, at_real *tmp);
/** Floating-point operations of the products of all rows. */
double at_taught_cost(const at_taught *t);

#endif
