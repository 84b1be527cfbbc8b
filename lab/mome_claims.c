/* mome_claims.c - claims, and the number of each seed that they are about. */
#include "lab/mome_claims.h"
#include "lab/lab_table.h"
#include <math.h>
#include <string.h>

/* ---- numbers of a seed ---- */

const mome_curve *mome_curve_at(const mome *m, const char *group, int k) {
    for (int a = 0; mome_arms[a].group; a++)
        if (!strcmp(mome_arms[a].group, group)) return &m->curve[a * m->scale->seeds + k];
    return NULL;
}

double mome_forgotten(const mome *m, enum mome_mode mode, int k) {
    double sum = 0;
    for (int first = 0; first < m->domains; first++)
        sum += at_forget_of(&m->matrix[mode][first][k]).mean / m->domains;
    return sum;
}

double mome_end(const mome *m, enum mome_mode mode, int k) {
    double sum = 0;
    for (int first = 0; first < m->domains; first++)
        sum += at_forget_of(&m->matrix[mode][first][k]).end / m->domains;
    return sum;
}

static double loss(const mome *m, const char *group, int k) {
    return mome_number(m, group, k, "test_loss");
}

static double difference(const mome *m, const mome_claim *c, int k) {
    return loss(m, c->a, k) - loss(m, c->b, k);
}
static double distance(const mome *m, const mome_claim *c, int k) {
    return fabs(difference(m, c, k));
}
static double norm_ratio(const mome *m, const mome_claim *c, int k) {
    return log(mome_curve_at(m, c->a, k)->norm_sd / mome_curve_at(m, c->b, k)->norm_sd);
}
static double jump_ratio(const mome *m, const mome_claim *c, int k) {
    return log(mome_curve_at(m, c->a, k)->loss_sd / mome_curve_at(m, c->b, k)->loss_sd);
}
static double text_ratio(const mome *m, const mome_claim *c, int k) {
    return log(mome_curve_at(m, c->a, k)->text_sd / mome_curve_at(m, c->b, k)->text_sd);
}

/* ---- modules and routers ---- */

static double modules_less(const mome *m, const mome_claim *c, int k) {
    return m->routed[k] - loss(m, c->b, k);
}
static double jeet_distance(const mome *m, const mome_claim *c, int k) {
    return fabs(m->oracle[k] - loss(m, c->b, k));
}
static double without_common(const mome *m, const mome_claim *c, int k) {
    return mome_number(m, c->a, k, "test_loss_own") - loss(m, c->a, k);
}
static double own_difference(const mome *m, const mome_claim *c, int k) {
    return mome_number(m, c->a, k, "test_loss_own") - mome_number(m, c->b, k, "test_loss_own");
}
static double cost_of_routing(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return m->routed[k] - m->oracle[k];
}
static double f1(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return m->router[k].f1[0][2];
}
int mome_best_rival(const mome *m) {
    double best = -1;
    int which = 1;
    for (int i = 1; i < MOME_CLASSIFIERS; i++) {
        double sum = 0;
        for (int k = 0; k < m->scale->seeds; k++) sum += m->router[k].f1[i][MOME_SHORT];
        if (!(sum > best)) continue;
        best = sum;
        which = i;
    }
    return which;
}

static double rival_less(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return m->router[k].f1[0][MOME_SHORT] - m->router[k].f1[mome_best_rival(m)][MOME_SHORT];
}

/* ---- forgetting ---- */

static double forgets(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return mome_forgotten(m, MOME_SEQUENTIAL, k);
}
static double balanced_keeps(const mome *m, const mome_claim *c, int k) {
    return forgets(m, c, k) - at_forget_of(&m->balanced[0][k]).mean;
}
static double modules_keep(const mome *m, const mome_claim *c, int k) {
    return forgets(m, c, k) - mome_forgotten(m, MOME_MODULES, k);
}
static double replay_halves(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return mome_forgotten(m, MOME_REPLAY, k) - 0.5 * mome_forgotten(m, MOME_SEQUENTIAL, k);
}
static double ends_worse(const mome *m, const mome_claim *c, int k) {
    return mome_end(m, MOME_SEQUENTIAL, k) - loss(m, c->b, k);
}
static double ends_worse_than_modules(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return mome_end(m, MOME_SEQUENTIAL, k) - mome_end(m, MOME_MODULES, k);
}
static double rare_lose(const mome *m, const mome_claim *c, int k) {
    double sum = 0;
    for (int d = 0; d < m->domains; d++)
        if (d != k % m->domains)
            sum += mome_domain_loss(m, c->a, k, d) - mome_domain_loss(m, c->b, k, d);
    return sum / (m->domains - 1);
}

/* ---- texts ---- */

static double unknown_less(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return m->fluency[0][k].unknown - m->fluency[1][k].unknown;
}
static double repeated_less(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return m->fluency[0][k].repeated - m->fluency[1][k].repeated;
}
static double right_more(const mome *m, const mome_claim *c, int k) {
    (void)c;
    return m->fluency[0][k].right - m->fluency[1][k].right;
}

/* ---- the claims ---- */

#define NATS "nats a token"

const mome_claim mome_claim_table[] = {
    {'a', "adaptive alpha ends within 0.01 nats of fixed alpha", "about equal", NATS, distance,
     "adaptive", MOME_COMBINED, 0.01, AT_BELOW, false},
    {'a', "adaptive alpha is better than fixed alpha", "marginally better", NATS, difference,
     "adaptive", MOME_COMBINED, 0, AT_BELOW, false},
    {'a', "alpha by smoothed slopes is better than fixed alpha", "-", NATS, difference, "slopes",
     MOME_COMBINED, 0, AT_BELOW, false},
    {'a', "alpha that rises from 0 to 1 is better than fixed alpha", "-", NATS, difference,
     "anneal", MOME_COMBINED, 0, AT_BELOW, false},
    {'a', "losses in turns end worse than the combined loss", "combined slightly better", NATS,
     difference, "alternating", MOME_COMBINED, 0, AT_ABOVE, false},
    {'a', "losses in turns: the norm of the gradient spreads more", "combined more stable",
     "times the standard deviation", norm_ratio, "alternating", MOME_COMBINED, 1, AT_ABOVE, true},
    {'a', "losses in turns: the logged loss jumps more from step to step", "combined more stable",
     "times the standard deviation", jump_ratio, "alternating", MOME_COMBINED, 1, AT_ABOVE, true},
    {'a', "losses in turns: the loss in the text jumps more from step to step",
     "combined more stable", "times the standard deviation", text_ratio, "alternating",
     MOME_COMBINED, 1, AT_ABOVE, true},
    {'a', "reverse KL is better than forward KL", "the text names reverse KL", NATS, difference,
     "reverse", MOME_COMBINED, 0, AT_BELOW, false},
    {'a', "Jensen-Shannon is better than forward KL", "-", NATS, difference, "js", MOME_COMBINED, 0,
     AT_BELOW, false},
    {'a', "skewed KL is better than forward KL", "-", NATS, difference, "skew", MOME_COMBINED, 0,
     AT_BELOW, false},
    {'a', "skewed reverse KL is better than reverse KL", "-", NATS, difference, "skew-reverse",
     "reverse", 0, AT_BELOW, false},
    {'b', "with a teacher a student learns more from as many tokens", "implied", NATS, difference,
     MOME_COMBINED, MOME_ALONE, 0, AT_BELOW, false},
    {'b', "with a teacher a student learns more with as many operations", "not compared", NATS,
     difference, MOME_COMBINED, MOME_COMPUTE, 0, AT_BELOW, false},
    {'c', "modules, routed (PLE), are better than one student of equal active size", "-", NATS,
     modules_less, NULL, MOME_COMBINED, 0, AT_BELOW, false},
    {'c', "modules, routed (PLE), are better than one student of equal size in all", "-", NATS,
     modules_less, NULL, MOME_WIDE, 0, AT_BELOW, false},
    {'c', "PLE and JEET are within 0.05 nats of each other", "about equal", NATS, jeet_distance,
     NULL, MOME_JEET, 0.05, AT_BELOW, false},
    {'c', "JEET is better than one student of equal active size", "-", NATS, difference, MOME_JEET,
     MOME_COMBINED, 0, AT_BELOW, false},
    {'c', "MoE-CE with its common trunk is at most 0.02 nats worse than JEET", "approaches both",
     NATS, difference, MOME_COMMON, MOME_JEET, 0.02, AT_BELOW, false},
    {'c', "MoE-CE is worse without its common trunk than with it", "slightly lower", NATS,
     without_common, MOME_COMMON, NULL, 0, AT_ABOVE, false},
    {'c', "MoE-CE without its common trunk loses less than 0.1 nats", "slightly lower", NATS,
     without_common, MOME_COMMON, NULL, 0.1, AT_BELOW, false},
    {'c', "left out in three steps of ten, the common trunk is missed less", "-", NATS,
     own_difference, MOME_DROPPED, MOME_COMMON, 0, AT_BELOW, false},
    {'c', "wrong choices of the router cost less than 0.005 nats", "-", NATS, cost_of_routing, NULL,
     NULL, 0.005, AT_BELOW, false},
    {'d', "the router's F1 on 128 tokens is above 0.995", "0.9995 on 1024 tokens", "weighted F1",
     f1, NULL, NULL, 0.995, AT_ABOVE, false},
    {'d', "the router's F1 on 128 tokens is above 0.9995", "0.9995 on 1024 tokens", "weighted F1",
     f1, NULL, NULL, 0.9995, AT_ABOVE, false},
    {'d', "logistic regression is better than every other classifier, on 32 tokens",
     "the best of those tried", "difference of weighted F1", rival_less, NULL, NULL, 0, AT_ABOVE,
     false},
    {'e', "one language after the other: more than 0.1 nats are forgotten",
     "significant forgetting", NATS, forgets, NULL, NULL, 0.1, AT_ABOVE, false},
    {'e', "one balanced session: at least 0.1 nats less are forgotten", "mitigates forgetting",
     NATS, balanced_keeps, NULL, NULL, 0.1, AT_ABOVE, false},
    {'e', "modules: at least 0.1 nats less are forgotten", "mitigate forgetting", NATS,
     modules_keep, NULL, NULL, 0.1, AT_ABOVE, false},
    {'e', "one language after the other ends worse than one balanced session", "implied", NATS,
     ends_worse, NULL, MOME_COMBINED, 0, AT_ABOVE, false},
    {'e', "one language after the other ends worse than modules", "implied", NATS,
     ends_worse_than_modules, NULL, NULL, 0, AT_ABOVE, false},
    {'e', "replay of 5 % leaves less than half of the forgetting", "-",
     "nats a token: what is left, minus half", replay_halves, NULL, NULL, 0, AT_BELOW, false},
    {'e', "an imbalanced session (70 %) costs the other languages", "imbalanced also tried", NATS,
     rare_lose, MOME_IMBALANCE, MOME_COMBINED, 0, AT_ABOVE, false},
    {'f', "texts of a student with a teacher have fewer invented words", "-", "share of the words",
     unknown_less, NULL, NULL, 0, AT_BELOW, false},
    {'f', "texts of a student with a teacher repeat themselves less", "-",
     "share of runs of four words", repeated_less, NULL, NULL, 0, AT_BELOW, false},
    {'f', "texts of a student with a teacher stay in their language more often", "-",
     "share of the texts", right_more, NULL, NULL, 0, AT_ABOVE, false},
    {0}};

static at_status make(mome *m, const mome_claim *c) {
    double x[MOME_SEEDS_MAX];
    const at_claim_text text = {
        (char[]){c->part, 0}, c->text, c->paper, c->unit, c->null, c->side, c->ratio};
    for (int k = 0; k < m->scale->seeds; k++) x[k] = c->of(m, c, k);
    return at_lab_claim_seeds(m->l, &text, x, m->scale->seeds);
}

at_status mome_claims(mome *m) {
    at_status s = AT_OK;
    for (const mome_claim *c = mome_claim_table; c->part && s == AT_OK; c++) s = make(m, c);
    return s == AT_OK ? at_lab_claims_decide(m->l) : s;
}
