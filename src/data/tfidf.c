/* tfidf.c - see tfidf.h. */
#include "data/tfidf.h"
#include "base/maths.h"
#include "data/words.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef struct at_tfidf_weight {
    double weight;
    int32_t index;
} at_tfidf_weight;

at_status at_tfidf_open(at_ctx *c, at_tfidf *f) {
    *f = (at_tfidf){.df = at_calloc(c, AT_TFIDF, sizeof *f->df),
                    .word = at_calloc(c, AT_TFIDF, sizeof *f->word),
                    .lead = at_calloc(c, AT_TFIDF, sizeof *f->lead),
                    .count = at_calloc(c, AT_TFIDF, sizeof *f->count),
                    .seen = at_calloc(c, AT_TFIDF, sizeof *f->seen),
                    .weight = at_calloc(c, AT_TFIDF, sizeof *f->weight)};
    if (f->df && f->word && f->lead && f->count && f->seen && f->weight) return AT_OK;
    at_tfidf_close(f);
    return c->status;
}

void at_tfidf_close(at_tfidf *f) {
    at_free(f->df);
    at_free(f->word);
    at_free(f->lead);
    at_free(f->count);
    at_free(f->seen);
    at_free(f->weight);
    *f = (at_tfidf){0};
}

/* Of words with one number the one that is there most often, if more often than all others together
   (Boyer and Moore's majority vote). */
static void vote(at_tfidf *f, int32_t number, const char *word) {
    if (f->lead[number] == 0)
        (void)snprintf(f->word[number], sizeof f->word[number], "%.31s", word);
    f->lead[number] += strncmp(f->word[number], word, sizeof f->word[number] - 1) == 0 ? 1 : -1;
}

/* Fills count and seen; returns how many numbers there are. */
static int64_t count(at_tfidf *f, const char *text, size_t bytes, bool names) {
    int64_t n = 0;
    at_words w = {.p = text, .end = text + bytes};
    while (at_word_next(&w)) {
        const int32_t number =
            (int32_t)(XXH3_64bits(w.word, (size_t)w.n) & (uint64_t)(AT_TFIDF - 1));
        if (names) vote(f, number, w.word);
        if (f->count[number]++ == 0) f->seen[n++] = number;
    }
    return n;
}

static void forget(at_tfidf *f, int64_t n) {
    for (int64_t i = 0; i < n; i++) f->count[f->seen[i]] = 0;
}

void at_tfidf_see(at_tfidf *f, const char *text, size_t bytes) {
    const int64_t n = count(f, text, bytes, true);
    for (int64_t i = 0; i < n; i++) f->df[f->seen[i]]++;
    f->n++;
    forget(f, n);
}

static int heaviest_first(const void *a, const void *b) {
    const at_tfidf_weight *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return x->index - y->index;
}

static int by_index(const void *a, const void *b) {
    const at_tfidf_weight *x = a, *y = b;
    return x->index - y->index;
}

int64_t at_tfidf_of(at_tfidf *f, const char *text, size_t bytes, int32_t *index, double *value) {
    int64_t n = count(f, text, bytes, false);
    for (int64_t i = 0; i < n; i++) {
        const int32_t number = f->seen[i];
        const double rare = at_ln((1 + (double)f->n) / (1 + (double)f->df[number])) + 1;
        f->weight[i] = (at_tfidf_weight){(1 + at_ln((double)f->count[number])) * rare, number};
    }
    forget(f, n);
    qsort(f->weight, (size_t)n, sizeof *f->weight, heaviest_first);
    if (n > AT_TFIDF_KEPT) n = AT_TFIDF_KEPT;
    qsort(f->weight, (size_t)n, sizeof *f->weight, by_index);
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += f->weight[i].weight * f->weight[i].weight;
    for (int64_t i = 0; i < n; i++) {
        index[i] = f->weight[i].index;
        value[i] = f->weight[i].weight / sqrt(squares);
    }
    return n;
}
