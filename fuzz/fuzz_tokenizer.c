/* fuzz_tokenizer.c - any bytes as a tokenizer.json; what loads must encode and decode. */
#include "token/tokenizer.h"
#include <stdlib.h>
#include <string.h>

static const char sample[] = "the  ships' names: 3.14 \xC3\xA9t\xC3\xA9 \xE2\x96\x81 <|endoftext|>"
                             " \xE2\x80\xAF\xF0\x9F\x98\x80\r\n\xFF\xC3 end\t\t ";

static void both_ways(at_ctx *c, const at_tokenizer *t, const char *text, size_t bytes) {
    at_ids ids = {0};
    if (!at_tokenizer_encode(c, t, text, bytes, true, &ids)) {
        size_t n;
        char *back = at_tokenizer_decode(c, t, ids.id, ids.n, &n);
        if (!back) abort(); /* an id that encoding gave is known */
        at_free(back);
    } else if (!c->message[0]) {
        abort(); /* a failure without a sentence */
    }
    at_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_ctx_init(&c, 1);
    at_tokenizer *t;
    if (at_tokenizer_parse(&c, "fuzz", (const char *)data, size, &t)) {
        if (t || !c.message[0]) abort();
        return 0;
    }
    both_ways(&c, t, sample, sizeof sample - 1);
    both_ways(&c, t, (const char *)data, size < 256 ? size : 256);
    if (strlen(at_tokenizer_hash(t)) != 64) abort();
    at_tokenizer_close(t);
    return 0;
}
