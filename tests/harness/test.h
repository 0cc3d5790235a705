#pragma once
/* Our test harness: TEST(sentence) registers itself, runs in a child process, prints TAP.
 * EXPECT_* go on after a failure, REQUIRE_* leave the test. A failure prints both values. A test
 * fails as well when it leaves descriptors open, dies of a signal, or runs longer than a minute. */

#include "base/op.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
};

void test_register(struct test_case *t);
void test_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_leave(void);
/* Every failure from here on is printed with this, for tests that run many cases: ("seed", 17). */
void test_context(const char *name, unsigned long long value);
size_t test_failure_count(void);
/* Leaves the test: what it needs is not on this machine. TAP says so, with the reason. */
_Noreturn void test_skip(const char *why);
bool test_expect_int(const char *file, int line, const char *what, long long got, long long want);
bool test_expect_str(const char *file, int line, const char *what, struct str got, struct str want);
bool test_expect_true(const char *file, int line, const char *what, bool got);
bool test_expect_ok(const char *file, int line, const char *what, enum err got,
                    const struct op *op);
/* A fresh folder that is removed after the test; the path lives until then. */
const char *test_folder(void);
/* Reads tests/<path> whole; the text lives until the test ends. Fails the test when it cannot. */
struct str test_file(const char *path);

#define TEST(name_)                                                            \
    static void test_run_##name_(void);                                        \
    __attribute__((constructor)) static void test_add_##name_(void)            \
    {                                                                          \
        static struct test_case t = {.name = #name_, .run = test_run_##name_}; \
        test_register(&t);                                                     \
    }                                                                          \
    static void test_run_##name_(void)

#define EXPECT(c) (void)test_expect_true(__FILE__, __LINE__, #c, (c))
#define EXPECT_EQ(got, want) \
    (void)test_expect_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define EXPECT_STR(got, want)    (void)test_expect_str(__FILE__, __LINE__, #got, (got), str_of(want))
#define EXPECT_STR_EQ(got, want) (void)test_expect_str(__FILE__, __LINE__, #got, (got), (want))
/* The call returns ERR_OK; else prints the op's note. */
#define EXPECT_OK(call, op) (void)test_expect_ok(__FILE__, __LINE__, #call, (call), (op))

#define REQUIRE_(passed)  \
    do {                  \
        if (!(passed)) {  \
            test_leave(); \
        }                 \
    } while (0)
#define REQUIRE(c) REQUIRE_(test_expect_true(__FILE__, __LINE__, #c, (c)))
#define REQUIRE_EQ(got, want) \
    REQUIRE_(test_expect_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want)))
#define REQUIRE_OK(call, op) REQUIRE_(test_expect_ok(__FILE__, __LINE__, #call, (call), (op)))
