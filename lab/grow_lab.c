/* grow_lab.c - two languages are added, one after the other, to a model of the others, in several ways. */
#include "lab/grow_lab.h"

static const char *const claims[] = {
    "new experts in a mixture whose rest is frozen learn a language with nearly no forgetting",
    "and nearly as well as if it had been there from the beginning",
    "training on, in contrast, forgets what was there", NULL};

static at_status run(at_lab_session *l) {
    grow m;
    at_status s = grow_open(&m, l);
    if (s == AT_OK) s = grow_train(&m);
    if (s == AT_OK) s = grow_steps(&m);
    if (s == AT_OK) s = grow_claims(&m);
    if (s == AT_OK) grow_page(&m);
    return s;
}

const at_lab at_lab_grow = {
    .name = "extend",
    .source = "Shen et al. 2023, arXiv 2306.04640, on extending",
    .title = "Adding languages without forgetting",
    .claims = claims,
    .run = run,
};
