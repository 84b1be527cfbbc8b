/*
 * lab_speed.h - how fast models of a lab are, measured side by side.
 *
 * One model after another does a few training steps, forward passes and decoded tokens, and the
 * round begins again: what disturbs the machine for a while disturbs all of them.  Told are medians
 * over rounds.  Weights and texts are the real ones, so that experts are as busy as they are.
 *
 * Models are compared within a heat: those of one training seed.  Each seed has its own, so that
 * ratios of speeds vary over seeds by all that makes them vary: weights, and noise of the clock.
 */
#ifndef AT_LAB_SPEED_H
#define AT_LAB_SPEED_H
#include "lab/lab_session.h"

enum { AT_SPEED_MODELS = 16, AT_SPEED_HEATS = 8 };

typedef struct at_speed {
    double train, forward,
        decode;      /* tokens a second: batches of the recipe; the same batch read and
                                      scored; one token after another with a cache */
    double error[3]; /* standard errors of their logarithms over the rounds */
} at_speed;

/** t [heats, n]: finished runs, those of a heat side by side; out [heats, n].  Kept in
    DIR/speed.json: measured once for these runs, this program, processor and number of threads. */
at_status at_lab_speed(at_lab_session *l, const at_trial *const *t, int heats, int n, int rounds,
                       at_speed *out);

#endif
