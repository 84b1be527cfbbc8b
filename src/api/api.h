/* api.h - what the files of api/ share: the public context and the way a result leaves. */
#ifndef AT_API_H
#define AT_API_H
#include "artel.h"
#include "base/json.h"
#include "tensor/run.h"

struct artel {
    at_ctx ctx;
    artel_log log;
    void *log_user;
    atomic_int stop; /* a request of artel_interrupt that nobody answered yet */
    at_compute cp;   /* of all calls but those that train; open when it has scratch */
};

/** What a public function that can be interrupted returns in the end: AT_INTERRUPTED answers the
    request to stop, so that no later call sees it. */
artel_status at_answer(artel *a, at_status s);

/** The context's workers and their memory, kept from call to call. */
at_status at_compute_of(artel *a, at_compute **out);

/** The way of every result: the whole object as one line of UTF-8 to emit (a path or a token may hold
    other bytes: U+FFFD stands for them).  Closes j. */
artel_status at_emit(artel *a, artel_emit emit, void *user, at_json *j);

#endif
