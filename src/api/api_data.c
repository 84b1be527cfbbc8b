/* api_data.c - data sets: strings to options, a manifest to rows. */
#include "api/api.h"
#include "base/clock.h"
#include "data/build.h"
#include "data/progress.h"
#include <stdlib.h>
#include <string.h>

void artel_data_defaults(artel_data *o) {
    const at_build b = at_build_defaults();
    *o = (artel_data){.unit = at_unit_name(b.balance.unit),
                      .max_diff = b.balance.max_diff,
                      .seed = (int64_t)b.seed,
                      .min_chars = b.filter.min_chars,
                      .min_letters = b.filter.min_letters,
                      .text_field = "text"};
    for (int k = 0; k < AT_SPLITS; k++) o->split[k] = b.balance.share[k];
}

/* "NAME=REST": the name from the heap, *rest behind the sign.  form: what REST is. */
static char *name_of(at_ctx *c, const char *s, const char *what, const char *form,
                     const char **rest) {
    const char *sign = s ? strchr(s, '=') : NULL;
    if (!sign || sign == s || !sign[1]) {
        (void)at_error(c, AT_ARG, "%s: expected NAME=%s, found \"%.200s\"", what, form, s ? s : "");
        return NULL;
    }
    char *name = at_malloc(c, (size_t)(sign - s) + 1);
    if (!name) return NULL;
    memcpy(name, s, (size_t)(sign - s));
    name[sign - s] = 0;
    *rest = sign + 1;
    return name;
}

typedef struct lists {
    at_build_source *source, *ood;
    at_build_licence *licence;
    at_build_share *share;
    int64_t n_source, n_ood, n_licence, n_share;
} lists;

/* "en=70,fr=10" */
static at_status shares_fill(at_ctx *c, const char *text, lists *l) {
    int64_t cap = 0;
    for (const char *p = text; p; p = *p ? p + 1 : NULL) {
        char one[160];
        const size_t n = strcspn(p, ",");
        if (n >= sizeof one)
            return at_error(c, AT_ARG, "share: expected NAME=N, found \"%.40s...\"", p);
        memcpy(one, p, n);
        one[n] = 0;
        const char *number;
        char *end;
        if (!at_reserve(c, &l->share, &cap, l->n_share + 1, sizeof *l->share)) return c->status;
        at_build_share *s = &l->share[l->n_share];
        if (!(s->domain = name_of(c, one, "share", "N", &number))) return c->status;
        l->n_share++;
        s->weight = strtod(number, &end);
        if (end == number || *end)
            return at_error(c, AT_ARG, "share: expected a number for \"%s\", found \"%s\"",
                            s->domain, number);
        p += n;
    }
    return AT_OK;
}

/* "NAME=PATH" or "NAME=KIND:PATH" */
static at_status source_fill(at_ctx *c, const char *text, const char *what, at_build_source *s) {
    const char *path;
    if (!(s->domain = name_of(c, text, what, "PATH", &path))) return c->status;
    const char *colon = strchr(path, ':');
    if (colon && at_source_kind_parse(path, (size_t)(colon - path), &s->kind)) path = colon + 1;
    return (s->path = at_strdup(c, path)) ? AT_OK : c->status;
}

static at_status lists_fill(at_ctx *c, const artel_data *o, lists *l) {
    l->source = at_calloc(c, (size_t)o->n_domain, sizeof *l->source);
    l->ood = at_calloc(c, (size_t)o->n_ood, sizeof *l->ood);
    l->licence = at_calloc(c, (size_t)o->n_licence, sizeof *l->licence);
    if (!l->source || !l->ood || !l->licence) return c->status;
    for (int i = 0; i < o->n_domain; i++) {
        const at_status s = source_fill(c, o->domain[i], "domain", &l->source[l->n_source++]);
        if (s) return s;
    }
    for (int i = 0; i < o->n_ood; i++) {
        const at_status s = source_fill(c, o->ood[i], "ood", &l->ood[l->n_ood++]);
        if (s) return s;
    }
    for (int i = 0; i < o->n_licence; i++) {
        at_build_licence *s = &l->licence[l->n_licence++];
        const char *spdx;
        if (!(s->domain = name_of(c, o->licence[i], "licence", "SPDX", &spdx))) return c->status;
        if (!(s->spdx = at_strdup(c, spdx))) return c->status;
    }
    return o->share ? shares_fill(c, o->share, l) : AT_OK;
}

static void lists_free(lists *l) {
    for (int64_t i = 0; i < l->n_source; i++) {
        at_free(l->source[i].domain);
        at_free(l->source[i].path);
    }
    for (int64_t i = 0; i < l->n_ood; i++) {
        at_free(l->ood[i].domain);
        at_free(l->ood[i].path);
    }
    for (int64_t i = 0; i < l->n_licence; i++) {
        at_free(l->licence[i].domain);
        at_free(l->licence[i].spdx);
    }
    for (int64_t i = 0; i < l->n_share; i++) at_free(l->share[i].domain);
    at_free(l->source);
    at_free(l->ood);
    at_free(l->licence);
    at_free(l->share);
}

static at_status options(at_ctx *c, const artel_data *o, const lists *l, at_build *b) {
    *b = at_build_defaults();
    b->source = l->source;
    b->n_sources = l->n_source;
    b->ood = l->ood;
    b->n_ood = l->n_ood;
    b->licence = l->licence;
    b->n_licences = l->n_licence;
    b->share = l->share;
    b->n_shares = l->n_share;
    b->out = o->out;
    b->tokenizer = o->tokenizer;
    b->vocab = o->vocab;
    if (at_bpe_kind_parse(c, o->tokenizer_kind, &b->kind)) return c->status;
    if (o->tokenizer && o->tokenizer_kind)
        return at_error(c, AT_ARG, "a kind of tokenizer is for one that is trained, not for %s",
                        o->tokenizer);
    for (int k = 0; k < AT_SPLITS; k++) b->balance.share[k] = o->split[k];
    if (o->unit && !at_unit_parse(o->unit, &b->balance.unit))
        return at_error(c, AT_ARG,
                        "unit: expected tokens, bytes, chars, docs or words, found \"%.40s\"",
                        o->unit);
    if (o->seed < 0 || o->limit < 0 || o->min_chars < 0 || o->vocab < 0)
        return at_error(c, AT_ARG, "seed, limit, min_chars and vocab: expected 0 or more");
    b->balance.max_diff = o->max_diff;
    b->balance.equal = !o->no_balance;
    b->balance.limit = o->limit;
    b->seed = (uint64_t)o->seed;
    b->filter.min_chars = o->min_chars;
    b->filter.min_letters = o->min_letters;
    b->aligned = o->aligned;
    b->near_dup = o->near_dup;
    b->language_filter = o->language_filter != 0;
    b->reading.text_field = o->text_field;
    b->reading.strict = o->strict != 0;
    return AT_OK;
}

/* ---- rows ---- */

static void copy_item(at_json *j, const char *as, const cJSON *from, const char *key) {
    at_json_put_value(j, as, cJSON_GetObjectItemCaseSensitive(from, key));
}

static artel_status emit_domain(artel *a, const cJSON *d, bool ood, artel_emit emit, void *user) {
    static const char *const counts[] = {"documents", "bytes", "characters", "words", "tokens"};
    static const char *const copied[] = {"split_by",
                                         "splits",
                                         "read",
                                         "files_left_out",
                                         "paragraphs_dropped",
                                         "overlap_with_training"};
    at_json j;
    at_json_open(&j, &a->ctx);
    copy_item(&j, "domain", d, "name");
    if (ood) at_json_put_bool(&j, "ood", true);
    copy_item(&j, "licence", d, "licence");
    const cJSON *splits = cJSON_GetObjectItemCaseSensitive(d, "splits"), *s;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        double sum = 0;
        cJSON_ArrayForEach(s, splits) {
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(s, counts[i]);
            if (v) sum += v->valuedouble;
        }
        at_json_put_number(&j, counts[i], sum);
    }
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (cJSON_HasObjectItem(d, copied[i])) copy_item(&j, copied[i], d, copied[i]);
    return at_emit(a, emit, user, &j);
}

static artel_status emit_manifest(artel *a, const artel_data *o, const cJSON *m, double seconds,
                                  artel_emit emit, void *user) {
    const cJSON *d;
    cJSON_ArrayForEach(d, cJSON_GetObjectItemCaseSensitive(m, "domains")) {
        const artel_status s = emit_domain(a, d, false, emit, user);
        if (s) return s;
    }
    cJSON_ArrayForEach(d, cJSON_GetObjectItemCaseSensitive(m, "ood")) {
        const artel_status s = emit_domain(a, d, true, emit, user);
        if (s) return s;
    }
    const cJSON *tokenizer = cJSON_GetObjectItemCaseSensitive(m, "tokenizer");
    const cJSON *balance = cJSON_GetObjectItemCaseSensitive(m, "balance");
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "data", o->out);
    copy_item(&j, "vocab", tokenizer, "vocab");
    copy_item(&j, "tokenizer", tokenizer, "sha256");
    copy_item(&j, "unit", balance, "unit");
    copy_item(&j, "max_diff_percent", balance, "max_diff_percent");
    copy_item(&j, "reached_percent", balance, "reached_percent");
    copy_item(&j, "reached_percent_by_unit", balance, "reached_percent_by_unit");
    if (o->near_dup > 0) copy_item(&j, "near_duplicates", m, "near_duplicates");
    at_json_put_number(&j, "seconds", seconds);
    return at_emit(a, emit, user, &j);
}

artel_status artel_data_build(artel *a, const artel_data *o, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    const double began = at_now();
    lists l = {0};
    at_build b;
    cJSON *manifest = NULL;
    at_status s = lists_fill(c, o, &l);
    if (!s) s = options(c, o, &l, &b);
    if (!s) s = at_build_run(c, &b, &manifest);
    lists_free(&l);
    if (s) return at_answer(a, s);
    const artel_status out = emit_manifest(a, o, manifest, at_now() - began, emit, user);
    cJSON_Delete(manifest);
    return out;
}

/* ---- show ---- */

typedef struct show {
    artel *a;
    artel_emit emit;
    void *user;
    const at_tokenizer *tokenizer;
    const char *split; /* its name */
} show;

static at_status show_document(const show *w, const at_domain *d, at_split split, int64_t i) {
    at_ctx *c = &w->a->ctx;
    const at_shard *s = &d->shard[split];
    const int64_t from = (int64_t)s->start[i];
    int64_t n = (int64_t)s->start[i + 1] - from;
    int32_t *id = at_malloc(c, (size_t)n * sizeof *id);
    if (!id) return c->status;
    at_shard_read(s, from, n, id);
    const int64_t tokens = n;
    if (n > 0 && id[n - 1] == at_tokenizer_eot(w->tokenizer)) n--;
    size_t bytes;
    char *text = at_tokenizer_decode(c, w->tokenizer, id, n, &bytes);
    at_free(id);
    if (!text) return c->status;
    at_json j;
    at_json_open(&j, c);
    at_json_put_string(&j, "domain", d->name);
    at_json_put_string(&j, "split", w->split);
    at_json_put_number(&j, "document", (double)i);
    at_json_put_number(&j, "tokens", (double)tokens);
    at_json_put_string(&j, "text", text);
    at_free(text);
    return (at_status)at_emit(w->a, w->emit, w->user, &j);
}

static at_status show_all(const show *w, const at_dataset *d, const char *domain, at_split split,
                          int64_t first, int64_t count) {
    at_ctx *c = &w->a->ctx;
    if (domain && at_dataset_domain(d, domain) < 0)
        return at_error(c, AT_ARG, "%s: no domain \"%s\" in this data set", d->path, domain);
    if (strcmp(at_tokenizer_hash(w->tokenizer), d->tokenizer_hash) != 0)
        return at_error(c, AT_MISMATCH, "%s: tokenizer.json is not the one the data was made with",
                        d->path);
    for (int k = 0; k < d->n_domains; k++) {
        if (domain && strcmp(d->domain[k].name, domain) != 0) continue;
        const int64_t n = d->domain[k].shard[split].n_docs;
        for (int64_t i = first; i < n && i - first < count; i++) {
            const at_status s = show_document(w, &d->domain[k], split, i);
            if (s) return s;
        }
    }
    return AT_OK;
}

artel_status artel_data_show(artel *a, const char *path, const char *domain, const char *split,
                             int64_t first, int64_t count, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_split which = AT_TEST;
    if (first < 0 || count < 0)
        return (artel_status)at_error(c, AT_ARG, "expected documents from 0 on");
    at_dataset *d;
    at_tokenizer *t = NULL;
    at_status s = at_dataset_open_checked(c, path, &d);
    if (!s) s = at_dataset_show(c, d, split, &which);
    if (!s) s = at_tokenizer_load(c, path, &t);
    const show w = {a, emit, user, t, split};
    if (!s) s = show_all(&w, d, domain, which, first, count);
    at_tokenizer_close(t);
    at_dataset_close(d);
    return at_answer(a, s);
}
