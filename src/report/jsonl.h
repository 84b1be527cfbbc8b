/*
 * jsonl.h - a file of one JSON object a line, read one at a time.
 *
 * Empty lines are skipped.  A last line that has no newline and does not parse was left by a run
 * that was killed, and is ignored; any other bad line is an error that names file and line.
 */
#ifndef AT_JSONL_H
#define AT_JSONL_H
#include "base/file.h"
#include "base/json.h"

typedef struct at_jsonl {
    const char *path; /* borrowed */
    at_map map;
    size_t at;
    int64_t line; /* of the value returned last, from 1 */
} at_jsonl;

at_status at_jsonl_open(at_ctx *c, const char *path, at_jsonl *out);
/** *out: the next object (cJSON_Delete), or NULL at the end. */
at_status at_jsonl_next(at_ctx *c, at_jsonl *j, cJSON **out);
void at_jsonl_close(at_jsonl *j);
/** The number under a key; false when there is none. */
bool at_jsonl_number(const cJSON *object, const char *key, double *out);
/** The string under a key, or NULL. */
const char *at_jsonl_string(const cJSON *object, const char *key);

#endif
