/* router_data.c - windows of a data set: drawn at random for training, evenly spaced for
   measuring. */
#include "base/rng.h"
#include "route/router.h"
#include <stdio.h>
#include <string.h>

/* One window in so many begins at the start of a document, as prompts do. */
enum { AT_DOCUMENT_START = 4 };

typedef struct draw {
    int32_t *id, *label;
    int64_t *start;
    int64_t n, id_cap, label_cap, start_cap;
} draw;

static at_status check_options(at_ctx *c, const at_router_options *o) {
    if (o->windows < 1)
        return at_error(c, AT_ARG, "router: %lld windows a class and length, at least 1",
                        (long long)o->windows);
    if (o->n_lengths < 1 || o->n_lengths > AT_ROUTER_LENGTHS_MAX)
        return at_error(c, AT_ARG, "router: %d training lengths, 1 to %d", o->n_lengths,
                        AT_ROUTER_LENGTHS_MAX);
    for (int i = 0; i < o->n_lengths; i++)
        if (o->length[i] < 1 || o->length[i] > 1 << 20)
            return at_error(c, AT_ARG, "router: a training length of %lld tokens",
                            (long long)o->length[i]);
    return AT_OK;
}

/* The number of windows of each class.  At most twice what covers the smallest domain, so that a
   small data set is not read many times over. */
static int64_t windows(const at_dataset *d, const at_router_options *o, int64_t length) {
    int64_t least = INT64_MAX;
    for (int k = 0; k < d->n_domains; k++)
        if (d->domain[k].shard[AT_TRAIN].n_tokens < least)
            least = d->domain[k].shard[AT_TRAIN].n_tokens;
    const int64_t cover = 2 * (least / length) + 32;
    return cover < o->windows ? cover : o->windows;
}

static at_status draw_class(at_ctx *c, const at_dataset *d, int k, const at_router_options *o,
                            draw *w) {
    const at_shard *shard = &d->domain[k].shard[AT_TRAIN];
    for (int l = 0; l < o->n_lengths; l++) {
        const int64_t length = o->length[l] < shard->n_tokens ? o->length[l] : shard->n_tokens;
        const uint64_t room = (uint64_t)(shard->n_tokens - length);
        const int64_t count = windows(d, o, o->length[l]);
        char purpose[256];
        (void)snprintf(purpose, sizeof purpose, "router/%lld/%.200s", (long long)o->length[l],
                       d->domain[k].name);
        const uint64_t stream = at_hash_path(purpose);
        const int64_t used = w->start[w->n];
        if (!at_reserve(c, &w->id, &w->id_cap, used + count * length, sizeof *w->id) ||
            !at_reserve(c, &w->label, &w->label_cap, w->n + count, sizeof *w->label) ||
            !at_reserve(c, &w->start, &w->start_cap, w->n + count + 1, sizeof *w->start))
            return AT_OOM;
        for (int64_t i = 0; i < count; i++) {
            const uint64_t index = 2 * (uint64_t)i;
            uint64_t begin = at_rand_below(room + 1, o->seed, stream, index);
            if (i % AT_DOCUMENT_START == 0 && shard->n_docs > 0)
                begin =
                    shard
                        ->start[at_rand_below((uint64_t)shard->n_docs, o->seed, stream, index + 1)];
            if (begin > room) begin = room;
            at_shard_read(shard, (int64_t)begin, length, w->id + w->start[w->n]);
            w->label[w->n] = (int32_t)k;
            w->start[w->n + 1] = w->start[w->n] + length;
            w->n++;
        }
    }
    return AT_OK;
}

at_status at_router_windows_draw(at_ctx *c, const at_dataset *d, const int32_t *drop, int n_drop,
                                 const at_router_options *o, at_router_windows *out) {
    *out = (at_router_windows){0};
    at_status s = check_options(c, o);
    for (int k = 0; !s && k < d->n_domains; k++)
        if (d->domain[k].shard[AT_TRAIN].n_tokens < 1)
            s = at_error(c, AT_FORMAT, "%s: domain \"%s\" has no training token", d->path,
                         d->domain[k].name);
    if (s) return s;
    if (d->n_domains < 2)
        return at_error(c, AT_FORMAT, "%s: %d domain, a router needs at least two to choose from",
                        d->path, d->n_domains);
    draw w = {0};
    out->name = at_malloc(c, (size_t)d->n_domains * sizeof *out->name);
    if (!out->name || !at_reserve(c, &w.start, &w.start_cap, 1, sizeof *w.start)) s = AT_OOM;
    if (!s) w.start[0] = 0;
    for (int k = 0; !s && k < d->n_domains; k++) {
        out->name[k] = d->domain[k].name;
        s = draw_class(c, d, k, o, &w);
    }
    out->id = w.id;
    out->label = w.label;
    out->start = w.start;
    out->set = (at_router_set){.n_classes = d->n_domains,
                               .name = out->name,
                               .vocab = d->vocab,
                               .n = w.n,
                               .start = w.start,
                               .id = w.id,
                               .label = w.label,
                               .tokenizer_hash = d->tokenizer_hash,
                               .drop = drop,
                               .n_drop = n_drop};
    if (s) at_router_windows_free(out);
    return s;
}

void at_router_windows_free(at_router_windows *w) {
    at_free(w->name);
    at_free(w->id);
    at_free(w->label);
    at_free(w->start);
    *w = (at_router_windows){0};
}

at_status at_router_train(at_ctx *c, const at_dataset *d, const int32_t *drop, int n_drop,
                          const at_router_options *o, at_router **out) {
    *out = NULL;
    at_router_windows w;
    at_status s = at_router_windows_draw(c, d, drop, n_drop, o, &w);
    if (s) return s;
    s = at_router_fit(c, &w.set, o, out);
    if (s == AT_ARG) s = at_error_in(c, d->path);
    at_router_windows_free(&w);
    return s;
}

/* ---- measuring ---- */

typedef void window_seen(void *user, int truth, int predicted, double *p);

/* Windows of one domain, evenly spread; p [n_classes] and id [length] are scratch. */
static at_status see_domain(at_ctx *c, const at_router *r, const at_domain *dom, at_split split,
                            int64_t length, int64_t limit, int32_t *id, double *p,
                            window_seen *seen, void *user) {
    const at_shard *shard = &dom->shard[split];
    const int truth = at_router_class(r, dom->name);
    int64_t all = shard->n_tokens / length;
    if (!all && shard->n_tokens) all = 1;
    const int64_t use = limit > 0 && limit < all ? limit : all;
    for (int64_t i = 0; i < use; i++) {
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "router: interrupted");
        const int64_t begin = (int64_t)((double)i / (double)use * (double)all) * length;
        const int64_t n = shard->n_tokens - begin < length ? shard->n_tokens - begin : length;
        at_shard_read(shard, begin, n, id);
        int predicted = 0;
        const at_status s = at_router_predict(c, r, id, n, p, &predicted, NULL);
        if (s) return at_error_in(c, dom->name);
        seen(user, truth, predicted, p);
    }
    return AT_OK;
}

/* Windows of all domains. */
static at_status see_windows(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                             int64_t length, int64_t limit, window_seen *seen, void *user) {
    int32_t *id = at_malloc(c, (size_t)length * sizeof *id);
    double *p = at_malloc(c, (size_t)r->n_classes * sizeof *p);
    at_status s = id && p ? AT_OK : AT_OOM;
    for (int k = 0; !s && k < d->n_domains; k++)
        s = see_domain(c, r, &d->domain[k], split, length, limit, id, p, seen, user);
    at_free(p);
    at_free(id);
    return s;
}

/* Names what there is instead, as far as a sentence goes. */
static at_status unknown_domain(at_ctx *c, const at_router *r, const char *path, const char *name) {
    char list[200] = "";
    size_t used = 0;
    for (int k = 0; k < r->n_classes && used < sizeof list - 1; k++)
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", r->name[k]);
    return at_error(c, AT_MISMATCH,
                    "%s: the router does not know the domain \"%s\", its classes are %s", path,
                    name, list);
}

static at_status check_data(at_ctx *c, const at_router *r, const at_dataset *d) {
    at_status s = at_router_check(c, r, d->path, d->tokenizer_hash);
    for (int k = 0; !s && k < d->n_domains; k++)
        if (at_router_class(r, d->domain[k].name) < 0)
            s = unknown_domain(c, r, d->path, d->domain[k].name);
    return s;
}

typedef struct scoring {
    const at_router *r;
    at_router_score *score;
    double abstain;
} scoring;

static void score_window(void *user, int truth, int predicted, double *p) {
    const scoring *x = user;
    at_router_bins_add(&x->score->raw, p[predicted], truth == predicted);
    at_router_temper(x->r, p);
    at_router_bins_add(&x->score->tempered, p[predicted], truth == predicted);
    at_router_risk_add(x->score, p[predicted], truth == predicted);
    if (p[predicted] >= x->abstain)
        at_router_score_add(x->score, truth, predicted);
    else
        x->score->declined++;
}

at_status at_router_eval(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                         int64_t length, int64_t limit, at_router_score *score) {
    return at_router_eval_sure(c, r, d, split, length, limit, 0, score);
}

at_status at_router_eval_sure(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                              int64_t length, int64_t limit, double abstain,
                              at_router_score *score) {
    *score = (at_router_score){0};
    if (length < 1 || length > 1 << 20)
        return at_error(c, AT_ARG, "router: sequences of %lld tokens", (long long)length);
    at_status s = check_data(c, r, d);
    if (!s) s = at_router_score_init(c, score, r->n_classes);
    if (s) return s;
    scoring x = {r, score, abstain};
    s = see_windows(c, r, d, split, length, limit, score_window, &x);
    if (!s && !score->total && !score->declined)
        s = at_error(c, AT_FORMAT, "%s: the %s split is empty", d->path, at_split_name[split]);
    if (!s) at_router_score_finish(score);
    if (s) at_router_score_free(score);
    return s;
}

/* ---- the temperature ---- */

/* Windows a domain and length, and numbers kept of all of them. */
enum { CALIBRATION_WINDOWS = 500, CALIBRATION_NUMBERS = 1 << 22 };

typedef struct sample {
    double *p;      /* [n, n_classes] */
    int32_t *label; /* [n]            */
    int64_t n;
    int n_classes;
} sample;

static void keep_window(void *user, int truth, int predicted, double *p) {
    sample *x = user;
    (void)predicted;
    memcpy(x->p + x->n * x->n_classes, p, (size_t)x->n_classes * sizeof *p);
    x->label[x->n++] = (int32_t)truth;
}

at_status at_router_calibrate(at_ctx *c, at_router *r, const at_dataset *d, at_split split) {
    const at_router_options *o = &r->trained;
    at_status s = check_data(c, r, d);
    if (s) return s;
    const int64_t groups = (int64_t)o->n_lengths * d->n_domains;
    int64_t each = CALIBRATION_NUMBERS / (groups * r->n_classes + 1);
    if (each > CALIBRATION_WINDOWS) each = CALIBRATION_WINDOWS;
    if (each < 1) each = 1;
    sample x = {.n_classes = r->n_classes};
    x.p = at_malloc(c, (size_t)(groups * each * r->n_classes) * sizeof *x.p);
    x.label = at_malloc(c, (size_t)(groups * each) * sizeof *x.label);
    if (!x.p || !x.label) s = AT_OOM;
    for (int l = 0; !s && l < o->n_lengths; l++)
        s = see_windows(c, r, d, split, o->length[l], each, keep_window, &x);
    if (!s && x.n) r->temperature = at_router_temperature(x.p, x.label, x.n, r->n_classes);
    at_free(x.p);
    at_free(x.label);
    return s;
}
