/* clock_lab.h - the lab of small mixtures against time (clock_lab.c): its runs and claims (clock_runs.c),
   and how it is shown (clock_page.c). */
#ifndef AT_CLOCK_LAB_H
#define AT_CLOCK_LAB_H
#include "lab/lab_claim.h"
#include "lab/lab_speed.h"
#include "lab/lab_trial.h"

enum { CLOCK_MIXTURE, CLOCK_ACTIVE, CLOCK_MIDDLE, CLOCK_TOTAL, CLOCK_MODELS };
enum { CLOCK_HORIZONS = 3, CLOCK_WHOLE = 1 }; /* half, once, twice the tokens of a run */
enum { CLOCK_SEEDS_MAX = AT_SPEED_SEEDS, CLOCK_RATES = 3 };

typedef struct clock_shape {
    int layers, width, hidden, att, ffn; /* hidden: of a feed-forward expert; att, ffn: experts */
} clock_shape;

typedef struct clock_scale {
    int64_t seeds, steps, tune_steps, batch, context, eval_windows, windows, save_every;
    int rounds; /* of measuring speed */
    clock_shape model[CLOCK_MODELS];
} clock_scale;

typedef struct clock_study {
    at_lab_session *l;
    const clock_scale *scale;
    int rate[CLOCK_MODELS]; /* chosen, of those tried            */
    at_speed speed[CLOCK_SEEDS_MAX][CLOCK_MODELS];
} clock_study;

extern const char *const clock_title[CLOCK_MODELS];
/** Group of the runs of a model with a horizon: "mixture", "mixture-half", "mixture-twice". */
void clock_group(int model, int horizon, char out[64]);
/** The i-th learning rate tried for a model, and the validation loss it came to. */
double clock_rate(const clock_study *m, int model, int i);
double clock_tune_loss(const clock_study *m, int model, int i);
/** Training seconds of a run with this horizon and seed k + 1, by the measured speed; test loss. */
double clock_seconds(const clock_study *m, int model, int horizon, int64_t k);
double clock_loss(const clock_study *m, int model, int horizon, int64_t k);
/** Loss of a model that is trained for as many seconds as the mixture's run, between the horizons along a line
    in the logarithm of time.  *outside: the time is beyond them, and the line was drawn on. */
double clock_loss_in_time(const clock_study *m, int model, int64_t k, bool *outside);
/** Scale; then all runs; their speeds; all claims, decided; the page. */
void clock_open(clock_study *m, at_lab_session *l);
at_status clock_train(clock_study *m);
at_status clock_measure(clock_study *m);
at_status clock_claims(clock_study *m);
void clock_page(clock_study *m);

#endif
