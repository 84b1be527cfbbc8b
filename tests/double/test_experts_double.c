/* test_experts_double.c - the tests of test_experts.c with the engine in double. */
#include "../unit/test_experts.c"
