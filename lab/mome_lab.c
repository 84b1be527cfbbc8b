/* mome_lab.c - students with and without a teacher, modules behind a router, and what is forgotten. */
#include "lab/mome_lab.h"

static const char *const claims[] = {
    "adaptive alpha is about as good as a fixed one, marginally better; the combined loss is "
    "slightly better than alternating losses, and more stable",
    "a student with a teacher learns more than one without: from as many tokens, with as many "
    "operations",
    "the texts of students with a teacher have fewer invented words and repeat themselves less",
    "students of one language each behind a router are as good as other compositions, and as one "
    "student of all languages",
    "the router is right 99.95 times of 100",
    "one language after the other is forgotten; not in one balanced session, and not in modules",
    NULL};

static at_status run(at_lab_session *l) {
    mome m;
    at_status s = mome_open(&m, l);
    if (s == AT_OK) s = mome_train(&m);
    if (s == AT_OK) s = mome_curves(&m);
    if (s == AT_OK) s = mome_routers(&m);
    if (s == AT_OK) s = mome_matrices(&m);
    if (s == AT_OK) s = mome_write(&m);
    if (s == AT_OK) s = mome_claims(&m);
    if (s == AT_OK) s = mome_page(&m);
    mome_close(&m);
    return s;
}

const at_lab at_lab_mome = {
    .name = "mome",
    .source = "Al-Maamari et al. 2024, arXiv 2407.19610",
    .title = "Mixture of Modular Experts: teachers, modules and forgetting",
    .claims = claims,
    .run = run,
};
