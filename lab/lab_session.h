/* lab_session.h - what the parts of a lab share while it runs. */
#ifndef AT_LAB_SESSION_H
#define AT_LAB_SESSION_H
#include "arch/model.h"
#include "data/dataset.h"
#include "lab/lab.h"
#include "lab/lab_self.h"
#include "tensor/run.h"
#include <pthread.h>

enum {
    AT_TRIAL_BY_LENGTH = 1,   /* evaluate with longer contexts than in training, too  */
    AT_TRIAL_MAY_DIVERGE = 2, /* a run that diverges is a result, not a failure       */
    AT_TRIAL_FOR_TUNING = 4,  /* chooses a setting: it is never evaluated on the test split */
    AT_TRIAL_MISSING = 16     /* evaluate without each expert in turn, too (lab_missing.h)  */
};

enum { AT_TRIAL_NEEDS = 2 };

/** One training run of the lab. */
typedef struct at_trial {
    char name[96], group[64]; /* "k4-s2", "k4": runs of a group differ by the seed alone */
    int64_t seed;
    char *recipe;   /* text of it                                             */
    unsigned flags; /* AT_TRIAL_...                                           */
    bool distilling;
    int64_t need[AT_TRIAL_NEEDS]; /* runs whose models it begins with, or learns from; -1     */
    double tokens;                /* that it reads                                         */
    double flops;                 /* of the training; a guess until there is a plan           */
    cJSON *plan;                  /* what `artel plan` says of it                           */
    cJSON *result;                /* its line of results.jsonl; NULL until done (borrowed)  */
} at_trial;

struct at_lab_session {
    at_ctx *c;
    /* Settings of a lab, before its first run.  sides: how many runs are trained side by side, each
       on one thread; their speeds say little then.  windows: of each domain in an evaluation, evenly
       spread over the split; 0: all of it. */
    int sides;
    int64_t windows;
    int64_t missing_windows; /* of each domain, for AT_TRIAL_MISSING */
    /* What else the lab wants to know of each run that is not for tuning, or NULL: adds to the run's line of
       results.jsonl, which is open.  context: that of its training.  Sides call it, each with its own l. */
    at_status (*also)(at_lab_session *l, const at_trial *t, at_model *m, int64_t context,
                      at_json *line);
    const at_lab *lab;
    const at_lab_options *o;
    at_dataset *data;
    at_compute cp;
    char data_hash[AT_SHA256_TEXT]; /* of the data set's manifest        */
    char program[AT_SHA256_TEXT];   /* at_self_program, 16 digits        */
    char processor[AT_PROCESSOR_MAX];
    char *results_path;
    at_trial *trial;
    int64_t n, cap;
    int64_t small;   /* runs that are no trials: lab_rows.h */
    cJSON *results;  /* lines of results.jsonl                            */
    cJSON *claims;   /* so far                                            */
    cJSON *rates;    /* objects: learning rates tried and chosen          */
    cJSON *warnings; /* sentences                                        */
    at_json page;    /* the report's description, "sections" open: lab_page.h */
    /* for the estimate of the time left */
    double worked, work_seconds; /* flops done here, and how long they took */
    double later;                /* seconds of what follows the training    */
    double began, trial_began;
    int64_t current; /* index of the trial in progress, or -1 */
    at_log_fn log;   /* the caller's, behind ours             */
    void *log_user;
    at_lab_session *whole; /* of a copy, in which one of the sides works: the session itself */
    pthread_mutex_t lock;  /* of what sides share: results, times, the log                   */
};

/** "DIR/runs/NAME/part" from the heap; part may be NULL. */
char *at_lab_path(at_lab_session *l, const at_trial *t, const char *part);

#endif
