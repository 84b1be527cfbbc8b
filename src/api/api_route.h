/* api_route.h - what the public functions of routers share. */
#ifndef AT_API_ROUTE_H
#define AT_API_ROUTE_H
#include "api/api.h"
#include "route/router.h"
#include "token/tokenizer.h"

/** "classes": the names. */
void at_route_classes(at_json *j, const at_router *r);
/** "class": that of index `which`, or "unknown" where its probability is below `abstain`; above 0 that puts
    "best", too. */
void at_route_answer(at_json *j, const at_router *r, int which, double probability, double abstain);
/** Whether a split has a window of this length; longer ones would repeat the result before. */
bool at_route_fills(const at_dataset *d, at_split split, int64_t length);
/** Tokens that one thread routes in a second, in windows of a split, each with its probabilities.
    AT_FORMAT: the split is empty. */
at_status at_route_speed(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                         int64_t length, double *out);
/** "per_length": the rows of artel_router_eval. */
at_status at_route_per_length(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                              const artel_router_lengths *o, at_json *j);
/** The line of artel_router_eval. */
at_status at_route_measure(artel *a, const at_router *r, const at_dataset *d, at_split split,
                           const artel_router_lengths *o, artel_emit emit, void *user);
/** The lines of artel_router_eval for out-of-domain sets, which d shows (at_dataset_show). */
at_status at_route_ood(artel *a, const at_router *r, const at_dataset *d,
                       const artel_router_lengths *o, artel_emit emit, void *user);
/** The text of a reason's tokens as valid UTF-8 for JSON, "" without a tokenizer; at_free. */
char *at_route_words(at_ctx *c, const at_tokenizer *t, const at_ids *ids,
                     const at_router_reason *why);

#endif
