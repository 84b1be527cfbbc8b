/*
 * alpha.h - how much of a student's loss is the text's, and how much its teacher's: two tables.
 *
 * A rule works alpha out of what the losses did so far, which it keeps in numbers that are saved in
 * checkpoints.  A schedule says which of the two losses a turn has at all.
 */
#ifndef AT_ALPHA_H
#define AT_ALPHA_H
#include "base/ctx.h"

#define AT_ALPHA_RULES(X)       X(fixed) X(adaptive) X(slopes) X(anneal) X(gradient_norm)
#define AT_DISTILL_SCHEDULES(X) X(combined) X(alternating)

typedef struct at_alpha at_alpha;

/** Losses of a micro-batch or a step, means over its parts. */
typedef struct at_losses {
    double ce, kd;
    double ce_norm, kd_norm; /* of their gradients by the logits, where a rule wants them */
    bool taught;             /* a teacher was asked: kd is known */
} at_losses;

typedef struct at_alpha_rule {
    const char *name, *help;
    int64_t (*n_state)(int64_t steps); /* numbers it keeps in a run of so many; NULL: none */
    double (*weight)(const at_alpha *a, int64_t step);   /* of the text in a step, in [0, 1] */
    void (*observe)(at_alpha *a, const at_losses *seen); /* what came next; NULL: no matter  */
    bool norms;                                          /* of gradients matter to it        */
} at_alpha_rule;

typedef struct at_distill_schedule {
    const char *name, *help;
    double (*weight)(double alpha, int64_t turn); /* of the text in this turn, from 0 */
    bool in_turns; /* a turn has one of the losses, whatever the rule says: in those of the text
                      alone the teacher is not asked */
} at_distill_schedule;

struct at_alpha {
    const at_alpha_rule *rule;
    const at_distill_schedule *schedule;
    double first, last; /* the recipe's alpha and alpha_end     */
    int64_t steps;      /* of the run                           */
    double *state;      /* owned; zeros at first, then the rule's */
    int64_t n_state;
};

#define X(name) extern const at_alpha_rule at_alpha_rule_##name;
AT_ALPHA_RULES(X)
#undef X
#define X(name) extern const at_distill_schedule at_distill_schedule_##name;
AT_DISTILL_SCHEDULES(X)
#undef X
/** By index; NULL ends each. */
extern const at_alpha_rule *const at_alpha_rules[];
extern const at_distill_schedule *const at_distill_schedules[];

/** State for the rule, in a run of so many steps. */
at_status at_alpha_open(at_ctx *c, at_alpha *a, int64_t steps);
void at_alpha_close(at_alpha *a);
/** Weight of the cross entropy in a turn of a step; the rest is the teacher's. */
double at_alpha_weight(const at_alpha *a, int64_t step, int64_t turn);
/** After a step: the means of both losses in what is counted, one after the other. */
void at_alpha_observe(at_alpha *a, const at_losses *seen);
/** What b was told, forgetting what a was; both are of one rule and run. */
void at_alpha_copy(at_alpha *a, const at_alpha *b);
/** Length of the window that a rule looks back over: a share of the run, and 20 at least. */
int64_t at_alpha_window(int64_t steps, int64_t share);

#endif
