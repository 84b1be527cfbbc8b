/* mf_lab.c - ModuleFormer against dense models, and its parts one at a time. */
#include "lab/mf_lab.h"

static const char *const claims[] = {
    "a ModuleFormer has the quality of a dense model at more than twice its throughput: in "
    "training, in reading, in writing token by token",
    "the mutual-information loss evens the load of the experts, keeps them alive, and costs "
    "nothing",
    "more experts a token (k) are better, and slower",
    "stick-breaking attention needs no positions, learns as well as softmax attention with them, "
    "and reads on beyond the length it was trained on",
    NULL};

static at_status run(at_lab_session *l) {
    mf m = {.l = l};
    mf_models(&m);
    l->later = 0.15 * m.n * (m.scale->rounds + 1) * (double)m.scale->seeds;
    at_status s = mf_tune(&m);
    if (s == AT_OK) s = at_lab_train(l, 0);
    if (s == AT_OK) s = mf_losses(&m);
    if (s == AT_OK) s = mf_speeds(&m);
    if (s == AT_OK) s = mf_claims(&m);
    return s == AT_OK ? mf_page(&m) : s;
}

const at_lab at_lab_moduleformer = {
    .name = "moduleformer",
    .source = "Shen et al. 2023, arXiv 2306.04640",
    .title = "ModuleFormer: what sparsity, its losses and its attention bring",
    .claims = claims,
    .run = run,
};
