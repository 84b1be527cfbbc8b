/*
 * lab_missing.h - what a mixture loses when an expert is missing: each one is left out in turn, as if the
 * model had never had it (AT_SLOT_EXCLUDED), and the same windows of the test split are read.
 */
#ifndef AT_LAB_MISSING_H
#define AT_LAB_MISSING_H
#include "arch/model.h"
#include "lab/lab_session.h"

/**
 * Adds to the open object
 *     "missing":{"windows","loss","mean","worst","experts"}
 * loss: nats a token over `windows` windows of each domain, spread evenly, with every expert; mean, worst: how
 * much more it is without one, over the experts whose bank has more of them than a token uses.  Nothing
 * is added where there is no such expert.
 */
at_status at_lab_missing(at_lab_session *l, at_model *m, int64_t context, int64_t windows,
                         at_json *j);

#endif
