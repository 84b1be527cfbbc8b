/*
 * life.h - modules of a mixture go from model to model: one file each, with a passport.
 *
 * A module's file has its slots (see members.h) and, as metadata AT_PASSPORT_KEY, its passport: a JSON object
 * that is made once and goes with it unchanged, wherever it is put.  artel.json of a model lists its modules:
 * their number here, name, file, slots, and a copy of the passport.
 *
 * Every call that changes a model makes a new folder, which appears whole or not at all.
 */
#ifndef AT_LIFE_H
#define AT_LIFE_H
#include "infer/digest.h"

#define AT_PASSPORT_KEY "artel.module"

/** A module's file, opened and checked: hashes, passport, and that the tensors have the digest that it says.
    AT_FORMAT, AT_MISMATCH. */
typedef struct at_module_file {
    at_st *st;
    cJSON *passport;
    const char *name, *digest, *base, *tokenizer; /* of the passport; borrowed */
} at_module_file;
at_status at_module_file_open(at_ctx *c, const char *path, at_module_file *out);
void at_module_file_close(at_module_file *f);
/** Writes the tensors of a file under `to`, with this passport. */
at_status at_module_file_write(at_ctx *c, const char *from, const cJSON *passport,
                               const char *tokenizer, const char *to);

/** What became of a module. */
typedef struct at_life_event {
    char name[65];
    int64_t id; /* in the model */
    at_digest base;
    char digest[AT_SHA256_TEXT];
} at_life_event;

/** `model` with the module of a file; as: its name there, NULL: its own.  AT_MISMATCH: it was trained on another
    base, or with another tokenizer. */
at_status at_module_add(at_ctx *c, const char *model, const char *file, const char *as,
                        const char *out, at_life_event *done);
/** The same into a folder that is being made, of which the base has this digest.  shown: what messages call it;
    what: happened, for the history. */
at_status at_module_put(at_ctx *c, const char *dir, const char *shown, const char *file,
                        const char *as, const char *what, const at_digest *base,
                        at_life_event *done);
/** The last module of a folder that is being made has the same tensors and another passport: those of this file. */
at_status at_module_reseal(at_ctx *c, const char *dir, const char *file, const at_digest *base);
/** Copies a model's folder into one that is being made, but for certificate.json. */
at_status at_module_copy_model(at_ctx *c, const char *model, const char *dir);
/** Fills the new folder `dir` with the base of `model` and those of its modules that the passport of `f` says were there when
    it was trained, in that order and with those numbers, whatever else is in `model`.  links: what was compared goes
    into this open list (at_life_link).  AT_MISMATCH: another base, another tokenizer, or one of them is not there. */
at_status at_module_beside(at_ctx *c, const char *model, const char *file, const at_module_file *f,
                           const char *dir, at_json *links);
/** {"what","name","recorded","found"}, into an open list: two digests that were compared. */
void at_life_link(at_json *j, const char *what, const char *name, const char *recorded,
                  const char *found);
/** The module's file, byte for byte. */
at_status at_module_export(at_ctx *c, const char *model, const char *name, const char *out);
/** The modules of `other`, which has the same base, that `model` does not have, too.  *added: how many. */
at_status at_module_merge(at_ctx *c, const char *model, const char *other, const char *out,
                          int64_t *added);

/** Whether what is left without a module is a model that never saw its data, and why it is not. */
typedef struct at_removal {
    bool holds;
    cJSON *chain; /* list of {"what","name","recorded","found"}: digests that were compared */
    char reason[512];
    int64_t compared; /* logits of random tokens, the same to the bit as with the module excluded */
} at_removal;
/** `model` without a module.  certify: AT_MISMATCH, and no `out`, unless the removal is exact; r says what was
    compared in any case, and is freed. */
at_status at_module_drop(at_ctx *c, const char *model, const char *name, bool certify,
                         const char *out, at_life_event *done, at_removal *r);
void at_removal_close(at_removal *r);

/** Digest of the base of a folder. */
at_status at_base_digest(at_ctx *c, const char *model, at_digest *out);

#endif
