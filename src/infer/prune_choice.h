/*
 * prune_choice.h - which experts go, over all layers at once.
 *
 * In order of their scores, the lowest first.  Scores that depend on the layer (use, reap, norm) are divided
 * by their mean over the bank first; losses and random numbers are compared as they are.  In every bank at
 * least the k experts that a token uses stay, those with the highest scores.
 */
#ifndef AT_PRUNE_CHOICE_H
#define AT_PRUNE_CHOICE_H
#include "infer/prune_scores.h"

typedef enum at_prune_limit {
    AT_PRUNE_UNUSED,    /* who is never chosen goes                                       */
    AT_PRUNE_THRESHOLD, /* whose score (as it is) is below `value` goes                   */
    AT_PRUNE_EXPERTS,   /* in each bank `value` stay                                      */
    AT_PRUNE_SHARE,     /* this share of all experts stays, rounded up                    */
    AT_PRUNE_COUNT,     /* `value` experts go                                             */
    AT_PRUNE_BUDGET     /* as many go as it takes to have a file of at most `value` bytes */
} at_prune_limit;

/** Who goes: gone[bank][slot]. */
typedef struct at_prune_choice {
    const at_banks *of; /* borrowed */
    bool **gone;
    int64_t slots, n; /* at_prune_open; how many of them go */
} at_prune_choice;

/** bytes: of a file without what is gone, for BUDGET.  AT_ARG: the limit cannot be kept; says what would be
    the least. */
at_status at_prune_choose(at_ctx *c, const at_slot_scores *s, at_prune_score by,
                          at_prune_limit limit, double value,
                          double (*bytes)(void *user, const at_prune_choice *gone), void *user,
                          at_prune_choice *out);
/** Slots of banks with a router that can be chosen; and of these the most that can go. */
int64_t at_prune_open(const at_banks *banks);
int64_t at_prune_most(const at_banks *banks);
void at_prune_choice_close(at_prune_choice *p);

#endif
