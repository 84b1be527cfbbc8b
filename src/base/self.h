/* self.h - what is running, and on what: results that depend on either carry these two names. */
#ifndef AT_SELF_H
#define AT_SELF_H
#include "base/sha256.h"

enum { AT_PROCESSOR_MAX = 128 };

/** Hex SHA-256 of the file this code was loaded from, the program or the shared library.  Where the
    system does not tell that file, of version and commit. */
at_status at_self_program(at_ctx *c, char text[AT_SHA256_TEXT]);

/** The processor's name and the instruction set in use: "AMD EPYC 7763 64-Core Processor, avx2".
    Where the system does not tell the name, that of its kind of machine: "aarch64, ref". */
void at_self_processor(const at_ctx *c, char out[AT_PROCESSOR_MAX]);

#endif
