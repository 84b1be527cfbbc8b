/* st_internal.h - what reader, writer and check of tensor files share. */
#ifndef AT_ST_INTERNAL_H
#define AT_ST_INTERNAL_H
#include "base/file.h"
#include "base/json.h"
#include "io/safetensors.h"
#define XXH_STATIC_LINKING_ONLY /* the state on the stack */
#include <xxhash.h>

/* Marks a file that has hashes.  Without it one whose hash key is damaged would look like a file of
   another program, which has none. */
#define AT_ST_HASHED_KEY "artel.hashed"

struct at_st {
    at_map map; /* empty when the bytes are borrowed          */
    char *path;
    cJSON *head;          /* owns the names and the metadata            */
    const cJSON *meta;    /* "__metadata__" in head, or NULL            */
    at_st_tensor *tensor; /* count, in the order of the data            */
    int64_t *by_name;     /* indices into tensor, names in strcmp order */
    int64_t count;
};

/** The number of elements, checked: false when it does not fit. */
bool at_st_elements(int rank, const int64_t *dim, int64_t *n);

/** Hash of a tensor: its name, type and shape, by _begin, then its bytes. */
uint64_t at_st_tensor_hash(const at_st_tensor *t);
void at_st_tensor_hash_begin(XXH3_state_t *h, const at_st_tensor *t);
/** Hash of all metadata but the hashes themselves, in order; meta may be NULL. */
uint64_t at_st_meta_hash(const cJSON *meta);
/** 16 hexadecimal digits and a NUL. */
void at_st_hash_text(uint64_t h, char text[17]);

#endif
