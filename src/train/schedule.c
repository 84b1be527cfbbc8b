/* schedule.c - three curves of one line each. */
#include "train/schedule.h"
#include "base/maths.h"
#include <stddef.h>

static double stay(double done, double floor) {
    (void)done;
    (void)floor;
    return 1;
}
static double line(double done, double floor) { return floor + (1 - floor) * (1 - done); }
static double half_cosine(double done, double floor) {
    return floor + (1 - floor) * 0.5 * (1 + at_cos(3.14159265358979323846 * done));
}

const at_schedule at_schedule_constant = {"constant", "stays", stay};
const at_schedule at_schedule_linear = {"linear", "falls along a line", line};
const at_schedule at_schedule_cosine = {"cosine", "falls along half a cosine", half_cosine};

#define X(name) &at_schedule_##name,
const at_schedule *const at_schedules[] = {AT_SCHEDULES(X) NULL};
#undef X

double at_schedule_factor(const at_schedule *k, int64_t step, int64_t steps, double warmup,
                          double floor) {
    const double up = warmup * (double)steps, at = (double)step;
    if (at < up) return (at + 1) / (up + 1 > 1 ? up + 1 : 1);
    const double left = (double)steps - up, x = left > 0 ? (at - up) / left : 1;
    return k->factor(x > 1 ? 1 : x, floor);
}
