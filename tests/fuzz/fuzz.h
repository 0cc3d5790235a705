#pragma once
/* What libFuzzer calls; and replay.c, with every file of a corpus. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
