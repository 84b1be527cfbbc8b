/* branches.c - see branches.h. */
#include "train/branches.h"
#include "base/file.h"
#include "infer/compose.h"
#include "infer/digest.h"
#include "infer/mergekit.h"
#include "infer/router_rows.h"
#include "train/branch_report.h"
#include "train/train.h"
#include <stdio.h>
#include <string.h>

/* ---- the recipe ------------------------------------------------------------------------------------ */

#define ORIGIN "artel compose"
enum { PLE, JEET, MOE_CE, BTX };
typedef struct {
    int mode;
} mode_key;
static const at_key mode_table[] = {
    {"mode", AT_KEY_CHOICE, 0, "ple", 0, 0, AT_COMPOSE_MODES, AT_COMPOSE_MODES_HELP},
    {0},
};

enum { REST, PART_AVERAGE, PART_BASE, PART_EXPERTS };
enum { TRAIN_ROUTERS, TRAIN_ALL };
typedef struct {
    char *base;
    int64_t seed, k, k_att, gating_size, router_tokens;
    int rest, attention, gate, trained, router; /* the last: at_rows_by */
    bool renormalise;
} btx_keys;
#define AT(x) offsetof(btx_keys, x)
static const at_key btx_table[] = {
    {"seed", AT_KEY_INT, AT(seed), "0", 0, 9e15, NULL, "of every draw"},
    {"base", AT_KEY_STRING, AT(base), "", 0, 0, NULL, "model folder the branches come from"},
    {"rest", AT_KEY_CHOICE, AT(rest), "average", 0, 0, "average|base",
     "where parameters come from that are no expert's"},
    {"attention", AT_KEY_CHOICE, AT(attention), "rest", 0, 0, "rest|average|base|experts",
     "attention parts: like the rest, or experts, too"},
    {"k", AT_KEY_INT, AT(k), "2", 1, 65536, NULL, "feed-forward experts a token uses"},
    {"k_att", AT_KEY_INT, AT(k_att), "2", 1, 65536, NULL, "attention experts a token uses"},
    {"gate", AT_KEY_CHOICE, AT(gate), "linear", 0, 0, "linear|mlp|gmm", "kind of the routers"},
    {"gating_size", AT_KEY_INT, AT(gating_size), "256", 1, 1 << 16, NULL,
     "hidden width of routers mlp and gmm"},
    {"renormalise", AT_KEY_BOOL, AT(renormalise), "true", 0, 0, NULL,
     "gates of the chosen experts are divided by their sum"},
    {"router", AT_KEY_CHOICE, AT(router), "random", 0, 0, "random|domain|gates",
     "rows of the routers: drawn; from the mean features of each domain's text; gates that tell it "
     "from the others'"},
    {"router_tokens", AT_KEY_INT, AT(router_tokens), "1024", 16, 1 << 20, NULL,
     "of each domain's training text, that rows are made from"},
    {"trained", AT_KEY_CHOICE, AT(trained), "routers", 0, 0, "routers|all",
     "what the section train changes"},
    {0},
};
#undef AT

typedef struct {
    char *name, *model;
} expert_keys;
static const at_key expert_table[] = {
    {"name", AT_KEY_STRING, offsetof(expert_keys, name), NULL, 0, 0, NULL,
     "of the expert, and of its domain"},
    {"model", AT_KEY_STRING, offsetof(expert_keys, model), NULL, 0, 0, NULL, "model folder"},
    {0},
};

enum { MOST = 64 };
typedef struct {
    at_ctx *c;
    at_conf *f;
    char *out, *run; /* the folder, without slashes at its end; that with ".run" behind it */
    btx_keys k;
    at_branch_report_keys reported;
    char *data; /* NULL: nothing is measured */
    bool train;
    bool kit;             /* in the words of mergekit-moe */
    at_mergekit mergekit; /* then                         */
    int n;
    expert_keys key[MOST];
    at_branch branch[MOST];
    at_model *base;
    at_branch_report report;
} work;

at_status at_branches_asked(at_ctx *c, at_conf *f, bool *is) {
    mode_key k = {0};
    const at_status s = at_conf_bind(c, f, "", mode_table, &k);
    *is = k.mode == BTX || at_mergekit_is(f);
    return s;
}

/* What a recipe of mergekit-moe means: all but the experts is the base's. */
static at_status read_mergekit(work *w) {
    at_mergekit *m = &w->mergekit;
    const at_status s = at_mergekit_read(w->c, w->f, m);
    w->k = (btx_keys){.base = m->base,
                      .rest = 1,
                      .attention = REST,
                      .k = m->k,
                      .k_att = 1,
                      .gating_size = 1,
                      .renormalise = true};
    for (w->n = 0; w->n < m->n; w->n++)
        w->key[w->n] = (expert_keys){m->expert[w->n].name, m->expert[w->n].model};
    return s;
}

static at_status check_name(work *w, int i, const char *section) {
    const char *name = w->key[i].name;
    if (!at_name_ok(name))
        return at_conf_error(w->c, w->f, section,
                             "`%.80s`: expected up to 64 letters, digits and ._-+", name);
    for (int k = 0; k < i; k++)
        if (!strcmp(w->key[k].name, name))
            return at_conf_error(w->c, w->f, section, "two experts are called `%s`", name);
    return AT_OK;
}

static at_status read_experts(work *w) {
    const int64_t n = at_conf_count(w->f, "experts");
    at_status s = AT_OK;
    if (n < 2 || n > MOST)
        return at_conf_error(w->c, w->f, "experts",
                             "expected a list of 2 to %d {name, model}, found %lld", MOST,
                             (long long)(n > 0 ? n : 0));
    for (w->n = 0; w->n < n && s == AT_OK; w->n++) {
        char section[40];
        expert_keys *k = &w->key[w->n];
        (void)snprintf(section, sizeof section, "experts.%d", w->n);
        s = at_conf_bind(w->c, w->f, section, expert_table, k);
        (void)snprintf(section, sizeof section, "experts.%d.name", w->n);
        if (s == AT_OK) s = check_name(w, w->n, section);
    }
    return s;
}

/* What cannot go together. */
static at_status check_keys(work *w) {
    at_ctx *c = w->c;
    const btx_keys *k = &w->k;
    const bool experts = k->attention == PART_EXPERTS;
    const struct {
        const char *key;
        int64_t k;
        bool used;
    } chosen[2] = {{"k", k->k, true}, {"k_att", k->k_att, experts}};
    if (!k->base && (k->rest || k->attention == PART_BASE))
        return at_conf_error(c, w->f, k->rest ? "rest" : "attention",
                             "to take it from the base, the key `base` is needed: its folder");
    for (int i = 0; i < 2; i++) {
        if (!chosen[i].used) continue;
        if (chosen[i].k > w->n)
            return at_conf_error(c, w->f, chosen[i].key, "%lld experts a token, but there are %d",
                                 (long long)chosen[i].k, w->n);
        if (chosen[i].k == 1 && k->renormalise && w->train)
            return at_conf_error(
                c, w->f, chosen[i].key,
                "the gate of a single expert divided by itself is always 1, so the "
                "router would learn nothing: set renormalise: false, or choose 2");
    }
    for (const char *const *key = (const char *const[]){"model", "init", "freeze", NULL}; *key;
         key++)
        if (at_conf_has(w->f, *key))
            return at_conf_error(c, w->f, *key,
                                 "the mixture is what the training begins with; what it changes is "
                                 "said by `trained`");
    if (k->router && !w->data)
        return at_conf_error(c, w->f, "router", "rows are made from text: `data` is missing");
    if (w->train && !w->data)
        return at_conf_error(c, w->f, "train", "routers are trained on text: `data` is missing");
    return AT_OK;
}

static char *in_run(const work *w, const char *name) { return at_join(w->c, w->run, name); }

/* The keys of a training run are checked before anything is done. */
static at_status bind_training(work *w) {
    at_recipe r;
    char *start = in_run(w, "start");
    at_status s = start
                      ? at_recipe_set(w->c, w->f, ORIGIN, "init", &(const char *){start}, 1, false)
                      : AT_OOM;
    if (s == AT_OK) s = at_recipe_bind_all(w->c, w->f, false, &r);
    at_free(start);
    return s;
}

static at_status read_keys(work *w) {
    mode_key mode;
    at_status s = at_conf_bind(w->c, w->f, "", mode_table, &mode);
    w->kit = at_mergekit_is(w->f);
    if (s == AT_OK && w->kit && at_conf_has(w->f, "mode") && mode.mode != BTX)
        s = at_conf_error(w->c, w->f, "mode", "a recipe with base_model makes a mixture: mode btx");
    if (s == AT_OK && w->kit) s = read_mergekit(w);
    for (int i = 0; w->kit && i < w->n && s == AT_OK; i++) s = check_name(w, i, "experts");
    if (s == AT_OK && !w->kit) s = at_conf_bind(w->c, w->f, "", btx_table, &w->k);
    if (s == AT_OK && !w->kit) s = read_experts(w);
    if (s == AT_OK && at_conf_has(w->f, "data")) s = at_recipe_data(w->c, w->f, &w->data);
    w->train = at_conf_has(w->f, "train");
    if (s == AT_OK && w->data)
        s = at_conf_bind(w->c, w->f, "report", at_branch_report_table, &w->reported);
    if (s == AT_OK) s = check_keys(w);
    if (s != AT_OK) return s;
    return w->train ? bind_training(w) : at_conf_finish(w->c, w->f);
}

/* ---- the mixture ----------------------------------------------------------------------------------- */

static at_status open_models(work *w) {
    at_status s = AT_OK;
    if (w->k.base) s = at_model_load(w->c, w->k.base, false, &w->base);
    for (int i = 0; i < w->n && s == AT_OK; i++) {
        w->branch[i].name = w->key[i].name;
        s = at_model_load(w->c, w->key[i].model, false, &w->branch[i].model);
        if (s == AT_OK) s = at_model_finite(w->c, w->branch[i].model);
    }
    return s;
}

static at_btx mixture_of(const work *w) {
    static const char *const gate[] = {"linear", "mlp", "gmm"};
    const btx_keys *k = &w->k;
    const at_btx_part rest = k->rest ? AT_BTX_BASE : AT_BTX_AVERAGE;
    const at_btx_part part[] = {rest, AT_BTX_AVERAGE, AT_BTX_BASE, AT_BTX_EXPERTS};
    return (at_btx){.branch = w->branch,
                    .n = w->n,
                    .base = w->base,
                    .ffn = AT_BTX_EXPERTS,
                    .attention = part[k->attention],
                    .rest = rest,
                    .k = k->k,
                    .k_att = k->k_att,
                    .gate = gate[k->gate],
                    .gating_size = k->gating_size,
                    .renormalise = k->renormalise,
                    .seed = (uint64_t)k->seed};
}

static at_status report_average(work *w) {
    at_model *m = NULL;
    at_btx b = mixture_of(w);
    b.ffn = b.attention = b.rest = AT_BTX_AVERAGE;
    at_status s = at_btx_make(w->c, &b, &m);
    if (s == AT_OK) s = at_branch_report_model(&w->report, "average", "of the weights", m);
    at_model_close(m);
    return s;
}

/* Token ids of texts; freed with at_free(p->id) and at_free(p->start). */
static at_status read_prompts(at_ctx *c, const at_tokenizer *tok, const at_strings *text,
                              at_prompts *p) {
    at_ids ids = {0};
    int64_t *start = at_calloc(c, (size_t)text->n + 1, sizeof *start);
    at_status s = start ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < text->n && s == AT_OK; i++) {
        s = at_tokenizer_encode(c, tok, text->item[i], strlen(text->item[i]), false, &ids);
        start[i + 1] = ids.n;
        if (s == AT_OK && ids.n == start[i]) s = at_error(c, AT_CONFIG, "a prompt has no tokens");
    }
    *p = (at_prompts){ids.id, start, text->n};
    return s;
}

static at_status rows_of_prompts(work *w, at_model *m, const at_tokenizer *tok) {
    at_prompts side[2][MOST] = {{{0}}};
    at_compute cp;
    at_status s = AT_OK;
    for (int i = 0; i < w->n && s == AT_OK; i++) {
        s = read_prompts(w->c, tok, &w->mergekit.expert[i].positive, &side[0][i]);
        if (s == AT_OK) s = read_prompts(w->c, tok, &w->mergekit.expert[i].negative, &side[1][i]);
    }
    if (s == AT_OK && (s = at_compute_open(&cp, w->c)) == AT_OK) {
        s = at_router_rows_of_prompts(&cp, m, w->mergekit.gate == AT_MERGEKIT_CHEAP_EMBED, side[0],
                                      side[1], w->n);
        at_compute_close(&cp);
    }
    for (int i = 0; i < 2 * w->n; i++) {
        at_free((void *)(uintptr_t)side[i % 2][i / 2].id);
        at_free((void *)(uintptr_t)side[i % 2][i / 2].start);
    }
    return s;
}

static at_status make_prompt_rows(work *w, at_model *m) {
    at_ctx *c = w->c;
    if (!w->kit || w->mergekit.gate == AT_MERGEKIT_RANDOM) return AT_OK;
    at_tokenizer *tok = NULL;
    char *path = at_join(c, w->key[0].model, "tokenizer.json");
    at_status s = path ? at_tokenizer_load(c, path, &tok) : AT_OOM;
    if (s == AT_OK) s = rows_of_prompts(w, m, tok);
    at_tokenizer_close(tok);
    at_free(path);
    return s;
}

/* Rows from the training text of the domain that has the name of the expert. */
static at_status make_rows(work *w, at_model *m) {
    const at_shard *text[MOST];
    const at_dataset *d = w->report.data;
    if (w->k.router == AT_ROWS_RANDOM) return AT_OK;
    for (int i = 0; i < w->n; i++) {
        const int domain = at_dataset_domain(d, w->branch[i].name);
        if (domain < 0)
            return at_conf_error(w->c, w->f, "router",
                                 "%s has no domain `%s` to make the row of that expert from",
                                 d->path, w->branch[i].name);
        text[i] = &d->domain[domain].shard[AT_TRAIN];
    }
    return at_router_rows(&w->report.cp, m, (at_rows_by)w->k.router, text, w->n,
                          w->k.router_tokens);
}

/* What there is without training. */
static at_status report_parts(work *w, at_model *mixture) {
    at_branch_report *r = &w->report;
    if (!w->data) return AT_OK;
    const int rows = w->n + 3 + (w->base != NULL) + w->train;
    at_status s = at_branch_report_open(w->c, &w->reported, w->data, w->branch, w->n, rows, r);
    if (s == AT_OK) s = make_rows(w, mixture);
    if (s == AT_OK && w->base) s = at_branch_report_model(r, "base", "", w->base);
    if (s == AT_OK) s = at_branch_report_branches(r);
    if (s == AT_OK) s = report_average(w);
    const char *name = w->train ? "before training" : "";
    return s == AT_OK ? at_branch_report_model(r, "mixture", name, mixture) : s;
}

/* All that a branch has too, which is all but the routers. */
static at_status freeze(work *w, const at_model *m) {
    int64_t n = 0;
    if (w->k.trained == TRAIN_ALL) return AT_OK;
    const char **path = at_malloc(w->c, (size_t)m->store.n_stacks * sizeof *path);
    if (!path) return AT_OOM;
    for (int64_t i = 0; i < m->store.n_stacks; i++)
        if (at_store_stack(&w->branch[0].model->store, m->store.stack[i]->path))
            path[n++] = m->store.stack[i]->path;
    const at_status s = at_recipe_set(w->c, w->f, ORIGIN, "freeze", path, n, true);
    at_free(path);
    return s;
}

/* Trains the mixture in place of which the run's model comes. */
static at_status train(work *w, at_model **m) {
    at_ctx *c = w->c;
    char *start = in_run(w, "start"), *before = in_run(w, "checkpoints"),
         *trained = in_run(w, "model");
    char *tokenizer = at_join(c, w->key[0].model, "tokenizer.json");
    at_train_result result;
    at_status s = start && before && trained && tokenizer ? at_make_dir(c, w->run) : AT_OOM;
    if (s == AT_OK) s = at_model_save(c, *m, start, at_exists(tokenizer) ? tokenizer : NULL);
    if (s == AT_OK) s = freeze(w, *m);
    at_model_close(*m);
    *m = NULL;
    const at_train_options how = {.resume = before && at_is_dir(before)};
    if (s == AT_OK) s = at_train(c, w->f, w->run, &how, &result);
    if (s == AT_OK) s = at_model_load(c, trained, true, m);
    if (s == AT_OK) s = at_branch_report_model(&w->report, "mixture", "", *m);
    at_free(start);
    at_free(before);
    at_free(trained);
    at_free(tokenizer);
    return s;
}

/* ---- the folder ------------------------------------------------------------------------------------ */

static at_status put_expert(work *w, const at_model *m, int i, at_json *j) {
    at_digest d = {0};
    const at_banks *banks = m->arch->banks(m->impl);
    int64_t numel = 0;
    for (int64_t b = 0; b < banks->n; b++) {
        at_param_entry *e[AT_BANK_PARTS + 1];
        if (banks->bank[b].n != w->n) continue;
        const int parts = at_bank_slot(&banks->bank[b], i, e);
        for (int p = 0; p < parts; p++) numel += at_numel(&e[p]->t);
    }
    const at_status s = at_digest_of(w->c, w->key[i].model, &d);
    at_json_begin_object(j, NULL);
    at_json_put_number(j, "id", i);
    at_json_put_string(j, "name", w->key[i].name);
    at_json_put_number(j, "slot", i);
    at_json_put_number(j, "parameters", (double)numel);
    at_json_put_string(j, "source", w->key[i].model);
    at_json_put_string(j, "source_digest", d.hex);
    at_json_end(j);
    return s;
}

static at_status write_passports(work *w, const at_model *m, const char *dir) {
    static const char *const rest[] = {"average", "base"};
    static const char *const part[] = {"rest", "average", "base", "experts"};
    static const char *const router[] = {"random", "domain", "gates"};
    static const char *const prompts[] = {"hidden", "cheap_embed", "random"};
    at_json j;
    char *path = at_join(w->c, dir, "artel.json");
    at_status s = path ? AT_OK : AT_OOM;
    at_json_open_file(&j, w->c);
    at_json_put_number(&j, "format", 1);
    at_json_put_string(&j, "mode", "btx");
    at_json_put_string(&j, "rest", rest[w->k.rest]);
    at_json_put_string(&j, "attention", part[w->k.attention]);
    at_json_put_string(&j, "router", w->kit ? prompts[w->mergekit.gate] : router[w->k.router]);
    at_json_put_string(&j, "base", w->k.base ? w->k.base : "");
    at_json_begin_list(&j, "experts");
    for (int i = 0; i < w->n && s == AT_OK; i++) s = put_expert(w, m, i, &j);
    at_json_end(&j);
    if (w->report.rows) at_json_put_value(&j, "report", w->report.rows);
    if (s == AT_OK)
        s = at_json_save(&j, path);
    else
        at_json_close(&j);
    at_free(path);
    return s;
}

static at_status deliver(work *w, const at_model *m) {
    at_ctx *c = w->c;
    char *made = NULL;
    char *tokenizer = at_join(c, w->key[0].model, "tokenizer.json");
    at_status s = tokenizer ? at_partial_dir(c, w->out, &made) : AT_OOM;
    if (s == AT_OK) s = at_model_write(c, m, made, at_exists(tokenizer) ? tokenizer : NULL);
    if (s == AT_OK) s = write_passports(w, m, made);
    if (s == AT_OK) s = at_partial_commit(c, made, w->out);
    at_partial_drop(c, made);
    at_free(tokenizer);
    return s;
}

static at_status name_folders(work *w, const char *out) {
    at_text t;
    at_status s = at_check_new_dir(w->c, out);
    if (s == AT_OK && !(w->out = at_path_trim(w->c, out))) s = w->c->status;
    if (s != AT_OK) return s;
    at_text_init(&t, w->c, 0);
    at_textf(&t, "%s.run", w->out);
    return (w->run = at_text_take(&t)) ? AT_OK : AT_OOM;
}

static void close_work(work *w) {
    at_branch_report_close(&w->report);
    at_model_close(w->base);
    for (int i = 0; i < w->n; i++) at_model_close(w->branch[i].model);
    at_free(w->out);
    at_free(w->run);
    at_free(w);
}

at_status at_branches_compose(at_ctx *c, at_conf *f, const char *out) {
    work *w = at_calloc(c, 1, sizeof *w);
    at_model *m = NULL;
    if (!w) return AT_OOM;
    w->c = c;
    w->f = f;
    at_status s = name_folders(w, out);
    if (s == AT_OK) s = read_keys(w);
    if (s == AT_OK) s = open_models(w);
    const at_btx b = mixture_of(w);
    if (s == AT_OK) s = at_btx_check(c, &b);
    if (s == AT_OK) s = at_btx_make(c, &b, &m);
    if (s == AT_OK) s = make_prompt_rows(w, m);
    if (s == AT_OK) s = report_parts(w, m);
    if (s == AT_OK && w->train) s = train(w, &m);
    if (s == AT_OK) s = deliver(w, m);
    at_model_close(m);
    close_work(w);
    return s;
}
