/* clock_lab.c - small mixtures against dense models, by tokens and by the clock. */
#include "lab/clock_lab.h"

static const char *const claims[] = {"below 100 million parameters, with equal tokens, a mixture "
                                     "is better than a dense model of equal "
                                     "active size, and worse than one of equal total size",
                                     "by the clock it is better than both", NULL};

static at_status run(at_lab_session *l) {
    clock_study m;
    clock_open(&m, l);
    at_status s = clock_train(&m);
    if (s == AT_OK) s = clock_measure(&m);
    if (s == AT_OK) s = clock_claims(&m);
    if (s == AT_OK) clock_page(&m);
    return s;
}

const at_lab at_lab_clock = {
    .name = "clock",
    .source = "after arXiv 2306.04640 and 2605.13769",
    .title = "Small mixtures against time",
    .claims = claims,
    .run = run,
};
