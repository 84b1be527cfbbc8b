/* fuzz_bpe.c - any bytes to learn a SentencePiece-style tokenizer from, and to encode with it: all of
   them must come back, as text and with special tokens.  The first byte chooses options. */
#include "token/tokenizer.h"
#include <stdlib.h>
#include <string.h>

static void comes_back(at_ctx *c, const at_tokenizer *t, const char *text, size_t bytes,
                       bool specials) {
    at_ids ids = {0};
    size_t n;
    if (at_tokenizer_encode(c, t, text, bytes, specials, &ids)) abort();
    char *back = at_tokenizer_decode(c, t, ids.id, ids.n, &n);
    if (!back || n != bytes || (n && memcmp(back, text, n) != 0)) abort();
    at_free(back);
    at_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    const char *text = (const char *)data + 1;
    size--;
    const at_bpe_options o = {.vocab = 400,
                              .kind = AT_BPE_SENTENCEPIECE,
                              .min_count = data[0] & 1 ? 1 : 2,
                              .across_words = data[0] & 2,
                              .split_digits = data[0] & 4,
                              .single_spaces = data[0] & 8,
                              .coverage = data[0] & 16 ? 0.9 : 1,
                              .max_piece = data[0] & 32 ? 5 : 64};
    at_ctx c;
    at_ctx_init(&c, 1);
    at_bpe_trainer *b;
    at_tokenizer *t;
    if (at_bpe_trainer_open(&c, &o, &b)) abort();
    if (at_bpe_trainer_feed(&c, b, text, size / 2) || at_bpe_trainer_finish(&c, b, &t)) abort();
    at_bpe_trainer_close(b);
    comes_back(&c, t, text, size, false);
    comes_back(&c, t, text, size, true);
    at_tokenizer_close(t);
    return 0;
}
