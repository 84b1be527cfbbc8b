/*
 * align.h - documents that exist in several domains: translations of each other, by their file's
 * key (source.h).
 *
 * In aligned domains only those documents are kept that all aligned domains have, so that their
 * training text, and the text they are tested on, says the same in each.
 */
#ifndef AT_ALIGN_H
#define AT_ALIGN_H
#include "data/balance.h"

/** Rewrites the stages of aligned domains (aligned [n]) without documents that another of them
    lacks.  AT_FORMAT when nothing is left. */
at_status at_align(at_ctx *c, at_stage *domain, int n, const bool *aligned);

/**
 * Chooses documents of one split of the aligned domains.  Files are taken whole and in all aligned
 * domains, in an order of the seed, until the smallest domain has `target` units (over its weight);
 * one that would exceed it by more than max_diff / 2 is passed over, and where that leaves too
 * little, of the first one passed over the beginning is taken.  Then the larger domains are cut: the documents that are
 * longest compared with the shortest of their translations lose what these do not have.
 * *reached: units over weight of the smallest.
 */
at_status at_align_take(at_ctx *c, at_stage *domain, int n, const at_balance *b, at_split split,
                        double target, double *reached);

#endif
