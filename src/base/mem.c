#include "base/mem.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t bytes)
{
    void *ptr = calloc(1, bytes == 0 ? 1 : bytes);
    CHECK(ptr != NULL);
    return ptr;
}

void *mem_alloc_array(size_t count, size_t size)
{
    size_t bytes = 0;
    CHECK(!__builtin_mul_overflow(count, size, &bytes));
    return mem_alloc(bytes);
}

void *mem_resize(void *ptr, size_t bytes)
{
    void *moved = realloc(ptr, bytes == 0 ? 1 : bytes);
    CHECK(moved != NULL);
    return moved;
}

void *mem_dup(const void *ptr, size_t bytes)
{
    void *copy = mem_alloc(bytes);
    if (bytes > 0) {
        memcpy(copy, ptr, bytes);
    }
    return copy;
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_wipe(void *ptr, size_t bytes)
{
    explicit_bzero(ptr, bytes);
}
