/* hash.h - XXH3-64 of whole files as 16 hexadecimal digits.  Fast; detects accidents, but not
   forgery, for which there is base/sha256.h. */
#ifndef AT_HASH_H
#define AT_HASH_H
#include "base/ctx.h"

enum { AT_HASH_TEXT = 17 };

void at_hash_bytes(const void *data, size_t bytes, char text[AT_HASH_TEXT]);
at_status at_hash_file(at_ctx *c, const char *path, char text[AT_HASH_TEXT]);

#endif
