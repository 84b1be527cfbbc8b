/*
 * token_impl.h - a loaded tokenizer.  Never written after loading, so threads may share it.
 *
 * A text is encoded as in the tokenizers package (add_special_tokens off):
 *     added tokens of the raw text -> normalizer -> added tokens of the normalised text
 *     -> marks and prefixes -> splitting into pieces -> merges inside each piece.
 * Bytes that are not UTF-8 are cut out first and become one token each.
 */
#ifndef AT_TOKEN_IMPL_H
#define AT_TOKEN_IMPL_H
#include "base/json.h"
#include "token/token_added.h"
#include "token/token_edit.h"
#include "token/token_merge.h"
#include "token/token_seams.h"
#include "token/token_split.h"
#include "token/tokenizer.h"

enum { AT_STAGES_MAX = 8, AT_TOKEN_IDS_MAX = 1 << 22, AT_TOKEN_BYTES_MAX = 1 << 16 };

typedef struct at_token {
    uint64_t start; /* in blob; what decoding gives */
    int32_t bytes;  /* -1: no such id               */
    bool added, special;
    bool raw; /* found before the normalizer, which begins anew behind it */
} at_token;

struct at_tokenizer {
    char *source; /* tokenizer.json, NUL-terminated */
    size_t source_bytes;
    char hash[65];

    bool bytelevel; /* else SentencePiece style: characters, unknown ones by bytes */
    bool byte_fallback, fuse_unk, ignore_merges;
    bool strip_start; /* decoding drops one leading space */
    bool prepends;    /* the normalizer puts a space before every stretch of text         */
    bool keep_mark;   /* U+2581 in a text is encoded by its bytes, for it is not a space  */
    int32_t unk;      /* or -1 */

    int64_t size;
    at_token *token; /* [size] */
    char *blob;
    int64_t blob_n, blob_cap;
    at_words vocab;       /* spelling as merged (raw bytes when bytelevel) -> id    */
    at_words whole;       /* pieces that are one token: no merging to do -> id      */
    at_pairs merges;      /*                                                        */
    at_seams seams;       /*                                                        */
    int32_t byte_id[256]; /* token of a lone byte, or -1                            */

    int64_t longest;                   /* bytes of the longest spelling */
    at_edits normalizer, marks, shown; /* shown: from spelling to what decoding gives */
    at_split stage[AT_STAGES_MAX];
    int stages;

    at_added *added;
    int64_t n_added, added_cap;
    at_finder raw, normalized;
};

/** Normalizer, pre_tokenizer and decoder: token_parts.c. */
at_status at_token_read_parts(at_ctx *c, const char *name, const cJSON *root, at_tokenizer *t);
/** added_tokens and their indices; called when the vocabulary is known: token_parts.c. */
at_status at_token_read_added(at_ctx *c, const char *name, const cJSON *root, at_tokenizer *t);
/** Sets the text that an id (which is in range) decodes to: token_parts.c. */
at_status at_token_set(at_ctx *c, const char *name, at_tokenizer *t, int64_t id, const char *text,
                       size_t bytes);

/** Buffers of one encoding; zero to begin: token_encode.c. */
typedef struct at_encoder {
    at_splitter splitter;
    at_editor normalizer, marks;
    at_merger merger;
} at_encoder;
/** Encodes one piece of valid text; `whole`: it may be looked up among the pieces that are one
    token. */
at_status at_token_piece(at_ctx *c, const at_tokenizer *t, at_encoder *e, const char *s, size_t n,
                         bool whole, at_ids *out);
void at_encoder_close(at_encoder *e);

#endif
