/* api_model.h - open models as the public interface hands them over. */
#ifndef AT_API_MODEL_H
#define AT_API_MODEL_H
#include "api/api.h"
#include "infer/lm.h"
#include "infer/sample.h"

/** The public name and the internal one are the same object. */
at_lm *at_inner(const artel_model *m);

at_sampling at_sampling_of(const artel_sampling *how);

#endif
