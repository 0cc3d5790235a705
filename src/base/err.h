#pragma once
/* What can fail returns enum err and is passed up with TRY(), our only hidden return. The sentence
 * for people lies in the operation (base/op.h). */

#include <stdbool.h>

enum err {
    ERR_OK = 0,
#define X(kind, text, may_retry, fault) kind,
#include "base/err_list.def"
#undef X
};

enum err_fault { ERR_FAULT_CALLER, ERR_FAULT_WORLD, ERR_FAULT_US };

#define MUST_USE __attribute__((warn_unused_result))

const char *err_text(enum err e);
bool err_may_retry(enum err e);
enum err_fault err_fault(enum err e);

/* For results that really do not matter; the comment at the call says why. */
static inline void err_ignore(enum err e)
{
    (void)e;
}

#define TRY(expression)                                \
    do {                                               \
        enum err try_err_ = (expression);              \
        if (__builtin_expect(try_err_ != ERR_OK, 0)) { \
            return try_err_;                           \
        }                                              \
    } while (0)
