/*
 * stage.h - staging: clean text of a domain between reading and encoding.
 *
 * Documents are filtered, deduplicated and appended to a temporary file of their domain; later
 * their ids are appended to another.  A record of 96 bytes for each document stays in memory.
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
    int64_t text_at, bytes, chars, words;
    int64_t ids_at, tokens; /* end-of-text included                           */
    int64_t take;           /* units taken: 0 none, INT64_MAX all             */
    at_split split;
    int gap; /* length of the separator between paragraphs: 0 (one piece), 1 ("\n") or 2 */
} at_staged;

typedef struct at_filter {
    int64_t min_chars;  /* of a paragraph of prose                                        */
    double min_letters; /* share of its characters that are letters or blanks             */
} at_filter;

/** Paragraphs dropped, by reason. */
typedef struct at_dropped {
    int64_t duplicates, duplicate_bytes, too_short, few_letters, no_sentence, documents;
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
/** Closes files and frees; the files themselves stay for the owner of the folder to remove. */
void at_stage_close(at_stage *s);

int64_t at_staged_units(const at_staged *d, at_unit unit);

#endif
