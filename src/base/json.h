/*
 * json.h - cJSON with a depth limit, errors that name file and byte offset, and typed getters whose
 * errors say what was expected and what was found.
 */
#ifndef AT_JSON_H
#define AT_JSON_H
#include "base/ctx.h"
#include <cjson/cJSON.h>

enum { AT_JSON_DEPTH_MAX = 64 };

/*
 * Memory.  cJSON leaves out what finds no memory and goes on, so that a file could lack a key.  All
 * its memory comes through json.c, which remembers for each thread that some was refused, until
 * at_json_text or at_json_write is asked for the text and gives AT_OOM instead.  (After a failure
 * that was told otherwise this may be one refusal too many; a text is whole or an error.)  Blocks
 * are malloc's.
 */

/** Has cJSON allocate through here; called by at_ctx_init. */
void at_json_hooks(void);
/** For tests, in this thread: cJSON's allocations count for this context's fail_after; NULL: no
    more. */
void at_json_inject(at_ctx *c);

/** Parse exactly one value; `name` stands for the file in messages. Free with cJSON_Delete. */
cJSON *at_json_parse(at_ctx *c, const char *name, const char *text, size_t bytes);
cJSON *at_json_read(at_ctx *c, const char *path);
/** The text of v, on one line or on many; cJSON_free it.  NULL after AT_OOM, also when v is NULL or
    something did not fit into it. */
char *at_json_text(at_ctx *c, const cJSON *v, bool pretty);
/* Add `item`, which may be NULL after a failure.  Takes ownership in any case; false: not added. */
bool at_json_put(cJSON *o, const char *key, cJSON *item);
bool at_json_append(cJSON *list, cJSON *item);
/** Pretty-printed, written atomically. */
at_status at_json_write(at_ctx *c, const char *path, const cJSON *v);
/** The items of a list, a line each, written atomically. */
at_status at_json_write_lines(at_ctx *c, const char *path, const cJSON *list);

/* Getters: AT_FORMAT "<name>: field "<key>": expected ..., found ..." unless present and of the
   type. */
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
