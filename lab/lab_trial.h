/*
 * lab_trial.h - the training runs of a lab.
 *
 * A run is declared with the text of its recipe; at_lab_train does declared ones that are not
 * finished: trained in runs/NAME (continued where an interrupt left it), evaluated over the
 * whole validation split and the whole test split, its line added to results.jsonl.  A run is
 * finished when a line carries its name, the hash of its recipe and data, and the program that is
 * running, and its model is there.  The processor is told but does not count: losses are the same on
 * every one.
 *
 *     {"name","group","seed","recipe" (hash),"program","processor","arch","parameters","active",
 *      "peak_bytes" (planned),"steps","tokens","train_loss",
 *      "seconds" (of training),"tokens_per_s" (median of its steps),
 *      "val_loss","val_tokens",                                     validation: to choose by
 *      "test_loss","test_tokens","by_domain":{name: loss},          test: to judge by, and all below
 *      "load":[{"kind","layer","entropy","dead","share":[..]}],     of the routers, if any
 *      "load_entropy","dead","experts",                             mean, sum, sum over them
 *      "by_context":[{"context","loss","tokens"}],                  where lengths were asked for:
 *      "by_position":[{"position","loss"}]}                         see lab_probe.h
 *
 * A run that a setting is chosen by (AT_TRIAL_FOR_TUNING) has no line of the test split.  Of a run whose
 * loss exploded, where that was allowed for: {"name","group","seed","recipe","program","processor",
 * "diverged": why}.
 */
#ifndef AT_LAB_TRIAL_H
#define AT_LAB_TRIAL_H
#include "lab/lab_session.h"

/** Declares a run, or gives a declared one another recipe.  recipe: YAML text.  flags: of
    at_trial. */
at_status at_lab_declare(at_lab_session *l, const char *group, int64_t seed, unsigned flags,
                         const char *recipe);
/** Does what is not finished of the declared runs that have all these flags (0: of all), in their
    order. */
at_status at_lab_train(at_lab_session *l, unsigned flags);
/** The run of a group with this seed, or NULL. */
const at_trial *at_lab_trial(const at_lab_session *l, const char *group, int64_t seed);
/** A number of each run of a group, for the seeds 1 .. n; false when one is missing. */
bool at_lab_numbers(const at_lab_session *l, const char *group, const char *key, int64_t n,
                    double *out);
/** Mean losses of the windows of the test split, in order of domain and place (whole windows
    only); *n of them, at_free. */
at_status at_lab_windows(at_lab_session *l, const at_trial *t, double **loss, int64_t *n);
/** "DIR/runs/NAME/part" from the heap; part may be NULL. */
char *at_lab_path(at_lab_session *l, const at_trial *t, const char *part);

/** Reads results.jsonl.  Lines of another program are left out, which is logged. */
at_status at_lab_results_open(at_lab_session *l);
void at_lab_trials_close(at_lab_session *l);

#endif
