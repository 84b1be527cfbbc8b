/* prune_show.c - the report of the lab of pruning. */
#include "lab/lab_page.h"
#include "lab/lab_table.h"
#include "lab/prune_lab.h"
#include <math.h>
#include <stdio.h>

static const char *const title[PRUNING_KINDS] = {
    [PRUNING_INFORMATION] = "mutual information",
    [PRUNING_POOLS] = "mutual information, in pools",
    [PRUNING_TRUNKS] = "labels: a trunk each",
    [PRUNING_DENSE] = "dense, smallest weights gone",
};

/* The shares of a kind that are cut, below 1; of trunks one alone. */
static double share_of(const pruning *m, pruning_kind kind, int i) {
    if (kind == PRUNING_TRUNKS) return i == 1 ? 1.0 / m->domains : 0;
    return at_prune_shares[i];
}

typedef double (*measured)(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                           double share, int64_t k);

static double over_seeds(const pruning *m, measured of, pruning_kind kind, bool special,
                         pruning_cut cut, double share, double x[PRUNING_SEEDS_MAX]) {
    for (int64_t k = 0; k < m->scale->seeds; k++) x[k] = of(m, kind, special, cut, share, k);
    return at_stat_mean(x, m->scale->seeds);
}

/* ---- the frontier: a line a kind, by REAP ---- */

static void line(pruning *m, pruning_kind kind, bool special) {
    double x[PRUNING_SEEDS_MAX];
    char name[AT_CELL];
    pruning_cut cut, end;
    pruning_cuts(kind, &cut, &end);
    if (cut == PRUNING_BY_SCORE) cut = PRUNING_REAP;
    (void)snprintf(name, sizeof name, "%s%s", title[kind], special ? ", fine-tuned" : "");
    at_page_points(m->l, name);
    for (int i = AT_PRUNE_SHARES - 1; i >= 0; i--) {
        const pruning_cut by = i ? cut : PRUNING_WHOLE;
        const double share = i ? share_of(m, kind, i) : 1;
        const double loss = over_seeds(m, pruning_loss, kind, special, by, share, x);
        const double size = over_seeds(m, pruning_size, kind, special, by, share, x);
        if (isfinite(loss) && isfinite(size)) at_page_point(m->l, 1e-3 * size, loss);
    }
}

static void frontier(pruning *m) {
    at_page_section(
        m->l, "Loss against size",
        "Test loss of the domain that is kept, mean over domains and seeds. Experts go by REAP; a "
        "trunk is a part by itself, so that keeping one costs its domain nothing; of the dense "
        "model weights that are zero do not count. Fine-tuned: before it is cut, on the domain "
        "that is kept.");
    at_page_chart(m->l, "What is left when one domain is kept", "parameters left (thousands)",
                  "loss of the kept domain, nats a token");
    for (int kind = 0; kind < PRUNING_KINDS; kind++)
        for (int special = 0; special <= pruning_special((pruning_kind)kind); special++)
            line(m, (pruning_kind)kind, special);
    at_page_log_x(m->l);
}

/* ---- every score ---- */

static void row(pruning *m, pruning_kind kind, bool special, pruning_cut cut, int i) {
    char loss[AT_CELL], lost[AT_CELL];
    double x[PRUNING_SEEDS_MAX];
    const double share = i ? share_of(m, kind, i) : 1;
    if (!isfinite(over_seeds(m, pruning_loss, kind, special, cut, share, x))) return;
    (void)at_page_spread(loss, x, m->scale->seeds, 4);
    (void)over_seeds(m, pruning_lost, kind, special, cut, share, x);
    (void)at_page_spread(lost, x, m->scale->seeds, 4);
    at_page_row(m->l, "%s|%s|%s|%.3g|%.1f|%s|%s", title[kind], special ? "yes" : "no",
                pruning_cut_name(cut), 100 * share,
                1e-3 * over_seeds(m, pruning_size, kind, special, cut, share, x), loss,
                i ? lost : "");
}

static void scores(pruning *m) {
    at_page_section(m->l, "Every score",
                    "Mean \xc2\xb1 standard deviation over seeds, of the mean over domains. Lost: "
                    "how much more the loss is than that of the same model whole.");
    at_page_table(m->l, NULL, "kind|fine-tuned|by|kept %|parameters (thousands)|loss|lost");
    for (int kind = 0; kind < PRUNING_KINDS; kind++)
        for (int special = 0; special <= pruning_special((pruning_kind)kind); special++) {
            pruning_cut cut, end;
            pruning_cuts((pruning_kind)kind, &cut, &end);
            row(m, (pruning_kind)kind, special, PRUNING_WHOLE, 0);
            for (; cut < end; cut++)
                for (int i = 1; i < AT_PRUNE_SHARES; i++)
                    row(m, (pruning_kind)kind, special, cut, i);
        }
}

static void setup(pruning *m) {
    const pruning_scale *z = m->scale;
    char text[900];
    (void)snprintf(
        text, sizeof text,
        "Mixture: %d layers of width %d with %d attention experts and %d feed-forward experts of "
        "%d units, %d of each a token. Trunks together, and the dense model, have as many "
        "parameters. %lld steps of %lld x %lld tokens at learning rate %g, cosine; fine-tuning: "
        "%lld steps at %g. Scores: %lld windows of the domain's validation split (the score loss: "
        "%lld); losses: %lld windows of its test split. %lld seeds.",
        z->layers, z->width, z->att, z->ffn, z->hidden, z->k, (long long)z->steps,
        (long long)z->batch, (long long)z->context, z->lr, (long long)z->special_steps,
        z->special_lr, (long long)z->score_windows, (long long)z->loss_windows,
        (long long)z->windows, (long long)z->seeds);
    at_page_section(m->l, "Sizes", text);
}

void pruning_page(pruning *m) {
    at_page_section(
        m->l, NULL,
        "A model of several domains is cut down to each of them. What does that cost, by "
        "the score that says who goes, by what made the model modular, and by whether "
        "it was fine-tuned on the domain before?");
    at_page_figures(m->l);
    at_page_holding(m->l);
    at_page_warnings(m->l);
    at_page_claims(m->l);
    frontier(m);
    scores(m);
    setup(m);
}
