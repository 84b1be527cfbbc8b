/* token_seams.c - see token_seams.h. */
#include "token/token_seams.h"
#include "token/token_bytes.h"

at_status at_seams_add(at_ctx *c, at_seams *s, const char *token, size_t bytes) {
    uint32_t last = 0;
    for (size_t i = 0, step; i < bytes; i += step) {
        const uint32_t ch = at_utf8_get(token + i, &step);
        if (i && !at_pairs_add(c, &s->inside, at_pair_key((int32_t)last, (int32_t)ch)))
            return c->status;
        last = ch;
    }
    return AT_OK;
}

size_t at_seams_next(const at_seams *s, const char *text, size_t bytes) {
    if (!s->known || !bytes) return bytes;
    size_t i, step;
    uint32_t last = at_utf8_get(text, &i);
    for (; i < bytes; i += step) {
        const uint32_t ch = at_utf8_get(text + i, &step);
        if (!at_pairs_find(&s->inside, at_pair_key((int32_t)last, (int32_t)ch))) return i;
        last = ch;
    }
    return bytes;
}

void at_seams_close(at_seams *s) {
    at_pairs_close(&s->inside);
    *s = (at_seams){0};
}
