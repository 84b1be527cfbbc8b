/* fuzz_html.c - any bytes as a web page: no empty paragraph, UTF-8 in gives UTF-8 out, and what came
   out is bounded by what went in. */
#include "data/html_strip.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_ctx_init(&c, 1);
    at_bytes out = {0};
    const char *page = (const char *)data;
    if (at_html_strip(&c, page, size, &out)) abort();
    if (out.n > 0 && (out.p[0] == '\n' || out.p[out.n - 1] != '\n')) abort();
    for (int64_t i = 1; i < out.n; i++)
        if (out.p[i] == '\n' && out.p[i - 1] == '\n') abort();
    if (size > 0 && at_utf8_error(page, size) < 0 && at_utf8_error(out.p, (size_t)out.n) >= 0)
        abort();
    if ((size_t)out.n > 4 * size) abort();
    at_bytes_free(&out);
    return 0;
}
