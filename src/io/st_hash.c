/*
 * st_hash.c - checks that the content is what was written.  The metadata under AT_ST_HASH_KEY are
 * 16 hexadecimal digits (XXH3-64) for the other metadata, then 16 for each tensor in the order of
 * the data, without separators, so that the header of a file of thousands of tensors stays small.
 */
#include "io/st_internal.h"
#include <string.h>

enum { DIGITS = 16 };

static void put(XXH3_state_t *h, const char *text) {
    (void)XXH3_64bits_update(h, text, strlen(text) + 1);
}

void at_st_tensor_hash_begin(XXH3_state_t *h, const at_st_tensor *t) {
    XXH3_INITSTATE(h);
    (void)XXH3_64bits_reset(h);
    put(h, t->name);
    put(h, at_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        char dim[24];
        (void)snprintf(dim, sizeof dim, "%lld", (long long)t->dim[i]);
        put(h, dim);
    }
}

uint64_t at_st_tensor_hash(const at_st_tensor *t) {
    XXH3_state_t h;
    at_st_tensor_hash_begin(&h, t);
    if (t->bytes) (void)XXH3_64bits_update(&h, t->data, t->bytes);
    return XXH3_64bits_digest(&h);
}

uint64_t at_st_meta_hash(const cJSON *meta) {
    XXH3_state_t h;
    XXH3_INITSTATE(&h);
    (void)XXH3_64bits_reset(&h);
    for (const cJSON *m = meta ? meta->child : NULL; m; m = m->next) {
        if (!strcmp(m->string, AT_ST_HASH_KEY)) continue;
        put(&h, m->string);
        put(&h, m->valuestring);
    }
    return XXH3_64bits_digest(&h);
}

void at_st_hash_text(uint64_t h, char text[17]) {
    (void)snprintf(text, 17, "%016llx", (unsigned long long)h);
}

at_status at_st_verify(at_ctx *c, const at_st *st) {
    const char *kept = at_st_meta(st, AT_ST_HASH_KEY);
    if (!kept && !at_st_meta(st, AT_ST_HASHED_KEY)) return AT_OK;
    if (!kept) return at_error(c, AT_FORMAT, "%s: altered: its hashes are gone", st->path);
    const size_t want = (size_t)(st->count + 1) * DIGITS;
    if (strlen(kept) != want)
        return at_error(c, AT_FORMAT, "%s: altered: %zu digits of hashes, %zu expected", st->path,
                        strlen(kept), want);
    char text[17];
    at_st_hash_text(at_st_meta_hash(st->meta), text);
    if (memcmp(kept, text, DIGITS) != 0)
        return at_error(c, AT_FORMAT, "%s: altered: its metadata is not what was written",
                        st->path);
    for (int64_t i = 0; i < st->count; i++) {
        const at_st_tensor *t = &st->tensor[i];
        at_st_hash_text(at_st_tensor_hash(t), text);
        if (memcmp(kept + (i + 1) * DIGITS, text, DIGITS) != 0)
            return at_error(c, AT_FORMAT,
                            "%s: tensor `%.200s`: altered: its content is not what was written "
                            "(hash %s, expected %.16s)",
                            st->path, t->name, text, kept + (i + 1) * DIGITS);
    }
    return AT_OK;
}
