/* api_model.c - compose, eval, logits, generate: of a model that is open, or of a folder. */
#include "api/api_ask.h"
#include "api/api_recipe.h"
#include "api/api_route.h"
#include "api/api_table.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "data/dataset.h"
#include "infer/compose.h"
#include "infer/evaluate.h"
#include "infer/generate.h"
#include "infer/logits.h"
#include "infer/table_model.h"
#include "train/branches.h"
#include <math.h>
#include <string.h>

static at_status emit_items(artel *a, const cJSON *list, artel_emit emit, void *user) {
    at_status s = AT_OK;
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, list) {
        at_json j;
        at_json_open_value(&j, &a->ctx);
        at_json_put_value(&j, NULL, e);
        if (s == AT_OK) s = (at_status)at_emit(a, emit, user, &j);
    }
    return s;
}

artel_status artel_compose(artel *a, const artel_recipe *r, const char *out, artel_emit emit,
                           void *user) {
    at_ctx *c = &a->ctx;
    at_conf *f = NULL;
    bool branches = false;
    at_status s = at_recipe_open(a, r, &f);
    if (s == AT_OK) s = at_branches_asked(c, f, &branches);
    if (s == AT_OK) s = branches ? at_branches_compose(c, f, out) : at_compose(c, f, out);
    at_conf_close(f);
    char *path = s == AT_OK ? at_join(c, out, "artel.json") : NULL;
    cJSON *o = path ? at_json_read(c, path) : NULL;
    if (s == AT_OK && !o) s = c->status;
    if (s == AT_OK) s = emit_items(a, cJSON_GetObjectItemCaseSensitive(o, "experts"), emit, user);
    if (s == AT_OK) s = emit_items(a, cJSON_GetObjectItemCaseSensitive(o, "report"), emit, user);
    cJSON_Delete(o);
    at_free(path);
    return at_answer(a, s);
}

/* ---- eval ------------------------------------------------------------------------- */

enum { ROUTE_ON = 32 };

typedef struct {
    artel *a;
    at_compute *cp;
    at_lm *m;
    at_dataset *d;
    const artel_eval_options *o;
    int64_t context, prefix;
    at_asked asked;
    artel_emit emit;
    void *user;
} evaluation;

static at_status emit_eval(const evaluation *v, const char *domain, const at_eval *e) {
    at_json j;
    at_json_open(&j, &v->a->ctx);
    const double loss = e->nats / (double)e->tokens;
    at_json_put_string(&j, "domain", domain);
    at_json_put_number(&j, "tokens", (double)e->tokens);
    at_json_put_number(&j, "route_on", (double)v->prefix);
    at_json_put_number(&j, "loss", loss);
    at_json_put_number(&j, "ppl", exp(loss));
    if (e->bytes)
        at_json_put_number(&j, "bits_per_byte", e->nats / log(2) / (double)e->bytes);
    else
        at_json_put_null(&j, "bits_per_byte");
    if (v->o->abstain > 0)
        at_json_put_number(&j, "abstained",
                           (double)e->abstained / (double)(e->abstained + e->windows));
    if (v->o->usage) {
        at_json_begin_object(&j, "usage");
        for (int i = 0; i < v->m->n_experts; i++)
            at_json_put_number(&j, v->m->expert[i].name ? v->m->expert[i].name : "model",
                               v->m->n_experts > 1 && e->windows
                                   ? (double)e->windows_by[i] / (double)e->windows
                                   : v->m->n_experts == 1 && !v->m->router);
        at_json_end(&j);
    }
    return (at_status)at_emit(v->a, v->emit, v->user, &j);
}

/* An object for each router: usage of its experts. */
static at_status emit_usage(const evaluation *v, const char *domain, const at_usage *u) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < u->n && s == AT_OK; i++) {
        const at_router_usage *r = &u->router[i];
        at_usage_report rep;
        double *share = at_malloc(&v->a->ctx, (size_t)r->e * sizeof *share);
        if (!share) return AT_OOM;
        at_usage_summary(r, share, &rep);
        at_json j;
        at_json_open(&j, &v->a->ctx);
        at_json_put_string(&j, "domain", domain);
        at_json_put_number(&j, "layer", (double)r->id.layer);
        at_json_put_string(&j, "kind", at_layer_kind_name[r->id.kind]);
        at_json_put_number(&j, "experts", (double)r->e);
        at_json_put_number(&j, "routed_tokens", (double)r->tokens);
        at_json_put_numbers(&j, "share", share, r->e);
        at_json_begin_list(&j, "probability");
        for (int64_t k = 0; k < r->e; k++)
            at_json_put_number(&j, NULL, r->p[k] / (double)r->tokens);
        at_json_end(&j);
        at_json_put_number(&j, "load_entropy", rep.load_entropy);
        at_json_put_number(&j, "load_perplexity", rep.perplexity);
        at_json_put_number(&j, "dead", (double)rep.dead);
        at_json_put_number(&j, "unused", (double)rep.unused);
        at_json_put_number(&j, "mutual_information", rep.information);
        s = (at_status)at_emit(v->a, v->emit, v->user, &j);
        at_free(share);
    }
    return s;
}

/* Tokens of a window, and how many of them are read but not scored. */
static at_status choose_windows(evaluation *v) {
    const int64_t asked = v->o->route_on;
    v->context = v->o->context ? v->o->context : 1024;
    if (v->context > v->m->context) v->context = v->m->context;
    v->prefix = asked > 0 ? asked : 0;
    if (asked == 0 && v->m->router)
        v->prefix = ROUTE_ON < v->context / 2 ? ROUTE_ON : v->context / 2;
    if (v->prefix <= v->context) return AT_OK;
    return at_error(&v->a->ctx, AT_ARG,
                    "the first %lld tokens of a window are not to be scored, which leaves nothing "
                    "of a window of %lld",
                    (long long)v->prefix, (long long)v->context);
}

static at_status eval_domain(const evaluation *v, const at_domain *d, at_split split, at_eval *e) {
    at_ctx *c = &v->a->ctx;
    at_ask ask = v->asked.ask;
    bool *own = NULL;
    if (v->o->own) {
        const int i = at_lm_expert(v->m, d->name);
        if (i < 0)
            return at_error(c, AT_ARG, "%s has no expert `%s`, which is a domain of the data",
                            v->m->path, d->name);
        if (!(own = at_calloc(c, (size_t)v->m->n_experts, sizeof *own))) return AT_OOM;
        own[i] = true;
        ask.allowed = own;
    }
    const at_status s =
        at_eval_lm(v->cp, v->m, &d->shard[split], v->context, v->o->windows, v->prefix, &ask, e);
    at_free(own);
    return s;
}

static at_status eval_domains(evaluation *v, at_split split) {
    at_ctx *c = &v->a->ctx;
    const size_t n = (size_t)v->m->n_experts;
    at_eval all = {.windows_by = at_calloc(c, n, sizeof(int64_t))};
    at_eval e = {.windows_by = at_calloc(c, n, sizeof(int64_t))};
    at_usage usage = {0}, usage_all = {0};
    at_status s = all.windows_by && e.windows_by ? AT_OK : AT_OOM;
    for (int i = 0; i < v->d->n_domains && s == AT_OK; i++) {
        const at_domain *dom = &v->d->domain[i];
        if (dom->shard[split].n_tokens < 2) continue;
        memset(e.windows_by, 0, n * sizeof(int64_t));
        e = (at_eval){.windows_by = e.windows_by,
                      .usage = v->o->usage ? &usage : NULL,
                      .abstain = v->o->abstain};
        at_usage_reset(&usage);
        at_log(c, AT_LOG_PROGRESS, "evaluating %s", dom->name);
        s = eval_domain(v, dom, split, &e);
        s = at_dataset_error(c, v->d, s);
        if (s != AT_OK || (e.tokens == 0 && !e.abstained))
            continue; /* every window ends within the prefix */
        s = emit_eval(v, dom->name, &e);
        if (s == AT_OK) s = emit_usage(v, dom->name, &usage);
        if (s == AT_OK) s = at_usage_add(c, &usage_all, &usage);
        all.nats += e.nats;
        all.tokens += e.tokens;
        all.bytes += e.bytes;
        all.windows += e.windows;
        all.abstained += e.abstained;
        for (size_t k = 0; k < n; k++) all.windows_by[k] += e.windows_by[k];
    }
    if (s == AT_OK)
        s = all.tokens || all.abstained ? emit_eval(v, "all", &all)
                                        : at_error(c, AT_ARG, "%s: the split %s is empty",
                                                   v->d->path, at_split_name[split]);
    if (s == AT_OK) s = emit_usage(v, "all", &usage_all);
    at_usage_close(&usage);
    at_usage_close(&usage_all);
    at_free(all.windows_by);
    at_free(e.windows_by);
    return s;
}

static at_status evaluate(artel *a, at_lm *m, const char *data, const artel_eval_options *o,
                          artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    if (m->expert[0].model && at_model_of_tables(m->expert[0].model))
        return at_table_eval(a, m->expert[0].model, data, o, emit, user);
    evaluation v = {.a = a, .m = m, .o = o, .emit = emit, .user = user};
    at_split split = AT_TEST;
    at_status s = at_compute_of(a, &v.cp);
    if (s == AT_OK) s = at_ask_of(c, m, &o->who, &v.asked);
    if (s == AT_OK && o->own && (v.asked.ask.allowed || at_ask_is_set(&v.asked.ask)))
        s = at_error(c, AT_ARG, "own: each domain's own expert, or a choice of experts: not both");
    int alone;
    if (s == AT_OK && !m->router && !m->ensemble && !o->own) /* there must be somebody to ask */
        s = at_lm_route(c, m, NULL, 0, &v.asked.ask, NULL, &alone);
    if (s == AT_OK && !m->trunks)
        s = at_lm_finite(c, m); /* trunks: those that are asked, when they are */
    if (s == AT_OK) s = at_dataset_open_checked(c, data, &v.d);
    if (s == AT_OK && o->split) s = at_dataset_show(c, v.d, o->split, &split);
    if (s == AT_OK)
        s = at_lm_check_data(c, m->path, m->hash, m->vocab, data, v.d->tokenizer_hash, v.d->vocab);
    if (s == AT_OK) s = choose_windows(&v);
    if (s == AT_OK) s = eval_domains(&v, split);
    at_asked_free(&v.asked);
    at_dataset_close(v.d);
    return s;
}

artel_status artel_model_eval(artel *a, const artel_model *m, const char *data,
                              const artel_eval_options *o, artel_emit emit, void *user) {
    return at_answer(a, evaluate(a, at_inner(m), data, o, emit, user));
}

artel_status artel_eval(artel *a, const char *model, const char *data, const artel_eval_options *o,
                        artel_emit emit, void *user) {
    at_lm *m = NULL;
    at_status s = at_lm_load(&a->ctx, model, &m);
    if (s == AT_OK) s = evaluate(a, m, data, o, emit, user);
    at_lm_close(m);
    return at_answer(a, s);
}

/* ---- logits ----------------------------------------------------------------------- */

artel_status artel_model_logits(artel *a, const artel_model *m, const int32_t *ids, int64_t n,
                                float *logits) {
    at_compute *cp;
    at_status s = at_compute_of(a, &cp);
    if (s == AT_OK) s = at_logits(cp, at_inner(m), NULL, ids, n, logits);
    return at_answer(a, s);
}

artel_status artel_logits(artel *a, const char *model, const artel_who *who, const char *ids,
                          const char *out) {
    at_ctx *c = &a->ctx;
    at_asked asked = {0};
    at_compute *cp;
    at_lm *m = NULL;
    at_status s = at_compute_of(a, &cp);
    if (s == AT_OK) s = at_lm_load(c, model, &m);
    if (s == AT_OK) s = at_ask_of(c, m, who, &asked);
    if (s == AT_OK && !m->trunks) s = at_lm_finite(c, m);
    if (s == AT_OK) s = at_logits_file(cp, m, &asked.ask, ids, out);
    at_asked_free(&asked);
    at_lm_close(m);
    return at_answer(a, s);
}

/* ---- generate --------------------------------------------------------------------- */

typedef struct {
    artel *a;
    artel_text text;
    artel_emit emit;
    void *user;
    at_text whole; /* all of the text, when nobody takes it as it comes */
    at_ids ids;    /* the same of tokens, where the prompt was ids      */
    at_status failed;
    bool some; /* a token was told */
} writer;

static void put_id(void *user, int32_t id) {
    writer *w = user;
    char text[16];
    const int n = snprintf(text, sizeof text, "%s%d", w->some ? " " : "", (int)id);
    w->some = true;
    if (w->text)
        w->text(w->user, text, (size_t)n);
    else if (at_reserve(&w->a->ctx, &w->ids.id, &w->ids.cap, w->ids.n + 1, sizeof id))
        w->ids.id[w->ids.n++] = id;
    else
        w->failed = AT_OOM;
}

static void put_text(void *user, const char *bytes, size_t n) {
    writer *w = user;
    if (w->text)
        w->text(w->user, bytes, n);
    else
        at_text_utf8(&w->whole, bytes, n);
}

static at_status add_reasons(at_ctx *c, at_json *j, const at_lm *m, int expert,
                             const at_ids *prompt) {
    at_router_reason why[5];
    int64_t n = 0;
    const at_status s =
        at_router_explain(c, m->router, prompt->id, prompt->n, m->class_of[expert], 5, why, &n);
    at_json_begin_list(j, "why");
    for (int64_t i = 0; i < n; i++) {
        char *token = at_route_words(c, m->tokenizer, prompt, &why[i]);
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "token", token);
        at_json_put_number(j, "contribution", why[i].contribution);
        at_json_end(j);
        at_free(token);
    }
    at_json_end(j);
    return s;
}

static void put_route(void *user, const at_lm *m, int expert, const double *probs,
                      const at_ids *prompt) {
    writer *w = user;
    if (!m->router || expert < 0) return;
    at_json j;
    at_json_open(&j, &w->a->ctx);
    at_json_put_string(&j, "expert", m->expert[expert].name);
    at_json_put_number(&j, "probability", probs[expert]);
    at_json_begin_object(&j, "probabilities");
    for (int i = 0; i < m->n_experts; i++) at_json_put_number(&j, m->expert[i].name, probs[i]);
    at_json_end(&j);
    w->failed = add_reasons(&w->a->ctx, &j, m, expert, prompt);
    if (!w->failed) w->failed = (at_status)at_emit(w->a, w->emit, w->user, &j);
    at_json_close(&j);
}

static at_status fallback_expert(at_ctx *c, const at_lm *m, const artel_generate_options *o,
                                 int *out) {
    if (!o->fallback) return AT_OK;
    *out = at_lm_expert(m, o->fallback);
    if (*out >= 0) return AT_OK;
    return at_error(c, AT_ARG, "%s: fallback: no expert is called `%s`", m->path, o->fallback);
}

static at_status generate(artel *a, at_lm *m, const artel_generate_options *o, artel_text text,
                          artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_asked asked = {0};
    at_generated res = {0};
    at_status s = at_compute_of(a, &cp);
    int fallback = -1;
    if (s == AT_OK) s = at_ask_of(c, m, &o->who, &asked);
    if (s == AT_OK) s = fallback_expert(c, m, o, &fallback);
    writer w = {.a = a, .text = text, .emit = emit, .user = user};
    at_text_init(&w.whole, c, 0);
    const at_generation g = {.prompt = o->prompt ? o->prompt : "",
                             .ids = o->ids,
                             .n_ids = o->n_ids,
                             .token = put_id,
                             .n = o->n,
                             .sampling = at_sampling_of(&o->sampling),
                             .ask = asked.ask,
                             .abstain = o->abstain,
                             .fallback = fallback,
                             .text = put_text,
                             .routed = put_route,
                             .user = &w};
    if (s == AT_OK) s = at_generate(cp, m, &g, &res);
    if (s == AT_OK) s = w.whole.failed ? w.whole.failed : w.failed;
    if (s == AT_OK || s == AT_INTERRUPTED) {
        at_json j;
        at_json_open(&j, c);
        at_json_put_number(&j, "prompt_tokens", (double)res.prompt_tokens);
        at_json_put_number(&j, "new_tokens", (double)res.new_tokens);
        at_json_put_number(&j, "prompt_seconds", res.prompt_seconds);
        at_json_put_number(&j, "tokens_per_second",
                           res.seconds > 0 ? (double)res.new_tokens / res.seconds : 0);
        at_json_put_bool(&j, "ended", res.ended);
        if (!text && o->ids) {
            at_json_begin_list(&j, "ids");
            for (int64_t i = 0; i < w.ids.n; i++) at_json_put_number(&j, NULL, w.ids.id[i]);
            at_json_end(&j);
        } else if (!text) {
            at_json_put_string(&j, "text", w.whole.n ? w.whole.s : "");
        }
        const at_status t = (at_status)at_emit(a, emit, user, &j);
        if (s == AT_OK) s = t;
    }
    at_text_close(&w.whole);
    at_ids_free(&w.ids);
    at_asked_free(&asked);
    return s;
}

artel_status artel_model_generate(artel *a, const artel_model *m, const artel_generate_options *o,
                                  artel_text text, artel_emit emit, void *user) {
    return at_answer(a, generate(a, at_inner(m), o, text, emit, user));
}

artel_status artel_generate(artel *a, const char *model, const artel_generate_options *o,
                            artel_text text, artel_emit emit, void *user) {
    at_lm *m = NULL;
    at_status s = at_lm_load(&a->ctx, model, &m);
    if (s == AT_OK) s = generate(a, m, o, text, emit, user);
    at_lm_close(m);
    return at_answer(a, s);
}
