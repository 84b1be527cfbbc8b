/* prune_page.h - loss against what is left of a mixture, as one self-contained page. */
#ifndef AT_PRUNE_PAGE_H
#define AT_PRUNE_PAGE_H
#include "infer/prune.h"

/** n points of a frontier.  The file appears whole or not at all. */
at_status at_prune_page_write(at_ctx *c, const at_pruned *p, const at_prune_point *point, int64_t n,
                              const char *path);

#endif
