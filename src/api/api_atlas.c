/* api_atlas.c - which experts of a mixture read what: as objects, and as a page. */
#include "api/api_model.h"
#include "api/atlas_page.h"
#include "base/maths.h"
#include <math.h>
#include <string.h>

typedef struct {
    artel *a;
    const at_lm *m;
    const at_atlas *of;
    int64_t tokens;
    artel_emit emit;
    void *user;
} telling;

static void put_tokens(telling *t, at_json *j, const at_atlas_router *r, int64_t expert) {
    enum { MOST = 32 };
    int32_t id[MOST];
    const int64_t n = at_atlas_tokens(t->of, r, expert, t->tokens < MOST ? t->tokens : MOST, id);
    at_json_begin_list(j, "tokens");
    for (int64_t i = 0; i < n; i++) {
        char *text = at_atlas_token(&t->a->ctx, t->m->tokenizer, id[i]);
        at_json_put_string(j, NULL, text);
        at_free(text);
    }
    at_json_end(j);
}

static void put_expert(telling *t, at_json *j, const at_atlas_router *r, int64_t expert) {
    const at_dataset *d = t->of->data;
    double part;
    const int home = at_atlas_home(t->of, r, expert, &part);
    at_json_begin_object(j, NULL);
    at_json_put_number(j, "expert", (double)expert);
    if (home >= 0)
        at_json_put_string(j, "home", d->domain[home].name);
    else
        at_json_put_null(j, "home");
    at_json_put_number(j, "part", part);
    at_json_begin_list(j, "use");
    for (int i = 0; i < d->n_domains; i++) {
        double share, half;
        if (!t->of->windows[i]) continue;
        at_atlas_expert(t->of, r, expert, i, &share, &half);
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "domain", d->domain[i].name);
        at_json_put_number(j, "choices", r->slots[i * r->e + expert]);
        at_json_put_number(j, "share", share);
        if (isfinite(half))
            at_json_put_number(j, "half_width", half);
        else
            at_json_put_null(j, "half_width");
        at_json_end(j);
    }
    at_json_end(j);
    put_tokens(t, j, r, expert);
    at_json_end(j);
}

static at_status tell_router(telling *t, const at_atlas_router *r) {
    at_json j;
    int domains = 0;
    for (int d = 0; d < t->of->data->n_domains; d++) domains += t->of->windows[d] > 0;
    at_json_open(&j, &t->a->ctx);
    at_json_put_number(&j, "layer", (double)r->id.layer);
    at_json_put_string(&j, "kind", at_layer_kind_name[r->id.kind]);
    at_json_put_number(&j, "experts", (double)r->e);
    at_json_put_number(&j, "chosen", (double)r->k);
    at_json_put_number(&j, "information", at_atlas_information(t->of, r));
    at_json_put_number(&j, "information_limit", at_ln((double)domains));
    at_json_begin_list(&j, "unused");
    for (int64_t e = 0; e < r->e; e++)
        if (!(r->both[e * r->e + e] > 0)) at_json_put_number(&j, NULL, (double)e);
    at_json_end(&j);
    at_json_begin_list(&j, "by_expert");
    for (int64_t e = 0; e < r->e; e++) put_expert(t, &j, r, e);
    at_json_end(&j);
    return (at_status)at_emit(t->a, t->emit, t->user, &j);
}

static at_status tell_reading(telling *t, const char *page) {
    at_json j;
    at_json_open(&j, &t->a->ctx);
    if (page)
        at_json_put_string(&j, "page", page);
    else
        at_json_put_null(&j, "page");
    at_json_begin_list(&j, "read");
    for (int d = 0; d < t->of->data->n_domains; d++) {
        at_json_begin_object(&j, NULL);
        at_json_put_string(&j, "domain", t->of->data->domain[d].name);
        at_json_put_number(&j, "windows", (double)t->of->windows[d]);
        at_json_put_number(&j, "tokens", (double)t->of->tokens[d]);
        at_json_end(&j);
    }
    at_json_end(&j);
    return (at_status)at_emit(t->a, t->emit, t->user, &j);
}

static at_status draw_atlas(artel *a, at_lm *m, const char *data, const artel_atlas_options *o,
                            artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_dataset *d = NULL;
    at_atlas atlas = {0};
    at_split split = AT_TEST;
    at_status s = at_compute_of(a, &cp);
    if (s == AT_OK && (m->n_experts > 1 || m->trunks))
        s = at_error(c, AT_ARG,
                     "%s: an atlas is of one network with routers inside; of this composed model's "
                     "experts artel eval --usage tells which text they answer",
                     m->path);
    if (s == AT_OK && o->split) s = at_split_find(c, o->split, &split);
    if (s == AT_OK) s = at_lm_finite(c, m);
    if (s == AT_OK) s = at_dataset_open_checked(c, data, &d);
    if (s == AT_OK)
        s = at_lm_check_data(c, m->path, m->hash, m->vocab, data, d->tokenizer_hash, d->vocab);
    if (s == AT_OK)
        s = at_atlas_read(cp, m->expert[0].model, d, split, o->context, o->windows, &atlas);
    const int64_t tokens = o->tokens ? o->tokens : 8;
    if (s == AT_OK && o->page)
        s = at_atlas_page_write(c,
                                &(at_atlas_page){.atlas = &atlas,
                                                 .model = m->path,
                                                 .split = at_split_name[split],
                                                 .tokenizer = m->tokenizer,
                                                 .tokens = tokens},
                                o->page);
    telling t = {a, m, &atlas, tokens, emit, user};
    for (int64_t i = 0; i < atlas.n && s == AT_OK; i++) s = tell_router(&t, &atlas.router[i]);
    if (s == AT_OK) s = tell_reading(&t, o->page);
    at_atlas_close(&atlas);
    at_dataset_close(d);
    return s;
}

artel_status artel_atlas(artel *a, const char *model, const char *data,
                         const artel_atlas_options *o, artel_emit emit, void *user) {
    at_lm *m = NULL;
    at_status s = at_lm_load(&a->ctx, model, &m);
    if (s == AT_OK) s = draw_atlas(a, m, data, o, emit, user);
    at_lm_close(m);
    return at_answer(a, s);
}
