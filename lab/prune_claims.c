/* prune_claims.c - the claims about pruning, made before there were results. */
#include "lab/lab_table.h"
#include "lab/prune_lab.h"
#include <stdio.h>

/* Mean over domains of what one of them has in the results of its run; NaN where it has not. */
static double mean_of(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                      double share, int64_t k, const char *what, bool more_than_whole) {
    double sum = 0;
    for (int d = 0; d < m->domains; d++) {
        char group[64], key[PRUNING_KEY], path[PRUNING_KEY + 8];
        pruning_group(m->l, kind, special ? d : -1, group);
        pruning_key(m->l, d, cut, share, what, key);
        (void)snprintf(path, sizeof path, "pruned.%s", key);
        sum += at_lab_number(m->l, group, k + 1, path) / m->domains;
        if (!more_than_whole) continue;
        pruning_key(m->l, d, PRUNING_WHOLE, 1, what, key);
        (void)snprintf(path, sizeof path, "pruned.%s", key);
        sum -= at_lab_number(m->l, group, k + 1, path) / m->domains;
    }
    return sum;
}

double pruning_loss(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                    double share, int64_t k) {
    return mean_of(m, kind, special, cut, share, k, "loss", false);
}

double pruning_lost(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                    double share, int64_t k) {
    return mean_of(m, kind, special, cut, share, k, "loss", true);
}

double pruning_size(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                    double share, int64_t k) {
    return mean_of(m, kind, special, cut, share, k, "parameters", false);
}

/* One side of a comparison; share 0: one domain's share of all. */
typedef struct {
    pruning_kind kind;
    bool special;
    pruning_cut cut;
    double share;
} side;

typedef struct {
    at_claim_text text;
    bool lost; /* not the loss is compared but how much more it is than the whole model's */
    side a, b;
} claim;

#define NATS "nats a token, mean over kept domains"
static const claim table[] = {
    {{"a", "half of the experts: REAP loses less than use", "-", NATS, 0, AT_BELOW, false},
     true,
     {PRUNING_INFORMATION, false, PRUNING_REAP, 0.5},
     {PRUNING_INFORMATION, false, PRUNING_USE, 0.5}},
    {{"a", "half of the experts: REAP loses less than chance", "-", NATS, 0, AT_BELOW, false},
     true,
     {PRUNING_INFORMATION, false, PRUNING_REAP, 0.5},
     {PRUNING_INFORMATION, false, PRUNING_RANDOM, 0.5}},
    {{"b", "a quarter of the experts: less is lost after fine-tuning on the domain", "-", NATS, 0,
      AT_BELOW, false},
     true,
     {PRUNING_INFORMATION, true, PRUNING_REAP, 0.25},
     {PRUNING_INFORMATION, false, PRUNING_REAP, 0.25}},
    {{"c", "a quarter of the experts: less is lost of a mixture trained in pools", "-", NATS, 0,
      AT_BELOW, false},
     true,
     {PRUNING_POOLS, false, PRUNING_REAP, 0.25},
     {PRUNING_INFORMATION, false, PRUNING_REAP, 0.25}},
    {{"c",
      "a domain's trunk is better than a quarter of the experts of a mixture, both as trained on "
      "all domains",
      "-", NATS, 0, AT_BELOW, false},
     false,
     {PRUNING_TRUNKS, false, PRUNING_OWN, 0},
     {PRUNING_INFORMATION, false, PRUNING_REAP, 0.25}},
    {{"d",
      "half of the size: a mixture without experts is better than a dense model without its "
      "smallest weights",
      "-", NATS, 0, AT_BELOW, false},
     false,
     {PRUNING_INFORMATION, false, PRUNING_REAP, 0.5},
     {PRUNING_DENSE, false, PRUNING_MAGNITUDE, 0.5}},
    {{"d", "a quarter, both fine-tuned on the domain: likewise", "-", NATS, 0, AT_BELOW, false},
     false,
     {PRUNING_INFORMATION, true, PRUNING_REAP, 0.25},
     {PRUNING_DENSE, true, PRUNING_MAGNITUDE, 0.25}},
};

static double number(const pruning *m, const side *x, bool lost, int64_t k) {
    const double share = x->share > 0 ? x->share : 1.0 / m->domains;
    return lost ? pruning_lost(m, x->kind, x->special, x->cut, share, k)
                : pruning_loss(m, x->kind, x->special, x->cut, share, k);
}

at_status pruning_claims(pruning *m) {
    at_status s = AT_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table && s == AT_OK; i++) {
        double x[PRUNING_SEEDS_MAX];
        for (int64_t k = 0; k < m->scale->seeds; k++)
            x[k] =
                number(m, &table[i].a, table[i].lost, k) - number(m, &table[i].b, table[i].lost, k);
        s = at_lab_claim_seeds(m->l, &table[i].text, x, m->scale->seeds);
    }
    return s == AT_OK ? at_lab_claims_decide(m->l) : s;
}
