/*
 * tokenizer.h - BPE, read and written as Hugging Face tokenizer.json.
 *
 * Read: byte-level vocabularies (GPT-2's own pattern, Split patterns, Digits) and SentencePiece
 * style (Prepend and Replace, or Metaspace; byte fallback), normalizers NFC, NFD, NFKC, NFKD.  The
 * ids are those of the `tokenizers` package with add_special_tokens off.  What is not supported is
 * refused by name, AT_UNSUPPORTED.
 *
 * The package takes text only.  Here a byte that is not part of a valid UTF-8 character becomes the
 * token of that byte, and the text before and after it is encoded separately.  So, for byte-level
 * tokenizers and for all that are trained here, decode(encode(x)) == x for every byte string x,
 * unless the file itself changes the text: by a normalizer, a prefix space that decoding keeps, or
 * tokens that strip the space around them.
 *
 * A tokenizer is constant once loaded: threads may share it, each with its own context.
 */
#ifndef AT_TOKENIZER_H
#define AT_TOKENIZER_H
#include "base/ctx.h"

typedef struct at_tokenizer at_tokenizer;

typedef struct at_ids {
    int32_t *id;
    int64_t n, cap;
} at_ids;

/** path: a tokenizer.json, or a folder that holds one. */
at_status at_tokenizer_load(at_ctx *c, const char *path, at_tokenizer **out);
at_status at_tokenizer_parse(at_ctx *c, const char *name, const char *json, size_t bytes,
                             at_tokenizer **out);
/** tokenizer.json (the bytes it was loaded from, or its canonical form when trained here). */
at_status at_tokenizer_save(at_ctx *c, const at_tokenizer *t, const char *path);
void at_tokenizer_close(at_tokenizer *t);

int64_t at_tokenizer_size(const at_tokenizer *t); /* highest id + 1 */
/** Id of a special token by content ("<|endoftext|>"), or -1. */
int32_t at_tokenizer_special(const at_tokenizer *t, const char *content);
/** The token that ends a document: <|endoftext|>, </s>, <eos>, or -1. */
int32_t at_tokenizer_eot(const at_tokenizer *t);
/** Hex SHA-256 (64 characters) of what decides ids: vocabulary, merges, patterns, added tokens. */
const char *at_tokenizer_hash(const at_tokenizer *t);
/** Bytes a token stands for; *bytes their number.  NULL when the id is unknown. */
const char *at_tokenizer_bytes(const at_tokenizer *t, int32_t id, size_t *bytes);

/** The bytes that it adds to a text behind the token `before`, or where the text begins, before -1:
    there, and behind special tokens, SentencePiece style puts a space that is not the text's. */
const char *at_tokenizer_after(const at_tokenizer *t, int32_t before, int32_t id, size_t *bytes);

/** Append the ids of text.  Special tokens in the text are recognised when `specials`; other
    added tokens always are.  AT_UNSUPPORTED: a byte or character without a token.  On failure
    *out keeps what it held. */
at_status at_tokenizer_encode(at_ctx *c, const at_tokenizer *t, const char *text, size_t bytes,
                              bool specials, at_ids *out);
/** The bytes of ids, NUL-terminated, from the heap. AT_ARG names the position of an unknown id. */
char *at_tokenizer_decode(at_ctx *c, const at_tokenizer *t, const int32_t *id, int64_t n,
                          size_t *bytes);
void at_ids_free(at_ids *ids);

/* ---- training ---- */
typedef struct at_bpe_trainer at_bpe_trainer;
typedef enum at_bpe_kind { AT_BPE_BYTES, AT_BPE_SENTENCEPIECE } at_bpe_kind;
extern const char *const at_bpe_kind_name[2];
/** NULL is the first.  AT_ARG: no such kind. */
at_status at_bpe_kind_parse(at_ctx *c, const char *name, at_bpe_kind *out);
enum { AT_BPE_SP_FIRST = 3 + 256 }; /* id of the first character; before it specials and bytes */
typedef struct at_bpe_options {
    int64_t vocab;     /* tokens in all, 256 bytes and specials included            */
    int64_t min_count; /* pairs seen less often are not merged (default 2)          */
    int64_t max_piece; /* longer pieces are cut before counting, bytes (default 64) */
    at_bpe_kind kind;
    /* SentencePiece style alone; there no token has more than max_piece characters, either. */
    bool across_words;  /* merges stop at the ends of lines, not of words            */
    bool split_digits;  /* digits are not merged                                     */
    bool single_spaces; /* nor are spaces with each other                            */
    double coverage;    /* share of the characters that get tokens (default 0.9995)  */
    int64_t sample;     /* across words: bytes of different lines kept (default 64 MiB) */
} at_bpe_options;
/** AT_ARG: options out of range, or of the other kind. */
at_status at_bpe_trainer_open(at_ctx *c, const at_bpe_options *o, at_bpe_trainer **out);
/** Counts the pieces of a document; bytes that are not UTF-8 are ignored.  Memory grows with the
    number of distinct pieces, not with the text; across words up to the sample, which depends on the
    text and not on its order. */
at_status at_bpe_trainer_feed(at_ctx *c, at_bpe_trainer *t, const char *text, size_t bytes);
/** Merge until the vocabulary is full; ties: higher count, then lower (left, right) ids.  Once: the
    counts are gone afterwards. */
at_status at_bpe_trainer_finish(at_ctx *c, at_bpe_trainer *t, at_tokenizer **out);
void at_bpe_trainer_close(at_bpe_trainer *t);

#endif
