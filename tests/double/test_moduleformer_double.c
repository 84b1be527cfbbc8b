/* test_moduleformer_double.c - the tests of test_moduleformer.c with the engine in double. */
#include "../unit/test_moduleformer.c"
