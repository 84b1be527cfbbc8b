/* lm_data.h - a data set of tokens as the data of a run, and the models that go with it. */
#ifndef AT_LM_DATA_H
#define AT_LM_DATA_H
#include "train/task.h"

/** at_data.set is an at_dataset; parts are its domains, those that the recipe names. */
at_status at_lm_data_open(at_ctx *c, const at_recipe *r, at_data *out);
void at_lm_data_close(at_data *d);
/** The model has its tokenizer. */
at_status at_lm_data_check(at_ctx *c, const at_recipe *r, const at_data *d, const at_model *m,
                           const char *what);
/** The token that ends a text goes into config.json, for other programs. */
at_status at_lm_data_sign(at_ctx *c, const at_data *d, at_model *m);

#endif
