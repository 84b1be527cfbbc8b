/* fuzz_json.c - any bytes as JSON; what is accepted prints and parses again to the same value. */
#include "base/json.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(at_ctx *c, const cJSON *v) {
    const char *s;
    int64_t i;
    double d;
    const cJSON *o;
    (void)at_json_string(c, "f", v, "a", &s);
    (void)at_json_int(c, "f", v, "a", -5, 5, &i);
    (void)at_json_number(c, "f", v, "a", &d);
    (void)at_json_object(c, "f", v, "a", &o);
    (void)at_json_array(c, "f", v, "a", &o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_ctx_init(&c, 1);
    cJSON *v = at_json_parse(&c, "fuzz", (const char *)data, size);
    if (!v) {
        if (c.status == AT_OK || !*c.message) abort();
        return 0;
    }
    ask(&c, v);
    char *text = at_json_text(&c, v); /* what is written is read, as the same */
    cJSON *again = text ? at_json_parse(&c, "again", text, strlen(text)) : NULL;
    char *twice = again ? at_json_text(&c, again) : NULL;
    if (!twice || strcmp(text, twice) != 0) abort();
    cJSON_Delete(again);
    at_free(text);
    at_free(twice);
    cJSON_Delete(v);
    return 0;
}
