/* schedule.h - how the learning rate moves: a table. */
#ifndef AT_SCHEDULE_H
#define AT_SCHEDULE_H
#include <stdint.h>

#define AT_SCHEDULES(X) X(constant) X(linear) X(cosine)

typedef struct at_schedule {
    const char *name, *help;
    double (*factor)(double done, double floor); /* done: share of the steps after warm-up */
} at_schedule;

#define X(name) extern const at_schedule at_schedule_##name;
AT_SCHEDULES(X)
#undef X
/** By index; NULL ends it. */
extern const at_schedule *const at_schedules[];

/** Factor of the learning rate at `step` of `steps` (from 0): rises linearly over the first
    warmup * steps, then stays, or falls to `floor`. */
double at_schedule_factor(const at_schedule *k, int64_t step, int64_t steps, double warmup,
                          double floor);

#endif
