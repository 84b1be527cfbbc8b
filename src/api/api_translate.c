/* api_translate.c - lines to their translations; how good these are on a data set of pairs. */
#include "api/api.h"
#include "base/clock.h"
#include "data/bleu.h"
#include "data/lines.h"
#include "infer/continue.h"
#include "infer/translate.h"
#include <string.h>

enum { TOGETHER = AT_TOGETHER, LONGEST = 1 << 24 }; /* lines in a pass; bytes of a line */

typedef struct {
    artel *a;
    at_compute *cp;
    at_lm *m;
    char *tag;
    int64_t most;
    /* lines that wait, and what comes of them */
    char *line[TOGETHER], *out[TOGETHER];
    bool ended[TOGETHER];
    int64_t n;
} translator;

static at_status translator_open(artel *a, const char *model, const artel_translate_options *o,
                                 bool tagged, translator *t) {
    at_ctx *c = &a->ctx;
    *t = (translator){.a = a, .most = o->tokens};
    at_status s = o->tokens < 0 ? at_error(c, AT_ARG, "tokens: expected 0 or more") : AT_OK;
    if (s == AT_OK) s = at_compute_of(a, &t->cp);
    if (s == AT_OK) s = at_lm_load(c, model, &t->m);
    if (s == AT_OK && t->m->n_experts != 1)
        s = at_error(c, AT_UNSUPPORTED,
                     "%s is composed of several models; give the one that "
                     "translates",
                     model);
    if (s == AT_OK && tagged) s = at_translate_tag(c, at_lm_shape(t->m), o->direction, &t->tag);
    return s;
}

static void translator_close(translator *t) {
    for (int64_t i = 0; i < t->n; i++) at_free(t->line[i]);
    at_free(t->tag);
    at_lm_close(t->m);
}

/* Answers what waits, in order. */
static at_status flush(translator *t, at_status (*f)(void *user, int64_t i, const translator *t),
                       void *user) {
    const at_translating how = {.tag = t->tag, .most = t->most};
    at_status s =
        at_translate_texts(t->cp, t->m, &how, (const char *const *)t->line, t->n, t->out, t->ended);
    for (int64_t i = 0; i < t->n; i++) {
        if (s == AT_OK) s = f(user, i, t);
        at_free(t->out[i]);
        at_free(t->line[i]);
        t->out[i] = t->line[i] = NULL;
    }
    t->n = 0;
    return s;
}

/* ---- lines ---- */

typedef struct {
    artel_text text;
    artel_emit emit;
    void *user;
    int64_t told; /* lines */
    at_ctx *c;
    artel *a;
} teller;

static at_status tell(void *user, int64_t i, const translator *t) {
    teller *w = user;
    w->told++;
    if (w->text) {
        w->text(w->user, t->out[i], strlen(t->out[i]));
        w->text(w->user, "\n", 1);
        return AT_OK;
    }
    at_json j;
    at_json_open(&j, w->c);
    at_json_put_number(&j, "line", (double)w->told);
    at_json_put_string(&j, "source", t->line[i]);
    at_json_put_string(&j, "translation", t->out[i]);
    at_json_put_bool(&j, "ended", t->ended[i]);
    return (at_status)at_emit(w->a, w->emit, w->user, &j);
}

static at_status lines(translator *t, const char *file, teller *w) {
    at_ctx *c = &t->a->ctx;
    at_lines *l = NULL;
    at_status s = at_lines_open(c, file, LONGEST, &l);
    while (s == AT_OK) {
        const char *line;
        size_t n;
        s = at_lines_next(c, l, &line, &n);
        if (s != AT_OK || !line) break;
        const int64_t bad = at_utf8_error(line, n);
        if (bad >= 0)
            s = at_error(c, AT_FORMAT, "%s:%lld: not UTF-8 text: byte %lld", file,
                         (long long)at_lines_number(l), (long long)bad);
        if (s == AT_OK && memchr(line, 0, n))
            s = at_error(c, AT_FORMAT, "%s:%lld: a NUL in the text", file,
                         (long long)at_lines_number(l));
        if (s == AT_OK && !(t->line[t->n] = at_malloc(c, n + 1))) s = AT_OOM;
        if (s != AT_OK) break;
        memcpy(t->line[t->n], line, n);
        t->line[t->n++][n] = 0;
        if (t->n == TOGETHER) s = flush(t, tell, w);
    }
    if (s == AT_OK) s = flush(t, tell, w);
    at_lines_close(l);
    return s;
}

artel_status artel_translate(artel *a, const char *model, const char *file,
                             const artel_translate_options *o, artel_text text, artel_emit emit,
                             void *user) {
    translator t;
    teller w = {.text = text, .emit = emit, .user = user, .c = &a->ctx, .a = a};
    at_status s = translator_open(a, model, o, true, &t);
    if (s == AT_OK) s = lines(&t, file, &w);
    translator_close(&t);
    return at_answer(a, s);
}

/* ---- a data set ---- */

/* Translations and, as a baseline, the texts themselves against the references. */
typedef struct {
    at_bleu_counts ours, copied;
    char *reference[TOGETHER];
    int64_t ended;
} judge;

static at_status count(void *user, int64_t i, const translator *t) {
    judge *k = user;
    const char *ref = k->reference[i];
    at_status s = at_bleu_add(&k->ours, t->out[i], strlen(t->out[i]), ref, strlen(ref));
    if (s == AT_OK) s = at_bleu_add(&k->copied, t->line[i], strlen(t->line[i]), ref, strlen(ref));
    k->ended += t->ended[i];
    at_free(k->reference[i]);
    k->reference[i] = NULL;
    return s;
}

/* The two texts of a pair, the first without the name of its direction. */
static at_status texts_of(at_ctx *c, const translator *t, const at_bitext *p, const at_pair *one,
                          char **source, char **target) {
    size_t bytes;
    const char *tag = p->set->domain[one->domain].tag;
    int32_t *id = at_malloc(c, (size_t)one->all * sizeof *id);
    *source = *target = NULL;
    if (!id) return AT_OOM;
    at_pair_read(p, one, id);
    *source = at_tokenizer_decode(c, t->m->tokenizer, id, one->source - 1, &bytes);
    *target = at_tokenizer_decode(c, t->m->tokenizer, id + one->source, one->all - one->source - 1,
                                  &bytes);
    at_free(id);
    const size_t skip = tag ? strlen(tag) : 0;
    if (*source && *target && tag && !strncmp(*source, tag, skip))
        memmove(*source, *source + skip, strlen(*source + skip) + 1);
    if (*source && *target) return AT_OK;
    at_free(*source);
    at_free(*target);
    return c->status;
}

static at_status write_all(translator *t, const at_bitext *p, int64_t n, judge *k) {
    at_ctx *c = &t->a->ctx;
    at_status s = AT_OK;
    for (int64_t i = 0; i < n && s == AT_OK; i++) {
        const at_pair *one = &p->pair[at_bitext_spread(p, n, i)];
        s = texts_of(c, t, p, one, &t->line[t->n], &k->reference[t->n]);
        if (s != AT_OK) break;
        if (++t->n == TOGETHER) s = flush(t, count, k);
    }
    if (s == AT_OK && t->n) s = flush(t, count, k);
    for (int64_t i = 0; i < TOGETHER; i++) at_free(k->reference[i]);
    return s;
}

static void put_scores(at_json *j, const at_bleu_counts *o, const char *bleu, const char *chrf) {
    at_bleu b;
    at_bleu_score(o, &b);
    at_json_put_number(j, bleu, b.score);
    at_json_put_number(j, chrf, at_chrf_score(o));
}

/* A direction. */
static at_status measure(translator *t, const at_dataset *set, int domain, at_split split,
                         const artel_translate_options *o, artel_emit emit, void *user) {
    at_ctx *c = &t->a->ctx;
    at_model *m = t->m->expert[0].model;
    at_bitext p = {0};
    at_eval e = {0};
    judge k = {0};
    at_bleu_init(&k.ours, c);
    at_bleu_init(&k.copied, c);
    const double began = at_now();
    at_status s = at_bitext_add(c, set, split, domain, m->dims.context, &p);
    if (s == AT_OK) s = at_translate_tag(c, m, set->domain[domain].name, &t->tag);
    const int64_t n = o->pairs > 0 && o->pairs < p.n ? o->pairs : p.n;
    if (s == AT_OK && !n)
        s = at_error(c, AT_ARG, "%s: domain \"%s\" has no pairs in the split %s", set->path,
                     set->domain[domain].name, at_split_name[split]);
    if (s == AT_OK) s = at_bitext_loss(t->cp, m, &p, n, &e);
    if (s == AT_OK) s = write_all(t, &p, n, &k);
    if (s == AT_OK) {
        at_json j;
        at_json_open(&j, c);
        at_json_put_string(&j, "direction", set->domain[domain].name);
        at_json_put_string(&j, "split", at_split_name[split]);
        at_json_put_number(&j, "pairs", (double)n);
        at_json_put_number(&j, "too_long", (double)p.left);
        at_json_put_number(&j, "tokens", (double)e.tokens);
        at_json_put_number(&j, "loss", e.nats / (double)e.tokens);
        put_scores(&j, &k.ours, "bleu", "chrf");
        put_scores(&j, &k.copied, "copy_bleu", "copy_chrf");
        at_json_put_number(&j, "ended", (double)k.ended / (double)n);
        at_json_put_number(&j, "seconds", at_now() - began);
        s = (at_status)at_emit(t->a, emit, user, &j);
    }
    at_bleu_close(&k.ours);
    at_bleu_close(&k.copied);
    at_bitext_close(&p);
    at_free(t->tag);
    t->tag = NULL;
    return s;
}

artel_status artel_translate_eval(artel *a, const char *model, const char *data,
                                  const artel_translate_options *o, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    translator t;
    at_dataset *d = NULL;
    at_split split = AT_TEST;
    at_status s = translator_open(a, model, o, false, &t);
    if (s == AT_OK) s = at_dataset_open_checked(c, data, &d);
    if (s == AT_OK && o->split) s = at_split_find(c, o->split, &split);
    if (s == AT_OK)
        s = at_lm_check_data(c, model, t.m->hash, t.m->vocab, data, d->tokenizer_hash, d->vocab);
    if (s == AT_OK && !t.m->tokenizer)
        s = at_error(c, AT_ARG, "%s has no tokenizer.json, so no text can be read or written",
                     model);
    if (s == AT_OK && o->direction && at_dataset_domain(d, o->direction) < 0)
        s = at_error(c, AT_ARG, "%s: no domain \"%s\" in this data set", data, o->direction);
    for (int i = 0; s == AT_OK && i < d->n_domains; i++) {
        if (o->direction && strcmp(o->direction, d->domain[i].name) != 0) continue;
        s = measure(&t, d, i, split, o, emit, user);
        s = at_dataset_error(c, d, s);
    }
    at_dataset_close(d);
    translator_close(&t);
    return at_answer(a, s);
}
