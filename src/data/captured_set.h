/*
 * captured_set.h - a folder of captured logits: manifest.json, which is written last, and one file
 * <domain>.<split>.logits for each domain.
 */
#ifndef AT_CAPTURED_SET_H
#define AT_CAPTURED_SET_H
#include "data/captured.h"

typedef struct at_captured {
    char *path, *teacher;   /* teacher: the folder it was read from           */
    at_captured_plan plan;  /* what all files share: shard, windows, domain mean nothing */
    at_captured_file *file; /* [n_domains] by index of the data set; path NULL: not captured */
    int n_domains;
} at_captured;

/** "<domain>.<split>.logits" in a folder, from the heap. */
char *at_captured_path(at_ctx *c, const char *dir, const char *domain, at_split split);
/** Whether a folder looks like one: a manifest of this format, or a capture that was begun. */
bool at_captured_is(at_ctx *c, const char *dir);
/** Opens what there is of the data set's domains.  AT_FORMAT: cut short, altered.  AT_MISMATCH: it was
    captured over other text, or with another tokenizer.  AT_CONFIG: it was never finished. */
at_status at_captured_set_open(at_ctx *c, const char *dir, const at_dataset *d, at_captured **out);
void at_captured_set_close(at_captured *s);
/** Without a data set: reads everything.  AT_FORMAT: cut short, altered, or not what the manifest says. */
at_status at_captured_set_check(at_ctx *c, const char *dir);

/** What the manifest says beside the plan. */
typedef struct at_captured_summary {
    const char *teacher, *data, *arithmetic;
    double left[AT_CAPTURED_TAUS]; /* mean probability of what is not in the top */
} at_captured_summary;
/** Writes the manifest of files that are complete; plan [n]. */
at_status at_captured_manifest(at_ctx *c, const char *dir, const at_captured_plan *plan, int n,
                               const at_captured_summary *more);

#endif
