/* plan.h - what a training run would cost, from its recipe alone. */
#ifndef AT_PLAN_H
#define AT_PLAN_H
#include "base/json.h"
#include "conf/conf.h"

/** Into an open object.  timed: with an estimate of the seconds, for which the peak of this machine is
    measured. */
at_status at_plan(at_ctx *c, at_conf *recipe, bool distilling, bool timed, at_json *j);

#endif
