/*
 * members.h - the modules of a mixture: which slots of its banks each of them owns.
 *
 * A folder has the base in model.safetensors, described by config.json as if it were alone, a file with the
 * slots of each module, and artel.json with the list of the modules.  In memory a bank's slots are those of
 * the base, then those of the modules in the order of the list.  In its file a slot is called by its number
 * among the module's own, "<bank>.+<i>.<part>", so that nothing in it says where it stands.
 */
#ifndef AT_MEMBERS_H
#define AT_MEMBERS_H
#include "arch/arch.h"
#include "base/json.h"
#include "io/checkpoint.h"

enum { AT_MEMBERS_MAX = 62 };
#define AT_RECORD_FILE "artel.json"

typedef struct at_member {
    int64_t id;
    const char *name, *file; /* borrowed from the record; file: in the folder */
    const cJSON *entry;      /* of the record */
} at_member;

typedef struct at_members {
    cJSON *record; /* artel.json; NULL: there is none, or none of a mixture */
    char *path;    /* of it */
    at_member item[AT_MEMBERS_MAX];
    int n;
    uint8_t *owner; /* of the slots of all banks, see at_bank.owner */
} at_members;

/** AT_FORMAT names file and field. */
at_status at_members_read(at_ctx *c, const char *dir, at_members *out);
/** The same of a record, which is taken over in any case; path: of its file. */
at_status at_members_parse(at_ctx *c, const char *path, cJSON *record, at_members *out);
void at_members_close(at_members *l);
/** Number of the module of this name, or -1. */
int at_member_find(const at_members *l, const char *name);
/** Slots that it has in a bank. */
int64_t at_member_slots(const at_member *m, at_router_id id);
/** The first slot of module i in a bank of the model that has all of them. */
int64_t at_member_first(const at_members *l, int i, const at_bank *b);

/** A configuration like `source`, with more[i] slots more in bank i. */
cJSON *at_members_widen(at_ctx *c, const at_arch *arch, const at_banks *banks, const cJSON *source,
                        const int64_t *more);
/** How many slots the modules have in each of the base's banks, [banks->n]; AT_FORMAT: in one that it does not
    have, or that has no router. */
at_status at_members_count(at_ctx *c, const at_members *l, const at_banks *banks, int64_t *more);
/** Tells the banks of the model of all modules whose slots are whose. */
at_status at_members_own(at_ctx *c, at_members *l, at_banks *banks);
/** The module's file to what the model is read from. */
at_status at_member_open(at_ctx *c, const at_members *l, int i, const at_banks *banks,
                         const char *dir, size_t verify_below, at_weights *w);

/** What a pass runs (at_input.modules): the base, and the modules of this mask ([n]; NULL: all). */
uint64_t at_members_mask(const at_members *l, const bool *use);
/** AT_ARG: with this mask a bank would have fewer slots than a token chooses. */
at_status at_members_check(at_ctx *c, const at_members *l, const at_banks *banks, uint64_t mask,
                           const char *where);

/** Calls f for each tensor of slots first[i] ... first[i] + n[i] - 1 of bank i, under the name that it has in a
    module's file.  Stops at the first failure. */
at_status at_member_each(const at_store *s, const at_banks *banks, const int64_t *first,
                         const int64_t *n, at_tensor_fn f, void *user);
/** Writes slots first[i] ... first[i] + n[i] - 1 of bank i as a module's file.  meta: see at_checkpoint_save. */
at_status at_member_write(at_ctx *c, const at_store *s, const at_banks *banks, const int64_t *first,
                          const int64_t *n, const char *path, const char *const *meta);

#endif
