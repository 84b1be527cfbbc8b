/*
 * convert.h - a model folder written again: in the shape its authors' programs read, or in artel's own,
 * and proved by its logits.
 */
#ifndef AT_CONVERT_H
#define AT_CONVERT_H
#include "arch/model.h"

typedef enum at_convert_to {
    AT_TO_HF, /* every tensor under its name in the source, buffers included; config.json as it is */
    AT_TO_ARTEL /* the parameters alone, by their full names                                         */
} at_convert_to;

typedef struct at_conversion {
    int64_t read, written, left_out; /* tensors; left_out: buffers no parameter stands for  */
    int64_t files;                   /* of weights in the source                            */
    double bytes;                    /* of tensors in the target                            */
    int64_t ids;                     /* tokens whose logits were compared                   */
    double difference;               /* |a - b| / |a| over all logits                       */
    double largest;                  /* |a - b| of one logit                                */
    double allowed;                  /* of difference; 0: every bit must agree              */
    double seconds;
} at_conversion;

/**
 * Reads the plain model folder `from` where it lies and writes the folder `to`, which must not exist:
 * one model.safetensors (whatever number of shards it came in), config.json, and what there is of
 * tokenizer files.  type: AT_DT_F32 or AT_DT_BF16 for the parameters, AT_DT_COUNT to keep each one's.
 * Memory beyond the maps is a tensor's worth at most; the folder appears when its logits on some random
 * ids (keyed by seed) agree with the source's, else AT_MISMATCH.
 */
at_status at_convert(at_compute *cp, const char *from, const char *to, at_convert_to shape,
                     at_dtype type, uint64_t seed, at_conversion *out);

#endif
