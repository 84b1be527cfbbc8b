/*
 * shard.h - the file <domain>.<split>.bin: written once as a stream, then read by memory map.
 *
 *     0  char[8]  "ARTSHARD"
 *     8  u32      version (1)
 *    12  u32      width: bytes of a token, 2 or 4
 *    16  u64      n_tokens
 *    24  u64      n_docs
 *    32  u64      n_bytes   of the text the tokens stand for
 *    40  u64      n_chars
 *    48  u64      vocab     every token is below it
 *    56  u64      token_offset (4096)
 *    64  u64      index_offset, a multiple of 64
 *    72  u64      XXH3-64 of the tokens and of the index, in this order
 *    80  char[64] hash of the tokenizer, hex
 *   144  u64      XXH3-64 of the bytes 0..143
 *
 * then zeros up to 4096, the tokens, zeros up to index_offset, n_docs + 1 u64 document starts (in
 * tokens; the last is n_tokens), end of file.  All numbers little-endian.
 */
#ifndef AT_SHARD_H
#define AT_SHARD_H
#include "base/file.h"

enum { AT_SHARD_HEAD = 4096, AT_HASH_HEX = 64 };

/** Tokens of a split of a domain, and where its documents begin. */
typedef struct at_shard {
    int width;             /* bytes a token: 2 or 4                   */
    const void *token;     /* n_tokens of them                        */
    const uint64_t *start; /* n_docs + 1 token offsets                */
    int64_t n_tokens, n_docs;
    int64_t n_bytes, n_chars; /* of the text the tokens stand for     */
} at_shard;

/** A shard opened for reading: `view` points into `map`. */
typedef struct at_shard_file {
    at_shard view;
    int64_t vocab;
    uint64_t body; /* checksum of tokens and index, from the header */
    char tokenizer[AT_HASH_HEX + 1];
    at_map map;
} at_shard_file;

/** Checks header, sizes and the order of the index, not the tokens. */
at_status at_shard_open(at_ctx *c, const char *path, at_shard_file *out);
/** Reads everything: the checksum, and that every token is below vocab. */
at_status at_shard_check(at_ctx *c, const char *path, const at_shard_file *s);
void at_shard_close(at_shard_file *s);
/** Copy n tokens from position i (must fit). */
void at_shard_read(const at_shard *s, int64_t i, int64_t n, int32_t *out);

/** Streams tokens to a temporary file, which is renamed at commit.  Memory: 8 bytes a document. */
typedef struct at_shard_writer at_shard_writer;
/** vocab decides the width: 2 bytes up to 65536.  tokenizer: 64 hex digits. */
at_status at_shard_writer_open(at_ctx *c, const char *path, int64_t vocab, const char *tokenizer,
                               at_shard_writer **out);
/** One document of n tokens that stand for so many bytes and characters. */
at_status at_shard_writer_add(at_ctx *c, at_shard_writer *w, const int32_t *id, int64_t n,
                              int64_t bytes, int64_t chars);
/** Finishes the file, fills *totals (token and start are NULL) when not NULL, closes. */
at_status at_shard_writer_commit(at_ctx *c, at_shard_writer *w, at_shard *totals);
/** Frees; removes the file unless it was committed.  Accepts NULL. */
void at_shard_writer_close(at_shard_writer *w);

#endif
