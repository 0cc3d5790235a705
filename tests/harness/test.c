#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_SECONDS_MAX  60
#define TEST_REASON_BYTES 256

static struct test_case *cases;
static size_t failure_count;
static const char *context_name;
static unsigned long long context_value;
static char folder[64];
static struct op file_op;
static char *skip_reason; /* shared with the children; "": not skipped */

void test_register(struct test_case *t)
{
    t->next = cases;
    cases = t;
}

void test_failed(const char *file, int line, const char *format, ...)
{
    failure_count++;
    va_list args;
    va_start(args, format);
    printf("# %s:%d: ", file, line);
    if (context_name != NULL) {
        printf("(%s %llu) ", context_name, context_value);
    }
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void test_context(const char *name, unsigned long long value)
{
    context_name = name;
    context_value = value;
}

size_t test_failure_count(void)
{
    return failure_count;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void finish(void)
{
    if (folder[0] != '\0') {
        (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    op_fini(&file_op);
    fflush(stdout);
}

void test_leave(void)
{
    finish();
    _exit(1);
}

void test_skip(const char *why)
{
    (void)snprintf(skip_reason, TEST_REASON_BYTES, "%s", why);
    finish();
    _exit(0);
}

bool test_expect_int(const char *file, int line, const char *what, long long got, long long want)
{
    if (got != want) {
        test_failed(file, line, "%s is %lld, expected %lld", what, got, want);
    }
    return got == want;
}

bool test_expect_str(const char *file, int line, const char *what, struct str got, struct str want)
{
    bool is_same = str_equal(got, want) && str_is_set(got) == str_is_set(want);
    if (!is_same) {
        test_failed(file, line, "%s is%s\n#   \"%.*s\"\n# expected%s\n#   \"%.*s\"", what,
                    str_is_set(got) ? "" : " absent", STR_ARG(got),
                    str_is_set(want) ? "" : " absent", STR_ARG(want));
    }
    return is_same;
}

bool test_expect_true(const char *file, int line, const char *what, bool got)
{
    if (!got) {
        test_failed(file, line, "%s does not hold", what);
    }
    return got;
}

bool test_expect_ok(const char *file, int line, const char *what, enum err got, const struct op *op)
{
    if (got != ERR_OK) {
        test_failed(file, line, "%s failed (%s): %s", what, err_text(got),
                    op == NULL ? "" : op->note.text);
    }
    return got == ERR_OK;
}

const char *test_folder(void)
{
    if (folder[0] == '\0') {
        (void)strcpy(folder, "/tmp/hitless-test-XXXXXX"); /* lint: strcpy */
        if (mkdtemp(folder) == NULL) {
            test_failed(__FILE__, __LINE__, "could not make a folder");
            test_leave();
        }
    }
    return folder;
}

struct str test_file(const char *path)
{
    struct str whole = arena_printf(&file_op.arena, "tests/%s", path);
    struct str text = STR_NONE;
    if (!test_expect_ok(__FILE__, __LINE__, path, file_read(&file_op, whole.ptr, 64u << 20, &text),
                        &file_op)) {
        test_leave();
    }
    return text;
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL) {
        count++;
    }
    if (d != NULL) {
        closedir(d);
    }
    return count;
}

static void run_child(const struct test_case *t)
{
    alarm(TEST_SECONDS_MAX);
    op_init(&file_op);
    size_t before = open_descriptors();
    t->run();
    size_t after = open_descriptors();
    if (after != before) {
        test_failed("descriptors", 0, "%zu open before the test, %zu after", before, after);
    }
    finish();
    /* exit, not _exit: LeakSanitizer looks at the end */
    exit(failure_count == 0 ? 0 : 1);
}

static bool run_case(const struct test_case *t)
{
    fflush(stdout);
    skip_reason[0] = '\0';
    pid_t pid = fork();
    if (pid == 0) {
        run_child(t);
    }
    int status = 0;
    if (pid == -1 || waitpid(pid, &status, 0) != pid) {
        printf("# could not run the test\n");
        return false;
    }
    if (WIFSIGNALED(status)) {
        printf("# died of signal %d\n", WTERMSIG(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static size_t reverse_cases(void)
{
    size_t count = 0;
    struct test_case *in_order = NULL;
    while (cases != NULL) {
        struct test_case *next = cases->next;
        cases->next = in_order;
        in_order = cases;
        cases = next;
        count++;
    }
    cases = in_order;
    return count;
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    skip_reason =
        mmap(NULL, TEST_REASON_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (skip_reason == MAP_FAILED) {
        return 1;
    }
    size_t count = reverse_cases();
    size_t failed = 0;
    size_t number = 0;
    printf("1..%zu\n", count);
    for (struct test_case *t = cases; t != NULL; t = t->next) {
        number++;
        if (only != NULL && strstr(t->name, only) == NULL) {
            printf("ok %zu %s # SKIP not asked for\n", number, t->name);
            continue;
        }
        bool passed = run_case(t);
        failed += !passed;
        printf("%sok %zu %s%s%s\n", passed ? "" : "not ", number, t->name,
               skip_reason[0] == '\0' ? "" : " # SKIP ", skip_reason);
    }
    return failed == 0 ? 0 : 1;
}
