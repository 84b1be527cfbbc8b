/* frontier.c - from the fastest model downwards, the first segment that reaches the loss. */
#include "lab/frontier.h"
#include <math.h>

/* Indices in order of descending speed. */
static void order(const double *speed, int n, int *place) {
    for (int i = 0; i < n; i++) {
        int j = i;
        for (; j > 0 && speed[place[j - 1]] < speed[i]; j--) place[j] = place[j - 1];
        place[j] = i;
    }
}

double at_frontier_speed(const double *loss, const double *speed, int n, double want,
                         at_frontier_side *side) {
    int place[AT_FRONTIER_MAX], best = 0;
    order(speed, n, place);
    *side = AT_FRONTIER_BEFORE;
    if (loss[place[0]] <= want) return speed[place[0]];
    *side = AT_FRONTIER_WITHIN;
    for (int i = 1; i < n; i++) {
        const int a = place[i - 1], b = place[i];
        if (loss[b] > want) continue;
        const double t = (loss[a] - want) / (loss[a] - loss[b]);
        return exp(log(speed[a]) + t * (log(speed[b]) - log(speed[a])));
    }
    *side = AT_FRONTIER_BEYOND;
    for (int i = 1; i < n; i++)
        if (loss[i] < loss[best]) best = i;
    return speed[best];
}
