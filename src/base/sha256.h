/*
 * sha256.h - SHA-256 (FIPS 180-4), incremental: what manifests and passports name files by.
 *
 *   at_sha256 h;
 *   at_sha256_init(&h);
 *   at_sha256_update(&h, data, bytes);      any number of times
 *   at_sha256_final(&h, digest);
 *   at_sha256_hex(digest, text);            64 lower-case digits and a NUL
 */
#ifndef AT_SHA256_H
#define AT_SHA256_H
#include "base/ctx.h"

enum { AT_SHA256_BYTES = 32, AT_SHA256_TEXT = 65 };

typedef struct at_sha256 {
    uint32_t h[8];
    uint64_t bytes;          /* so far                         */
    unsigned char block[64]; /* the last bytes % 64 of them    */
} at_sha256;

void at_sha256_init(at_sha256 *s);
void at_sha256_update(at_sha256 *s, const void *data, size_t bytes);
void at_sha256_final(at_sha256 *s, unsigned char digest[AT_SHA256_BYTES]);
void at_sha256_hex(const unsigned char digest[AT_SHA256_BYTES], char text[AT_SHA256_TEXT]);

/** Hex digest of bytes in memory. */
void at_sha256_text(const void *data, size_t bytes, char text[AT_SHA256_TEXT]);
/** Hex digest of a file's content, streamed. */
at_status at_sha256_file(at_ctx *c, const char *path, char text[AT_SHA256_TEXT]);

#endif
