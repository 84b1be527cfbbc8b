/*
 * bleu.h - how much a text has in common with a reference, line by line: BLEU and chrF.
 *
 *   at_bleu_counts o;
 *   at_bleu_init(&o, c);
 *   at_bleu_add(&o, text, bytes, reference, bytes);   a line and what it should be
 *   at_bleu_score(&o, &bleu);  at_chrf_score(&o);
 *   at_bleu_close(&o);
 *
 * Both are of a whole corpus: counts of all lines are added before anything is divided.  They are those
 * of sacreBLEU (Post 2018, arXiv 1804.08771) with its defaults: BLEU|nrefs:1|case:mixed|eff:no|tok:13a|
 * smooth:exp and chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no.
 */
#ifndef AT_BLEU_H
#define AT_BLEU_H
#include "base/text.h"

enum { AT_BLEU_ORDER = 4, AT_CHRF_ORDER = 6 };

typedef struct at_gram_counts {
    int64_t ours, theirs, both; /* n-grams of the text, of the reference, in common */
} at_gram_counts;

typedef struct at_bleu_counts {
    at_ctx *ctx;
    int64_t lines, words, reference_words;
    at_gram_counts word[AT_BLEU_ORDER], letter[AT_CHRF_ORDER];
    uint64_t *key[2]; /* hashes of n-grams, scratch */
    int64_t cap[2];
    int64_t *at[2]; /* where items begin, scratch */
    int64_t at_cap[2];
} at_bleu_counts;

void at_bleu_init(at_bleu_counts *o, at_ctx *c);
/** Counts a line and its reference; bytes that are no UTF-8 count as characters of their own. */
at_status at_bleu_add(at_bleu_counts *o, const char *text, size_t bytes, const char *reference,
                      size_t reference_bytes);
void at_bleu_close(at_bleu_counts *o);

typedef struct at_bleu {
    double score;                    /* 0 to 100                                              */
    double brevity;                  /* exp(1 - reference / text) for a shorter text, else 1  */
    double precision[AT_BLEU_ORDER]; /* percent; smoothed where no n-gram is in common        */
} at_bleu;
/** score = brevity (p_1 p_2 p_3 p_4)^(1/4), p_n the share of the text's word n-grams that are in the
    reference, each at most as often as there.  Where it is 0, p_n = 1 / (2^z n-grams), z counting
    such orders.  Source: Papineni et al. 2002. */
void at_bleu_score(const at_bleu_counts *o, at_bleu *out);
/** F_2 of mean precision and mean recall of the n-grams of 1 to 6 characters, white space left out,
    over the orders that both sides have; 0 to 100.  Source: Popovic 2015. */
double at_chrf_score(const at_bleu_counts *o);

/** A line as BLEU counts its words: words and marks with a blank between. */
at_status at_bleu_words(at_ctx *c, const char *text, size_t bytes, at_text *out);

#endif
