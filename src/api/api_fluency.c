/* api_fluency.c - how texts read that a model writes. */
#include "api/api_ask.h"
#include "base/clock.h"
#include "base/ints.h"
#include "infer/fluency.h"
#include <math.h>
#include <string.h>

enum { PROMPT = 32, TOKENS = 100, SAMPLES = 20 };
static const double usual[] = {0.3, 0.8, 1.0};

typedef struct {
    artel *a;
    at_compute *cp;
    at_lm *m;
    at_dataset *d;
    at_router *own;          /* from a folder, or NULL */
    const at_router *router; /* who judges, or NULL    */
    const artel_fluency_options *o;
    int64_t prompt, n, samples;
    at_asked asked;
    artel_emit emit;
    void *user;
} fluency;

/* A domain at work: its words, the beginnings of its documents, a text for each of these. */
typedef struct {
    const fluency *f;
    const char *name;
    const at_shard *shard;
    at_words words;
    at_prompts prompts;
    at_continuation *text; /* [samples] */
    at_fluency all;
} sampled;

/* ---- results ------------------------------------------------------------------------------ */

static void put_share(at_json *j, const char *key, int64_t part, int64_t of) {
    if (of)
        at_json_put_number(j, key, (double)part / (double)of);
    else
        at_json_put_null(j, key);
}

static void put_verdict(at_json *j, const sampled *s) {
    const at_router *r = s->f->router;
    const int own = r ? at_router_class(r, s->name) : -1;
    put_share(j, "language", own >= 0 ? s->all.verdict[own] : 0, own >= 0 ? s->all.judged : 0);
    if (!r) return;
    at_json_begin_object(j, "verdict");
    for (int k = 0; k < r->n_classes && s->all.judged; k++)
        if (s->all.verdict[k])
            at_json_put_number(j, r->name[k], (double)s->all.verdict[k] / (double)s->all.judged);
    at_json_end(j);
}

/* temperature NULL: of the documents themselves. */
static at_status emit(const sampled *s, const double *temperature, double seconds) {
    const fluency *f = s->f;
    const at_fluency *all = &s->all;
    at_json j;
    at_json_open(&j, &f->a->ctx);
    at_json_put_string(&j, "domain", s->name);
    if (temperature)
        at_json_put_number(&j, "temperature", *temperature);
    else
        at_json_put_null(&j, "temperature");
    at_json_put_number(&j, "texts", (double)all->texts);
    at_json_put_number(&j, "prompt_tokens", (double)f->prompt);
    at_json_put_number(&j, "new_tokens", (double)all->tokens);
    at_json_put_number(&j, "ended", (double)all->ended);
    at_json_put_number(&j, "runs", (double)all->runs);
    put_share(&j, "repeated", all->repeated, all->runs);
    at_json_put_number(&j, "words", (double)all->words);
    put_share(&j, "known", all->known, all->words);
    put_verdict(&j, s);
    if (temperature)
        at_json_put_number(&j, "tokens_per_second",
                           seconds > 0 ? (double)all->tokens / seconds : 0);
    return (at_status)at_emit(f->a, f->emit, f->user, &j);
}

static void begin(sampled *s) {
    int64_t *verdict = s->all.verdict;
    s->all = (at_fluency){.verdict = verdict};
    if (verdict) memset(verdict, 0, (size_t)s->f->router->n_classes * sizeof *verdict);
}

static at_status add(sampled *s, const int32_t *ids, int64_t n, bool ended) {
    const fluency *f = s->f;
    return at_fluency_add(&f->a->ctx, f->m->tokenizer, &s->words, f->router, ids, n, f->prompt,
                          ended, &s->all);
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* What follows the prompts in the documents. */
static at_status documents(sampled *s) {
    const fluency *f = s->f;
    at_status st = AT_OK;
    int32_t *ids = at_malloc(&f->a->ctx, (size_t)(f->prompt + f->n) * sizeof *ids);
    if (!ids) return AT_OOM;
    begin(s);
    for (int64_t i = 0; i < s->prompts.n && st == AT_OK; i++) {
        const int64_t n = at_min(s->prompts.tokens[i], f->prompt + f->n);
        at_shard_read(s->shard, s->prompts.at[i], n, ids);
        st = add(s, ids, n, n == s->prompts.tokens[i]);
        st = at_dataset_error(&f->a->ctx, f->d, st);
    }
    at_free(ids);
    return st == AT_OK ? emit(s, NULL, 0) : st;
}

/* Text i begins as document i does, or, where there are fewer, as one of them once more; its draws are
   its own. */
static at_status begin_text(const sampled *s, int64_t i, double temperature) {
    const fluency *f = s->f;
    at_ctx *c = &f->a->ctx;
    at_continuation *t = &s->text[i];
    int expert = 0;
    if (!at_reserve(c, &t->ids.id, &t->ids.cap, f->prompt, sizeof *t->ids.id)) return AT_OOM;
    t->ids.n = f->prompt;
    at_shard_read(s->shard, s->prompts.at[i % s->prompts.n], f->prompt, t->ids.id);
    at_status st = at_dataset_error(c, f->d, at_lm_check_ids(c, f->m, t->ids.id, t->ids.n));
    at_voice v = {0};
    if (st == AT_OK) st = at_lm_route(c, f->m, t->ids.id, t->ids.n, &f->asked.ask, NULL, &expert);
    if (st == AT_OK) st = at_lm_voice(c, f->m, &f->asked.ask, expert, &v);
    t->model = v.model;
    t->modules = v.modules;
    t->how = at_sampling_of(&f->o->sampling);
    t->how.temperature = temperature;
    t->how.seed += (uint64_t)i;
    return st;
}

static at_status texts(sampled *s, double temperature) {
    const fluency *f = s->f;
    at_status st = AT_OK;
    begin(s);
    for (int64_t i = 0; i < f->samples && st == AT_OK; i++) st = begin_text(s, i, temperature);
    const double began = at_now();
    if (st == AT_OK) st = at_continue_all(f->cp, f->m, s->text, f->samples, f->n);
    const double seconds = at_now() - began;
    for (int64_t i = 0; i < f->samples && st == AT_OK; i++)
        st = add(s, s->text[i].ids.id, s->text[i].ids.n, s->text[i].ended);
    return st == AT_OK ? emit(s, &temperature, seconds) : st;
}

/* ---- domains --------------------------------------------------------------------------------- */

static at_status open_domain(sampled *s, const at_domain *d, at_split split) {
    const fluency *f = s->f;
    at_ctx *c = &f->a->ctx;
    s->name = d->name;
    s->shard = &d->shard[split];
    at_status st = at_prompts_open(c, s->shard, at_tokenizer_eot(f->m->tokenizer), f->prompt,
                                   f->samples, &s->prompts);
    if (st == AT_OK && !s->prompts.n)
        return at_error(c, AT_ARG,
                        "%s: no document of domain %s in the split %s has more than the %lld "
                        "tokens of a prompt; ask for shorter ones",
                        f->d->path, d->name, at_split_name[split], (long long)f->prompt);
    if (st == AT_OK) st = at_fluency_words(c, f->m->tokenizer, &d->shard[AT_TRAIN], &s->words);
    s->text = st == AT_OK ? at_calloc(c, (size_t)f->samples, sizeof *s->text) : NULL;
    if (f->router && s->text)
        s->all.verdict = at_calloc(c, (size_t)f->router->n_classes, sizeof *s->all.verdict);
    if (st == AT_OK && (!s->text || (f->router && !s->all.verdict))) st = AT_OOM;
    return st;
}

static void close_domain(sampled *s) {
    for (int64_t i = 0; s->text && i < s->f->samples; i++) at_ids_free(&s->text[i].ids);
    at_free(s->text);
    at_free(s->all.verdict);
    at_words_close(&s->words);
    at_prompts_close(&s->prompts);
}

static at_status domains(const fluency *f, at_split split) {
    const artel_fluency_options *o = f->o;
    const double *t = o->temperatures ? o->temperatures : usual;
    const int n = o->temperatures ? o->n_temperatures : (int)(sizeof usual / sizeof *usual);
    at_status s = AT_OK;
    bool any = false;
    for (int i = 0; i < f->d->n_domains && s == AT_OK; i++) {
        const at_domain *d = &f->d->domain[i];
        sampled one = {.f = f};
        if (!d->shard[split].n_docs) continue;
        any = true;
        at_log(&f->a->ctx, AT_LOG_PROGRESS, "writing texts of %s", d->name);
        s = open_domain(&one, d, split);
        if (s == AT_OK) s = documents(&one);
        for (int k = 0; k < n && s == AT_OK; k++) s = texts(&one, t[k]);
        close_domain(&one);
    }
    if (s == AT_OK && !any)
        s = at_error(&f->a->ctx, AT_ARG, "%s: the split %s is empty", f->d->path,
                     at_split_name[split]);
    return s;
}

static at_status check(fluency *f) {
    const artel_fluency_options *o = f->o;
    at_ctx *c = &f->a->ctx;
    f->prompt = o->prompt ? o->prompt : PROMPT;
    f->n = o->n ? o->n : TOKENS;
    f->samples = o->samples ? o->samples : SAMPLES;
    const int64_t most = INT32_MAX;
    if (f->prompt < 1 || f->n < 1 || f->samples < 1 || f->prompt > most || f->n > most ||
        f->samples > most)
        return at_error(c, AT_ARG,
                        "%lld texts of %lld tokens after prompts of %lld: expected 1 and more",
                        (long long)f->samples, (long long)f->n, (long long)f->prompt);
    for (int i = 0; o->temperatures && i < o->n_temperatures; i++)
        if (!(o->temperatures[i] >= 0 && o->temperatures[i] < HUGE_VAL))
            return at_error(c, AT_ARG, "temperature %g: expected 0 or more", o->temperatures[i]);
    if (f->m->tokenizer) return AT_OK;
    return at_error(c, AT_ARG,
                    "%s has no tokenizer.json, so nobody can tell words in what it writes: put the "
                    "model's tokenizer.json there",
                    f->m->path);
}

static at_status open_router(fluency *f) {
    at_ctx *c = &f->a->ctx;
    f->router = f->m->router;
    if (!f->o->router) return AT_OK;
    at_status s = at_router_load(c, f->o->router, &f->own);
    if (s == AT_OK) s = at_router_check(c, f->own, f->m->path, f->m->hash);
    f->router = f->own;
    return s;
}

static at_status run(artel *a, at_lm *m, const char *data, const artel_fluency_options *o,
                     artel_emit out, void *user) {
    static const artel_fluency_options none = {0};
    at_ctx *c = &a->ctx;
    fluency f = {.a = a, .m = m, .o = o ? o : &none, .emit = out, .user = user};
    at_split split = AT_TEST;
    at_status s = at_compute_of(a, &f.cp);
    if (s == AT_OK && f.o->split) s = at_split_find(c, f.o->split, &split);
    if (s == AT_OK) s = check(&f);
    if (s == AT_OK) s = at_ask_of(c, m, &f.o->who, &f.asked);
    if (s == AT_OK && !m->trunks) s = at_lm_finite(c, m);
    if (s == AT_OK) s = open_router(&f);
    if (s == AT_OK) s = at_dataset_open_checked(c, data, &f.d);
    if (s == AT_OK)
        s = at_lm_check_data(c, m->path, m->hash, m->vocab, data, f.d->tokenizer_hash, f.d->vocab);
    if (s == AT_OK) s = domains(&f, split);
    at_dataset_close(f.d);
    at_router_close(f.own);
    at_asked_free(&f.asked);
    return s;
}

artel_status artel_model_fluency(artel *a, const artel_model *m, const char *data,
                                 const artel_fluency_options *o, artel_emit emit_row, void *user) {
    return at_answer(a, run(a, at_inner(m), data, o, emit_row, user));
}

artel_status artel_fluency(artel *a, const char *model, const char *data,
                           const artel_fluency_options *o, artel_emit emit_row, void *user) {
    at_lm *m = NULL;
    at_status s = at_lm_load(&a->ctx, model, &m);
    if (s == AT_OK) s = run(a, m, data, o, emit_row, user);
    at_lm_close(m);
    return at_answer(a, s);
}
