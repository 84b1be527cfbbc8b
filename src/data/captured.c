/* captured.c - see captured.h for the layout. */
#include "data/captured.h"
#include "base/ints.h"
#include "base/maths.h"
#include <math.h>
#include <string.h>
#include <xxhash.h>

enum { VERSION = 1, HASHED = 328, NARROW_MAX = 65536, CONTEXT_MAX = 1 << 20, FINE = 32768 };
static const char magic[8] = {'A', 'R', 'T', 'L', 'O', 'G', 'I', 'T'};

typedef struct head {
    char magic[8];
    uint32_t version, bits, id_bytes, n_tau, split, zero;
    uint64_t n, vocab, context, windows, shard;
    double tau[AT_CAPTURED_TAUS];
    char teacher[AT_HASH_HEX], tokenizer[AT_HASH_HEX], domain[AT_CAPTURED_NAME];
    uint64_t check;
} head;
_Static_assert(sizeof(head) == HASHED + 8, "the header has no padding");

static bool little_endian(void) {
    const uint16_t one = 1;
    unsigned char low;
    memcpy(&low, &one, 1);
    return low == 1;
}

/* ---- sizes ---- */

static int64_t id_bytes(const at_captured_plan *p) { return p->vocab <= NARROW_MAX ? 2 : 4; }

static int64_t content_bytes(const at_captured_plan *p) {
    const int64_t number = p->bits / 8;
    return p->context * (p->n * (id_bytes(p) + number) + p->n_tau * number);
}

int64_t at_captured_window_bytes(const at_captured_plan *p) {
    return at_round_up(content_bytes(p), 8) + 8;
}

double at_captured_bytes(const at_captured_plan *p) {
    return (double)AT_CAPTURED_HEAD + (double)p->windows * (double)at_captured_window_bytes(p);
}

int64_t at_captured_windows(int64_t n_tokens, int64_t context) {
    return n_tokens < 1 ? 0 : (n_tokens - 1) / context;
}

static bool hex(const char *s) {
    return strlen(s) == AT_HASH_HEX && strspn(s, "0123456789abcdef") == AT_HASH_HEX;
}

at_status at_captured_check_plan(at_ctx *c, const at_captured_plan *p) {
    if (p->bits != 16 && p->bits != 32)
        return at_error(c, AT_ARG, "expected numbers of 16 or 32 bits, found %d", p->bits);
    if (p->vocab < 1 || p->vocab > INT32_MAX || p->n < 1 || p->n > p->vocab)
        return at_error(c, AT_ARG, "expected 1 to %lld tokens of each row, found %lld",
                        (long long)p->vocab, (long long)p->n);
    if (p->context < 1 || p->context > CONTEXT_MAX)
        return at_error(c, AT_ARG, "expected a context of 1 to %d tokens, found %lld", CONTEXT_MAX,
                        (long long)p->context);
    if (p->n_tau < 1 || p->n_tau > AT_CAPTURED_TAUS)
        return at_error(c, AT_ARG, "expected 1 to %d temperatures, found %d", AT_CAPTURED_TAUS,
                        p->n_tau);
    for (int i = 0; i < p->n_tau; i++)
        if (!(p->tau[i] >= 0.01 && p->tau[i] <= 1000) || (i && p->tau[i] <= p->tau[i - 1]))
            return at_error(c, AT_ARG,
                            "expected ascending temperatures from 0.01 to 1000, found %g",
                            p->tau[i]);
    if (p->windows < 0 || (unsigned)p->split >= AT_SPLITS || !hex(p->teacher) ||
        !hex(p->tokenizer) || !at_name_ok(p->domain))
        return at_error(c, AT_ARG, "a name, a hash or a count is out of range");
    return AT_OK;
}

uint64_t at_captured_head(const at_captured_plan *p, unsigned char *out) {
    head h = {.version = VERSION,
              .bits = (uint32_t)p->bits,
              .id_bytes = (uint32_t)id_bytes(p),
              .n_tau = (uint32_t)p->n_tau,
              .split = (uint32_t)p->split,
              .n = (uint64_t)p->n,
              .vocab = (uint64_t)p->vocab,
              .context = (uint64_t)p->context,
              .windows = (uint64_t)p->windows,
              .shard = p->shard};
    memcpy(h.magic, magic, sizeof magic);
    for (int i = 0; i < p->n_tau; i++) h.tau[i] = p->tau[i];
    memcpy(h.teacher, p->teacher, AT_HASH_HEX);
    memcpy(h.tokenizer, p->tokenizer, AT_HASH_HEX);
    memcpy(h.domain, p->domain, strlen(p->domain));
    h.check = XXH3_64bits(&h, HASHED);
    memset(out, 0, AT_CAPTURED_HEAD);
    memcpy(out, &h, sizeof h);
    return h.check;
}

uint64_t at_captured_window_sum(const at_captured_plan *p, uint64_t check, int64_t window,
                                const unsigned char *bytes) {
    const size_t n = (size_t)at_captured_window_bytes(p) - sizeof(uint64_t);
    return XXH3_64bits_withSeed(bytes, n, check + (uint64_t)window);
}

bool at_captured_window_ok(const at_captured_plan *p, uint64_t check, int64_t window,
                           const unsigned char *bytes) {
    uint64_t kept;
    memcpy(&kept, bytes + at_captured_window_bytes(p) - sizeof kept, sizeof kept);
    return kept == at_captured_window_sum(p, check, window, bytes);
}

/* ---- opening ---- */

static at_status read_head(at_ctx *c, const char *path, const at_map *map, at_captured_file *f) {
    head h;
    if (map->bytes < AT_CAPTURED_HEAD)
        return at_error(c, AT_FORMAT,
                        "%s: expected captured logits of at least %d bytes, found %zu", path,
                        AT_CAPTURED_HEAD, map->bytes);
    memcpy(&h, map->data, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0)
        return at_error(c, AT_FORMAT, "%s: not captured logits (it does not begin with ARTLOGIT)",
                        path);
    if (h.version != VERSION)
        return at_error(c, AT_UNSUPPORTED, "%s: expected version %d of captured logits, found %u",
                        path, VERSION, (unsigned)h.version);
    if (h.check != XXH3_64bits(&h, HASHED))
        return at_error(c, AT_FORMAT, "%s: the header was altered (its checksum does not hold)",
                        path);
    at_captured_plan *p = &f->plan;
    const bool counts = h.n <= INT32_MAX && h.vocab <= INT32_MAX && h.context <= CONTEXT_MAX &&
                        h.windows <= map->bytes && h.bits <= 32 && h.n_tau <= AT_CAPTURED_TAUS &&
                        h.split < AT_SPLITS;
    if (!counts) return at_error(c, AT_FORMAT, "%s: a count in the header is out of range", path);
    *p = (at_captured_plan){.bits = (int)h.bits,
                            .n_tau = (int)h.n_tau,
                            .split = (at_split)h.split,
                            .n = (int64_t)h.n,
                            .vocab = (int64_t)h.vocab,
                            .context = (int64_t)h.context,
                            .windows = (int64_t)h.windows,
                            .shard = h.shard};
    memcpy(p->tau, h.tau, sizeof p->tau);
    memcpy(p->teacher, h.teacher, AT_HASH_HEX);
    memcpy(p->tokenizer, h.tokenizer, AT_HASH_HEX);
    memcpy(p->domain, h.domain, AT_CAPTURED_NAME);
    f->check = h.check;
    if (at_captured_check_plan(c, p) != AT_OK || h.id_bytes != (uint32_t)id_bytes(p)) {
        (void)at_error_in(c, path);
        return c->status = AT_FORMAT;
    }
    return AT_OK;
}

at_status at_captured_open(at_ctx *c, const char *path, at_captured_file *out) {
    *out = (at_captured_file){0};
    if (!little_endian())
        return at_error(c, AT_UNSUPPORTED,
                        "%s: captured logits are little-endian, this machine is not", path);
    at_status s = at_map_open(c, path, &out->map);
    if (s == AT_OK && !(out->path = at_strdup(c, path))) s = c->status;
    if (s == AT_OK) s = read_head(c, path, &out->map, out);
    const at_captured_plan *p = &out->plan;
    if (s == AT_OK && at_captured_bytes(p) != (double)out->map.bytes)
        s = at_error(c, AT_FORMAT, "%s: %s: %lld windows of %lld bytes make %.0f, found %zu", path,
                     at_captured_bytes(p) > (double)out->map.bytes ? "cut short"
                                                                   : "bytes after the end",
                     (long long)p->windows, (long long)at_captured_window_bytes(p),
                     at_captured_bytes(p), out->map.bytes);
    if (s != AT_OK) at_captured_close(out);
    return s;
}

void at_captured_close(at_captured_file *f) {
    at_map_close(&f->map);
    at_free(f->path);
    *f = (at_captured_file){0};
}

int at_captured_tau(const at_captured_plan *p, double tau) {
    for (int i = 0; i < p->n_tau; i++)
        if (p->tau[i] == tau) return i;
    return -1;
}

/* ---- a window ---- */

/* Number i of an array of logarithms, or of odds. */
static double number(const at_captured_plan *p, const unsigned char *at, int64_t i, bool odds) {
    if (p->bits == 32) {
        float x;
        memcpy(&x, at + 4 * i, sizeof x);
        return (double)x;
    }
    uint16_t x;
    int16_t y;
    memcpy(&x, at + 2 * i, sizeof x);
    memcpy(&y, at + 2 * i, sizeof y);
    if (odds) return (double)y / 2048;
    return x <= FINE ? -(double)x / 2048 : -16 - (double)(x - FINE) / 512;
}

/* Log-probabilities at temperature tau of a row whose others have these odds together. */
static void warm(const at_captured_plan *p, double tau, double odds, at_real *logq, at_real *left) {
    double sum = 0, top = 0;
    for (int64_t j = 0; j < p->n; j++) sum += at_exp(((double)logq[j] - (double)logq[0]) / tau);
    if (p->n < p->vocab) {
        top = odds > 0 ? -odds - at_log1p(at_exp(-odds)) : -at_log1p(at_exp(odds));
        *left = (at_real)(odds + top);
    } else {
        *left = 0;
    }
    const double shift = top - at_ln(sum), first = (double)logq[0];
    for (int64_t j = 0; j < p->n; j++) logq[j] = (at_real)(((double)logq[j] - first) / tau + shift);
}

at_status at_captured_read(at_ctx *c, const at_captured_file *f, int64_t window, int k, int32_t *id,
                           at_real *logq, at_real *left) {
    const at_captured_plan *p = &f->plan;
    const int64_t all = p->context * p->n, wide = id_bytes(p);
    if (window < 0 || window >= p->windows || k < 0 || k >= p->n_tau)
        return at_error(c, AT_ARG, "%s: no window %lld at temperature number %d", f->path,
                        (long long)window, k);
    const unsigned char *at = f->map.data + AT_CAPTURED_HEAD + window * at_captured_window_bytes(p);
    if (!at_captured_window_ok(p, f->check, window, at))
        return at_error(c, AT_FORMAT, "%s: altered: the checksum of window %lld does not hold",
                        f->path, (long long)window);
    const unsigned char *logs = at + all * wide, *odds = logs + all * (p->bits / 8);
    for (int64_t i = 0; i < all; i++) {
        uint16_t narrow = 0;
        uint32_t x = 0;
        if (wide == 2) memcpy(&narrow, at + 2 * i, sizeof narrow);
        if (wide == 4) memcpy(&x, at + 4 * i, sizeof x);
        x = wide == 2 ? narrow : x;
        if ((int64_t)x >= p->vocab)
            return at_error(c, AT_FORMAT, "%s: window %lld: token id %u is not below %lld", f->path,
                            (long long)window, (unsigned)x, (long long)p->vocab);
        id[i] = (int32_t)x;
        logq[i] = (at_real)number(p, logs, i, false);
    }
    for (int64_t t = 0; t < p->context; t++)
        warm(p, p->tau[k], number(p, odds, k * p->context + t, true), logq + t * p->n, &left[t]);
    return AT_OK;
}
