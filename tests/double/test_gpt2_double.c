/* test_gpt2_double.c - the tests of test_gpt2.c with the engine in double. */
#include "../unit/test_gpt2.c"
