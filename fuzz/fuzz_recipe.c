/* fuzz_recipe.c - any bytes as a recipe and as an assignment; what binds is printed as a recipe
   that binds to the same text. */
#include "conf/conf.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct bound {
    int64_t i;
    double r;
    bool b;
    char *s;
    int choice;
    at_strings list;
} bound;

static const at_key keys[] = {
    {"i", AT_KEY_INT, offsetof(bound, i), "1", -1e18, 1e18, NULL, NULL},
    {"r", AT_KEY_REAL, offsetof(bound, r), "0.5", 0, 0, NULL, NULL},
    {"b", AT_KEY_BOOL, offsetof(bound, b), "no", 0, 0, NULL, NULL},
    {"s", AT_KEY_STRING, offsetof(bound, s), "", 0, 0, NULL, NULL},
    {"c", AT_KEY_CHOICE, offsetof(bound, choice), "one", 0, 0, "one|two", NULL},
    {"l", AT_KEY_STRINGS, offsetof(bound, list), "", 0, 0, NULL, NULL},
    {0},
};

/* The effective text, or NULL with the error kept. */
static char *effective(at_ctx *c, at_conf *f) {
    bound top, below;
    at_strings names;
    if (at_conf_bind(c, f, "", keys, &top)) return NULL;
    if (at_conf_bind(c, f, "t", keys, &below)) return NULL;
    const int64_t n = at_conf_count(f, "x");
    if (n > 0 && at_conf_bind(c, f, "x.0", keys, &below)) return NULL;
    if (at_conf_keys(c, f, "n", &names)) return NULL;
    if (at_conf_finish(c, f)) at_error_clear(c);
    return at_conf_dump(c, f, false);
}

static void must_read_back(at_ctx *c, const char *text) {
    at_conf *f = NULL;
    if (at_conf_parse(c, "again", text, strlen(text), &f)) abort();
    char *again = effective(c, f);
    if (!again || strcmp(again, text) != 0) abort();
    at_free(again);
    at_conf_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_ctx_init(&c, 1);
    at_conf *f = NULL;
    if (at_conf_parse(&c, "fuzz", (const char *)data, size, &f)) {
        if (f || !*c.message) abort();
        if (at_conf_parse(&c, "empty", "", 0, &f)) return 0;
    }
    char *line = at_malloc(&c, size + 1);
    if (line) {
        if (size) memcpy(line, data, size);
        line[size] = 0;
        (void)at_conf_set(&c, f, line, "option --set");
    }
    at_free(line);
    char *text = effective(&c, f);
    if (text) must_read_back(&c, text);
    at_free(text);
    at_conf_close(f);
    return 0;
}
