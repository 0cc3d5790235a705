/* How cpu and memory of a task are written, and which pairs Fargate offers (aws-semantics 1.17). */
#include "svc/ecs/ecs_priv.h"

#include <math.h>

struct fargate_size {
    int32_t cpu_units;
    int32_t memory_first_mib;
    int32_t memory_last_mib;
    int32_t memory_step_mib; /* 0: doubles */
};

static const struct fargate_size fargate_sizes[] = {
    {256, 512, 2048, 0},          {512, 1024, 4096, 1024},   {1024, 2048, 8192, 1024},
    {2048, 4096, 16384, 1024},    {4096, 8192, 30720, 1024}, {8192, 16384, 61440, 4096},
    {16384, 32768, 122880, 8192},
};

/* 32 vCPU came with three sizes that follow no step. */
#define LARGEST_CPU_UNITS 32768
static const int32_t largest_memory_mib[] = {61440, 122880, 249856};

static bool is_largest(int32_t memory_mib)
{
    for (size_t i = 0; i < ARRAY_COUNT(largest_memory_mib); i++) {
        if (largest_memory_mib[i] == memory_mib) {
            return true;
        }
    }
    return false;
}

static bool has_memory(const struct fargate_size *s, int32_t memory_mib)
{
    if (memory_mib < s->memory_first_mib || memory_mib > s->memory_last_mib) {
        return false;
    }
    if (s->memory_step_mib == 0) {
        return (memory_mib & (memory_mib - 1)) == 0;
    }
    return (memory_mib - s->memory_first_mib) % s->memory_step_mib == 0;
}

bool ecs_is_fargate_size(int32_t cpu_units, int32_t memory_mib)
{
    if (cpu_units == LARGEST_CPU_UNITS) {
        return is_largest(memory_mib);
    }
    for (size_t i = 0; i < ARRAY_COUNT(fargate_sizes); i++) {
        if (fargate_sizes[i].cpu_units == cpu_units) {
            return has_memory(&fargate_sizes[i], memory_mib);
        }
    }
    return false;
}

/* "0.25 vCPU" with unit "vcpu": the number before it times factor, when that is whole. */
static bool parse_with_unit(struct str text, struct str unit, double factor, int32_t *ret)
{
    if (text.len <= unit.len || !str_equal_nocase(str_from(text, text.len - unit.len), unit)) {
        return false;
    }
    struct str number = str_trim(str_slice(text, 0, text.len - unit.len));
    char padded[32] = "0"; /* ".25" is written, too */
    if (number.len == 0 || number.len > sizeof(padded) - 2) {
        return false;
    }
    bool is_bare = number.ptr[0] == '.';
    memcpy(padded + (is_bare ? 1 : 0), number.ptr, number.len);
    double value = 0;
    if (!str_parse_f64(str_make(padded, number.len + (is_bare ? 1 : 0)), &value)) {
        return false;
    }
    double whole = value * factor;
    if (whole < 1 || whole > INT32_MAX || whole != floor(whole)) {
        return false;
    }
    *ret = (int32_t)whole;
    return true;
}

static bool parse_plain(struct str text, int32_t *ret)
{
    uint64_t value = 0;
    if (!str_parse_u64(text, INT32_MAX, &value) || value == 0) {
        return false;
    }
    *ret = (int32_t)value;
    return true;
}

bool ecs_parse_cpu(struct str text, int32_t *ret_units)
{
    struct str t = str_trim(text);
    return parse_plain(t, ret_units) || parse_with_unit(t, STR("vcpu"), 1024, ret_units);
}

bool ecs_parse_memory(struct str text, int32_t *ret_mib)
{
    struct str t = str_trim(text);
    return parse_plain(t, ret_mib) || parse_with_unit(t, STR("gb"), 1024, ret_mib) ||
           parse_with_unit(t, STR("mb"), 1, ret_mib);
}
