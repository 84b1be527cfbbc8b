/* api_ask.h - names of experts become masks. */
#ifndef AT_API_ASK_H
#define AT_API_ASK_H
#include "api/api_model.h"

/** An at_ask with the masks that it points to. */
typedef struct at_asked {
    at_ask ask;
    bool *mask; /* owned */
} at_asked;

/** AT_ARG names an expert that the model does not have, or what it cannot do (at_lm_check_ask).  Freed in
    any case.  who: may be NULL. */
at_status at_ask_of(at_ctx *c, const at_lm *m, const artel_who *who, at_asked *out);
void at_asked_free(at_asked *a);

#endif
