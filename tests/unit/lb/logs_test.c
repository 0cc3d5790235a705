/* The way of a log line: rings that drop and never wait, names that lead nowhere else. */

#include "base/cleanup.h"
#include "base/file.h"
#include "lb/limits.h"
#include "lb/logs.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define LINES 400000

TEST(a_line_is_written_once_or_refused_at_once)
{
    auto_op struct op op;
    op_init(&op);
    char folder[] = "/tmp/hitless-logs-XXXXXX";
    REQUIRE(mkdtemp(folder) != NULL);
    struct lb_logs *logs = NULL;
    REQUIRE_OK(lb_logs_open(&op, str_of(folder), 2, &logs), &op);
    struct lb_log_plan plan = {.balancer = STR("app/web/1"), .file = STR("access")};
    uint32_t sink = lb_logs_sink(logs, &plan);
    EXPECT_EQ(sink, 1);
    EXPECT_EQ(lb_logs_sink(logs, &plan), sink); /* the same plan, the same number */
    plan.file = STR("");
    EXPECT_EQ(lb_logs_sink(logs, &plan), 0); /* nowhere */
    struct lb_log_ring *ring = lb_logs_ring(logs, 1);
    char line[128];
    size_t taken = 0;
    for (size_t i = 0; i < LINES; i++) {
        /* lengths differ, so that lines lie across the end of the ring in every way */
        int len =
            snprintf(line, sizeof(line), "%07zu %.*s", i, (int)(i % 90),
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                     "xxxxxxxxxxxxxxxx");
        taken += lb_log_push(ring, sink, str_make(line, (size_t)len));
    }
    EXPECT(taken > LB_LOG_RING_BYTES / 128);
    static char big[LB_LOG_LINE_BYTES_MAX + 1];
    EXPECT(!lb_log_push(ring, sink, str_make(big, sizeof(big))));
    lb_logs_close(logs); /* drains what is left */
    struct str path = arena_printf(&op.arena, "%s/logs/access", folder);
    struct str text = STR_NONE;
    REQUIRE_OK(file_read(&op, path.ptr, (size_t)LB_LOG_FILE_BYTES_MAX, &text), &op);
    size_t written = 0;
    size_t last = 0;
    struct str rest = text;
    struct str one = STR_NONE;
    while (str_next(&rest, '\n', &one) && one.len > 0) {
        uint64_t number = 0;
        REQUIRE(one.len >= 8 && str_parse_u64(str_slice(one, 0, 7), LINES, &number));
        EXPECT(written == 0 || number > last); /* in order, none twice */
        EXPECT_EQ(one.len, 8 + number % 90);   /* and whole */
        last = (size_t)number;
        written++;
    }
    EXPECT_EQ(written, (long long)taken);
    printf("# %zu of %d lines were taken\n", taken, LINES);
    (void)remove(path.ptr);
    (void)remove(arena_printf(&op.arena, "%s/logs", folder).ptr);
    (void)remove(folder);
}

TEST(names_of_logs_lead_nowhere_else)
{
    static const struct {
        const char *name;
        bool may_have_folders;
        bool is_safe;
    } rows[] = {
        {"logs", false, true},   {"my.logs-1_a", false, true}, {"a/b", true, true},
        {"a/b", false, false},   {"", false, false},           {"..", false, false},
        {"a/../b", true, false}, {"/a", true, false},          {"a//b", true, false},
        {".a", false, false},    {"a b", false, false},        {"a\nb", false, false},
        {"a/", true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (lb_log_is_safe(str_of(rows[i].name), rows[i].may_have_folders) != rows[i].is_safe) {
            test_failed(__FILE__, __LINE__, "\"%s\"", rows[i].name);
        }
    }
}
