/* progress.h - logs a progress line (percent, speed, time left) twice a second. */
#ifndef AT_PROGRESS_H
#define AT_PROGRESS_H
#include "base/ctx.h"

typedef struct at_progress {
    const char *what; /* "reading"                     */
    double total;     /* bytes in all                  */
    double began, said;
} at_progress;

void at_progress_begin(at_progress *p, const char *what, double total);
void at_progress_tick(at_ctx *c, at_progress *p, double done);

#endif
