/* reader.h - reads a file of a known kind, document by document. */
#ifndef AT_READER_H
#define AT_READER_H
#include "data/source.h"

typedef struct at_reader {
    const char *path, *key;
    const at_read_options *reading;
    at_document_fn fn;
    void *user;
    at_skipped *left;
} at_reader;

at_status at_reader_run(at_ctx *c, at_source_kind kind, const at_reader *r);

#endif
