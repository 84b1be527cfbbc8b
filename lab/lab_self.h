/* lab_self.h - names of the running program and of the processor, recorded with results that depend on
   them. */
#ifndef AT_LAB_SELF_H
#define AT_LAB_SELF_H
#include "base/sha256.h"

enum { AT_PROCESSOR_MAX = 128 };

/** Hex SHA-256 of the file of the running program, or of version and commit where the system does not
    tell which file that is. */
at_status at_self_program(at_ctx *c, char text[AT_SHA256_TEXT]);

/** The processor's name and the instruction set in use: "AMD EPYC 7763 64-Core Processor, avx2", or
    "aarch64, ref" where the system does not tell the name. */
void at_self_processor(const at_ctx *c, char out[AT_PROCESSOR_MAX]);

#endif
