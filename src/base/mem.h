#pragma once
/* Heap memory. Allocation cannot fail for callers: mem_* abort, which is sound because every size
 * that comes from outside is compared with a named limit first. Only base/ calls malloc. */

#include <stddef.h>
#include <string.h>

/* Zeroed memory. Owns: the caller, until mem_free. */
void *mem_alloc(size_t bytes);
/* count * size bytes, zeroed; aborts when the product overflows. */
void *mem_alloc_array(size_t count, size_t size);
void *mem_resize(void *ptr, size_t bytes);
void *mem_dup(const void *ptr, size_t bytes);
void mem_free(void *ptr);
/* Overwrites before freeing; for secrets. */
void mem_wipe(void *ptr, size_t bytes);

/* For the owner of memory that it holds through a pointer to const: to overwrite or free it. */
static inline void *mem_owned(const void *ptr)
{
    void *writable = NULL;
    memcpy(&writable, &ptr, sizeof(ptr));
    return writable;
}

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))
