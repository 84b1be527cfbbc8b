/* bench.h - what `artel bench` measures, as JSON objects. */
#ifndef AT_BENCH_H
#define AT_BENCH_H
#include "artel.h"

/** What artel_about says, and "blas", what products are compared with: "OpenBLAS 0.3.21 (Haswell)", or
    "none". */
artel_status at_json_version(artel *a, artel_emit emit, void *user);

/** Time whole training steps on random tokens; the recipe's sections model and train give the
    sizes (default: gpt2, 6 layers, width 384, 6 heads, context 256, batch 8, vocabulary 8192).
    Emits one object: name, arch, shape, threads, parameters, seconds {min, median},
    tokens_per_s, gflops, peak_gflops, percent_of_peak. */
artel_status at_json_bench_step(artel *a, const artel_recipe *r, int64_t steps, artel_emit emit,
                                void *user);

/** Time single tokens: random ids through the model folder r->path, or through random parameters of a
    recipe's section model.  The bound is what memory can deliver: a token needs the bytes of the
    experts chosen for it, of routers, norms and output, and of keys and values.  Emits one object:
    name, arch, shape, threads, parameters, active_parameters, load_seconds, prompt_tokens,
    prompt_seconds, tokens, seconds {min, median}, tokens_per_s, bytes_per_token, gbytes_per_s,
    read_peak (1e9 bytes a second, measured after each 16 tokens, the median), bound_tokens_per_s,
    percent_of_bound (of such rounds, the median) and, where the
    system tells, resident {bytes, anonymous, file}. */
artel_status at_json_bench_decode(artel *a, const artel_recipe *r, int64_t tokens, artel_emit emit,
                                  void *user);

/** Time what `data build` does with a file or folder of text before it is tokenised.  Emits an object
    a step: name, step ("digest", "read", "all" of the two, "near", "overlap"), bytes, cpu_seconds,
    mbytes_per_s. */
artel_status at_json_bench_data(artel *a, const char *path, artel_emit emit, void *user);

/**
 * Speed of the inner loops against the limit of the machine, measured, and a stated baseline in
 * the same process: {"name":..,"shape":..,"threads":N,"seconds":{"min":..,"median":..},
 * "gflops":..,"percent_of_peak":..,"limit":"fma"|"read","baseline":..,"ratio":..} for each.
 * ratio is the baseline's seconds over ours: above 1 we are faster.  Rows limited by memory have
 * gbytes_per_s; rows named fma_peak and read_peak are the limits.  Nothing else should run.
 */
artel_status at_json_bench_kernel(artel *a, artel_emit emit, void *user);

#endif
