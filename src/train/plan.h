/* plan.h - what a training run would cost, from its recipe alone. */
#ifndef AT_PLAN_H
#define AT_PLAN_H
#include "base/json.h"
#include "conf/conf.h"

/** One object; cJSON_Delete.  NULL: the reason is in the context. */
cJSON *at_plan(at_ctx *c, at_conf *recipe, bool distilling);

#endif
