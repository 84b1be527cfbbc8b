/* half.h - the two 16-bit floats, as bits.  Narrowing rounds to nearest, ties to even; NaN stays
   NaN; what is too large becomes infinite. */
#ifndef AT_HALF_H
#define AT_HALF_H
#include <stdint.h>

float at_f32_from_f16(uint16_t h);
float at_f32_from_bf16(uint16_t h);
uint16_t at_f16_from_f32(float f);
uint16_t at_bf16_from_f32(float f);

#endif
