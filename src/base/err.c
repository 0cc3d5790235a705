#include "base/err.h"

#include "base/check.h"

struct err_row {
    const char *text;
    bool may_retry;
    enum err_fault fault;
};

static const struct err_row rows[] = {
    [ERR_OK] = {"ok", false, ERR_FAULT_US},
#define X(kind, text, may_retry, fault) [kind] = {text, may_retry, ERR_FAULT_##fault},
#include "base/err_list.def"
#undef X
};

static const struct err_row *row_of(enum err e)
{
    CHECK((unsigned)e < ARRAY_COUNT(rows));
    return &rows[e];
}

const char *err_text(enum err e)
{
    return row_of(e)->text;
}

bool err_may_retry(enum err e)
{
    return row_of(e)->may_retry;
}

enum err_fault err_fault(enum err e)
{
    return row_of(e)->fault;
}
