/* session.h - cached decoding: a network and the key/value cache of a sequence. */
#ifndef AT_SESSION_H
#define AT_SESSION_H
#include "arch/read.h"

typedef struct at_session {
    at_compute *cp;
    at_model *model; /* borrowed */
    uint64_t
        modules; /* those that are run, see at_input; 0, as it is opened: all.  May be set before
                         the first token                                                       */
    at_arena arena;
    at_kv *cache;    /* [layers], each with memory of its own, which grows with the sequence */
    at_real *logits; /* [V] */
    int64_t n, cap;  /* tokens read, and at most */
} at_session;

/** cap: most tokens, at most the model's context; 0: that. */
at_status at_session_open(at_compute *cp, at_model *m, int64_t cap, at_session *s);
void at_session_close(at_session *s);
int64_t at_session_length(const at_session *s);
/** Read n more tokens; *logits [V] of the last one stay valid until the next call. AT_ARG beyond
    cap; on any failure the session is as before. */
at_status at_session_feed(at_session *s, const int32_t *ids, int64_t n, const at_real **logits);
/** Drops all but the first n tokens. */
void at_session_rewind(at_session *s, int64_t n);
/** How many of the last of n tokens an empty session reads of a text that is to be continued: all, or
    what leaves room for new ones. */
int64_t at_session_prompt(const at_session *s, int64_t n);
/** How many of a text's last tokens a full session keeps: it is rewound and reads them again. */
int64_t at_session_kept(const at_session *s);

/** What one of several sessions reads. */
typedef struct at_session_part {
    at_session *session;
    const int32_t *ids;
    int64_t n;
    const at_real *logits; /* out, as at_session_feed */
} at_session_part;
/** Several sessions of one model read in one pass: each gets the logits that it would get alone, bit for
    bit.  AT_ARG: a session twice, or one of another model; on any failure all are as before. */
at_status at_session_feed_all(at_session_part *part, int64_t parts);

#endif
