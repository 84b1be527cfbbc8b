/* real.h - at_real, the type that the engine computes in: float, or double in the build that checks
   gradients. */
#ifndef AT_REAL_H
#define AT_REAL_H

#include <float.h>

#ifdef AT_REAL_DOUBLE
typedef double at_real;
#define AT_REAL_TINY DBL_MIN /* smallest normal number */
#define AT_REAL_NAME "F64"
#else
typedef float at_real;
#define AT_REAL_TINY FLT_MIN
#define AT_REAL_NAME "F32"
#endif

#endif
