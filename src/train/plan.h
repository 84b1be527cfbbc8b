/* plan.h - what a training run would cost, from its recipe alone. */
#ifndef AT_PLAN_H
#define AT_PLAN_H
#include "base/json.h"
#include "conf/conf.h"

/** One object; cJSON_Delete.  NULL: the reason is in the context.  timed: with an estimate of the
    seconds, for which the peak of this machine is measured. */
cJSON *at_plan(at_ctx *c, at_conf *recipe, bool distilling, bool timed);

#endif
