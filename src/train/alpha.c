/* alpha.c - the tables, and their simplest rows. */
#include "train/alpha.h"
#include <stddef.h>

static double stay(const at_alpha *a, int64_t step) {
    (void)step;
    return a->first;
}
const at_alpha_rule at_alpha_rule_fixed = {"fixed", "alpha stays", NULL, stay, NULL, false};

static double line(const at_alpha *a, int64_t step) {
    const double done = a->steps > 1 ? (double)step / (double)(a->steps - 1) : 0;
    return a->first + (a->last - a->first) * done;
}
const at_alpha_rule at_alpha_rule_anneal = {"anneal", "along a line to alpha_end", NULL, line, NULL,
                                            false};

static double both(double alpha, int64_t turn) {
    (void)turn;
    return alpha;
}
const at_distill_schedule at_distill_schedule_combined = {"combined", "both losses in every turn",
                                                          both, false};

static double in_turns(double alpha, int64_t turn) {
    (void)alpha;
    return turn % 2 ? 0 : 1;
}
const at_distill_schedule at_distill_schedule_alternating = {
    "alternating", "the text's in even turns, the teacher's in odd ones", in_turns, true};

#define X(name) &at_alpha_rule_##name,
const at_alpha_rule *const at_alpha_rules[] = {AT_ALPHA_RULES(X) NULL};
#undef X
#define X(name) &at_distill_schedule_##name,
const at_distill_schedule *const at_distill_schedules[] = {AT_DISTILL_SCHEDULES(X) NULL};
#undef X

at_status at_alpha_open(at_ctx *c, at_alpha *a, int64_t steps) {
    a->steps = steps;
    a->n_state = a->rule->n_state ? a->rule->n_state(steps) : 0;
    if (!a->n_state) return AT_OK;
    a->state = at_calloc(c, (size_t)a->n_state, sizeof *a->state);
    return a->state ? AT_OK : AT_OOM;
}

void at_alpha_close(at_alpha *a) {
    at_free(a->state);
    *a = (at_alpha){0};
}

double at_alpha_weight(const at_alpha *a, int64_t step, int64_t turn) {
    return a->schedule->weight(a->rule->weight(a, step), turn);
}

void at_alpha_observe(at_alpha *a, const at_losses *seen) {
    if (a->rule->observe) a->rule->observe(a, seen);
}

void at_alpha_copy(at_alpha *a, const at_alpha *b) {
    for (int64_t i = 0; i < b->n_state; i++) a->state[i] = b->state[i];
}

int64_t at_alpha_window(int64_t steps, int64_t share) {
    return steps / share > 20 ? steps / share : 20;
}
