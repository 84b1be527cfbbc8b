/* real.h - the number all of the engine computes in: float, or double in the build that checks
   gradients. */
#ifndef AT_REAL_H
#define AT_REAL_H

#ifdef AT_REAL_DOUBLE
typedef double at_real;
#define AT_REAL_NAME "F64"
#else
typedef float at_real;
#define AT_REAL_NAME "F32"
#endif

#endif
