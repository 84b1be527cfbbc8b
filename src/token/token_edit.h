/* token_edit.h - edits of text before it is split: normalizers, marks in place of spaces,
   prefixes. */
#ifndef AT_TOKEN_EDIT_H
#define AT_TOKEN_EDIT_H
#include "base/ctx.h"

typedef enum at_edit_kind {
    AT_EDIT_PREPEND,        /* `to` in front of a stretch                                      */
    AT_EDIT_PREPEND_UNLESS, /* the same unless it is there                                     */
    AT_EDIT_PREPEND_FIRST,  /* the same, and only where the text begins                        */
    AT_EDIT_REPLACE,        /* every `from` by `to`                                            */
    AT_EDIT_NFC,
    AT_EDIT_NFD,
    AT_EDIT_NFKC,
    AT_EDIT_NFKD
} at_edit_kind;

typedef struct at_edit {
    at_edit_kind kind;
    char *from, *to; /* NUL-terminated, or NULL */
} at_edit;

typedef struct at_edits {
    at_edit *item;
    int64_t n, cap;
} at_edits;

/** Buffers that are reused from text to text; zero to begin. */
typedef struct at_editor {
    char *text, *other;
    int64_t n, cap, other_cap;
} at_editor;

/** Where a stretch of valid text stands: prefixes depend on it. */
typedef enum at_place {
    AT_PLACE_INSIDE, /* after bytes that are not UTF-8  */
    AT_PLACE_START,  /* after an added token            */
    AT_PLACE_FIRST   /* where the whole text begins     */
} at_place;

at_status at_edits_add(at_ctx *c, at_edits *e, at_edit_kind kind, const char *from, const char *to);
void at_edits_close(at_edits *e);

/** Replaces *text and *bytes by the edited text, which is valid until the next call with m. */
at_status at_edits_apply(at_ctx *c, const at_edits *e, at_editor *m, at_place place,
                         const char **text, size_t *bytes);
void at_editor_close(at_editor *m);

#endif
