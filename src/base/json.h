/*
 * json.h - reading: cJSON with a depth limit, errors that name file and byte offset, and typed
 * getters. Writing: a builder whose text is complete or an error.
 */
#ifndef AT_JSON_H
#define AT_JSON_H
#include "base/text.h"
#include <cjson/cJSON.h>

enum { AT_JSON_DEPTH_MAX = 64 };

/* ---- reading: values of cJSON ---- */

/** For tests, in this thread: the parser's allocations count for this context's fail_after; NULL:
    no more. */
void at_json_inject(at_ctx *c);

/** Parse exactly one value; `name` stands for the file in messages. Free with cJSON_Delete. */
cJSON *at_json_parse(at_ctx *c, const char *name, const char *text, size_t bytes);
cJSON *at_json_read(at_ctx *c, const char *path);
/** An empty list of values; appending to it allocates nothing. */
cJSON *at_json_list(at_ctx *c);
void at_json_append(cJSON *list, cJSON *item);

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

/* ---- writing ---- */

/*
 * All JSON that artel writes is made by this builder.  After its first failure further calls do
 * nothing, and asking for the text gives AT_OOM, so that a key can never be missing.
 *
 *     at_json j;
 *     at_json_open(&j, c);
 *     at_json_put_string(&j, "domain", name);
 *     at_json_begin_list(&j, "shape");
 *     for (int i = 0; i < rank; i++) at_json_put_number(&j, NULL, (double)dim[i]);
 *     at_json_end(&j);
 *     char *line = at_json_take(&j);      // NULL after a failure; at_free(line)
 *
 * key: in an object the name, in a list NULL.
 */
typedef struct at_json {
    at_text text;
    bool indented;
    bool first; /* the innermost object or list is empty so far */
    int depth;
    char open[AT_JSON_DEPTH_MAX]; /* '{' or '[', the outermost first */
} at_json;

/** An object on one line: a result. */
void at_json_open(at_json *j, at_ctx *c);
/** An object on many lines: a file that people read. */
void at_json_open_file(at_json *j, at_ctx *c);
/** A single value, the one that is put next, on one line. */
void at_json_open_value(at_json *j, at_ctx *c);

void at_json_begin_object(at_json *j, const char *key);
void at_json_begin_list(at_json *j, const char *key);
void at_json_end(at_json *j);
/** Ends whatever is open deeper than this. */
void at_json_end_to(at_json *j, int depth);
/** text NULL: a failed allocation before; the builder fails. */
void at_json_put_string(at_json *j, const char *key, const char *text);
/** Infinite or NaN: null. */
void at_json_put_number(at_json *j, const char *key, double v);
void at_json_put_numbers(at_json *j, const char *key, const double *v, int64_t n);
void at_json_put_bool(at_json *j, const char *key, bool v);
void at_json_put_null(at_json *j, const char *key);
/** A copy of what was read; NULL: null. */
void at_json_put_value(at_json *j, const char *key, const cJSON *v);
/** Copies of the members of an object that was read, but for the one of this name. */
void at_json_put_members(at_json *j, const cJSON *o, const char *without);

/** Ends the outermost value; AT_OK when all of it is in j->text. */
at_status at_json_finish(at_json *j);
/** The whole text, or NULL after a failure; closes j. */
char *at_json_take(at_json *j);
/** The same as if it had been read from `name`, or NULL after a failure; closes j. */
cJSON *at_json_value(at_json *j, const char *name);
/** The whole text as a file, written atomically; closes j. */
at_status at_json_save(at_json *j, const char *path);
/** Frees.  Harmless after the above. */
void at_json_close(at_json *j);

/** A value that was read, on one line; at_free. */
char *at_json_text(at_ctx *c, const cJSON *v);
/** The items of a list, a line each, written atomically. */
at_status at_json_write_lines(at_ctx *c, const char *path, const cJSON *list);

#endif
