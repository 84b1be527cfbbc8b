/* growth.c - see growth.h: what is asked for, training, the new folder.  The proof is in growth_proof.c. */

#include "base/file.h"
#include "train/grow.h"
#include "train/growth_internal.h"
#include "train/newness.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const at_key growth_table[] = {
    {"name", AT_KEY_STRING, offsetof(growth_keys, name), NULL, 0, 0, NULL,
     "of the module, and of the domain of the data that it is trained on"},
    {"attention", AT_KEY_STRINGS, offsetof(growth_keys, slots[AT_LAYER_ATTENTION]), "0", 0, 0, NULL,
     "attention experts more: a number for all layers, or one a layer"},
    {"feed_forward", AT_KEY_STRINGS, offsetof(growth_keys, slots[AT_LAYER_FEED_FORWARD]), "1", 0, 0,
     NULL, "feed-forward experts more"},
    {"init", AT_KEY_CHOICE, offsetof(growth_keys, init), "random", 0, 0, "random|copy|zero|domain",
     "what they begin as"}, /* at_grow_init */
    {"layers", AT_KEY_INT, offsetof(growth_keys, layers), "0", 0, 1 << 20, NULL,
     "so many layers of each kind get them, those whose routers see most of a difference; 0: all"},
    {"router_decay", AT_KEY_REAL, offsetof(growth_keys, decay), "0", 0, 1e6, NULL,
     "of the squares of their rows of the routers"},
    {"free", AT_KEY_CHOICE, offsetof(growth_keys, free), "modules", 0, 0, "modules|router",
     "what learns: the new experts with their rows, or the rows alone"}, /* FREE_ */
    {"review", AT_KEY_INT, offsetof(growth_keys, review), "0", 0, 1e9, NULL,
     "steps after it, on all domains, in which the new rows alone learn"},
    {"review_share", AT_KEY_REAL, offsetof(growth_keys, review_share), "0.01", 0, 1, NULL,
     "most of the other domains' training text that the review may read"},
    {"documents", AT_KEY_INT, offsetof(growth_keys, documents), "64", 2, 1e9, NULL,
     "validation documents of each domain whose losses are compared"},
    {0},
};

/* What a step reads; the defaults are those of recipe.c. */
typedef struct {
    int64_t batch, context, accumulate;
} step_keys;
static const at_key step_table[] = {
    {"batch", AT_KEY_INT, offsetof(step_keys, batch), "8", 1, 65536, NULL, ""},
    {"context", AT_KEY_INT, offsetof(step_keys, context), "256", 1, 1 << 20, NULL, ""},
    {"accumulate", AT_KEY_INT, offsetof(step_keys, accumulate), "1", 1, 65536, NULL, ""},
    {0},
};

/* ---- what is asked for ------------------------------------------------------------------------- */

static at_status bind(growth *w, at_conf *f) {
    step_keys step = {0};
    at_status s = at_conf_bind(w->c, f, "extend", growth_table, &w->k);
    if (s == AT_OK) s = at_recipe_seed(w->c, f, &w->seed);
    if (s == AT_OK) s = at_recipe_data(w->c, f, &w->data);
    if (s == AT_OK) s = at_conf_bind(w->c, f, "train", step_table, &step);
    w->context = step.context;
    w->a_step = step.batch * step.context * step.accumulate;
    return s;
}

static at_status read_number(growth *w, int kind, const char *text, int64_t *out) {
    char *end = NULL;
    const long long n = strtoll(text, &end, 10);
    *out = n;
    if (end != text && !*end && n >= 0 && n <= 4096) return AT_OK;
    char key[64];
    (void)snprintf(key, sizeof key, "extend.%s", at_layer_kind_name[kind]);
    return at_conf_error(w->c, w->f, key, "expected whole numbers from 0 to 4096, found `%.40s`",
                         text);
}

/* more[i] of bank i. */
static at_status read_slots(growth *w) {
    const at_banks *banks = at_model_banks(w->m);
    int64_t layers[AT_LAYER_KINDS] = {0}, all = 0;
    at_status s = AT_OK;
    for (int64_t i = 0; i < banks->n; i++) layers[banks->bank[i].id.kind]++;
    for (int k = 0; k < AT_LAYER_KINDS; k++) {
        const int64_t n = w->k.slots[k].n;
        char key[64];
        (void)snprintf(key, sizeof key, "extend.%s", at_layer_kind_name[k]);
        if (n != 1 && n != layers[k])
            return at_conf_error(w->c, w->f, key,
                                 "expected one number, or one for each of %lld layers, found %lld",
                                 (long long)layers[k], (long long)n);
    }
    for (int64_t i = 0; i < banks->n && s == AT_OK; i++) {
        const at_bank *b = &banks->bank[i];
        const at_strings *list = &w->k.slots[b->id.kind];
        s = read_number(w, (int)b->id.kind, list->item[list->n == 1 ? 0 : b->id.layer],
                        &w->more[i]);
        all += w->more[i];
        if (s == AT_OK && w->more[i] && !b->row)
            s = at_conf_error(w->c, w->f, "extend",
                              "the %s layer %lld of %s has a single expert and no router: there is "
                              "nothing to choose another with",
                              at_layer_kind_name[b->id.kind], (long long)b->id.layer, w->source);
    }
    if (s == AT_OK && !all)
        s = at_conf_error(w->c, w->f, "extend", "expected experts to add, found none");
    return s;
}

static at_status read_keys(growth *w) {
    at_status s = bind(w, w->f);
    if (s != AT_OK) return s;
    if (!w->told && (at_conf_has(w->f, "model") || at_conf_has(w->f, "init")))
        return at_conf_error(w->c, w->f, at_conf_has(w->f, "model") ? "model" : "init",
                             "the model that is extended is what the run begins with");
    if (!at_name_ok(w->k.name) || !strcmp(w->k.name, "all") || !strcmp(w->k.name, "none") ||
        !strcmp(w->k.name, "base"))
        return at_conf_error(w->c, w->f, "extend.name",
                             "`%.80s`: expected up to 64 letters, digits and ._-+, and not all, "
                             "none or base",
                             w->k.name);
    if (at_member_find(&w->m->members, w->k.name) >= 0)
        return at_conf_error(w->c, w->f, "extend.name", "%s has a module `%s` already", w->source,
                             w->k.name);
    if (w->m->members.n == AT_MEMBERS_MAX)
        return at_error(w->c, AT_UNSUPPORTED, "%s has %d modules, the most there may be", w->source,
                        w->m->members.n);
    if (!(w->more = at_calloc(w->c, (size_t)at_model_banks(w->m)->n, sizeof *w->more)))
        return AT_OOM;
    return read_slots(w);
}

/* Tokens of old domains that the review reads are within its share of their training text. */
static at_status check_review(growth *w) {
    int64_t text = 0, others = 0;
    for (int i = 0; i < w->set->n_domains; i++) {
        if (!strcmp(w->set->domain[i].name, w->k.name)) continue;
        text += w->set->domain[i].shard[AT_TRAIN].n_tokens;
        others++;
    }
    const double a_step = (double)w->a_step * (double)others / w->set->n_domains;
    w->out->review_tokens = (int64_t)(a_step * (double)w->k.review);
    w->out->review_share = (double)w->out->review_tokens / (double)text;
    if (w->out->review_share <= w->k.review_share) return AT_OK;
    return at_conf_error(w->c, w->f, "extend.review",
                         "%lld steps read %.3g %% of the other domains' training text, "
                         "extend.review_share is %.3g %%: expected at most %lld steps",
                         (long long)w->k.review, 100 * w->out->review_share,
                         100 * w->k.review_share,
                         (long long)(w->k.review_share * (double)text / a_step));
}

/* The data has the new domain; the review stays within its share of the others. */
static at_status check_data(growth *w) {
    at_status s = at_dataset_open(w->c, w->data, &w->set);
    if (s != AT_OK) return s;
    if (at_dataset_domain(w->set, w->k.name) < 0)
        return at_conf_error(w->c, w->f, "extend.name", "%s has no domain `%s`", w->data,
                             w->k.name);
    if (w->set->n_domains > AT_GROWTH_DOMAINS)
        return at_error(w->c, AT_UNSUPPORTED, "%s: expected at most %d domains, found %d", w->data,
                        AT_GROWTH_DOMAINS, w->set->n_domains);
    if (w->k.review && w->set->n_domains < 2)
        return at_conf_error(w->c, w->f, "extend.review",
                             "%s has no domain beside `%s` that routers could be reviewed on",
                             w->data, w->k.name);
    return w->k.review ? check_review(w) : AT_OK;
}

/* ---- training ----------------------------------------------------------------------------------- */

static char *in_run(const growth *w, const char *name) { return at_join(w->c, w->run, name); }

/* How the routers see the new text decides which layers get experts, and what their rows are. */
static at_status look(growth *w, at_newness *x) {
    at_compute cp;
    const int domain = at_dataset_domain(w->set, w->k.name);
    *x = (at_newness){0};
    if (!w->k.layers && w->k.init != AT_GROW_DOMAIN) return AT_OK;
    at_status s = at_compute_open(&cp, w->c);
    if (s != AT_OK) return s;
    s = at_newness_read(&cp, w->m, w->set, domain, w->context, w->more, x);
    at_compute_close(&cp);
    if (s == AT_OK && w->k.layers) at_newness_choose(x, at_model_banks(w->m), w->k.layers, w->more);
    return s;
}

static at_status write_start(growth *w, const char *path) {
    at_model *m = NULL;
    at_newness x;
    char *tokenizer = at_join(w->c, w->source, "tokenizer.json");
    at_status s = look(w, &x);
    if (s == AT_OK && !tokenizer) s = AT_OOM;
    if (s == AT_OK)
        s = at_grow_model(w->c, w->m, w->more, (at_grow_init)w->k.init, (uint64_t)w->seed, &m);
    if (s == AT_OK && w->k.init == AT_GROW_DOMAIN) at_newness_rows(&x, w->m, w->more, m);
    at_newness_close(&x);
    if (s == AT_OK) s = at_model_save(w->c, m, path, at_exists(tokenizer) ? tokenizer : NULL);
    at_model_close(m);
    at_free(tokenizer);
    return s;
}

static at_status set(growth *w, at_conf *f, const char *key, char *const *text, int64_t n,
                     bool list) {
    return at_recipe_set(w->c, f, "artel extend", key, (const char *const *)text, n, list);
}

/* Everything stays but the new slots, or of them the routers' rows. */
static at_status freeze(growth *w, at_conf *f, bool rows_alone) {
    const at_banks *banks = at_model_banks(w->m);
    at_list l = {0};
    char glob[320];
    at_status s = at_list_add(w->c, &l, "*");
    for (int64_t b = 0; b < banks->n; b++)
        for (int64_t i = 0; i < w->more[b] && s == AT_OK; i++) {
            const at_bank *x = &banks->bank[b];
            const char *path = at_param_of(x->row->slot[0])->path; /* <bank>.0.row */
            const size_t n = strlen(path) - strlen("0.row");
            (void)snprintf(glob, sizeof glob, "!%.*s%lld.%s", (int)n, path, (long long)(x->n + i),
                           rows_alone ? "row" : "*");
            s = at_list_add(w->c, &l, glob);
        }
    if (s == AT_OK) s = set(w, f, "freeze", l.item, l.n, true);
    at_list_free(&l);
    return s;
}

static at_status run_training(growth *w, at_conf *f, const char *run, at_train_result *r) {
    char *before = at_join(w->c, run, "checkpoints");
    const at_train_options how = {.resume = before && at_is_dir(before),
                                  .distilling = at_conf_has(f, "distill"),
                                  .rows = w->k.decay,
                                  .stop = w->stop ? w->stop - w->before : 0,
                                  .step = growth_note,
                                  .user = w};
    const at_status s = before ? at_train(w->c, f, run, &how, r) : AT_OOM;
    at_free(before);
    if (s == AT_OK) w->before += r->progress.step;
    return s;
}

/* Whether as many steps are made as there are to be. */
static bool enough(const growth *w) { return w->stop && w->before >= w->stop; }

static at_status train(growth *w) {
    char *start = in_run(w, "start");
    at_train_result r;
    at_status s = start ? at_make_dir(w->c, w->run) : AT_OOM;
    if (s == AT_OK) s = write_start(w, start);
    if (s == AT_OK) s = growth_check_start(w, start);
    if (s == AT_OK) s = set(w, w->f, "init", &start, 1, false);
    if (s == AT_OK) s = set(w, w->f, "data.domains", &w->k.name, 1, true);
    if (s == AT_OK) s = freeze(w, w->f, w->k.free == FREE_ROUTER);
    if (s == AT_OK) s = growth_note_open(w);
    if (s == AT_OK) s = run_training(w, w->f, w->run, &r);
    if (s == AT_OK) w->steps = w->before;
    at_free(start);
    return s;
}

/* A second run, with the recipe of the first, from its model: all domains, the new rows alone. */
static at_status review(growth *w) {
    char *recipe = in_run(w, "recipe.yaml"), *model = in_run(w, "model"),
         *run = in_run(w, "review"), steps[64];
    at_conf *f = NULL;
    at_train_result r;
    growth again = {.c = w->c};
    (void)snprintf(steps, sizeof steps, "train.steps=%lld", (long long)w->k.review);
    at_status s = recipe && model && run ? at_conf_read(w->c, recipe, &f) : AT_OOM;
    if (s == AT_OK) s = bind(&again, f);
    if (s == AT_OK) s = set(w, f, "init", &model, 1, false);
    if (s == AT_OK) s = at_conf_set(w->c, f, "data.domains=[]", "artel extend");
    if (s == AT_OK) s = at_conf_set(w->c, f, "train.tokens=0", "artel extend");
    if (s == AT_OK) s = at_conf_set(w->c, f, steps, "artel extend");
    if (s == AT_OK) s = freeze(w, f, true);
    if (s == AT_OK) s = run_training(w, f, run, &r);
    if (s == AT_OK) w->steps = w->before;
    at_conf_close(f);
    at_free(recipe);
    at_free(model);
    at_free(run);
    return s;
}

/* ---- the module's file --------------------------------------------------------------------------- */

static at_status write_slots(growth *w, const char *to) {
    char *path = in_run(w, w->k.review ? "review/model" : "model");
    at_model *m = NULL;
    const at_banks *old = at_model_banks(w->m);
    int64_t *first = at_calloc(w->c, (size_t)old->n, sizeof *first);
    at_status s = path && first ? at_model_load(w->c, path, false, &m) : AT_OOM;
    for (int64_t i = 0; i < old->n && s == AT_OK; i++) {
        first[i] = old->bank[i].n;
        if (at_model_banks(m)->bank[i].n != first[i] + w->more[i])
            s = at_error(w->c, AT_MISMATCH, "%s is not the model of this recipe", path);
    }
    if (s == AT_OK) s = growth_check_frozen(w, m);
    if (s == AT_OK)
        s = at_member_write(w->c, &m->store, at_model_banks(m), first, w->more, to, NULL);
    at_model_close(m);
    at_free(first);
    at_free(path);
    return s;
}

/* The module's file with its passport, in the run. */
static at_status seal(growth *w, const char *slots, bool measured, const char *to) {
    cJSON *passport = growth_passport(w, slots, measured);
    const at_status s =
        passport ? at_module_file_write(w->c, slots, passport, w->m->tokenizer, to) : w->c->status;
    cJSON_Delete(passport);
    return s;
}

static at_status save_certificate(growth *w, const char *dir) {
    char *path = at_join(w->c, dir, "certificate.json");
    at_json j;
    at_json_open_file(&j, w->c);
    at_growth_write(w->out, w->source, &j);
    const at_status s = path ? at_json_save(&j, path) : AT_OOM;
    if (!path) at_json_close(&j);
    at_free(path);
    return s;
}

/* What is measured on the new folder goes into the passport, which is then complete. */
static at_status fill(growth *w, const char *dir, const char *slots) {
    at_life_event done;
    at_digest *base = &w->out->base;
    char *packed = in_run(w, "module.safetensors");
    at_status s = packed ? seal(w, slots, false, packed) : AT_OOM;
    if (s == AT_OK) s = at_module_copy_model(w->c, w->source, dir);
    if (s == AT_OK) s = at_module_put(w->c, dir, w->source, packed, NULL, "extend", base, &done);
    if (s == AT_OK) s = growth_prove(w, dir);
    if (s == AT_OK) s = seal(w, slots, true, packed);
    if (s == AT_OK) s = at_module_reseal(w->c, dir, packed, base);
    if (s == AT_OK) {
        w->out->id = done.id;
        (void)snprintf(w->out->digest, sizeof w->out->digest, "%s", done.digest);
        s = save_certificate(w, dir);
    }
    at_free(packed);
    return s;
}

static at_status deliver(growth *w, const char *out) {
    char *bare = at_path_trim(w->c, out), *dir = NULL, *slots = in_run(w, "slots.safetensors");
    at_status s = bare && slots ? write_slots(w, slots) : AT_OOM;
    if (s == AT_OK) s = at_partial_dir(w->c, bare, &dir);
    if (s == AT_OK) s = fill(w, dir, slots);
    if (s == AT_OK) s = at_partial_commit(w->c, dir, bare);
    at_partial_drop(w->c, dir);
    at_free(bare);
    at_free(slots);
    return s;
}

static at_status make(growth *w, const char *out) {
    at_ctx *c = w->c;
    at_growth *result = w->out;
    *result = (at_growth){0};
    at_status s = AT_OK;
    if (!(w->promise = at_calloc(c, (size_t)w->n_require + 1, sizeof *w->promise))) s = AT_OOM;
    for (int i = 0; i < w->n_require && s == AT_OK; i++)
        s = at_prune_promise_read(c, w->require[i], &w->promise[i]);
    if (s == AT_OK) s = read_keys(w);
    if (s == AT_OK) s = at_check_new_dir(c, out);
    if (s == AT_OK) s = check_data(w);
    if (s == AT_OK) s = growth_check_domains(w);
    if (s == AT_OK) s = at_lm_finite(c, w->old);
    if (s == AT_OK) s = at_base_digest(c, w->source, &result->base);
    if (s == AT_OK) (void)snprintf(result->name, sizeof result->name, "%s", w->k.name);
    if (s == AT_OK) s = train(w);
    if (s == AT_OK && w->k.review && !enough(w)) s = review(w);
    if (s == AT_OK && !w->stop) s = deliver(w, out);
    at_dataset_close(w->set);
    cJSON_Delete(w->digests);
    at_free(w->more);
    at_free(w->promise);
    return s;
}

at_status at_grow(at_ctx *c, at_conf *f, const char *model, at_lm *old, const char *out,
                  const char *run, const char *const *require, int n_require, at_growth *result) {
    growth w = {.c = c,
                .f = f,
                .source = model,
                .run = run,
                .old = old,
                .m = old->expert[0].model,
                .require = require,
                .n_require = n_require,
                .out = result};
    return make(&w, out);
}

at_status growth_again(at_ctx *c, at_conf *f, const char *model, at_lm *old, const char *out,
                       const char *run, const at_module_file *told, const char *file, int64_t stop,
                       at_growth *result) {
    growth w = {.c = c,
                .f = f,
                .source = model,
                .run = run,
                .old = old,
                .m = old->expert[0].model,
                .told = told,
                .file = file,
                .stop = stop,
                .out = result};
    return make(&w, out);
}
