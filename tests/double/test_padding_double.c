/* test_padding_double.c - the tests of test_padding.c with the engine in double. */
#include "../unit/test_padding.c"
