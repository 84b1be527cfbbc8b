/* fuzz_jsonl.c - any bytes as a file of JSON lines, plain or packed: documents are UTF-8, errors
   name the file. */
#include "data/pairs.h"
#include "data/source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static at_status check(at_ctx *c, void *user, const at_document *d) {
    (void)c;
    (void)user;
    if (d->pair && at_pair_first(d->text, (size_t)d->bytes) >= (size_t)d->bytes) abort();
    if (d->bytes < 1 || !*d->key || at_utf8_error(d->text, (size_t)d->bytes) >= 0) abort();
    return AT_OK;
}

static void read_file(const char *path, at_source_kind kind, bool strict) {
    at_ctx c;
    at_ctx_init(&c, 1);
    const at_read_options r = {
        .strict = strict, .max_file = 1 << 20, .max_line = 100, .min_source = 4};
    at_source s;
    at_skipped left = {0};
    if (at_source_open(&c, path, "en", kind, &s)) abort();
    const at_status status = at_source_file(&c, &s, 0, &r, check, NULL, &left);
    if (status && !strstr(c.message, path)) abort();
    at_source_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[] = "/tmp/fuzz_jsonl.XXXXXX";
    const int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
    read_file(path, AT_KIND_JSONL, true);
    read_file(path, AT_KIND_JSONL, false);
    read_file(path, AT_KIND_PAIRS, true);
    read_file(path, AT_KIND_PAIRS, false);
    read_file(path, AT_KIND_TEXT, false); /* the same lines as plain text */
    (void)unlink(path);
    return 0;
}
