/* prune_choice.c - see prune_choice.h. */
#include "infer/prune_choice.h"
#include <math.h>
#include <stdlib.h>

typedef struct {
    double rank, raw, use;
    int64_t bank, slot;
} candidate;

static bool is_open(const at_bank *b, int64_t i) { return !b->use || b->use[i] == AT_SLOT_OPEN; }

static int64_t open_of(const at_bank *b) {
    int64_t n = 0;
    for (int64_t i = 0; i < b->n; i++) n += is_open(b, i);
    return n;
}

int64_t at_prune_open(const at_banks *banks) {
    int64_t n = 0;
    for (int64_t b = 0; b < banks->n; b++) n += banks->bank[b].row ? open_of(&banks->bank[b]) : 0;
    return n;
}

int64_t at_prune_most(const at_banks *banks) {
    int64_t n = at_prune_open(banks);
    for (int64_t b = 0; b < banks->n; b++) n -= banks->bank[b].row ? banks->bank[b].k : 0;
    return n;
}

void at_prune_choice_close(at_prune_choice *p) {
    for (int64_t b = 0; p->gone && b < p->of->n; b++) at_free(p->gone[b]);
    at_free(p->gone);
    *p = (at_prune_choice){0};
}

static at_status open(at_ctx *c, const at_banks *banks, at_prune_choice *out) {
    *out = (at_prune_choice){.of = banks, .slots = at_prune_open(banks)};
    if (!(out->gone = at_calloc(c, (size_t)banks->n, sizeof *out->gone))) return AT_OOM;
    for (int64_t b = 0; b < banks->n; b++) {
        out->gone[b] = at_calloc(c, (size_t)banks->bank[b].n, sizeof **out->gone);
        if (!out->gone[b]) return AT_OOM;
    }
    return AT_OK;
}

static int lowest_first(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->rank < y->rank || x->rank > y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->bank != y->bank) return x->bank < y->bank ? -1 : 1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/* All open slots of banks with a router, in the order in which they go. */
static candidate *candidates(at_ctx *c, const at_slot_scores *s, at_prune_score by, int64_t slots) {
    candidate *list = at_calloc(c, (size_t)slots + 1, sizeof *list);
    int64_t n = 0;
    for (int64_t b = 0; list && b < s->of->n; b++) {
        const at_bank *bank = &s->of->bank[b];
        const double *x = s->value[by][b];
        double sum = 0;
        for (int64_t e = 0; e < bank->n; e++) sum += is_open(bank, e) ? x[e] : 0;
        const bool relative = by != AT_PRUNE_LOSS && by != AT_PRUNE_RANDOM && sum > 0;
        const double mean = relative ? sum / (double)open_of(bank) : 1;
        for (int64_t e = 0; e < bank->n; e++)
            if (bank->row && is_open(bank, e))
                list[n++] = (candidate){x[e] / mean, x[e], s->value[AT_PRUNE_USE][b][e], b, e};
    }
    if (list) qsort(list, (size_t)n, sizeof *list, lowest_first);
    return list;
}

static int64_t left(const at_prune_choice *p, int64_t b) {
    int64_t n = open_of(&p->of->bank[b]);
    for (int64_t e = 0; e < p->of->bank[b].n; e++) n -= p->gone[b][e];
    return n;
}

static at_status cannot(at_ctx *c, const at_banks *banks, at_prune_limit limit, double value) {
    for (int64_t b = 0; limit == AT_PRUNE_EXPERTS && b < banks->n; b++)
        if (banks->bank[b].row && value < (double)banks->bank[b].k)
            return at_error(
                c, AT_ARG,
                "%.0f experts of each layer cannot be kept: in the %s bank of layer %lld "
                "a token uses %lld",
                value, at_layer_kind_name[banks->bank[b].id.kind],
                (long long)banks->bank[b].id.layer, (long long)banks->bank[b].k);
    return AT_OK;
}

at_status at_prune_choose(at_ctx *c, const at_slot_scores *s, at_prune_score by,
                          at_prune_limit limit, double value,
                          double (*bytes)(void *user, const at_prune_choice *gone), void *user,
                          at_prune_choice *out) {
    at_status st = cannot(c, s->of, limit, value);
    if (st == AT_OK) st = open(c, s->of, out);
    candidate *list = st == AT_OK ? candidates(c, s, by, out->slots) : NULL;
    if (!list) return st == AT_OK ? AT_OOM : st;
    const int64_t most = at_prune_most(s->of);
    int64_t goal = most;
    if (limit == AT_PRUNE_SHARE) goal = out->slots - (int64_t)ceil(value * (double)out->slots);
    if (limit == AT_PRUNE_COUNT) goal = (int64_t)value;
    if (goal > most)
        st = at_error(c, AT_ARG,
                      "%lld of %lld experts cannot go: each layer keeps those that a token uses, "
                      "which leaves %lld at least",
                      (long long)goal, (long long)out->slots, (long long)(out->slots - most));
    double now = limit == AT_PRUNE_BUDGET && st == AT_OK ? bytes(user, out) : 0;
    for (int64_t i = 0; i < out->slots && st == AT_OK; i++) {
        const candidate *x = &list[i];
        const int64_t stay = left(out, x->bank);
        if (stay <= s->of->bank[x->bank].k) continue;
        if (limit == AT_PRUNE_UNUSED && x->use > 0) continue;
        if (limit == AT_PRUNE_THRESHOLD && !(x->raw < value)) continue;
        if (limit == AT_PRUNE_EXPERTS && (double)stay <= value) continue;
        if (limit == AT_PRUNE_BUDGET && now <= value) break;
        if (out->n >= goal) break;
        out->gone[x->bank][x->slot] = true;
        out->n++;
        if (limit == AT_PRUNE_BUDGET) now = bytes(user, out);
    }
    if (st == AT_OK && limit == AT_PRUNE_BUDGET && now > value)
        st = at_error(
            c, AT_ARG,
            "a budget of %.0f bytes cannot be met: with no more experts than a token uses the "
            "file has about %.0f",
            value, now);
    at_free(list);
    return st;
}
