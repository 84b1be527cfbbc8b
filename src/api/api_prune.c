/* api_prune.c - experts that some domains can do without. */
#include "api/api.h"
#include "api/prune_page.h"
#include <math.h>
#include <string.h>

/* "use,reap" -> a bit each. */
static at_status find_scores(at_ctx *c, const char *text, unsigned *out) {
    *out = 0;
    for (const char *s = text; *s;) {
        const size_t n = strcspn(s, ",");
        int k = 0;
        while (k < AT_PRUNE_SCORES &&
               (strlen(at_prune_score_name[k]) != n || strncmp(s, at_prune_score_name[k], n) != 0))
            k++;
        if (k == AT_PRUNE_SCORES)
            return at_error(c, AT_ARG, "score `%.*s`: expected use, reap, norm, loss or random",
                            (int)(n < 40 ? n : 40), s);
        *out |= 1U << k;
        s += n + (s[n] == ',');
    }
    return AT_OK;
}

static at_status find_limit(at_ctx *c, const artel_prune_options *o, at_prune_options *out) {
    const struct {
        double value;
        at_prune_limit limit;
    } given[] = {{o->threshold, AT_PRUNE_THRESHOLD},
                 {o->experts, AT_PRUNE_EXPERTS},
                 {o->share, AT_PRUNE_SHARE},
                 {o->budget, AT_PRUNE_BUDGET}};
    int n = 0;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!(given[i].value > 0)) continue;
        n++;
        out->limit = given[i].limit;
        out->value = given[i].value;
    }
    if (n > 1) return at_error(c, AT_ARG, "threshold, experts, share, budget: at most one of them");
    if (o->share > 1)
        return at_error(c, AT_ARG, "a share of %g: expected at most 1, which is all", o->share);
    return AT_OK;
}

/* promise: [n_require], to be filled. */
static at_status translate(at_ctx *c, const char *data, const artel_prune_options *o,
                           at_prune_promise *promise, at_prune_options *out) {
    *out = (at_prune_options){.data = data,
                              .keep = (char *const *)(uintptr_t)o->keep,
                              .n_keep = o->n_keep,
                              .most = o->max_loss_increase > 0 ? o->max_loss_increase : -1,
                              .way = {.renormalise = o->renormalise},
                              .promise = promise,
                              .n_promises = o->n_require,
                              .calibrate = AT_VALIDATION,
                              .measure = AT_TEST,
                              .context = o->context > 0 ? o->context : 256,
                              .windows = o->windows,
                              .documents = o->documents,
                              .seed = o->seed};
    at_status s = find_limit(c, o, out);
    for (int64_t i = 0; i < o->n_require && s == AT_OK; i++)
        s = at_prune_promise_read(c, o->require[i], &promise[i]);
    if (s == AT_OK && o->how && strcmp(o->how, "remove") != 0 && strcmp(o->how, "forbid") != 0)
        s = at_error(c, AT_ARG, "how `%.40s`: expected remove or forbid", o->how);
    if (s == AT_OK && o->calibrate) s = at_split_find(c, o->calibrate, &out->calibrate);
    if (s == AT_OK && o->split) s = at_split_find(c, o->split, &out->measure);
    out->way.forbid = o->how && !strcmp(o->how, "forbid");
    return s;
}

static at_status one_score(at_ctx *c, const char *text, at_prune_score *out) {
    unsigned bits = 0;
    const at_status s = find_scores(c, text ? text : "use", &bits);
    *out = AT_PRUNE_USE;
    while (bits && !(bits >> *out & 1)) (*out)++;
    if (s == AT_OK && bits != 1U << *out)
        return at_error(c, AT_ARG, "score `%.80s`: expected a single one", text);
    return s;
}

artel_status artel_prune(artel *a, const char *model, const char *data,
                         const artel_prune_options *o, const char *out, artel_emit emit,
                         void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_prune_options how;
    at_pruned p = {0};
    at_prune_promise *promise = at_calloc(c, (size_t)o->n_require + 1, sizeof *promise);
    at_status s = promise ? at_compute_of(a, &cp) : AT_OOM;
    if (s == AT_OK) s = translate(c, data, o, promise, &how);
    if (s == AT_OK) s = one_score(c, o->score, &how.score);
    if (s == AT_OK) s = at_prune(cp, model, &how, out, &p);
    if (s == AT_OK) {
        at_json j;
        at_json_open(&j, c);
        at_json_put_string(&j, "model", out);
        at_pruned_put(&j, &p);
        s = (at_status)at_emit(a, emit, user, &j);
    }
    at_pruned_close(&p);
    at_free(promise);
    return at_answer(a, s);
}

/* ---- the frontier ---- */

typedef struct {
    artel *a;
    at_pruned p;
    at_prune_point *point;
    int64_t n, cap;
    artel_emit emit;
    void *user;
    at_status failed;
} frontier;

static void see(void *user, const at_prune_point *q) {
    frontier *f = user;
    at_json j;
    if (f->failed != AT_OK) return;
    if (!at_reserve(&f->a->ctx, &f->point, &f->cap, f->n + 1, sizeof *f->point)) {
        f->failed = AT_OOM;
        return;
    }
    f->point[f->n++] = *q;
    at_json_open(&j, &f->a->ctx);
    at_json_put_string(&j, "score", at_prune_score_name[q->score]);
    at_json_put_number(&j, "share", q->share);
    at_json_put_number(&j, "experts", (double)q->slots);
    at_json_put_number(&j, "parameters", q->parameters);
    at_json_put_number(&j, "bytes", q->bytes);
    at_json_put_string(&j, "domain", f->p.domain[q->domain].name);
    at_json_put_bool(&j, "kept", f->p.domain[q->domain].kept);
    at_json_put_number(&j, "loss", q->loss);
    at_json_put_number(&j, "increase", q->increase.mean);
    at_json_put_number(&j, "increase_low", q->increase.lo);
    at_json_put_number(&j, "increase_high", q->increase.hi);
    f->failed = (at_status)at_emit(f->a, f->emit, f->user, &j);
}

artel_status artel_prune_frontier(artel *a, const char *model, const char *data,
                                  const artel_prune_options *o, const char *page, artel_emit emit,
                                  void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_prune_options how;
    frontier f = {.a = a, .emit = emit, .user = user};
    unsigned scores = 0;
    artel_prune_options plain = *o;
    plain.n_require = 0;
    at_status s = at_compute_of(a, &cp);
    if (s == AT_OK) s = translate(c, data, &plain, NULL, &how);
    if (s == AT_OK) s = find_scores(c, o->score ? o->score : "use,reap,norm,loss,random", &scores);
    if (s == AT_OK) s = at_prune_frontier(cp, model, &how, scores, see, &f, &f.p);
    if (s == AT_OK) s = f.failed;
    if (s == AT_OK && page) s = at_prune_page_write(c, &f.p, f.point, f.n, page);
    at_pruned_close(&f.p);
    at_free(f.point);
    return at_answer(a, s);
}
