/* recipe.h - the recipe of a training run as a struct. */
#ifndef AT_RECIPE_H
#define AT_RECIPE_H
#include "conf/conf.h"
#include "data/batch.h"
#include "data/tabular.h"
#include "op/op.h"
#include "tensor/optim.h"
#include "train/schedule.h"

/** Which domains a batch has. */
typedef enum at_mix { AT_MIX_AUTO, AT_MIX_BALANCED, AT_MIX_TURNS } at_mix;
typedef enum at_best { AT_BEST_ACCURACY, AT_BEST_LOSS } at_best;
typedef enum at_scope { AT_SCOPE_MICRO_BATCH, AT_SCOPE_STEP } at_scope;
typedef enum at_alpha_sees { AT_ALPHA_SEES_PAST, AT_ALPHA_SEES_OWN } at_alpha_sees;

typedef enum at_windows { AT_WINDOWS_AUTO, AT_WINDOWS_SHIFTED, AT_WINDOWS_ALIGNED } at_windows;

enum { AT_RECIPE_DOMAINS = 64, AT_TEACHERS_MAX = 64 };

/** A teacher of a recipe. */
typedef struct at_recipe_teacher {
    char *model;        /* folder of a model or of captured logits */
    double weight;      /* beside the others who teach the same    */
    at_strings domains; /* none: all                               */
} at_recipe_teacher;

typedef struct at_recipe {
    struct {
        int64_t seed;
        int task;          /* index into at_tasks */
        char *init;        /* a model folder to start from, or NULL */
        at_strings freeze; /* globs over parameter paths */
    } top;
    struct {
        char *train; /* data set folder */
        at_strings domains, weights;
        int mix; /* at_mix */
    } data;
    int64_t weight[AT_RECIPE_DOMAINS]; /* data.weights as numbers */
    struct {
        int64_t steps, tokens, batch, context, history, stretch, pool_min, pool_max, accumulate,
            eval_every, eval_windows, save_every, keep;
        double lr, floor, warmup, weight_decay, beta1, beta2, eps, momentum, muon_scale, clip,
            spike;
        int optimizer, schedule; /* indices into at_optimisers, at_schedules */
        int windows;             /* at_windows */
    } train;
    struct {
        char *teacher;
        int loss, warmup_loss;    /* at_kd_kind */
        int64_t warmup_steps;     /* that have warmup_loss */
        int token_weight;         /* at_token_weight */
        int alpha_rule, schedule; /* indices into at_alpha_rules, at_distill_schedules */
        int scope;                /* of a turn: at_scope */
        int sees;                 /* losses that a rule goes by: at_alpha_sees */
        double temperature, skew, alpha, alpha_end, on_policy;
        int64_t on_policy_prompt;
    } distill;
    at_recipe_teacher teacher[AT_TEACHERS_MAX]; /* of distill.teacher, or distill.teachers */
    int n_teachers;
    struct { /* of tasks on tables */
        char *label, *test, *image_size, *text;
        int64_t text_length;
        int64_t image_height, image_width; /* which it says; 0: it is not given */
        int header, scale, best;           /* at_table_header, at_scaling, at_best */
        int64_t skip, split_seed, rows, epochs, evaluate, patience;
        at_strings categories, ignore;
        const char *frame;
        double validation, test_share;
    } table;
    struct { /* of task: translate */
        bool best;
        int64_t patience;
    } translate;
    bool distilling;
    struct { /* weights of what routers add to the loss, see arch/aux.h */
        double mutual_information, concentration, balance, z, attention, feed_forward;
        int scope; /* of means over tokens: at_scope */
        double mutual_distillation, mutual_end, mutual_temperature;
        int mutual_form; /* at_mutual_form */
        bool mutual_detach;
        at_strings mutual_layers;
        double rows; /* no key, see at_train_options */
        int64_t mutual_extra;
        double expert_label;
    } losses;
    bool with_losses; /* false: those of the model's configuration */
} at_recipe;

/** Sets a key to a text (n = 1) or a list of n texts; origin is shown in messages. */
at_status at_recipe_set(at_ctx *c, at_conf *f, const char *origin, const char *key,
                        const char *const *text, int64_t n, bool list);
/** What commands need of a recipe before its run: the seed, and the folder of the data (of the recipe). */
at_status at_recipe_seed(at_ctx *c, at_conf *f, int64_t *seed);
at_status at_recipe_data(at_ctx *c, at_conf *f, char **train);
/** Binds everything but the model section (an architecture's own) and checks what belongs
    together; steps are worked out of tokens. */
at_status at_recipe_bind(at_ctx *c, at_conf *f, bool distilling, at_recipe *out);
/** The same, and the model's keys; refuses what nobody knows.  Then at_conf_dump has all of it. */
at_status at_recipe_bind_all(at_ctx *c, at_conf *f, bool distilling, at_recipe *out);
/** Where the recipe's model is made of modules and does not name them: they are called so. */
at_status at_recipe_modules(at_ctx *c, at_conf *f, char *const *name, int64_t n);
/** Of a model that reads rows: the numbers of its inputs and outputs, and the sizes of its images, where
    the recipe leaves them to the data.  AT_CONFIG: it reads images, and the data has none. */
at_status at_recipe_sizes(at_ctx *c, at_conf *f, int64_t inputs, int64_t outputs,
                          at_image_size image);
/** Freezes what it names, and what follows a `!` not, in its order.  AT_CONFIG: a glob that matches nothing. */
at_status at_recipe_freeze(at_ctx *c, at_conf *f, const at_recipe *r, at_store *s);

#endif
