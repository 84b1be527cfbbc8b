/*
 * branches.h - artel compose with models that were branched from one seed and trained apart: one mixture of
 * them (mode btx), and what each way of putting them together is worth.
 *
 * Recipe of mode btx:
 *     seed: 1
 *     base: FOLDER                         what `rest: base` takes; measured, too
 *     experts: [{name: fr, model: FOLDER}, ...]   dense models
 *     rest: average | base                 what is no expert
 *     attention: rest | average | base | experts
 *     k: 2, k_att: 2, gate: linear | mlp | gmm, gating_size: 256, renormalise: true
 *     router: random | domain | gates      rows before any training, see router_rows.h; router_tokens: 1024
 *     trained: routers | all               by the section train, where there is one
 *     data: {train: DATA}                  to be measured on, and trained
 *     train: {...}, losses: {...}          as in a training run
 *     report: {...}                        see at_branch_report
 */
#ifndef AT_BRANCHES_H
#define AT_BRANCHES_H
#include "conf/conf.h"

/** Whether the recipe's mode is btx; any other is at_compose's. */
at_status at_branches_asked(at_ctx *c, at_conf *f, bool *is);
/**
 * Makes the folder `out`, whole or not at all, with passports and the report in artel.json.  The training
 * run of mode btx lies in "OUT.run"; the same call continues it after AT_INTERRUPTED.  No input is changed.
 */
at_status at_branches_compose(at_ctx *c, at_conf *f, const char *out);

#endif
