/*
 * frontier.h - the speed at which dense models of several sizes reach a loss.
 *
 * Points (loss, speed) of models of one family, trained alike.  Between neighbours by speed the
 * frontier is a line in loss and log(speed).
 */
#ifndef AT_FRONTIER_H
#define AT_FRONTIER_H
#include <stdint.h>

enum { AT_FRONTIER_MAX = 8 };

typedef enum at_frontier_side {
    AT_FRONTIER_WITHIN,
    AT_FRONTIER_BEYOND, /* no model is that good: speed is that of the best one, an upper bound */
    AT_FRONTIER_BEFORE  /* the fastest model is better already: its speed, a lower bound        */
} at_frontier_side;

/** The highest speed at which the family reaches `loss`; n <= AT_FRONTIER_MAX points, any order. */
double at_frontier_speed(const double *loss, const double *speed, int n, double want,
                         at_frontier_side *side);

#endif
