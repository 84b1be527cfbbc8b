/*
 * bank.h - the banks of a model: of each mixture layer the slots, their parameters, and what chooses
 * among them.  An architecture lists them (at_arch.banks); freezing, masks, counts (usage.h) and
 * digests (digest.h) go by the list, and so are the same for every architecture.  A mask does not
 * freeze: in training what is masked has a gradient of zero and decays, unless it is frozen, too.
 */
#ifndef AT_BANK_H
#define AT_BANK_H
#include "arch/pass.h"
#include "tensor/store.h"

enum { AT_BANK_PARTS = 16 };

typedef struct at_bank {
    at_router_id id;
    int64_t n, k;                        /* slots; chosen for a token                       */
    const at_stack *part[AT_BANK_PARTS]; /* their matrices: part[i]->slot[x] is of slot x   */
    int parts;
    bool probabilities;   /* of its experts are mixed, not their outputs                      */
    const at_stack *row;  /* the router's row of each; NULL: there is one slot, and no router */
    uint8_t *use;         /* [n] at_slot_use, owned; NULL: all are open.  See at_bank_use     */
    const uint8_t *owner; /* [n] whose it is: 0 the base's, i that of module i - 1 (members.h);
                             NULL: all are the base's                                        */
} at_bank;

typedef struct at_banks {
    at_bank *bank;
    int64_t n;
} at_banks;

void at_banks_close(at_banks *b);
/** NULL: there is none.  banks may be NULL. */
at_bank *at_bank_find(const at_banks *banks, at_router_id id);

/** The parameters of one slot, its row of the router last; returns how many. */
int at_bank_slot(const at_bank *b, int64_t slot, at_param_entry *out[AT_BANK_PARTS + 1]);
/** Freezes these parameters; call it before at_store_train. */
void at_bank_freeze(const at_bank *b, int64_t slot);
/** What may become of a slot in passes from now on.  AT_ARG when fewer than k would stay open: then
    nothing changes. */
at_status at_bank_use(at_ctx *c, at_bank *b, int64_t slot, at_slot_use use);

/** Whether a slot may be chosen, and how many may be. */
bool at_bank_is_open(const at_bank *b, int64_t slot);
int64_t at_bank_open(const at_bank *b);

/** Architectures, for each router: at_route_by among the bank's slots, of which the pass is told. */
at_tensor *at_bank_route(at_run *r, at_pass *p, const at_bank *b, at_tensor *logits, int64_t drawn,
                         bool renormalise, at_routing *ro);
/** What at_pass_experts is to be given as others, in feed-forward banks: whether there are any; then
    `others` has who they are. */
bool at_bank_others(at_run *r, const at_pass *p, const at_bank *b, const at_routing *ro,
                    at_routing *others);

#endif
