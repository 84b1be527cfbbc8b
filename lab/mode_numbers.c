/* mode_numbers.c - what a run's line says, one number at a time. */
#include "lab/mode_lab.h"
#include "report/jsonl.h"
#include <math.h>
#include <string.h>

double mode_accuracy(const mode *m, const mode_cell *c, mode_arm a, int k) {
    return 100 * mode_number(m, c, a, k, "test_accuracy");
}

double mode_probed(const mode *m, const mode_cell *c, mode_arm a, int k, const char *key) {
    const at_row_trial *t = mode_run(m, c, a, k);
    const cJSON *p = t && t->result ? cJSON_GetObjectItemCaseSensitive(t->result, "probe") : NULL;
    double v;
    return p && at_jsonl_number(p, key, &v) ? v : (double)NAN;
}

double mode_own_domain(const mode *m, const mode_cell *c, mode_arm a, int k) {
    return 100 * mode_probed(m, c, a, k, "own_domain");
}
double mode_recall(const mode *m, const mode_cell *c, mode_arm a, int k) {
    return 100 * mode_probed(m, c, a, k, "recall");
}

/* Experts of one run matched with those of another, one to one, so that domains have most rows in common:
   all orders are tried.  to[i]: expert of the second. */
typedef struct {
    int64_t n, common[AT_ROWS_EXPERTS][AT_ROWS_EXPERTS], best;
    int now[AT_ROWS_EXPERTS], to[AT_ROWS_EXPERTS];
} matching;

static void match(matching *g, int i, unsigned taken, int64_t sum) {
    if (i == g->n) {
        if (sum <= g->best) return;
        g->best = sum;
        memcpy(g->to, g->now, sizeof g->to);
        return;
    }
    for (int j = 0; j < g->n; j++) {
        if (taken >> j & 1) continue;
        g->now[i] = j;
        match(g, i + 1, taken | 1u << j, sum + g->common[i][j]);
    }
}

static int expert(char c) { return c >= '0' && c < '0' + AT_ROWS_EXPERTS ? c - '0' : 0; }

double mode_common(const mode *m, const mode_cell *c, mode_arm a, int k) {
    const at_row_trial *base = mode_run(m, c, MODE_PLAIN, k), *t = mode_run(m, c, a, k);
    const char *of = base && base->result ? at_jsonl_string(base->result, "dominant") : NULL;
    const char *who = t && t->result ? at_jsonl_string(t->result, "dominant") : NULL;
    const char *right = t && t->result ? at_jsonl_string(t->result, "right") : NULL;
    if (!of || !who || !right || strlen(of) != strlen(who) || strlen(of) != strlen(right) || !*of)
        return (double)NAN;
    matching g = {.n = mode_gate_experts(c->gate), .best = -1};
    const size_t rows = strlen(of);
    int64_t sum = 0;
    for (size_t i = 0; i < rows; i++) g.common[expert(of[i])][expert(who[i])]++;
    match(&g, 0, 0, 0);
    for (size_t i = 0; i < rows; i++) sum += (right[i] - '0') >> g.to[expert(of[i])] & 1;
    return 100 * (double)sum / (double)rows;
}

double mode_lost(const mode *m, const mode_cell *c, mode_arm a, int k) {
    return mode_accuracy(m, c, a, k) - 100 * mode_probed(m, c, a, k, "without");
}
double mode_refit(const mode *m, const mode_cell *c, mode_arm a, int k) {
    return 100 * mode_probed(m, c, a, k, "refit");
}
