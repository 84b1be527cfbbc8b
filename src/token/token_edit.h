/* token_edit.h - what happens to text before it is cut: normalizers, spaces marked or prefixed. */
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

/** Memory of one encoder; zero to begin. */
typedef struct at_editor {
    char *text, *other;
    int64_t n, cap, other_cap;
} at_editor;

/** Where a stretch of valid text stands: prefixes depend on it. */
typedef enum at_place {
    AT_PLACE_INSIDE, /* behind bytes that are not UTF-8 */
    AT_PLACE_START,  /* behind an added token           */
    AT_PLACE_FIRST   /* where the whole text begins     */
} at_place;

at_status at_edits_add(at_ctx *c, at_edits *e, at_edit_kind kind, const char *from, const char *to);
void at_edits_close(at_edits *e);

/** text and bytes are replaced by the edited ones, which live in m until the next call. */
at_status at_edits_apply(at_ctx *c, const at_edits *e, at_editor *m, at_place place,
                         const char **text, size_t *bytes);
void at_editor_close(at_editor *m);

#endif
