/* cmocka_wrap.h - cmocka with the headers it needs before it. */
#ifndef CMOCKA_WRAP_H
#define CMOCKA_WRAP_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#endif
