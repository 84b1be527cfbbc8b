/* sha256.c - the compression function as the standard writes it, one 64-byte block at a time. */
#include "base/sha256.h"
#include "base/file.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t right(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void compress(uint32_t h[8], const unsigned char *p) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (right(a, 7) ^ right(a, 18) ^ a >> 3) +
               (right(b, 17) ^ right(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        const uint32_t a = v[0], e = v[4];
        const uint32_t t1 = v[7] + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) +
                            ((e & v[5]) ^ (~e & v[6])) + K[i] + w[i];
        const uint32_t t2 =
            (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

void at_sha256_init(at_sha256 *s) {
    /* Fractional parts of the square roots of the first eight primes. */
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    *s = (at_sha256){0};
    memcpy(s->h, start, sizeof start);
}

void at_sha256_update(at_sha256 *s, const void *data, size_t bytes) {
    const unsigned char *p = data;
    size_t have = (size_t)(s->bytes % 64);
    s->bytes += bytes;
    if (have) {
        const size_t take = bytes < 64 - have ? bytes : 64 - have;
        if (take) memcpy(s->block + have, p, take);
        if (have + take < 64) return;
        compress(s->h, s->block);
        p += take;
        bytes -= take;
    }
    for (; bytes >= 64; p += 64, bytes -= 64) compress(s->h, p);
    if (bytes) memcpy(s->block, p, bytes);
}

void at_sha256_final(at_sha256 *s, unsigned char digest[AT_SHA256_BYTES]) {
    const uint64_t bits = s->bytes * 8;
    unsigned char tail[72] = {0x80};
    const size_t have = (size_t)(s->bytes % 64), zeros = (have < 56 ? 56 : 120) - have;
    for (int i = 0; i < 8; i++) tail[zeros + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
    at_sha256_update(s, tail, zeros + 8);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++) digest[4 * i + j] = (unsigned char)(s->h[i] >> (24 - 8 * j));
}

void at_sha256_hex(const unsigned char digest[AT_SHA256_BYTES], char text[AT_SHA256_TEXT]) {
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < AT_SHA256_BYTES; i++) {
        text[2 * i] = digit[digest[i] >> 4];
        text[2 * i + 1] = digit[digest[i] & 15];
    }
    text[2 * AT_SHA256_BYTES] = 0;
}

void at_sha256_text(const void *data, size_t bytes, char text[AT_SHA256_TEXT]) {
    at_sha256 s;
    unsigned char digest[AT_SHA256_BYTES];
    at_sha256_init(&s);
    at_sha256_update(&s, data, bytes);
    at_sha256_final(&s, digest);
    at_sha256_hex(digest, text);
}

at_status at_sha256_file(at_ctx *c, const char *path, char text[AT_SHA256_TEXT]) {
    FILE *f;
    const at_status opened = at_file_open(c, path, &f);
    if (opened) return opened;
    enum { PIECE = 1 << 16 };
    unsigned char *piece = at_malloc(c, PIECE), digest[AT_SHA256_BYTES];
    at_status s = piece ? AT_OK : c->status;
    at_sha256 h;
    at_sha256_init(&h);
    for (size_t n; !s && (n = fread(piece, 1, PIECE, f)) > 0;) at_sha256_update(&h, piece, n);
    if (!s && ferror(f)) s = at_error(c, AT_IO, "%s: cannot read: %s", path, strerror(errno));
    (void)fclose(f);
    at_free(piece);
    if (s) return s;
    at_sha256_final(&h, digest);
    at_sha256_hex(digest, text);
    return AT_OK;
}
