/*
 * tfidf.h - texts as sparse vectors of the words in them (TF-IDF of hashed words).
 *
 * A word (words.h) is a number below AT_TFIDF by its hash.  With tf its count in the text and df
 * the number of texts it is in, of n in all, its weight is (1 + ln tf) (ln((1 + n) / (1 + df)) + 1)
 * (Salton and Buckley, 1988; smoothed).  The AT_TFIDF_KEPT greatest weights are kept and scaled
 * to a vector of length 1.
 */
#ifndef AT_TFIDF_H
#define AT_TFIDF_H
#include "data/kmeans.h"

enum { AT_TFIDF = 1 << 15, AT_TFIDF_KEPT = 96 };

typedef struct at_tfidf {
    int64_t n, *df;                 /* [AT_TFIDF] */
    char (*word)[32];               /* [AT_TFIDF]: one that has this number, the most frequent if
                                       one has most */
    int64_t *lead;                  /* [AT_TFIDF]: of that word over others */
    int32_t *count;                 /* [AT_TFIDF]: of the text at hand */
    int32_t *seen;                  /* [AT_TFIDF]: numbers in it */
    struct at_tfidf_weight *weight; /* [AT_TFIDF]: scratch */
} at_tfidf;

at_status at_tfidf_open(at_ctx *c, at_tfidf *f);
/** Counts the words of one text. */
void at_tfidf_see(at_tfidf *f, const char *text, size_t bytes);
/** index, value [AT_TFIDF_KEPT]; returns how many are filled, 0 for a text without words. */
int64_t at_tfidf_of(at_tfidf *f, const char *text, size_t bytes, int32_t *index, double *value);
void at_tfidf_close(at_tfidf *f);

#endif
