/* one_span.h - new tokens of a single sequence, for tests of attention on caches. */
#ifndef AT_ONE_SPAN_H
#define AT_ONE_SPAN_H
#include "op/op.h"

/** tokens after `before` ones in the cache kv, of one layer. */
#define ONE_SPAN(tokens, before, kv) &(at_spans){&(at_span){(tokens), (before), (kv)}, 1}, 0

#endif
