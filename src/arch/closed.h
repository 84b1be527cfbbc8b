/*
 * closed.h - slots that a pruned model is without, but for their rows of the router.
 *
 * Nobody chooses such a slot, but it stays in the sum of the router's softmax, so that tokens that would
 * not have chosen it have the bits they had.  Its matrices are neither in files nor in memory.  The
 * configuration lists them by name, KIND.LAYER.SLOT: "feed_forward.2.5".
 */
#ifndef AT_CLOSED_H
#define AT_CLOSED_H
#include "arch/bank.h"
#include "conf/conf.h"

enum { AT_SLOT_NAME = 48 };
/** "feed_forward.2.5" */
void at_slot_name(at_router_id id, int64_t slot, char name[AT_SLOT_NAME]);

/** What a configuration says of a bank. */
typedef struct at_bank_size {
    int64_t n, k;
} at_bank_size;
/** Checks a key that lists closed slots: AT_CONFIG for a name of no slot, one that occurs twice, and a bank
    that is left with less than k.  size: of each bank of `layers` layers; 0 slots: there is none. */
at_status at_closed_check(at_ctx *c, const at_conf *f, const char *path, const at_strings *list,
                          int64_t layers, at_bank_size (*size)(const void *config, at_router_id id),
                          const void *config);
/** Closes the slots of a list that has been checked; call it before values are placed. */
at_status at_closed_apply(at_ctx *c, const at_banks *banks, const at_strings *list);

#endif
