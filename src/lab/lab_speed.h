/*
 * lab_speed.h - how fast models of a lab are, measured side by side.
 *
 * One model after another does a few training steps, forward passes and decoded tokens, and the
 * round begins again: what disturbs the machine for a while disturbs all of them.  Told are medians
 * over rounds.  Weights and texts are the real ones, so that experts are as busy as they are.
 */
#ifndef AT_LAB_SPEED_H
#define AT_LAB_SPEED_H
#include "lab/lab_session.h"

enum { AT_SPEED_MODELS = 16 };

typedef struct at_speed {
    double train, forward,
        decode;      /* tokens a second: batches of the recipe; the same batch read and
                                      scored; one token after another with a cache */
    double error[3]; /* standard errors of their logarithms over the rounds */
} at_speed;

/** n <= AT_SPEED_MODELS finished runs.  Kept in DIR/speed.json: measured once for these runs and
    this number of threads. */
at_status at_lab_speed(at_lab_session *l, const at_trial *const *t, int n, int rounds,
                       at_speed *out);

#endif
