#include "base/check.h"

#include "base/log.h"

#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line)
{
    log_error("check", "failed: %s at %s:%d; this is a mistake of ours", condition, file, line);
    log_dump_recent();
    abort();
}

void check_failed_text(const char *text, const char *file, int line)
{
    check_failed(text, file, line);
}
