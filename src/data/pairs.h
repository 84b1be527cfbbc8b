/*
 * pairs.h - texts with their translations: lines of files, documents of data sets.
 *
 * A line is one of
 *
 *     text TAB translation [TAB id]
 *     {"source": text, "target": translation, "id": string or number (may be left out)}
 *
 * the second where it begins with { and has no tab.
 *
 * White space within a text becomes single blanks, and goes at its ends.  Pairs of the same id, or,
 * where there is none, of the same source, are in the same split of a data set.
 *
 * In a data set a domain is a direction ("en-fr"), a document of it a pair: tokens of the source,
 * end of text, tokens of the target, end of text.  With more than one direction every source begins
 * with the name of its own and a blank (at_domain.tag).
 */
#ifndef AT_PAIRS_H
#define AT_PAIRS_H
#include "data/dataset.h"
#include "data/utf8.h"

enum {
    AT_PAIR_MARK = 0x1e
}; /* between the texts of a staged pair: U+001E, which texts do not hold */

typedef struct at_pair_line {
    at_bytes source, target, id; /* not terminated; id.n = 0: there is none */
} at_pair_line;

/** Reads a line of UTF-8, that is not blank, into *out, whose memory is used again.  AT_FORMAT: it is
    neither form, naming `where`. */
at_status at_pair_parse(at_ctx *c, const char *where, const char *line, size_t bytes,
                        at_pair_line *out);
void at_pair_line_free(at_pair_line *p);
/** Adds a text with single blanks. */
at_status at_pair_text(at_ctx *c, const char *text, size_t bytes, at_bytes *out);
/** Bytes of the first text of a staged pair, or all of them where the mark was cut off. */
size_t at_pair_first(const char *text, size_t bytes);
/** What the sources of this direction begin with, from the heap. */
char *at_pair_tag(at_ctx *c, const char *domain);

/** A pair of a shard. */
typedef struct at_pair {
    int32_t domain;          /* by the data set's index             */
    int64_t document, start; /* of the domain; its first token */
    int32_t source, all;     /* tokens of the source, with the one that ends it; of both  */
} at_pair;

typedef struct at_bitext {
    const at_dataset *set;
    at_split split;
    at_pair *pair; /* [n] owned */
    int64_t n, cap;
    int64_t left;    /* pairs that are too long */
    int64_t longest; /* of all of them, those left out among them */
    int64_t tokens;  /* of pair[] */
} at_bitext;

/** Adds the pairs of a domain of at most `most` tokens (0: any number).  AT_FORMAT: its documents are
    not pairs; AT_MISMATCH: the domain is of plain text. */
at_status at_bitext_add(at_ctx *c, const at_dataset *set, at_split split, int domain, int64_t most,
                        at_bitext *out);
void at_bitext_close(at_bitext *p);
/** A batch: B pairs by number.  input, target [B, T], T the longest of them less one (at_bitext_width);
    target[t] is the token after input[t] where that is one of the translation, else -1; of pair b the
    inputs from end[b] on are padding. */
int64_t at_bitext_width(const at_bitext *p, const int64_t *which, int64_t B);
void at_bitext_batch(const at_bitext *p, const int64_t *which, int64_t B, int64_t T, int32_t *input,
                     int32_t *target, int32_t *end);
/** Sorts numbers of pairs by length, and those of one length by number. */
at_status at_bitext_sort(at_ctx *c, const at_bitext *p, int64_t *which, int64_t n);
/** The tokens of a pair, its `all`. */
void at_pair_read(const at_bitext *p, const at_pair *one, int32_t *id);

#endif
