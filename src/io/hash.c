/* hash.c - see hash.h. */
#include "io/hash.h"
#include "base/file.h"
#include "io/st_internal.h"

void at_hash_bytes(const void *data, size_t bytes, char text[AT_HASH_TEXT]) {
    at_st_hash_text(XXH3_64bits(bytes ? data : "", bytes), text);
}

at_status at_hash_file(at_ctx *c, const char *path, char text[AT_HASH_TEXT]) {
    at_map m;
    const at_status s = at_map_open(c, path, &m);
    if (s != AT_OK) return s;
    at_hash_bytes(m.data, m.bytes, text);
    at_map_close(&m);
    return AT_OK;
}
