/*
 * json.h - cJSON with artel's manners: depth limit, errors that name file and byte offset, typed
 * getters that say what was expected and what was found.
 */
#ifndef AT_JSON_H
#define AT_JSON_H
#include "base/ctx.h"
#include <cjson/cJSON.h>

enum { AT_JSON_DEPTH_MAX = 64 };

/** Parse exactly one value; `name` stands for the file in messages. Free with cJSON_Delete. */
cJSON *at_json_parse(at_ctx *c, const char *name, const char *text, size_t bytes);
cJSON *at_json_read(at_ctx *c, const char *path);
/** Pretty-printed, written atomically. */
at_status at_json_write(at_ctx *c, const char *path, const cJSON *v);

/* Getters: AT_FORMAT "<name>: field "<key>": expected ..., found ..." unless present and of the type. */
at_status at_json_string(at_ctx *c, const char *name, const cJSON *o, const char *key,
                         const char **out);
at_status at_json_int(at_ctx *c, const char *name, const cJSON *o, const char *key, int64_t lo,
                      int64_t hi, int64_t *out);
at_status at_json_number(at_ctx *c, const char *name, const cJSON *o, const char *key, double *out);
at_status at_json_object(at_ctx *c, const char *name, const cJSON *o, const char *key,
                         const cJSON **out);
at_status at_json_array(at_ctx *c, const char *name, const cJSON *o, const char *key,
                        const cJSON **out);

#endif
