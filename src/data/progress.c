/* progress.c - see progress.h. */
#include "data/progress.h"
#include "base/clock.h"

void at_progress_begin(at_progress *p, const char *what, double total) {
    const double now = at_now();
    *p = (at_progress){.what = what, .total = total, .began = now, .said = now};
}

void at_progress_tick(at_ctx *c, at_progress *p, double done) {
    const double now = at_now(), spent = now - p->began;
    if (now - p->said < 0.5 || done <= 0) return;
    p->said = now;
    const double left = p->total > done ? spent * (p->total - done) / done : 0;
    at_log(c, AT_LOG_PROGRESS, "%s: %.0f %% of %.1f MB, %.1f MB/s, %.0f s left", p->what,
           p->total > 0 ? 100 * done / p->total : 100, p->total / 1e6, done / 1e6 / spent, left);
}
