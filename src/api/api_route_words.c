/* api_route_words.c - what a router went by, as text. */
#include "api/api_route.h"
#include "base/text.h"

void at_route_answer(at_json *j, const at_router *r, int which, double probability,
                     double abstain) {
    at_json_put_string(j, "class", probability < abstain ? "unknown" : r->name[which]);
    if (abstain > 0) at_json_put_string(j, "best", r->name[which]);
}

/* A token may be part of a character: the bytes of all of them are taken together first. */
char *at_route_words(at_ctx *c, const at_tokenizer *t, const at_ids *ids,
                     const at_router_reason *why) {
    at_text bytes, out;
    at_text_init(&bytes, c, 0);
    at_text_init(&out, c, 0);
    for (int i = 0; t && i < why->tokens; i++) {
        size_t n = 0;
        const char *s = at_tokenizer_bytes(t, ids->id[why->first + i], &n);
        if (s) at_text_bytes(&bytes, s, n);
    }
    if (bytes.n) at_text_utf8(&out, bytes.s, bytes.n);
    char *text = bytes.failed ? NULL : at_text_take(&out);
    at_text_close(&bytes);
    at_text_close(&out);
    return text;
}
