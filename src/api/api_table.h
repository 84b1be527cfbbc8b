/* api_table.h - models of rows of tables, behind the functions that serve all models. */
#ifndef AT_API_TABLE_H
#define AT_API_TABLE_H
#include "api/api.h"
#include "arch/model.h"
#include "data/split.h"

/** artel_eval of such a model. */
at_status at_table_eval(artel *a, at_model *m, const char *data, const artel_eval_options *o,
                        artel_emit emit, void *user);

/** "train", "validation", "test". */
at_status at_table_part(at_ctx *c, const char *name, at_part *out);
/** AT_UNSUPPORTED: a model of another architecture. */
at_status at_table_none(at_ctx *c, const at_model *m, const char *path);

#endif
