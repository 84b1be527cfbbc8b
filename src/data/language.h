/*
 * language.h - drops paragraphs that are in the language of another domain: untranslated English
 * in a French text, say.
 *
 * Nothing is known of languages but the domains themselves.  A domain's function words are its 200
 * most frequent; those of all domains make the list.  A domain d has word w of the list with
 * probability p_d(w) = (count + 1/2) / (words + 1).  A paragraph of domain d is dropped when another
 * domain e fits its listed words w_1, w_2, ... clearly better:
 *
 *     sum_i ln p_e(w_i)  >  4 + sum_i ln p_d(w_i)
 *
 * Words are those of words.h.  Documents in one piece (program sources) are neither judged nor
 * learned from.  Domains of one language differ little in function words, but their subjects have
 * frequent words of their own: this is meant for domains of different languages.
 */
#ifndef AT_LANGUAGE_H
#define AT_LANGUAGE_H
#include "data/stage.h"

enum { AT_LANGUAGE_WORDS = 200 };

/** Rewrites the stages.  AT_ARG when fewer than two domains have paragraphs.  Memory: some 20 MiB
    while words are counted, in at most 4 MiB of text of each domain. */
at_status at_language_filter(at_ctx *c, at_stage *domain, int n);

#endif
