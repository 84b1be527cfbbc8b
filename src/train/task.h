/*
 * task.h - what is learned: a table, one file a row.
 *
 * A task opens the data of a recipe, makes a learner's batches and their loss, measures a learner on
 * what was held back.  What it keeps for a learner is its own (at_learner.state).
 */
#ifndef AT_TASK_H
#define AT_TASK_H
#include "arch/read.h"
#include "base/sha256.h"
#include "train/alpha.h"
#include "train/recipe.h"

typedef struct at_learner at_learner;

/** The data of a run. */
typedef struct at_data {
    void *set;       /* what the task opened                                   */
    int64_t outputs; /* classes that a model tells apart: its vocabulary       */
    char **part;     /* [parts] owned; names of what is in use of it, borrowed */
    int64_t parts;
    int64_t inputs;            /* numbers of a sample; 0: it has token ids */
    bool text;                 /* they are the bytes of a text         */
    at_image_size image;       /* where a sample is an image               */
    int64_t samples;           /* rows to learn from; 0: there are as many as are asked for */
    char *tokenizer;           /* owned: a file that belongs to the model, or NULL       */
    char hash[AT_SHA256_TEXT]; /* of what names all of it: a resumed run has the same    */
} at_data;

/** Loss of a part of the held back data ("all": of all of it), and where there is one, the share that
    was told right; NaN: there is none. */
typedef at_status (*at_score_fn)(void *user, const char *part, double loss, double accuracy);

typedef struct at_task {
    const char *name, *help;
    bool shards; /* its data is an at_dataset, so it may have teachers */
    bool pairs;  /* its recipes have a section `translate` */
    bool tables; /* its recipes have a section `table`, and epochs in place of steps */

    at_status (*open_data)(at_ctx *c, const at_recipe *r, at_data *out);
    void (*close_data)(at_data *d);
    /** What of a recipe follows from the data; may be NULL. */
    void (*settle)(at_recipe *r, const at_data *d);
    /** AT_MISMATCH: this model, called `what` in the sentence, cannot read this data. */
    at_status (*check_model)(at_ctx *c, const at_recipe *r, const at_data *d, const at_model *m,
                             const char *what);
    /** What a model's folder says of the data it was trained on. */
    at_status (*sign_model)(at_ctx *c, const at_data *d, at_model *m);

    /** l->state, from recipe, model, teacher and data; AT_CONFIG: they do not go together. */
    at_status (*open)(at_learner *l, at_ctx *c, const void *set);
    void (*close)(at_learner *l);
    /** Micro-batch `index`, always the same, is read and put through the model; text_weight: of
        at_alpha_weight.  Returns the loss [1] without that of routers, which goes into the pass;
        with p->collect only the hidden states are wanted. */
    at_tensor *(*loss)(at_learner *l, at_run *r, int64_t index, double text_weight, at_pass *p,
                       at_losses *out);
    /** A reason for a failed micro-batch that the task knows better; returns s.  May be NULL. */
    at_status (*explain)(const at_learner *l, at_ctx *c, at_status s);
    /** How many steps before this one read the same kind of data; NULL: all. */
    int64_t (*own_step)(const at_learner *l, int64_t step);
    /** A step was made; may be NULL. */
    void (*stepped)(at_learner *l);
    /** All its parts, then "all"; nothing where nothing was held back. */
    at_status (*evaluate)(at_learner *l, at_ctx *c, at_compute *cp, at_score_fn f, void *user);
    /** Whether to stop before the last step, as far as evaluations tell; NULL: never. */
    bool (*done)(const at_learner *l);
    /** Before the model is saved at last; may be NULL. */
    void (*conclude)(at_learner *l);
    /** How good the model is that the run ends with, into an open object; may be NULL. */
    at_status (*result)(at_learner *l, at_ctx *c, at_compute *cp, at_json *j);
    /** What a resumed run needs of the state, in `file` of a checkpoint; all may be NULL. */
    const char *file;
    at_status (*save)(const at_learner *l, at_ctx *c, const char *dir);
    at_status (*load)(at_learner *l, at_ctx *c, const char *dir);
} at_task;

#define AT_TASKS(X) X(lm) X(classify) X(regress) X(translate)
#define X(name)     extern const at_task at_task_##name;
AT_TASKS(X)
#undef X
/** By index; NULL ends it. */
extern const at_task *const at_tasks[];

#endif
