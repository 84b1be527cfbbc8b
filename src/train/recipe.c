/* recipe.c - tables of keys. */
#include "train/recipe.h"
#include "arch/config.h"
#include "arch/model.h"
#include "base/ints.h"
#include "base/json.h"
#include "base/text.h"
#include "train/alpha.h"
#include "train/task.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names of a table as the choices of a key: "a|b". */
#define BAR(name)     "|" #name
#define CHOICES(list) (&("" list(BAR))[1])

#define TOP(x)   offsetof(at_recipe, top.x) - offsetof(at_recipe, top)
#define DATA(x)  offsetof(at_recipe, data.x) - offsetof(at_recipe, data)
#define TRAIN(x) offsetof(at_recipe, train.x) - offsetof(at_recipe, train)
#define KD(x)    offsetof(at_recipe, distill.x) - offsetof(at_recipe, distill)
#define LOSS(x)  offsetof(at_recipe, losses.x) - offsetof(at_recipe, losses)
#define TABLE(x) offsetof(at_recipe, table.x) - offsetof(at_recipe, table)
#define PAIRS(x) offsetof(at_recipe, translate.x) - offsetof(at_recipe, translate)

static const at_key top_keys[] = {
    {"seed", AT_KEY_INT, TOP(seed), "0", 0, 9e15, NULL, "of every draw"},
    {"task", AT_KEY_CHOICE, TOP(task), "lm", 0, 0, CHOICES(AT_TASKS), "what is learned"},
    {"init", AT_KEY_STRING, TOP(init), "", 0, 0, NULL, "model folder to start from"},
    {"freeze", AT_KEY_STRINGS, TOP(freeze), "", 0, 0, NULL,
     "parameter paths that stay (globs; those after a ! learn all the same)"},
    {0},
};

static const at_key data_keys[] = {
    {"train", AT_KEY_STRING, DATA(train), NULL, 0, 0, NULL, "data set folder"},
    {"domains", AT_KEY_STRINGS, DATA(domains), "", 0, 0, NULL, "domains used; none: all"},
    {"weights", AT_KEY_STRINGS, DATA(weights), "", 0, 0, NULL,
     "how often each domain is read, a whole number each; none: equally often"},
    {"mix", AT_KEY_CHOICE, DATA(mix), "auto", 0, 0, "auto|balanced|turns", /* at_mix */
     "a batch has all domains, or step after step has one; auto: turns for trunks, else balanced"},
    {0},
};

static const at_key train_keys[] = {
    {"steps", AT_KEY_INT, TRAIN(steps), "0", 0, 1e12, NULL, "optimiser steps"},
    {"tokens", AT_KEY_INT, TRAIN(tokens), "0", 0, 1e15, NULL, "stands for steps"},
    {"batch", AT_KEY_INT, TRAIN(batch), "8", 1, 65536, NULL, "sequences of a micro-batch"},
    {"context", AT_KEY_INT, TRAIN(context), "256", 1, 1 << 20, NULL, "tokens of a sequence"},
    {"history", AT_KEY_INT, TRAIN(history), "0", 0, 1 << 20, NULL,
     "tokens before the sequence whose keys and values attention sees too; 0: none, else sequences "
     "read on where they were"},
    {"windows", AT_KEY_CHOICE, TRAIN(windows), "auto", 0, 0,
     "auto|shifted|aligned", /* at_windows */
     "where sequences begin: shifted, in each epoch by an offset of its own; aligned, at whole "
     "numbers "
     "of contexts; auto: shifted, aligned with captured logits"},
    {"stretch", AT_KEY_INT, TRAIN(stretch), "0", 0, 1e12, NULL,
     "with history: sequences read one after the other before another place is drawn; 0: 4 times "
     "the history"},
    {"pool_min", AT_KEY_INT, TRAIN(pool_min), "1", 1, 65536, NULL,
     "with pool_max: the smallest pool"},
    {"pool_max", AT_KEY_INT, TRAIN(pool_max), "0", 0, 65536, NULL,
     "in each router all tokens of a sequence choose from one pool of experts of at most so many; "
     "0: from "
     "all"},
    {"accumulate", AT_KEY_INT, TRAIN(accumulate), "1", 1, 65536, NULL, "micro-batches a step"},
    {"optimizer", AT_KEY_CHOICE, TRAIN(optimizer), "adamw", 0, 0, CHOICES(AT_OPTIMISERS),
     "what changes the parameters"},
    {"lr", AT_KEY_REAL, TRAIN(lr), "6e-4", 0, 10, NULL, "highest learning rate"},
    {"schedule", AT_KEY_CHOICE, TRAIN(schedule), "cosine", 0, 0, CHOICES(AT_SCHEDULES),
     "of the learning rate after warm-up"},
    {"warmup", AT_KEY_REAL, TRAIN(warmup), "0.05", 0, 1, NULL, "share of the steps"},
    {"floor", AT_KEY_REAL, TRAIN(floor), "0.1", 0, 1, NULL, "last learning rate, share of lr"},
    {"weight_decay", AT_KEY_REAL, TRAIN(weight_decay), "0.1", 0, 10, NULL, "on matrices"},
    {"beta1", AT_KEY_REAL, TRAIN(beta1), "0.9", 0, 0.99999, NULL, "AdamW"},
    {"beta2", AT_KEY_REAL, TRAIN(beta2), "0.95", 0, 0.999999, NULL, "AdamW"},
    {"eps", AT_KEY_REAL, TRAIN(eps), "1e-8", 0, 1, NULL, "AdamW"},
    {"momentum", AT_KEY_REAL, TRAIN(momentum), "0.95", 0, 0.99999, NULL, "Muon"},
    {"muon_scale", AT_KEY_REAL, TRAIN(muon_scale), "0.2", 0, 1000, NULL,
     "Muon: root mean square of a matrix's step, as a share of lr"},
    {"clip", AT_KEY_REAL, TRAIN(clip), "1.0", 0, 1e9, NULL, "gradient norm; 0: none"},
    {"spike", AT_KEY_REAL, TRAIN(spike), "3.0", 0, 1e9, NULL,
     "stop when the loss is so many nats above its running mean; 0: never"},
    {"eval_every", AT_KEY_INT, TRAIN(eval_every), "200", 0, 1e12, NULL, "steps; 0: at the end"},
    {"eval_windows", AT_KEY_INT, TRAIN(eval_windows), "32", 0, 1e9, NULL,
     "sequences a domain of each validation; 0: all"},
    {"save_every", AT_KEY_INT, TRAIN(save_every), "200", 0, 1e12, NULL, "steps; 0: at the end"},
    {"keep", AT_KEY_INT, TRAIN(keep), "2", 1, 1000, NULL, "checkpoints"},
    {0},
};

#define KD_KINDS "forward_kl|reverse_kl|soft_ce|js|skew_kl|skew_reverse_kl" /* at_kd_kind */
static const at_key distill_keys[] = {
    {"teacher", AT_KEY_STRING, KD(teacher), "", 0, 0, NULL,
     "folder of a model, or of its captured logits"},
    {"loss", AT_KEY_CHOICE, KD(loss), "forward_kl", 0, 0, KD_KINDS, "between teacher and student"},
    {"warmup_loss", AT_KEY_CHOICE, KD(warmup_loss), "forward_kl", 0, 0, KD_KINDS,
     "in place of loss in the first steps"},
    {"warmup_steps", AT_KEY_INT, KD(warmup_steps), "0", 0, 1e12, NULL,
     "optimiser steps with warmup_loss"},
    {"token_weight", AT_KEY_CHOICE, KD(token_weight), "none", 0, 0,
     "none|surprise|teacher", /* at_token_weight */
     "what a token counts for in the teacher's loss"},
    {"temperature", AT_KEY_REAL, KD(temperature), "2.0", 0.01, 1000, NULL, "of both softmaxes"},
    {"skew", AT_KEY_REAL, KD(skew), "0.1", 0, 0.99, NULL,
     "of skew_kl and skew_reverse_kl: share of the first distribution in what it is compared with"},
    {"alpha", AT_KEY_REAL, KD(alpha), "0.5", 0, 1, NULL,
     "weight of the cross entropy; the rest is the teacher's"},
    {"alpha_rule", AT_KEY_CHOICE, KD(alpha_rule), "fixed", 0, 0, CHOICES(AT_ALPHA_RULES),
     "how alpha moves"},
    {"alpha_end", AT_KEY_REAL, KD(alpha_end), "1.0", 0, 1, NULL, "anneal: alpha of the last step"},
    {"schedule", AT_KEY_CHOICE, KD(schedule), "combined", 0, 0, CHOICES(AT_DISTILL_SCHEDULES),
     "which losses a turn has"},
    {"scope", AT_KEY_CHOICE, KD(scope), "step", 0, 0, "micro_batch|step",
     "what a turn is, and what the windows of rules count"},
    {"on_policy", AT_KEY_REAL, KD(on_policy), "0", 0, 1, NULL,
     "share of the steps in which the student writes the text and the teacher judges it"},
    {"on_policy_prompt", AT_KEY_INT, KD(on_policy_prompt), "0", 0, 1 << 20, NULL,
     "tokens of a sequence that it is given then; 0: a quarter of the context"},
    {"alpha_sees", AT_KEY_CHOICE, KD(sees), "past", 0, 0, "past|own", /* at_alpha_sees */
     "losses that alpha follows: of the past, or also the turn's own"},
    {0},
};

#define TEACHER(x) offsetof(at_recipe_teacher, x)
static const at_key teacher_keys[] = {
    {"model", AT_KEY_STRING, TEACHER(model), NULL, 0, 0, NULL,
     "folder of a model, or of its captured logits"},
    {"weight", AT_KEY_REAL, TEACHER(weight), "1", 1e-9, 1e9, NULL,
     "share in what the teachers of a text say together"},
    {"domains", AT_KEY_STRINGS, TEACHER(domains), "", 0, 0, NULL, "that it teaches; none: all"},
    {0},
};

static const at_key loss_keys[] = {
    {"mutual_information", AT_KEY_REAL, LOSS(mutual_information), "0", 0, 1e6, NULL,
     "certain about each token, even over all of them"},
    {"concentration", AT_KEY_REAL, LOSS(concentration), "0", 0, 1e6, NULL,
     "few experts take the load"},
    {"switch", AT_KEY_REAL, LOSS(balance), "0", 0, 1e6, NULL, "even load"},
    {"z", AT_KEY_REAL, LOSS(z), "0", 0, 1e6, NULL, "small router logits"},
    {"attention", AT_KEY_REAL, LOSS(attention), "1", 0, 1e6, NULL,
     "factor of the above for routers of attention layers"},
    {"feed_forward", AT_KEY_REAL, LOSS(feed_forward), "1", 0, 1e6, NULL,
     "factor of the above for routers of feed-forward layers"},
    {"scope", AT_KEY_CHOICE, LOSS(scope), "micro_batch", 0, 0, "micro_batch|step",
     "tokens the load is a mean over; step costs one more forward pass where accumulate > 1"},
    {"mutual_distillation", AT_KEY_REAL, LOSS(mutual_distillation), "0", -1e6, 1e6, NULL,
     "alpha: the feed-forward experts of a token learn from each other; below 0 they part"},
    {"mutual_end", AT_KEY_REAL, LOSS(mutual_end), "1", 0, 1, NULL,
     "share of this alpha that is left in the last step, along a line"},
    {"mutual_form", AT_KEY_CHOICE, LOSS(mutual_form), "variance", 0, 0,
     "variance|kl|gated|mixture|centred", /* at_mutual_form */
     "what an expert's output is held against, and how"},
    {"mutual_temperature", AT_KEY_REAL, LOSS(mutual_temperature), "1", 0.01, 1000, NULL, "of kl"},
    {"mutual_detach", AT_KEY_BOOL, LOSS(mutual_detach), "true", 0, 0, NULL,
     "no gradient flows through the teaching side; of variance and centred it is the same"},
    {"mutual_layers", AT_KEY_STRINGS, LOSS(mutual_layers), "", 0, 0, NULL,
     "layers whose experts do, from 0; none: all"},
    {"mutual_extra", AT_KEY_INT, LOSS(mutual_extra), "0", 0, 1024, NULL,
     "experts beside those of a token that are asked in training for mutual distillation alone"},
    {"expert_label", AT_KEY_REAL, LOSS(expert_label), "0", 0, 1e6, NULL,
     "what each expert loses that answers alone, mean over those of a sample"},
    {0},
};

static at_status read_weights(at_ctx *c, at_conf *f, at_recipe *r) {
    if (r->data.weights.n > AT_RECIPE_DOMAINS)
        return at_conf_error(c, f, "data.weights", "expected at most %d numbers, found %lld",
                             AT_RECIPE_DOMAINS, (long long)r->data.weights.n);
    for (int64_t i = 0; i < r->data.weights.n; i++) {
        const char *text = r->data.weights.item[i];
        const size_t n = strlen(text);
        if (!n || n > 9 || strspn(text, "0123456789") != n)
            return at_conf_error(c, f, "data.weights",
                                 "expected whole numbers below 10^9, found `%s`", text);
        r->weight[i] = strtoll(text, NULL, 10);
    }
    return AT_OK;
}

static at_status read_prompt(at_ctx *c, at_conf *f, at_recipe *r) {
    int64_t *n = &r->distill.on_policy_prompt;
    if (!*n) *n = at_max(1, r->train.context / 4);
    if (r->distill.on_policy == 0 || *n < r->train.context) return AT_OK;
    return at_conf_error(c, f, "distill.on_policy_prompt",
                         "of %lld tokens the student is given %lld: nothing is left to write",
                         (long long)r->train.context, (long long)*n);
}

/* Either the one, or a list. */
static at_status read_teachers(at_ctx *c, at_conf *f, at_recipe *r) {
    const int64_t n = at_conf_count(f, "distill.teachers");
    at_status s = AT_OK;
    if (r->distill.teacher && n)
        return at_conf_error(c, f, "distill.teachers",
                             "give either `teacher` or `teachers`, not both");
    if (!r->distill.teacher && !n)
        return at_conf_error(c, f, "distill",
                             "expected `teacher: FOLDER`, or `teachers`, a list of {model, weight, "
                             "domains}");
    if (n > AT_TEACHERS_MAX)
        return at_conf_error(c, f, "distill.teachers", "expected at most %d, found %lld",
                             AT_TEACHERS_MAX, (long long)n);
    r->n_teachers = n ? (int)n : 1;
    if (!n) r->teacher[0] = (at_recipe_teacher){.model = r->distill.teacher, .weight = 1};
    for (int i = 0; i < n && s == AT_OK; i++) {
        char section[40];
        (void)snprintf(section, sizeof section, "distill.teachers.%d", i);
        s = at_conf_bind(c, f, section, teacher_keys, &r->teacher[i]);
    }
    return s;
}

static const at_key table_keys[] = {
    {"label", AT_KEY_STRING, TABLE(label), "", 0, 0, NULL,
     "column that is predicted; none: the last"},
    {"header", AT_KEY_CHOICE, TABLE(header), "auto", 0, 0, "auto|yes|no", /* at_table_header */
     "whether the first row has the names of the columns"},
    {"skip", AT_KEY_INT, TABLE(skip), "0", 0, 1e9, NULL, "lines before the table"},
    {"frame", AT_KEY_STRING, TABLE(frame), "", 0, 0, NULL,
     "data frame of a file of R that has several"},
    {"categories", AT_KEY_STRINGS, TABLE(categories), "", 0, 0, NULL,
     "columns that are categories though they hold numbers"},
    {"ignore", AT_KEY_STRINGS, TABLE(ignore), "", 0, 0, NULL, "columns that are not read"},
    {"scale", AT_KEY_CHOICE, TABLE(scale), "standard", 0, 0,
     "standard|quantile|none", /* at_scaling */
     "of numbers: to mean 0 and variance 1, to their quantile, not at all"},
    {"validation", AT_KEY_REAL, TABLE(validation), "0.2", 0, 0.9, NULL,
     "share of the rows of each class"},
    {"test_share", AT_KEY_REAL, TABLE(test_share), "0.2", 0, 0.9, NULL,
     "share of the rows of each class"},
    {"test", AT_KEY_STRING, TABLE(test), "", 0, 0, NULL,
     "file of test rows, in place of test_share"},
    {"image_size", AT_KEY_STRING, TABLE(image_size), "", 0, 0, NULL,
     "HEIGHTxWIDTH to which pictures are resized; none: all are to have one size"},
    {"text", AT_KEY_STRING, TABLE(text), "", 0, 0, NULL,
     "column of texts, the only one that is read then; none: all are numbers and categories"},
    {"text_length", AT_KEY_INT, TABLE(text_length), "256", 1, 1 << 15, NULL,
     "bytes of a text that are read"},
    {"split_seed", AT_KEY_INT, TABLE(split_seed), "-1", -1, 9e15, NULL, "of the split; -1: seed"},
    {"rows", AT_KEY_INT, TABLE(rows), "0", 0, 1e12, NULL, "training rows that are used; 0: all"},
    {"epochs", AT_KEY_INT, TABLE(epochs), "100", 1, 1e9, NULL, "stands for train.steps"},
    {"evaluate", AT_KEY_INT, TABLE(evaluate), "1", 0, 1e9, NULL,
     "epochs between validations; 0: train.eval_every counts"},
    {"patience", AT_KEY_INT, TABLE(patience), "20", 0, 1e9, NULL,
     "stop after so many validations without a better one; 0: never"},
    {"best", AT_KEY_CHOICE, TABLE(best), "accuracy", 0, 0, "accuracy|loss", /* at_best */
     "by which validation the model is chosen; numbers always by loss"},
    {0},
};

static at_status read_image_size(at_ctx *c, at_conf *f, at_recipe *r) {
    enum { MOST = 4096 };
    long long h, w;
    int end = 0;
    const char *text = r->table.image_size;
    if (!text) return AT_OK;
    if (sscanf(text, "%5lldx%5lld%n", &h, &w, &end) != 2 || text[end] || h < 1 || w < 1 ||
        h > MOST || w > MOST)
        return at_conf_error(c, f, "table.image_size",
                             "expected HEIGHTxWIDTH, 28x28 for instance, up to %d, found `%s`",
                             (int)MOST, text);
    r->table.image_height = h;
    r->table.image_width = w;
    return AT_OK;
}

static const at_key translate_keys[] = {
    {"best", AT_KEY_BOOL, PAIRS(best), "true", 0, 0, NULL,
     "the model is that of the best validation; else that of the last step"},
    {"patience", AT_KEY_INT, PAIRS(patience), "0", 0, 1e9, NULL,
     "stop after so many validations without a better one; 0: never"},
    {0},
};

at_status at_recipe_seed(at_ctx *c, at_conf *f, int64_t *seed) {
    static const at_key key[] = {
        {"seed", AT_KEY_INT, 0, "0", 0, 9e15, NULL, "of every draw"},
        {0},
    };
    return at_conf_bind(c, f, "", key, seed);
}

at_status at_recipe_data(at_ctx *c, at_conf *f, char **train) {
    static const at_key key[] = {
        {"train", AT_KEY_STRING, 0, NULL, 0, 0, NULL, "data set folder"},
        {0},
    };
    return at_conf_bind(c, f, "data", key, train);
}

at_status at_recipe_bind(at_ctx *c, at_conf *f, bool distilling, at_recipe *r) {
    *r = (at_recipe){.distilling = distilling};
    at_status s = at_conf_bind(c, f, "", top_keys, &r->top);
    if (s == AT_OK) s = at_conf_bind(c, f, "data", data_keys, &r->data);
    if (s == AT_OK) s = read_weights(c, f, r);
    if (s == AT_OK) s = at_conf_bind(c, f, "train", train_keys, &r->train);
    if (s == AT_OK && distilling) s = at_conf_bind(c, f, "distill", distill_keys, &r->distill);
    if (s == AT_OK && distilling) s = read_teachers(c, f, r);
    if (s == AT_OK && distilling) s = read_prompt(c, f, r);
    const bool tables = s == AT_OK && at_tasks[r->top.task]->tables;
    if (tables) s = at_conf_bind(c, f, "table", table_keys, &r->table);
    if (tables && s == AT_OK) s = read_image_size(c, f, r);
    const bool pairs = s == AT_OK && at_tasks[r->top.task]->pairs;
    if (pairs) s = at_conf_bind(c, f, "translate", translate_keys, &r->translate);
    r->with_losses = at_conf_has(f, "losses");
    if (s == AT_OK && r->with_losses) s = at_conf_bind(c, f, "losses", loss_keys, &r->losses);
    if (s != AT_OK) return s;
    if (!distilling && at_conf_has(f, "distill"))
        return at_conf_error(c, f, "distill", "this section belongs to `artel distill`");
    if (r->top.init && at_conf_has(f, "model"))
        return at_conf_error(c, f, "init", "give either `model` or `init`, not both");
    if (!r->top.init && !at_conf_has(f, "model"))
        return at_conf_error(c, f, "", "expected a section `model`, or `init: FOLDER`");
    if (r->distill.sees == AT_ALPHA_SEES_OWN && r->distill.scope == AT_SCOPE_STEP &&
        r->train.accumulate > 1)
        return at_conf_error(c, f, "distill.alpha_sees",
                             "a step's own losses are known after its last micro-batch: expected "
                             "`distill.scope: micro_batch` or `train.accumulate: 1`");
    const int64_t a_step = r->train.batch * r->train.context * r->train.accumulate;
    if (tables && r->train.tokens)
        return at_conf_error(c, f, "train.tokens",
                             "rows are not counted in tokens: give table.epochs");
    if (pairs && r->train.tokens)
        return at_conf_error(c, f, "train.tokens",
                             "pairs are of all lengths: give train.steps, of train.batch pairs");
    if (!r->train.steps && !r->train.tokens && !tables)
        return at_conf_error(c, f, "train", "expected `steps` or `tokens`");
    if (r->train.steps && r->train.tokens)
        return at_conf_error(c, f, "train.tokens", "give either `steps` or `tokens`, not both");
    if (!r->train.steps && !tables) r->train.steps = (r->train.tokens + a_step - 1) / a_step;
    return AT_OK;
}

/* Sizes do not matter for that: the vocabulary comes from the data. */
at_status at_recipe_bind_all(at_ctx *c, at_conf *f, bool distilling, at_recipe *r) {
    at_model *outline = NULL;
    at_status s = at_recipe_bind(c, f, distilling, r);
    if (s == AT_OK && !r->top.init) s = at_model_outline(c, f, "model", 1 << 16, &outline);
    at_model_close(outline);
    return s == AT_OK ? at_conf_finish(c, f) : s;
}

at_status at_recipe_modules(at_ctx *c, at_conf *f, char *const *name, int64_t n) {
    const at_arch *arch = NULL;
    if (!at_conf_has(f, "model")) return AT_OK;
    at_status s = at_config_arch(c, f, "model", &arch);
    if (s != AT_OK || !arch->modules || at_conf_count(f, "model.modules") > 0 ||
        at_conf_has(f, "model.modules"))
        return s;
    at_text t;
    at_text_init(&t, c, 0);
    at_text_add(&t, "model.modules=[");
    for (int64_t i = 0; i < n; i++) at_textf(&t, "%s\"%s\"", i ? ", " : "", name[i]);
    at_text_add(&t, "]");
    char *assignment = at_text_take(&t);
    s = assignment ? at_conf_set(c, f, assignment, "domains of the data") : c->status;
    at_free(assignment);
    return s;
}

static bool has_key(const at_arch *a, const char *name) {
    for (const at_key *k = a->keys; k->name; k++)
        if (!strcmp(k->name, name)) return true;
    return false;
}

at_status at_recipe_sizes(at_ctx *c, at_conf *f, int64_t inputs, int64_t outputs,
                          at_image_size image) {
    const at_arch *arch = NULL;
    if (!at_conf_has(f, "model")) return AT_OK;
    at_status s = at_config_arch(c, f, "model", &arch);
    const struct {
        const char *name;
        int64_t size;
    } of[] = {{"n_inputs", inputs},
              {"num_labels", outputs},
              {"image_height", image.height},
              {"image_width", image.width},
              {"image_channels", image.channels}};
    for (size_t i = 0; i < sizeof of / sizeof *of && s == AT_OK; i++) {
        char text[64];
        int64_t given;
        const at_key key[] = {{of[i].name, AT_KEY_INT, 0, "0", 0, 0, NULL, ""}, {0}};
        if (arch->reads != AT_INPUT_ROWS || !has_key(arch, of[i].name)) continue;
        s = at_conf_bind(c, f, "model", key, &given);
        if (s != AT_OK || given) continue;
        (void)snprintf(text, sizeof text, "model.%s", of[i].name);
        if (!of[i].size)
            return at_conf_error(
                c, f, text, "%s reads images, and the data has none: expected a size", arch->name);
        (void)snprintf(text, sizeof text, "model.%s=%lld", of[i].name, (long long)of[i].size);
        s = at_conf_set(c, f, text, "columns of the data");
    }
    return s;
}

at_status at_recipe_set(at_ctx *c, at_conf *f, const char *origin, const char *key,
                        const char *const *text, int64_t n, bool list) {
    at_json j;
    at_text t;
    at_json_open_value(&j, c);
    if (list) at_json_begin_list(&j, NULL);
    for (int64_t i = 0; i < n; i++) at_json_put_string(&j, NULL, text[i]);
    if (list) at_json_end(&j);
    char *value = at_json_take(&j);
    at_text_init(&t, c, 0);
    if (value) at_textf(&t, "%s=%s", key, value);
    char *assignment = value ? at_text_take(&t) : NULL;
    const at_status s = assignment ? at_conf_set(c, f, assignment, origin) : AT_OOM;
    at_free(value);
    at_free(assignment);
    return s;
}

at_status at_recipe_freeze(at_ctx *c, at_conf *f, const at_recipe *r, at_store *s) {
    for (int64_t i = 0; i < r->top.freeze.n; i++) {
        const char *glob = r->top.freeze.item[i];
        const int64_t n = *glob == '!' ? at_store_thaw(s, glob + 1) : at_store_freeze(s, glob);
        if (!n) return at_conf_error(c, f, "freeze", "`%s` matches no parameter", glob);
    }
    return AT_OK;
}
