/*
 * lab.h - tests the claims of a paper on real data: train, measure, compare, conclude.
 *
 * A lab is one file: an at_lab with a function that declares training runs, has them done
 * (lab_trial.h), measures the models (lab_probe.h, lab_speed.h), states what came of each claim
 * (lab_claim.h) and describes a page (lab_page.h).  Add it to the table in lab.c.
 *
 * The folder of a lab: lab.json (which lab, scale and data), runs/NAME/ (an ordinary training run
 * each), results.jsonl (a line a run), rates.jsonl, speed.json, claims.jsonl, report.json,
 * report.html.  What is finished there is not repeated, so that after an interrupt the same call
 * goes on.  Runs of another build of artel are repeated; speeds of another processor are measured
 * again.
 */
#ifndef AT_LAB_H
#define AT_LAB_H
#include "base/ctx.h"
#include "base/json.h"

typedef enum at_lab_scale {
    AT_LAB_QUICK, /* half an hour on two cores                                      */
    AT_LAB_FULL,  /* hours                                                          */
    AT_LAB_TINY,  /* seconds: shows that everything runs, says nothing about models */
    AT_LAB_SCALES
} at_lab_scale;
extern const char *const at_lab_scale_name[AT_LAB_SCALES];

typedef struct at_lab_session at_lab_session;

typedef struct at_lab {
    const char *name, *source; /* "moduleformer", "arXiv 2306.04640" */
    const char *title;
    const char *const *claims; /* what will be tried, NULL-terminated */
    at_status (*run)(at_lab_session *l);
    /** Where its data is no data set: opens it, as far as needed to fill data_hash.  Else NULL. */
    at_status (*open)(at_lab_session *l);
} at_lab;

/** NULL-terminated. */
extern const at_lab *const at_labs[];
extern const at_lab at_lab_moduleformer, at_lab_mome, at_lab_mode, at_lab_all, at_lab_clock,
    at_lab_grow, at_lab_prune;

/** The data set that the demo makes. */
#define AT_LAB_DATA "build/demo/data"

typedef struct at_lab_options {
    const char *out, *data; /* folders: of the lab, of the data set; data may be NULL */
    const char *label;      /* of `mode`, where data is a table: its column, or NULL         */
    const char *trees;      /* of `mode`: what bench/peers/trees.py printed, or NULL         */
    const char *text;       /* of `mode`: the data set of its part on text, or NULL          */
    at_lab_scale scale;
    /** Closes j. */
    at_status (*emit)(void *user, at_json *j);
    void *user;
} at_lab_options;

/**
 * The lab of this name, from where it stands to its end.  Emits an object a claim (lab_claim.h),
 * then {"lab","scale","runs","seconds","report","program","processor","warnings":[..]}.  AT_ARG: no
 * such lab; a folder that holds something else.  AT_INTERRUPTED: the same call goes on.
 */
at_status at_lab_run(at_ctx *c, const char *name, const at_lab_options *o);

#endif
