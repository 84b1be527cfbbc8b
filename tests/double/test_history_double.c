/* test_history_double.c - the tests of test_history.c with the engine in double. */
#include "../unit/test_history.c"
