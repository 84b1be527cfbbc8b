/* api_recipe.h - recipes as the public interface hands them over. */
#ifndef AT_API_RECIPE_H
#define AT_API_RECIPE_H
#include "api/api.h"
#include "conf/conf.h"

/** Read the file and lay the assignments on top; *out is NULL on failure. */
at_status at_recipe_open(artel *a, const artel_recipe *r, at_conf **out);

#endif
