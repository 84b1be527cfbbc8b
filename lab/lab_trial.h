/*
 * lab_trial.h - the training runs of a lab.
 *
 * A run is declared with the text of its recipe.  at_lab_train trains declared runs that are not
 * finished, in runs/NAME (continuing after an interrupt), evaluates them on the whole validation
 * split and the whole test split, and adds a line for each to results.jsonl.  A run is finished
 * when its model exists and there is a line with its name, the hash of its recipe and data, and the
 * hash of the running program.  A recipe with a section `distill` is one of `artel distill`.  Where
 * `init` or `distill.teacher` is the model of a run declared before (at_lab_model), that run comes
 * first, and its recipe belongs to the hash.  The processor is recorded only: losses are the same on every one.
 *
 *     {"name","group","seed","recipe" (hash),"program","processor","arch","parameters","active",
 *      "peak_bytes" (planned),"steps","tokens","train_loss",
 *      "seconds" (of training),"tokens_per_s" (median of its steps),
 *      "val_loss","val_tokens",                                     validation: to choose by
 *      "test_loss","test_tokens","by_domain":{name: loss},          test: to judge by, and all below
 *      "test_loss_own","test_loss_common",   of a model of modules with a common one: without it, alone
 *      "load":[{"kind","layer","entropy","dead","share":[..]}],     of the routers, if any
 *      "load_entropy","dead","experts",                             mean, sum, sum over them
 *      "missing":{..},                     where it was asked for: see lab_missing.h
 *      "by_context":[{"context","loss","tokens"}],                  where lengths were asked for:
 *      "by_position":[{"position","loss"}]}                         see lab_probe.h
 *
 * A run for choosing a setting (AT_TRIAL_FOR_TUNING) is not evaluated on the test split.  A run
 * that diverged (AT_TRIAL_MAY_DIVERGE) has the line
 * {"name","group","seed","recipe","program","processor", "diverged": why}.
 */
#ifndef AT_LAB_TRIAL_H
#define AT_LAB_TRIAL_H
#include "lab/lab_session.h"

/** Declares a run, or gives a declared one another recipe.  recipe: YAML text.  flags: of
    at_trial. */
at_status at_lab_declare(at_lab_session *l, const char *group, int64_t seed, unsigned flags,
                         const char *recipe);
/** The folder where the model of a run will be, from the heap: for `init` and `distill.teacher`. */
char *at_lab_model(at_lab_session *l, const char *group, int64_t seed);
/** Trains the declared runs that are not finished and have all these flags (0: all runs), in
    order, or as many side by side as the session says: what they come to does not depend on that.
    AT_ARG: one needs a run that has not all of the flags and is not finished. */
at_status at_lab_train(at_lab_session *l, unsigned flags);
/** The run of a group with this seed, or NULL. */
const at_trial *at_lab_trial(const at_lab_session *l, const char *group, int64_t seed);
/** The number under `key` of each run of a group, for the seeds 1 .. n; false when one is
    missing. */
bool at_lab_numbers(const at_lab_session *l, const char *group, const char *key, int64_t n,
                    double *out);

/** Reads results.jsonl.  Lines of another program are left out, which is logged. */
at_status at_lab_results_open(at_lab_session *l);
void at_lab_trials_close(at_lab_session *l);

#endif
