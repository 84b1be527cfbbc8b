/* test_stickbreak_double.c - the tests of test_stickbreak.c with the engine in double. */
#include "../unit/test_stickbreak.c"
