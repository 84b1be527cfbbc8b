/* grow_claims.c - what follows from the losses of grow_lab.h. */
#include "lab/grow_lab.h"
#include "lab/lab_table.h"

double grow_old(const grow *m, grow_way way, int stage, int64_t k) {
    double sum = 0;
    for (int i = 0; i < m->old; i++) sum += m->loss[way][stage][k][i] / m->old;
    return sum;
}

double grow_new(const grow *m, grow_way way, int stage, int64_t k) {
    return m->loss[way][stage][k][m->old + stage - 1];
}

/* Of the old languages after both additions. */
static double forgotten(const grow *m, grow_way way, int64_t k) {
    return grow_old(m, way, GROW_STAGES, k) - grow_old(m, way, 0, k);
}

/* Of the language that was added first, by adding the second. */
static double first_forgotten(const grow *m, grow_way way, int64_t k) {
    return m->loss[way][2][k][m->old] - m->loss[way][1][k][m->old];
}

/* Of both new languages: how much worse than with all from the beginning. */
static double behind(const grow *m, grow_way way, grow_way joint, int64_t k) {
    double sum = 0;
    for (int stage = 1; stage <= GROW_STAGES; stage++)
        sum += (grow_new(m, way, stage, k) - grow_new(m, joint, stage, k)) / GROW_STAGES;
    return sum;
}

typedef struct {
    at_claim_text text;
    enum { FORGOTTEN, FIRST, LESS, BEHIND } what;
    grow_way way, other;
} claim;

#define NATS "nats a token"
static const claim table[] = {
    {{"a", "new experts, reviewed: the old languages lose less than 0.02 nats",
      "nearly no forgetting", NATS, 0.02, AT_BELOW, false},
     FORGOTTEN,
     GROW_REVIEWED,
     GROW_REVIEWED},
    {{"a",
      "new experts, reviewed: the language added first loses less than 0.02 nats by the second",
      "nearly no forgetting", NATS, 0.02, AT_BELOW, false},
     FIRST,
     GROW_REVIEWED,
     GROW_REVIEWED},
    {{"a", "a penalty on new rows and a review keep more of the old languages", "implied", NATS, 0,
      AT_BELOW, false},
     LESS,
     GROW_REVIEWED,
     GROW_MODULES},
    {{"a", "new experts, reviewed, forget less than the same mixture trained on", "implied", NATS,
      0, AT_BELOW, false},
     LESS,
     GROW_REVIEWED,
     GROW_TUNED_MIX},
    {{"a", "new experts, reviewed, forget less than a dense model trained on",
      "less than dense models", NATS, 0, AT_BELOW, false},
     LESS,
     GROW_REVIEWED,
     GROW_TUNED},
    {{"a", "a dense model trained on forgets more than 0.1 nats", "dense models forget", NATS, 0.1,
      AT_ABOVE, false},
     FORGOTTEN,
     GROW_TUNED,
     GROW_TUNED},
    {{"b", "new experts learn a language within 0.1 nats of having it from the beginning", "near",
      NATS, 0.1, AT_BELOW, false},
     BEHIND,
     GROW_MODULES,
     GROW_JOINT},
    {{"b",
      "new experts, reviewed, learn a language within 0.1 nats of having it from the beginning",
      "near", NATS, 0.1, AT_BELOW, false},
     BEHIND,
     GROW_REVIEWED,
     GROW_JOINT},
    {{"b", "a new trunk learns a language within 0.1 nats of having it from the beginning", "-",
      NATS, 0.1, AT_BELOW, false},
     BEHIND,
     GROW_TRUNKS,
     GROW_JOINT_DENSE},
};

static double value(const grow *m, const claim *c, int64_t k) {
    switch (c->what) {
    case FORGOTTEN: return forgotten(m, c->way, k);
    case FIRST: return first_forgotten(m, c->way, k);
    case LESS: return forgotten(m, c->way, k) - forgotten(m, c->other, k);
    default: return behind(m, c->way, c->other, k);
    }
}

at_status grow_claims(grow *m) {
    at_status s = AT_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table && s == AT_OK; i++) {
        double x[GROW_SEEDS_MAX];
        for (int64_t k = 0; k < m->scale->seeds; k++) x[k] = value(m, &table[i], k);
        s = at_lab_claim_seeds(m->l, &table[i].text, x, m->scale->seeds);
    }
    return s == AT_OK ? at_lab_claims_decide(m->l) : s;
}
