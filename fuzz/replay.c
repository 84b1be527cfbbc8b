/*
 * replay.c - runs a fuzz target over files and folders without libFuzzer, so that every build can:
 * each file as it is, cut short, with bytes changed, removed and doubled.  Always the same changes.
 * Inputs lie in blocks of exactly their size, for AddressSanitizer to see a byte read too far.
 */
#include "base/file.h"
#include "base/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 48, CHANGES = 160, BIG = 1 << 26 };

static int64_t runs;

static void run(const char *data, size_t size) {
    uint8_t *copy = calloc(1, size + (size == 0));
    if (!copy) return;
    if (size) memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static uint64_t pick(uint64_t n, uint64_t seed, uint64_t i) {
    return at_rand_below(n, seed, AT_STREAM_TEST, i);
}

/* One changed byte, one removed, one doubled; `work` has room for size + 1. */
static void change(const char *data, size_t size, uint64_t i, char *work) {
    static const char nasty[] = {0,          1,          '"',        '{',  '[', '\\', '9', '-',
                                 (char)0x7f, (char)0x80, (char)0xff, '\n', ':', 'e',  ' ', '}'};
    const size_t at = (size_t)pick(size, size, 2 * i);
    const char value = nasty[pick(sizeof nasty, size, 2 * i + 1)];
    memcpy(work, data, size);
    if (i % 2)
        work[at] = value;
    else
        work[at] = (char)(work[at] ^ (1 << i / 2 % 8));
    run(work, size);
    if (i % 4) return;
    memcpy(work + at, data + at + 1, size - at - 1);
    run(work, size - 1);
    memcpy(work, data, at + 1);
    memcpy(work + at + 1, data + at, size - at);
    run(work, size + 1);
}

static int replay(at_ctx *c, const char *path) {
    size_t size;
    char *data = at_read_file(c, path, BIG, &size);
    char *work = data ? at_malloc(c, size + 1) : NULL;
    if (!work) {
        fprintf(stderr, "%s\n", c->message);
        at_free(data);
        return 1;
    }
    run(data, size);
    for (size_t i = 0; i < CUTS && i < size; i++)
        run(data, size <= CUTS ? i : (size_t)((double)size * (double)i / CUTS));
    for (uint64_t i = 0; size > 0 && i < CHANGES; i++) change(data, size, i, work);
    at_free(data);
    at_free(work);
    return 0;
}

int main(int argc, char **argv) {
    at_ctx c;
    at_ctx_init(&c, 1);
    int failed = 0;
    int64_t files = 0;
    for (int i = 1; i < argc; i++) {
        if (!at_is_dir(argv[i])) {
            failed |= replay(&c, argv[i]);
            files++;
            continue;
        }
        at_list l;
        if (at_list_tree(&c, argv[i], &l)) {
            fprintf(stderr, "%s\n", c.message);
            return 1;
        }
        for (int64_t k = 0; k < l.n; k++, files++) {
            char *path = at_join(&c, argv[i], l.item[k]);
            failed |= path ? replay(&c, path) : 1;
            at_free(path);
        }
        at_list_free(&l);
    }
    printf("%lld files, %lld inputs\n", (long long)files, (long long)runs);
    if (files == 0) fprintf(stderr, "nothing to replay\n");
    return failed || files == 0;
}
