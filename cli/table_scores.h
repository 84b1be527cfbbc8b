/* table_scores.h - how good a model of tables is, for people. */
#ifndef CLI_TABLE_SCORES_H
#define CLI_TABLE_SCORES_H
#include <cjson/cJSON.h>

/** Draws an object of artel_eval or of artel_train, if it is about a table; says whether it was. */
int scores_draw(const cJSON *o);

#endif
