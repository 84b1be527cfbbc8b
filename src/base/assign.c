/* assign.c - rows are assigned one after the other, each along the cheapest path of exchanges. */
#include "base/assign.h"

/* Columns and rows count from 1: 0 stands for none. */
typedef struct {
    int64_t n;
    const double *worth;
    double *u, *v, *least; /* [n + 1] potentials; cheapest way into a column that was found */
    int64_t *row, *before; /* [n + 1] the row of a column; the column before it on that way  */
    bool *seen;            /* [n + 1]                                                        */
} assignment;

static double cost(const assignment *a, int64_t i, int64_t j) {
    return -a->worth[(i - 1) * a->n + j - 1] - a->u[i] - a->v[j];
}

/* The nearest column that was not seen, from the row of column j; its distance. */
static int64_t nearest(const assignment *a, int64_t j, double *distance) {
    int64_t best = 0;
    for (int64_t k = 1; k <= a->n; k++) {
        if (a->seen[k]) continue;
        const double way = cost(a, a->row[j], k);
        if (a->before[k] < 0 || way < a->least[k]) {
            a->least[k] = way;
            a->before[k] = j;
        }
        if (!best || a->least[k] < a->least[best]) best = k;
    }
    *distance = a->least[best];
    return best;
}

static void take_in(const assignment *a, int64_t i) {
    int64_t j = 0;
    a->row[0] = i;
    for (int64_t k = 0; k <= a->n; k++) {
        a->seen[k] = false;
        a->before[k] = -1;
    }
    do {
        double by;
        a->seen[j] = true;
        const int64_t next = nearest(a, j, &by);
        for (int64_t k = 0; k <= a->n; k++) {
            if (a->seen[k]) {
                a->u[a->row[k]] += by;
                a->v[k] -= by;
            } else {
                a->least[k] -= by;
            }
        }
        j = next;
    } while (a->row[j]);
    while (j) {
        const int64_t k = a->before[j];
        a->row[j] = a->row[k];
        j = k;
    }
}

at_status at_assign(at_ctx *c, int64_t n, const double *worth, int64_t *to) {
    const size_t m = (size_t)n + 1;
    assignment a = {.n = n, .worth = worth};
    a.u = at_calloc(c, 3 * m, sizeof *a.u);
    a.row = at_calloc(c, 2 * m, sizeof *a.row);
    a.seen = at_calloc(c, m, sizeof *a.seen);
    const bool room = a.u && a.row && a.seen;
    if (room) {
        a.v = a.u + m;
        a.least = a.v + m;
        a.before = a.row + m;
        for (int64_t i = 1; i <= n; i++) take_in(&a, i);
        for (int64_t j = 1; j <= n; j++) to[a.row[j] - 1] = j - 1;
    }
    at_free(a.u);
    at_free(a.row);
    at_free(a.seen);
    return room ? AT_OK : AT_OOM;
}
