/*
 * batch.c - windows drawn without replacement, without any state.
 *
 * An epoch of a domain is a permutation of its W windows; epoch, place in it and window are
 * computed from the number of the draw.  Each epoch shifts all windows by an offset of its own, so
 * that over the epochs every token is seen at every place of a window.
 */
#include "data/batch.h"
#include "base/ints.h"
#include "base/rng.h"
#include <string.h>

enum { SAMPLER_DOMAINS = (int)(sizeof((at_sampler *)0)->domain / sizeof(int)) };

/* One fewer than would fit, so that all can be shifted by the offset of the epoch; aligned: all. */
static int64_t windows(const at_shard *s, int64_t length, bool aligned) {
    const int64_t fit = (s->n_tokens - 1) / length;
    return fit > 1 && !aligned ? fit - 1 : fit;
}

/* Fills the turns of a round from the shares; no shares: one each. */
static void deal(at_sampler *s) {
    int credit[SAMPLER_DOMAINS] = {0}, had[SAMPLER_DOMAINS] = {0};
    s->n_turns = 0;
    for (int i = 0; i < s->n_domains; i++) {
        if (!s->share[i]) s->share[i] = 1;
        s->n_turns += s->share[i];
    }
    for (int t = 0; t < s->n_turns; t++) {
        int who = 0;
        for (int i = 0; i < s->n_domains; i++) {
            credit[i] += s->share[i];
            if (credit[i] > credit[who]) who = i;
        }
        credit[who] -= s->n_turns;
        s->turn[t] = (uint8_t)who;
        s->before[t] = (uint16_t)had[who]++;
    }
}

at_status at_sampler_init(at_ctx *c, at_sampler *s, const at_dataset *d, char *const *domains,
                          int64_t n, uint64_t seed, int64_t batch, int64_t context) {
    *s = (at_sampler){.data = d, .seed = seed, .batch = batch, .context = context};
    if (batch < 1 || context < 1)
        return at_error(c, AT_ARG,
                        "expected a batch and a context of at least 1, found %lld and %lld",
                        (long long)batch, (long long)context);
    const int64_t count = n ? n : d->n_domains;
    if (count < 1 || count > SAMPLER_DOMAINS)
        return at_error(c, AT_ARG, "%s: expected 1 to %d domains, found %lld", d->path,
                        SAMPLER_DOMAINS, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        const int k = n ? at_dataset_domain(d, domains[i]) : (int)i;
        if (k < 0)
            return at_error(c, AT_CONFIG, "%s: no domain \"%s\" in this data set", d->path,
                            domains[i]);
        const int64_t tokens = d->domain[k].shard[AT_TRAIN].n_tokens;
        if (tokens <= context)
            return at_error(c, AT_CONFIG,
                            "%s: domain \"%s\": expected more than %lld training tokens (the "
                            "context), found %lld",
                            d->path, d->domain[k].name, (long long)context, (long long)tokens);
        s->domain[s->n_domains++] = k;
    }
    deal(s);
    return AT_OK;
}

static int64_t common_factor(int64_t a, int64_t b) { return b ? common_factor(b, a % b) : a; }

at_status at_sampler_weigh(at_ctx *c, at_sampler *s, const int64_t *weight, int64_t n) {
    int64_t factor = 0, sum = 0;
    if (n != s->n_domains)
        return at_error(c, AT_CONFIG, "data.weights: expected %d, one for each domain, found %lld",
                        s->n_domains, (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (weight[i] < 1)
            return at_error(c, AT_CONFIG,
                            "data.weights: expected whole numbers of at least 1, found %lld; leave "
                            "a domain out of data.domains instead",
                            (long long)weight[i]);
        factor = common_factor(weight[i], factor);
    }
    for (int64_t i = 0; i < n && sum <= AT_SAMPLER_TURNS; i++)
        sum += at_min(weight[i] / factor, AT_SAMPLER_TURNS + 1);
    if (sum > AT_SAMPLER_TURNS)
        return at_error(c, AT_CONFIG,
                        "data.weights: divided by their common factor, %lld, they add up to more "
                        "than %d; choose rounder ones",
                        (long long)factor, AT_SAMPLER_TURNS);
    for (int64_t i = 0; i < n; i++) s->share[i] = (int)(weight[i] / factor);
    deal(s);
    return AT_OK;
}

/* The draw depends on the domain's name, not on which other domains are in use. */
static int64_t window_start(const at_sampler *s, const at_domain *d, uint64_t draw,
                            int64_t length) {
    const at_shard *shard = &d->shard[AT_TRAIN];
    const int64_t n = windows(shard, length, s->aligned);
    const uint64_t epoch = draw / (uint64_t)n, place = draw % (uint64_t)n;
    const uint64_t stream = at_hash_path(d->name) + AT_STREAM_BATCH;
    const uint64_t key = at_rand64(s->seed, stream, epoch);
    const int64_t slack = s->aligned ? 0 : shard->n_tokens - 1 - n * length;
    const int64_t offset = (int64_t)at_rand_below((uint64_t)slack + 1, key, stream, UINT64_MAX);
    return offset + length * (int64_t)at_rand_permute(place, (uint64_t)n, key, stream);
}

/* ---- consecutive windows ---- */

/* Where a lane is in its stretch.  Lanes start at different places of their first stretch, so that
   few begin a new one at the same step. */
typedef struct {
    uint64_t sequence; /* number of the stretch's draw */
    int64_t place, walked;
} walker;

static walker walker_at(const at_sampler *s, int64_t index, int64_t b) {
    const int64_t micro = s->lanes / s->batch, step = index / micro;
    const int64_t lane = index % micro * s->batch + b, at = step + lane * s->stretch / s->lanes;
    walker w = {.place = at % s->stretch};
    w.sequence = (uint64_t)(at / s->stretch) * (uint64_t)s->lanes + (uint64_t)lane;
    w.walked = w.place < step ? w.place : step; /* the first stretch is entered in the middle */
    return w;
}

at_status at_sampler_consecutive(at_ctx *c, at_sampler *s, int64_t accumulate, int64_t stretch) {
    for (int i = 0; i < s->n_domains; i++) {
        const at_domain *d = &s->data->domain[s->domain[i]];
        const int64_t tokens = d->shard[AT_TRAIN].n_tokens, fit = (tokens - 1) / s->context;
        if (fit < 2)
            return at_error(c, AT_CONFIG,
                            "%s: domain \"%s\": expected more than %lld training tokens to read on "
                            "in (2 blocks of the context), found %lld",
                            s->data->path, d->name, (long long)(2 * s->context), (long long)tokens);
        if (fit < stretch) stretch = fit;
    }
    s->lanes = s->batch * accumulate;
    s->stretch = stretch < 2 ? 2 : stretch;
    return AT_OK;
}

int64_t at_sampler_windows_before(const at_sampler *s, int64_t index, int64_t b) {
    return s->lanes ? walker_at(s, index, b).walked : 0;
}

/* ---- turns ---- */

void at_sampler_turns(at_sampler *s, int64_t accumulate) { s->step = accumulate; }

int at_sampler_turn(const at_sampler *s, int64_t index) {
    return s->step ? s->turn[index / s->step % s->n_turns] : -1;
}

/* Which of the sampler's domains has turn `at`, and how many it had before. */
static int whose(const at_sampler *s, uint64_t at, uint64_t *before) {
    const uint64_t turn = at % (uint64_t)s->n_turns, rounds = at / (uint64_t)s->n_turns;
    const int who = s->turn[turn];
    *before = rounds * (uint64_t)s->share[who] + s->before[turn];
    return who;
}

int64_t at_sampler_steps_before(const at_sampler *s, int64_t step) {
    uint64_t before = (uint64_t)step;
    if (s->step) (void)whose(s, (uint64_t)step, &before);
    return (int64_t)before;
}

/* The domain of sequence b, and the number of its draw there. */
static int domain_of(const at_sampler *s, int64_t index, int64_t b, const walker *w,
                     uint64_t *draw) {
    if (!s->step) return whose(s, w->sequence, draw);
    const int who = whose(s, (uint64_t)(index / s->step), draw);
    *draw = *draw * (uint64_t)s->step + (uint64_t)(index % s->step);
    *draw = *draw * (uint64_t)s->batch + (uint64_t)b;
    return who;
}

/* ---- batches ---- */

/* Domain, by the data set's index, and first token of sequence b. */
static int64_t place_of(const at_sampler *s, int64_t index, int64_t b, int *domain) {
    const int64_t t = s->context, length = s->lanes ? s->stretch * t : t;
    walker w = {.sequence = (uint64_t)index * (uint64_t)s->batch + (uint64_t)b};
    if (s->lanes) w = walker_at(s, index, b);
    uint64_t draw;
    const int who = domain_of(s, index, b, &w, &draw);
    *domain = s->domain[who];
    return window_start(s, &s->data->domain[*domain], draw, length) + w.place * t;
}

void at_sampler_places(const at_sampler *s, int64_t index, int32_t *domain, int64_t *start) {
    for (int64_t b = 0; b < s->batch; b++) {
        int d;
        start[b] = place_of(s, index, b, &d);
        domain[b] = d;
    }
}

void at_sampler_batch(const at_sampler *s, int64_t index, int32_t *input, int32_t *target) {
    const int64_t t = s->context;
    for (int64_t b = 0; b < s->batch; b++) {
        int d;
        const int64_t start = place_of(s, index, b, &d);
        const at_shard *shard = &s->data->domain[d].shard[AT_TRAIN];
        at_shard_read(shard, start, t, input + b * t);
        at_shard_read(shard, start + 1, t, target + b * t);
    }
}

static int64_t eval_total(const at_shard *s, int64_t context) {
    return s->n_tokens < 2 ? 0 : (s->n_tokens - 2) / context + 1;
}

int64_t at_eval_windows(const at_shard *s, int64_t context, int64_t limit) {
    const int64_t total = eval_total(s, context);
    return limit > 0 && limit < total ? limit : total;
}

void at_eval_window(const at_shard *s, int64_t context, int64_t limit, int64_t i, int64_t *start,
                    int64_t *n) {
    const int64_t total = eval_total(s, context), count = at_eval_windows(s, context, limit);
    /* i * total / count without the overflow of the product. */
    const int64_t window = count ? i * (total / count) + i * (total % count) / count : 0;
    *start = window * context;
    *n = s->n_tokens - *start < context + 1 ? s->n_tokens - *start : context + 1;
}
