/*
 * captured.h - the file <domain>.<split>.logits: what a teacher says of each token of a shard.
 *
 * The shard is read in windows of T tokens, one after the other from its first token on, each by
 * itself.  Row t of window w is the teacher's distribution of what follows tokens w T to w T + t.
 * Tokens after the last whole window that has a token after it are left out.
 *
 *     0  char[8]   "ARTLOGIT"
 *     8  u32       version (1)
 *    12  u32       bits of a stored number: 16 or 32
 *    16  u32       bytes of an id: 2 up to 65536 tokens, else 4
 *    20  u32       n_tau, temperatures, 1 to 8
 *    24  u32       split
 *    28  u32       0
 *    32  u64       n, most probable tokens kept of each row
 *    40  u64       V, tokens of the distribution
 *    48  u64       T
 *    56  u64       windows
 *    64  u64       checksum of the shard (that of its tokens and index)
 *    72  f64[8]    temperatures, ascending, then zeros
 *   136  char[64]  digest of the teacher's parameters, hex
 *   200  char[64]  hash of the tokenizer, hex
 *   264  char[64]  name of the domain, zeros after it
 *   328  u64       XXH3-64 of the bytes 0..327
 *
 * then zeros up to 4096, then the windows, each:
 *
 *     id[T][n]         descending by probability, equal ones by id
 *     logp[T][n]       log of the probability: u16 x stands for -x / 2048 up to 32768, that is -16, and
 *                      for -16 - (x - 32768) / 512 above; f32 for itself
 *     left[n_tau][T]   log of the odds of all other tokens together, at each temperature: i16 x
 *                      stands for x / 2048, f32 for itself; 0 where n = V
 *     zeros up to a multiple of 8
 *     u64              XXH3-64 of the above, its seed the checksum of the header plus the number of
 *                      the window
 *
 * All numbers little-endian.  Of probabilities of temperature 1 a row gives those at any temperature
 * whose odds it has: the powers 1/tau of the probabilities of the top, scaled to what the odds leave them.
 *
 * Error.  With 16 bits a logarithm is off by at most 2^-12 down to -16, by 2^-10 below (probabilities
 * below e^-79.9 become that), and odds by 2^-12 (those below e^-15.9 become that).  So a probability at
 * temperature tau >= 1 that is read is the true one times e^d, |d| <= AT_CAPTURED_ERROR, where it is not
 * below these.  With 32 bits d is what float rounds.
 */
#ifndef AT_CAPTURED_H
#define AT_CAPTURED_H
#include "base/real.h"
#include "data/dataset.h"

enum { AT_CAPTURED_TAUS = 8, AT_CAPTURED_HEAD = 4096, AT_CAPTURED_NAME = 64 };
/** Of a logarithm and of the sum that it is scaled by, 2^-10 each, and 2^-12 of the odds; a third of it
    where probabilities above e^-16 are meant. */
#define AT_CAPTURED_ERROR (9.0 / 4096)

/** What a file holds; all of it is in its header. */
typedef struct at_captured_plan {
    int bits, n_tau;
    at_split split;
    int64_t n, vocab, context, windows;
    uint64_t shard;
    double tau[AT_CAPTURED_TAUS];
    char teacher[AT_HASH_HEX + 1], tokenizer[AT_HASH_HEX + 1], domain[AT_CAPTURED_NAME + 1];
} at_captured_plan;

/** Bytes of a window, and of a whole file. */
int64_t at_captured_window_bytes(const at_captured_plan *p);
double at_captured_bytes(const at_captured_plan *p);
/** Whole windows of a shard of so many tokens. */
int64_t at_captured_windows(int64_t n_tokens, int64_t context);
/** AT_ARG, naming what is out of range. */
at_status at_captured_check_plan(at_ctx *c, const at_captured_plan *p);

/* ---- reading ---- */

typedef struct at_captured_file {
    at_captured_plan plan;
    char *path;
    uint64_t check; /* of the header */
    at_map map;
} at_captured_file;

/** Maps the file and checks its header and size, not its windows. */
at_status at_captured_open(at_ctx *c, const char *path, at_captured_file *out);
void at_captured_close(at_captured_file *f);
/** Index of a temperature of the file, or -1. */
int at_captured_tau(const at_captured_plan *p, double tau);
/** A window at temperature number k: id [T, n]; logq [T, n], log-probabilities; left [T], that of
    all other tokens together (without meaning where n = V).  AT_FORMAT: altered, its checksum does
    not hold. */
at_status at_captured_read(at_ctx *c, const at_captured_file *f, int64_t window, int k, int32_t *id,
                           at_real *logq, at_real *left);

/* ---- writing ---- */

/** A file in the making, PATH.part, which appears as PATH when it has all its windows. */
typedef struct at_captured_writer {
    at_captured_plan plan;
    char *path, *part;
    FILE *f;
    uint64_t check;
    int64_t done; /* windows that are written */
    unsigned char *record;
} at_captured_writer;

/** Goes on after the last good window of a PATH.part with the same header, or begins one.  AT_MISMATCH:
    PATH.part is of another capture. */
at_status at_captured_writer_open(at_ctx *c, const char *path, const at_captured_plan *p,
                                  at_captured_writer *w);
/** The next window: id [T, n] and logp [T, n] at temperature 1, descending; left [n_tau, T], log odds. */
at_status at_captured_writer_add(at_ctx *c, at_captured_writer *w, const int32_t *id,
                                 const float *logp, const float *left);
/** What was added is on disk: it is found again whatever happens next. */
at_status at_captured_writer_flush(at_ctx *c, at_captured_writer *w);
/** All windows are there: the file gets its name.  Closes. */
at_status at_captured_writer_commit(at_ctx *c, at_captured_writer *w);
/** Leaves PATH.part to go on with.  Harmless after commit. */
void at_captured_writer_close(at_captured_writer *w);

/* ---- what both share ---- */

/** The header as bytes [AT_CAPTURED_HEAD]; returns its checksum. */
uint64_t at_captured_head(const at_captured_plan *p, unsigned char *out);
/** Whether the checksum of a window's bytes holds. */
bool at_captured_window_ok(const at_captured_plan *p, uint64_t check, int64_t window,
                           const unsigned char *bytes);
/** The checksum itself. */
uint64_t at_captured_window_sum(const at_captured_plan *p, uint64_t check, int64_t window,
                                const unsigned char *bytes);

#endif
