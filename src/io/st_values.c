/* st_values.c - converts raw bytes of any type and alignment to numbers. */
#include "base/half.h"
#include "io/safetensors.h"
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensor files are little-endian and are used in place: a big-endian host is not supported"
#endif

static at_status not_a(at_ctx *c, const at_st_tensor *t, const char *what) {
    return at_error(c, AT_FORMAT, "tensor `%.200s`: expected %s, found %s", t->name, what,
                    at_dtype_name(t->dtype));
}

/* Element i as T, by memcpy, since values in a map may be unaligned. */
#define LOAD(T, t, i) load_##T((const unsigned char *)(t)->data + (size_t)(i) * sizeof(T))
#define LOADER(T)                               \
    static T load_##T(const unsigned char *p) { \
        T v;                                    \
        memcpy(&v, p, sizeof v);                \
        return v;                               \
    }
LOADER(int8_t)
LOADER(int16_t)
LOADER(int32_t)
LOADER(int64_t)
LOADER(uint8_t)
LOADER(uint16_t)
LOADER(uint32_t)
LOADER(uint64_t)
LOADER(float)
LOADER(double)

at_status at_st_to_f32(at_ctx *c, const at_st_tensor *t, float *out) {
    const size_t size = at_dtype_size(t->dtype), n = size ? t->bytes / size : 0;
    switch (t->dtype) {
    case AT_DT_F32:
        if (n) memcpy(out, t->data, t->bytes);
        return AT_OK;
    case AT_DT_F16:
        for (size_t i = 0; i < n; i++) out[i] = at_f32_from_f16(LOAD(uint16_t, t, i));
        return AT_OK;
    case AT_DT_BF16:
        for (size_t i = 0; i < n; i++) out[i] = at_f32_from_bf16(LOAD(uint16_t, t, i));
        return AT_OK;
    case AT_DT_F64:
        for (size_t i = 0; i < n; i++) out[i] = (float)LOAD(double, t, i);
        return AT_OK;
    default: return not_a(c, t, "F16, BF16, F32 or F64");
    }
}

at_status at_st_to_f64(at_ctx *c, const at_st_tensor *t, double *out) {
    const size_t size = at_dtype_size(t->dtype), n = size ? t->bytes / size : 0;
    switch (t->dtype) {
    case AT_DT_F64:
        if (n) memcpy(out, t->data, t->bytes);
        return AT_OK;
    case AT_DT_F32:
        for (size_t i = 0; i < n; i++) out[i] = (double)LOAD(float, t, i);
        return AT_OK;
    case AT_DT_F16:
        for (size_t i = 0; i < n; i++) out[i] = (double)at_f32_from_f16(LOAD(uint16_t, t, i));
        return AT_OK;
    case AT_DT_BF16:
        for (size_t i = 0; i < n; i++) out[i] = (double)at_f32_from_bf16(LOAD(uint16_t, t, i));
        return AT_OK;
    default: return not_a(c, t, "F16, BF16, F32 or F64");
    }
}

at_status at_st_to_i64(at_ctx *c, const at_st_tensor *t, int64_t *out) {
    const size_t size = at_dtype_size(t->dtype), n = size ? t->bytes / size : 0;
#define EACH(T)                                            \
    for (size_t i = 0; i < n; i++) out[i] = LOAD(T, t, i); \
    return AT_OK
    switch (t->dtype) {
    case AT_DT_I8: EACH(int8_t);
    case AT_DT_U8: EACH(uint8_t);
    case AT_DT_I16: EACH(int16_t);
    case AT_DT_U16: EACH(uint16_t);
    case AT_DT_I32: EACH(int32_t);
    case AT_DT_U32: EACH(uint32_t);
    case AT_DT_I64: EACH(int64_t);
    case AT_DT_U64:
        for (size_t i = 0; i < n; i++) {
            const uint64_t v = LOAD(uint64_t, t, i);
            if (v > INT64_MAX)
                return at_error(c, AT_FORMAT, "tensor `%.200s`: value %llu does not fit 63 bits",
                                t->name, (unsigned long long)v);
            out[i] = (int64_t)v;
        }
        return AT_OK;
    default: return not_a(c, t, "integers");
    }
#undef EACH
}
