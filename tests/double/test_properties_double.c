/* test_properties_double.c - the properties of test_properties.c with the engine in double. */
#include "../unit/test_properties.c"
