/* test_bf16_double.c - the tests of test_bf16.c with the engine in double. */
#include "../unit/test_bf16.c"
