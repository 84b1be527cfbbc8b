/* forget.c - differences of rows of a matrix. */
#include "lab/forget.h"
#include <math.h>
#include <stdbool.h>

/* The stage that taught language j, or -1. */
static int stage_of(const at_forget_matrix *m, int j) {
    for (int i = 0; i < m->stages; i++)
        if (m->learnt[i] == j) return i;
    return -1;
}

at_forget at_forget_of(const at_forget_matrix *m) {
    at_forget f = {0};
    const int last = m->stages - 1;
    int counted = 0;
    for (int j = 0; j < m->n; j++) {
        double best = m->r[0][j];
        for (int i = 1; i < m->stages; i++) best = fmin(best, m->r[i][j]);
        f.forgetting[j] = m->r[last][j] - best;
        f.worst = fmax(f.worst, f.forgetting[j]);
        f.end += m->r[last][j] / m->n;
        if (m->learnt[last] == j) continue;
        const int own = stage_of(m, j);
        counted++;
        f.mean += f.forgetting[j];
        if (own >= 0) f.backward += m->r[own][j] - m->r[last][j];
    }
    if (counted) {
        f.mean /= counted;
        f.backward /= counted;
    }
    return f;
}
