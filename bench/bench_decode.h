/* bench_decode.h - speed of a text being continued, a token at a time, against what memory can deliver. */
#ifndef AT_BENCH_DECODE_H
#define AT_BENCH_DECODE_H
#include "bench/timing.h"
#include "conf/conf.h"

typedef struct at_bench_decode {
    char arch[64], shape[160];
    int64_t parameters;
    double active;           /* parameters used for a token, without the embedding's row   */
    double load_s, prompt_s; /* opening the model; reading the prompt                       */
    int64_t prompt, tokens;  /* how many were read at once, then one by one                 */
    at_timing time;          /* of the model for a token                                    */
    at_timing sampling;      /* of the draw of a token, as `generate` does by default       */
    int64_t vocab;           /* drawn from                                                  */
    double tokens_per_s;     /* by the medians, drawing included                            */
    double bytes;            /* of parameters, keys and values a token needs: chosen experts,
                                   routers, norms, output; a cache of half the length          */
    double gbytes, peak;     /* 1e9 bytes a second: read in the model's time, and what memory gives
                                   (median of the peaks after each 16 tokens)                  */
    double bound, percent;   /* tokens a second at that peak; what was reached of it, median of
                                   rounds of 16 tokens each against the peak after it          */
    double rss, rss_anon, rss_file; /* bytes resident after the last token; 0: not known       */
} at_bench_decode;

enum { AT_DECODE_MAX = 4096 };

/** Random tokens (their cost does not depend on what they say) through a model folder, or through
    random parameters of a recipe's section model (dir NULL). 1 <= tokens <= AT_DECODE_MAX. */
at_status at_bench_decode_run(at_ctx *c, const char *dir, at_conf *recipe, int64_t tokens,
                              at_bench_decode *out);

#endif
