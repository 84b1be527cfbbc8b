/* atlas_page.h - an atlas of experts as one self-contained page. */
#ifndef AT_ATLAS_PAGE_H
#define AT_ATLAS_PAGE_H
#include "infer/atlas.h"
#include "token/tokenizer.h"

typedef struct at_atlas_page {
    const at_atlas *atlas;
    const char *model, *split;
    const at_tokenizer *tokenizer; /* NULL: tokens are shown by their ids */
    int64_t tokens;                /* shown of an expert                  */
} at_atlas_page;

/** Writes the page; the file appears whole or not at all. */
at_status at_atlas_page_write(at_ctx *c, const at_atlas_page *p, const char *path);

/** A token as text that may be shown, from the heap: its bytes between quotes, or its id. */
char *at_atlas_token(at_ctx *c, const at_tokenizer *t, int32_t id);

#endif
