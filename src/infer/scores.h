/*
 * scores.h - how good predictions are: of classes, or of numbers.
 *
 *   at_scores s;
 *   at_scores_open(c, classes, &s);                classes 0: numbers
 *   ... at_scores_class(&s, logits, truth), or at_scores_number(&s, found, truth), row by row ...
 *   at_scores_finish(&s);
 *   ... s.accuracy ...
 *   at_scores_close(&s);
 */
#ifndef AT_SCORES_H
#define AT_SCORES_H
#include "base/json.h"
#include "base/real.h"

enum { AT_SCORE_BINS = 15 };

typedef struct at_scores {
    int64_t classes, n; /* n rows */
    double loss;        /* mean of - log p(truth), nats; of numbers the mean square error */
    /* of classes */
    double accuracy, low,
        high; /* and the ends of its Wilson interval, 95 %                       */
    double
        macro_f1; /* mean of F1 = 2 tp / (2 tp + fp + fn) over classes that occur or are named  */
    double ece; /* expected calibration error of the largest probability, in bins of equal width */
    int64_t
        *confusion;  /* [classes, classes], rows: truth                                         */
    int64_t unknown; /* rows of a class that training did not have: none of the above but n, and
                           never right                                                             */
    int64_t bin_n[AT_SCORE_BINS];
    double bin_p[AT_SCORE_BINS], bin_right[AT_SCORE_BINS]; /* means, once finished */
    double *p;                                             /* [classes] of the last row */
    /* of numbers */
    double rmse, mae, r2; /* r2 = 1 - sum (found - truth)^2 / sum (truth - their mean)^2 */
    double truth_mean, truth_squares; /* while rows come: mean, and squares about it     */
} at_scores;

at_status at_scores_open(at_ctx *c, int64_t classes, at_scores *out);
/** logits [classes]; truth below 0: a class that training did not have.  s->p are its probabilities. */
void at_scores_class(at_scores *s, const at_real *logits, int32_t truth);
void at_scores_number(at_scores *s, double found, double truth);
void at_scores_finish(at_scores *s);
/** Into an open object; names: of the classes. */
void at_scores_write(const at_scores *s, char *const *names, at_json *j);
void at_scores_close(at_scores *s);

/** p = softmax(logits), [n]; returns the place of the largest, the first of its equals. */
int64_t at_class_probabilities(const at_real *logits, int64_t n, double *p);

#endif
