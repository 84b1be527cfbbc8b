/* settle.c - see settle.h. */
#include "data/settle.h"
#include <stdio.h>
#include <stdlib.h>

int64_t at_sizes_units(const at_sizes *s, at_unit unit) {
    switch (unit) {
    case AT_UNIT_TOKENS: return s->tokens;
    case AT_UNIT_BYTES: return s->bytes;
    case AT_UNIT_CHARS: return s->chars;
    case AT_UNIT_WORDS: return s->words;
    case AT_UNIT_DOCS:
    case AT_UNITS: break;
    }
    return s->docs;
}

at_sizes at_build_cut(const at_builder *k, const at_staged *d, int32_t *id) {
    at_sizes n = {d->tokens, d->bytes - d->pair, d->chars - d->pair, d->tokens > 0, d->words};
    if (d->take == INT64_MAX) return n;
    if (d->pair) /* whole, or not at all */
        return at_sizes_units(&n, k->balance.unit) <= d->take ? n : (at_sizes){0};
    const int64_t ending = k->eot >= 0;
    n = (at_sizes){0};
    bool inside = false; /* of a word */
    while (n.tokens < d->tokens - ending) {
        size_t bytes = 0;
        const int32_t before = n.tokens ? id[n.tokens - 1] : -1;
        const char *text = at_tokenizer_after(k->tokenizer, before, id[n.tokens], &bytes);
        at_sizes more = {n.tokens + 1, n.bytes + (int64_t)bytes, n.chars, 1, n.words};
        if (text) more.chars += at_utf8_count(text, bytes);
        bool within = inside;
        for (size_t i = 0; text && i < bytes; i++) {
            const bool letter = at_utf8_words(text + i, 1) > 0;
            more.words += letter && !within;
            within = letter;
        }
        const bool tokens = k->balance.unit == AT_UNIT_TOKENS;
        if (at_sizes_units(&more, k->balance.unit) + (tokens ? ending : 0) > d->take) break;
        n = more;
        inside = within;
    }
    if (n.tokens > 0 && ending) id[n.tokens++] = k->eot;
    return n;
}

/* What would be written of one document. */
static at_status measure(at_ctx *c, at_builder *k, at_stage *s, const at_staged *d, at_ids *room,
                         at_sizes *out) {
    *out = (at_sizes){0};
    if (d->take == 0) return AT_OK;
    if (d->take == INT64_MAX) {
        *out = at_build_cut(k, d, NULL);
        return AT_OK;
    }
    if (!at_reserve(c, &room->id, &room->cap, d->tokens, sizeof *room->id)) return c->status;
    const at_status status = at_stage_ids(c, s, d, room->id);
    if (!status) *out = at_build_cut(k, d, room->id);
    return status;
}

/* The documents of one split of one domain, in order, and what is taken of them. */
typedef struct part {
    at_stage *stage;
    int64_t *order;
    int64_t n;
    int64_t total;
    double weight;
} part;

static at_status part_open(at_ctx *c, at_builder *k, int domain, at_split split, at_ids *room,
                           part *p) {
    *p = (part){.stage = &k->stage[domain], .weight = at_balance_weight(&k->balance, domain)};
    p->order = at_balance_order(c, p->stage, split, &p->n);
    at_status s = p->order ? AT_OK : c->status;
    for (int64_t i = 0; !s && i < p->n; i++) {
        at_sizes z;
        s = measure(c, k, p->stage, &p->stage->doc[p->order[i]], room, &z);
        if (!s) p->total += at_sizes_units(&z, k->balance.unit);
    }
    return s;
}

/* Pairs go whole: the one whose size is nearest to the excess, the last of several. */
static at_status drop_pair(at_ctx *c, at_builder *k, part *p, int64_t excess, at_ids *room) {
    at_staged *nearest = NULL;
    int64_t units_of_it = 0;
    for (int64_t i = p->n; i-- > 0;) {
        at_staged *d = &p->stage->doc[p->order[i]];
        at_sizes z;
        const at_status s = measure(c, k, p->stage, d, room, &z);
        if (s) return s;
        const int64_t units = at_sizes_units(&z, k->balance.unit);
        if (units <= 0 || (nearest && llabs(units - excess) >= llabs(units_of_it - excess)))
            continue;
        nearest = d;
        units_of_it = units;
    }
    if (nearest) nearest->take = 0;
    p->total -= units_of_it;
    return AT_OK;
}

static double relative(const part *p) { return (double)p->total / p->weight; }

/* Takes `excess` units off: from the last document that has some left then, else the last one
   goes. */
enum { FEW = 16 };
static at_status shorten(at_ctx *c, at_builder *k, part *p, int64_t excess, at_ids *room) {
    const at_unit unit = k->balance.unit;
    at_staged *last = NULL, *chosen = NULL;
    int64_t last_units = 0, before = 0;
    for (int64_t i = p->n; i-- > 0 && !chosen;) {
        at_staged *d = &p->stage->doc[p->order[i]];
        at_sizes z;
        const at_status s = measure(c, k, p->stage, d, room, &z);
        if (s) return s;
        const int64_t units = at_sizes_units(&z, unit);
        if (units > 0 && !last) {
            last = d;
            last_units = units;
        }
        if (units > excess + FEW && unit != AT_UNIT_DOCS) {
            chosen = d;
            before = units;
        }
    }
    if (!chosen && last && last_units > excess && unit != AT_UNIT_DOCS) {
        chosen = last;
        before = last_units;
    }
    if (!chosen) { /* no document is that long */
        if (!last) return AT_OK;
        last->take = 0;
        p->total -= last_units;
        return AT_OK;
    }
    at_sizes after;
    chosen->take = before - excess;
    const at_status s = measure(c, k, p->stage, chosen, room, &after);
    if (at_sizes_units(&after, unit) == 0) chosen->take = 0;
    p->total += at_sizes_units(&after, unit) - before;
    return s;
}

static at_status cannot(at_ctx *c, const at_builder *k, int split, const part *lo, const part *hi) {
    const at_balance *b = &k->balance;
    return at_error(c, AT_FORMAT,
                    "the %s split cannot be balanced within %g %%: domain \"%s\" is down to %lld "
                    "%s, domain \"%s\" to %lld, and a document or token less is too much; expected "
                    "more text, a larger max-diff%s or another unit",
                    at_split_name[split], b->max_diff, lo->stage->name, (long long)lo->total,
                    at_unit_name(b->unit), hi->stage->name, (long long)hi->total,
                    b->weight ? ", other shares" : "");
}

/* Cuts the largest domain down to the smallest until they are near enough.  Each turn takes
   something away; most are done in a few, and those whose pieces are too coarse run out of text. */
static at_status settle(at_ctx *c, at_builder *k, int split, part *p, at_ids *room) {
    const double ratio = 1 + k->balance.max_diff / 100;
    int64_t first = 0; /* size of the smallest before anything was cut */
    for (;;) {
        int lo = 0, hi = 0;
        for (int i = 1; i < k->n_domains; i++) {
            if (relative(&p[i]) < relative(&p[lo])) lo = i;
            if (relative(&p[i]) > relative(&p[hi])) hi = i;
        }
        if (relative(&p[hi]) <= relative(&p[lo]) * ratio * (1 + 1e-12)) return AT_OK;
        if (!first) first = p[lo].total;
        if (2 * p[lo].total <= first) return cannot(c, k, split, &p[lo], &p[hi]);
        const double least = relative(&p[lo]) * p[hi].weight;
        int64_t excess = p[hi].total - (int64_t)least;
        if (excess > 1 && k->balance.unit == AT_UNIT_DOCS) excess = 1;
        const at_status s = p[hi].stage->pairs ? drop_pair(c, k, &p[hi], excess, room)
                                               : shorten(c, k, &p[hi], excess, room);
        if (s) return s;
    }
}

at_status at_build_settle(at_ctx *c, at_builder *k) {
    if (!k->balance.equal || k->n_domains < 2) return AT_OK;
    at_ids room = {0};
    at_status s = AT_OK;
    for (int split = 0; !s && split < AT_SPLITS; split++) {
        part *p = at_calloc(c, (size_t)k->n_domains, sizeof *p);
        s = p ? AT_OK : c->status;
        for (int i = 0; !s && i < k->n_domains; i++)
            s = part_open(c, k, i, (at_split)split, &room, &p[i]);
        if (!s) s = settle(c, k, split, p, &room);
        for (int i = 0; p && i < k->n_domains; i++) at_free(p[i].order);
        at_free(p);
    }
    at_ids_free(&room);
    return s;
}
