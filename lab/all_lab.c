/* all_lab.c - what the three papers give together, each part with and without the other two. */
#include "lab/all_lab.h"

static const char *const claims[] = {
    "a ModuleFormer, a teacher and mutual distillation among experts each lower the loss, whatever "
    "else there is",
    "what they give adds up: all three are better than any two",
    "experts that teach each other are missed less when one of them is missing", NULL};

static at_status run(at_lab_session *l) {
    all m;
    all_open(&m, l);
    at_status s = all_train(&m);
    if (s == AT_OK) s = all_claims(&m);
    if (s == AT_OK) all_page(&m);
    return s;
}

const at_lab at_lab_all = {
    .name = "all-in-one",
    .source = "arXiv 2306.04640, 2407.19610 and 2402.00893 together",
    .title = "ModuleFormer, a teacher, and experts that teach each other: each with and without",
    .claims = claims,
    .run = run,
};
