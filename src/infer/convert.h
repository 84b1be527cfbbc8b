/*
 * convert.h - converts a model folder to the layout that its authors' programs read, or to artel's
 * own, and checks the result by its logits.
 */
#ifndef AT_CONVERT_H
#define AT_CONVERT_H
#include "arch/model.h"

typedef enum at_convert_to {
    AT_TO_HF, /* every tensor under its name in the source, buffers included; config.json as it is */
    AT_TO_ARTEL /* the parameters alone, by their full names                                         */
} at_convert_to;

typedef struct at_conversion {
    int64_t read, written, left_out; /* tensors; left_out: buffers, which are no parameters */
    int64_t files;                   /* of weights in the source                            */
    double bytes;                    /* of tensors in the target                            */
    int64_t ids;                     /* tokens whose logits were compared                   */
    double difference;               /* |a - b| / |a| over all logits                       */
    double largest;                  /* |a - b| of one logit                                */
    double allowed;                  /* of difference; 0: every bit must agree              */
    double seconds;
} at_conversion;

/**
 * Maps the plain model folder `from` and writes the folder `to`, which must not exist: one
 * model.safetensors (however many shards the source has), config.json, and the tokenizer files.
 * AT_UNSUPPORTED: AT_TO_HF of a configuration that its authors' programs do not know (at_arch.foreign).
 * type: AT_DT_F32 or AT_DT_BF16 for the parameters, AT_DT_COUNT to keep the type of each.  Memory
 * beside the maps is at most one tensor.  The folder appears if its logits for some random ids
 * (keyed by seed) agree with those of the source; otherwise AT_MISMATCH.
 */
at_status at_convert(at_compute *cp, const char *from, const char *to, at_convert_to shape,
                     at_dtype type, uint64_t seed, at_conversion *out);

#endif
