/*
 * voice.h - what computes an answer: a network, and which modules of it are run.
 *
 * Experts that are trunks over one embedding are voices of one model.  In a composed folder each trunk has
 * a file of its own: a voice is made of the files of its trunks alone, when it is asked for, and kept.
 */
#ifndef AT_VOICE_H
#define AT_VOICE_H
#include "arch/model.h"

typedef struct at_voice {
    at_model *model;  /* borrowed                            */
    uint64_t modules; /* as at_input and at_session have it */
} at_voice;

typedef struct at_trunks at_trunks;

/** The "base" and the trunks of a composed folder, whose config.json `o` is.  Opens no file. */
at_status at_trunks_open(at_ctx *c, const char *dir, const char *config_path, const cJSON *o,
                         at_trunks **out);
/** All trunks of a plain model, which it takes over, also after a failure. */
at_status at_trunks_of(at_ctx *c, at_model *whole, at_trunks **out);
void at_trunks_close(at_trunks *t);

/** Names, without the common one, and whether there is one. */
at_modules at_trunks_modules(const at_trunks *t);
/** The configuration and the sizes of all of it; it may have no values. */
const at_model *at_trunks_shape(const at_trunks *t);
/** The trunks of this mask, by number (at_trunks_modules; the common one is the last); 0: all.  Opens what
    of it was not open before.  Several threads may ask at the same time. */
at_status at_trunks_voice(at_ctx *c, at_trunks *t, uint64_t mask, at_voice *out);

#endif
