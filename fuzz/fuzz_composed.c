/* fuzz_composed.c - any bytes as the config.json of a composed folder of trunks: what opens has sizes
   that fit its parts, and no file was read. */
#include "infer/voice.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_trunks *t = NULL;
    at_ctx_init(&c, 1);
    if (size > 1 << 14) return 0; /* a thousand layers of sixty trunks take a while to declare */
    cJSON *o = at_json_parse(&c, "fuzz", (const char *)data, size);
    const at_status s =
        cJSON_IsObject(o) ? at_trunks_open(&c, "nowhere", "fuzz", o, &t) : AT_FORMAT;
    if ((s == AT_OK) != (t != NULL)) abort();
    if (t) {
        const at_modules l = at_trunks_modules(t);
        const at_dims *d = &at_trunks_shape(t)->dims;
        at_voice v;
        if (l.n > AT_MODULES_MAX || d->layers != (l.n + l.common) * d->module_layers) abort();
        if (at_trunks_voice(&c, t, 0, &v) == AT_OK || !*c.message) abort(); /* nothing is there */
    } else if (o && cJSON_IsObject(o) && !*c.message) {
        abort();
    }
    at_trunks_close(t);
    cJSON_Delete(o);
    return 0;
}
