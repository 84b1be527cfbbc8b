/*
 * lab_speed.h - measures how fast the models of a lab are, in turns.
 *
 * In each round every model does a few training steps, a forward pass and some decoding, so that a
 * disturbance of the machine affects all models alike.  Results are medians over rounds.  Weights
 * and texts are the real ones, so that the load of the experts is, too.
 *
 * The models of one training seed are measured together and compared with each other.  Over the
 * seeds ratios of speeds then vary by all that influences them: weights, and noise of the
 * measurement.
 */
#ifndef AT_LAB_SPEED_H
#define AT_LAB_SPEED_H
#include "lab/lab_session.h"

enum { AT_SPEED_MODELS = 16, AT_SPEED_SEEDS = 8 };

typedef struct at_speed {
    double train, forward,
        decode;      /* tokens a second: batches of the recipe; the same batch read and
                                      scored; one token after another with a cache */
    double error[3]; /* standard errors of their logarithms over the rounds */
} at_speed;

/** t [seeds, n]: finished runs; out [seeds, n].  Results are saved in DIR/speed.json and reused for
    the same runs, program, processor and number of threads. */
at_status at_lab_speed(at_lab_session *l, const at_trial *const *t, int seeds, int n, int rounds,
                       at_speed *out);

#endif
