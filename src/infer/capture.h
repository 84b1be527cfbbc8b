/*
 * capture.h - a teacher's logits of a whole data set, once, for many students.
 *
 * Every token is captured in one context: that of its window, where windows lie one after the other
 * from the first token of the shard.  So a student reads those windows as they are (train.windows:
 * aligned) and finds what the teacher would say of its batch, for any seed, batch size and number of
 * epochs, at the cost of one reading of the text.  Windows at every offset would be context times as
 * large; the batches of one run would serve that run alone.
 */
#ifndef AT_CAPTURE_H
#define AT_CAPTURE_H
#include "data/captured_set.h"
#include "tensor/run.h"

typedef struct at_capture_options {
    const char *const *domains; /* [n_domains] names; 0: all               */
    int64_t n_domains;
    at_split split;
    int64_t top_k;   /* tokens kept of each row; 0: all; at most the vocabulary   */
    int64_t context; /* of a window; 0: 256, or the most that the teacher takes     */
    int bits;        /* 16 or 32                                                  */
    double tau[AT_CAPTURED_TAUS];
    int n_tau; /* ascending; 0: 1 and 2 */
} at_capture_options;

typedef struct at_capture_result {
    at_captured_plan plan;         /* of the last domain */
    double tokens, bytes;          /* of all             */
    double found;                  /* tokens of these that an earlier capture had made */
    double left[AT_CAPTURED_TAUS]; /* mean probability of what is not in the top */
    double seconds;
} at_capture_result;

/** The plain model folder `teacher` reads a data set; the folder `out` gets manifest.json and a file for
    each domain.  AT_INTERRUPTED: what was made is kept, and the same call goes on with it.
    AT_MISMATCH: other tokenizers, or out holds another capture.  AT_IO: the disk has not the room.
    Every file is read once more at the end, so what it says of itself is what is there. */
at_status at_capture(at_compute *cp, const char *teacher, const char *data, const char *out,
                     const at_capture_options *o, at_capture_result *res);

#endif
