/* prune_lab.c - what a domain loses when a model is cut down to it. */
#include "lab/prune_lab.h"

static const char *const claims[] = {
    "of scores that disagree in public REAP loses least",
    "fine-tuning on a domain with the loss that concentrates the load makes pruning cheap",
    "tokens of a sequence that choose from one pool of experts make pruning cheap",
    "experts with labels are better than experts chosen by a score, of as many parameters",
    "a pruned mixture is better than a dense model of equal size without its smallest weights",
    NULL};

static at_status run(at_lab_session *l) {
    pruning m;
    at_status s = pruning_open(&m, l);
    l->also = pruning_measure;
    if (s == AT_OK) s = pruning_train(&m);
    if (s == AT_OK) s = pruning_claims(&m);
    if (s == AT_OK) pruning_page(&m);
    return s;
}

const at_lab at_lab_prune = {
    .name = "prune",
    .source = "arXiv 2306.04640, section 4; 2510.13999; 2606.15716; 2605.06663; 2407.19610",
    .title = "Specialise and prune: loss against size, by score and by kind of modularity",
    .claims = claims,
    .run = run,
};
