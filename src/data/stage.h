/*
 * stage.h - staging: clean text of a domain between reading and encoding.
 *
 * Documents are filtered, deduplicated and appended to a temporary file of their domain; later
 * their ids are appended to another.  A record of 104 bytes for each document stays in memory.
 */
#ifndef AT_STAGE_H
#define AT_STAGE_H
#include "data/dataset.h"
#include "data/dedup.h"
#include "data/source.h"
#include <stdio.h>

/** What sizes are counted in.  Words are what white space (of ASCII) separates. */
typedef enum at_unit {
    AT_UNIT_TOKENS,
    AT_UNIT_BYTES,
    AT_UNIT_CHARS,
    AT_UNIT_DOCS,
    AT_UNIT_WORDS,
    AT_UNITS
} at_unit;
const char *at_unit_name(at_unit u);
bool at_unit_parse(const char *name, at_unit *out);

typedef struct at_staged {
    uint64_t key, order; /* hash of the key; place in the shuffle          */
    uint64_t group;      /* documents of a group (a file) go into one split */
    uint64_t file; /* hash of the key of the file, or of the document if there is one a file */
    int64_t text_at, bytes, chars, words;
    int64_t ids_at, tokens; /* end-of-text included; before ids are there, number of the first
                               paragraph (near.h)                                 */
    int64_t take;           /* units taken: 0 none, INT64_MAX all             */
    at_split split;
    int gap;   /* length of the separator between paragraphs: 0 (one piece), 1 ("\n") or 2 */
    bool pair; /* a text and its translation, with a mark between them (pairs.h)         */
} at_staged;

typedef struct at_filter {
    int64_t min_chars;  /* of a paragraph of prose                                        */
    double min_letters; /* share of its characters that are letters or blanks             */
} at_filter;

/** Paragraphs dropped, by reason. */
typedef struct at_dropped {
    int64_t duplicates, duplicate_bytes, too_short, few_letters, no_sentence, documents;
    int64_t unaligned;                             /* documents: align.h */
    int64_t near_duplicates, near_duplicate_bytes; /* near.h     */
    int64_t other_language, other_language_bytes;  /* language.h */
} at_dropped;

typedef struct at_stage {
    char *name, *text_path, *ids_path;
    FILE *text, *ids;
    int64_t text_bytes, n_ids;
    at_staged *doc;
    int64_t n, cap;
    at_skipped left;
    at_dropped dropped;
    at_bytes clean; /* the document at hand */
    bool pairs;     /* its documents are */
    char *tag;      /* what is put before each first text of a pair, or NULL */
    bool cut; /* too few files: their stretches are assigned to splits one by one (balance.h) */
} at_stage;

/** Makes <dir>/<name>.text. */
at_status at_stage_open(at_ctx *c, at_stage *s, const char *dir, const char *name);
/** Filters and deduplicates a document; appends what remains, if anything does. */
at_status at_stage_add(at_ctx *c, at_stage *s, const at_document *d, const at_filter *f,
                       at_dedup *seen);
/** The text of a document into t (replaced). */
at_status at_stage_text(at_ctx *c, at_stage *s, const at_staged *d, at_bytes *t);
/** The ids of a document, end-of-text included, at `out` [d->tokens]. */
at_status at_stage_ids(at_ctx *c, at_stage *s, const at_staged *d, int32_t *out);
/** Appends ids to <dir>/<name>.ids. */
at_status at_stage_put_ids(at_ctx *c, at_stage *s, const int32_t *id, int64_t n);
/** Paragraphs of staged text, in order; of gap 0 the whole is one. */
typedef struct at_paragraphs {
    const char *p, *end;
    int gap;
} at_paragraphs;
bool at_paragraph_next(at_paragraphs *all, const char **p, size_t *bytes);

/** Whether paragraph i of a document is to stay. */
typedef at_status (*at_stays_fn)(at_ctx *c, void *user, at_stage *s, const at_staged *d, int64_t i,
                                 const char *p, size_t bytes, bool *yes);
/** Writes the staged text anew without the paragraphs that are not to stay; a document of which
    nothing stays goes.  Splits and order of the others remain. */
at_status at_stage_refine(at_ctx *c, at_stage *s, at_stays_fn stays, void *user);
/** Closes files and frees; the files themselves stay for the owner of the folder to remove. */
void at_stage_close(at_stage *s);

int64_t at_staged_units(const at_staged *d, at_unit unit);

#endif
