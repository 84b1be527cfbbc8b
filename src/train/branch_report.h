/*
 * branch_report.h - what models that were trained apart are worth: the loss per domain of the base, of each
 * branch, of their ensemble, of the plain average of their weights, of their mixture.
 *
 * All are scored on the same tokens: windows of the split, without their first `skip` tokens, which the
 * ensemble's router reads.
 */
#ifndef AT_BRANCH_REPORT_H
#define AT_BRANCH_REPORT_H
#include "base/json.h"
#include "infer/btx.h"
#include "infer/ensemble.h"

typedef struct at_branch_report_keys {
    char *split, *ensemble_router; /* "fit", "uniform" or a folder */
    int64_t context, windows, skip, ensemble_k;
} at_branch_report_keys;
extern const at_key at_branch_report_table[]; /* of the section `report` */

typedef struct at_branch_report {
    at_compute cp;
    bool computing;
    at_branch_report_keys keys;
    at_dataset *data;
    at_split split;
    at_router *router; /* of the ensemble, or NULL */
    int *class_of;
    const at_branch *branch;
    int n;
    cJSON *rows;   /* a list: {"report","name","loss": {domain: nats},"mean","tokens"} */
    int done, all; /* models measured, and to be */
} at_branch_report;

/** data: folder, made with the branches' tokenizer.  all: how many rows there will be.  Closed in any
    case. */
at_status at_branch_report_open(at_ctx *c, const at_branch_report_keys *k, const char *data,
                                const at_branch *branch, int n, int all, at_branch_report *r);
void at_branch_report_close(at_branch_report *r);
/** One more row: a model. */
at_status at_branch_report_model(at_branch_report *r, const char *kind, const char *name,
                                 at_model *m);
/** A row for each branch, and one for their ensemble. */
at_status at_branch_report_branches(at_branch_report *r);

#endif
