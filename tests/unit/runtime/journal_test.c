#include "test.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/rand.h"
#include "runtime/kept.h"
#include "runtime/process/journal.h"
#include "runtime/process/keep.h"
#include "runtime/process/wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int open_folder(void)
{
    int fd = open(test_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(fd != -1);
    return fd;
}

static void feed(struct journal_lines *l, struct journal_writer *w, struct str text, size_t step)
{
    while (text.len > 0) {
        runtime_journal_lines_feed(l, w, (wall_t){.us = 5}, str_slice(text, 0, step));
        text = str_from(text, step);
    }
    runtime_journal_lines_flush(l, w, (wall_t){.us = 5});
}

TEST(output_becomes_lines_however_it_is_cut)
{
    struct str text = STR("one\r\n\ntwo\nno end");
    for (size_t step = 1; step <= text.len; step++) {
        auto_fd int folder = open_folder();
        struct journal_writer w;
        struct journal_lines l;
        runtime_journal_writer_init(&w, folder);
        runtime_journal_lines_init(&l, JOURNAL_STDERR);
        feed(&l, &w, text, step);
        struct journal_reader r;
        runtime_journal_reader_init(&r, 0);
        static const char *const want[] = {"one", "", "two", "no end"};
        for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
            struct journal_record record;
            REQUIRE_EQ(runtime_journal_next(&r, folder, &record), ERR_OK);
            EXPECT_STR(record.line, want[i]);
            EXPECT_EQ(record.stream, JOURNAL_STDERR);
            EXPECT_EQ(record.at.us, 5);
            EXPECT_EQ(record.missed_bytes, 0);
        }
        struct journal_record none;
        EXPECT_EQ(runtime_journal_next(&r, folder, &none), ERR_AGAIN);
        EXPECT_EQ(r.position, w.end);
        runtime_journal_reader_fini(&r);
        runtime_journal_lines_fini(&l);
        runtime_journal_writer_fini(&w);
    }
}

TEST(a_line_past_the_limit_becomes_several)
{
    auto_fd int folder = open_folder();
    struct journal_writer w;
    struct journal_lines l;
    runtime_journal_writer_init(&w, folder);
    runtime_journal_lines_init(&l, JOURNAL_STDOUT);
    size_t bytes = 2u * RUNTIME_LINE_BYTES_MAX + 10;
    auto_free char *text = mem_alloc(bytes);
    memset(text, 'x', bytes);
    text[bytes - 1] = '\n';
    feed(&l, &w, str_make(text, bytes), 60000);
    struct journal_reader r;
    runtime_journal_reader_init(&r, 0);
    static const size_t want[] = {RUNTIME_LINE_BYTES_MAX, RUNTIME_LINE_BYTES_MAX, 9};
    for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
        struct journal_record record;
        REQUIRE_EQ(runtime_journal_next(&r, folder, &record), ERR_OK);
        EXPECT_EQ(record.line.len, want[i]);
    }
    runtime_journal_reader_fini(&r);
    runtime_journal_lines_fini(&l);
    runtime_journal_writer_fini(&w);
}

TEST(a_reader_starts_again_at_any_record)
{
    auto_fd int folder = open_folder();
    struct journal_writer w;
    runtime_journal_writer_init(&w, folder);
    uint64_t ends[100];
    char text[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof(text), "line %d", i);
        runtime_journal_add(&w, JOURNAL_STDOUT, (wall_t){0}, str_of(text));
        ends[i] = w.end;
    }
    for (int i = 0; i < 99; i++) {
        struct journal_reader r;
        struct journal_record record;
        runtime_journal_reader_init(&r, ends[i]);
        REQUIRE_EQ(runtime_journal_next(&r, folder, &record), ERR_OK);
        (void)snprintf(text, sizeof(text), "line %d", i + 1);
        EXPECT_STR(record.line, text);
        EXPECT_EQ(record.end, ends[i + 1]);
        runtime_journal_reader_fini(&r);
    }
    runtime_journal_writer_fini(&w);
}

TEST(the_journal_keeps_its_bound_and_a_late_reader_learns_what_it_missed)
{
    auto_fd int folder = open_folder();
    struct journal_writer w;
    struct journal_reader r;
    runtime_journal_writer_init(&w, folder);
    runtime_journal_reader_init(&r, 0);
    auto_free char *text = mem_alloc(65536);
    memset(text, 'y', 65536);
    struct str line = str_make(text, 65536);
    struct journal_record record;
    runtime_journal_add(&w, JOURNAL_STDOUT, (wall_t){0}, STR("first"));
    REQUIRE_EQ(runtime_journal_next(&r, folder, &record), ERR_OK);
    for (int i = 0; i < 1000; i++) { /* 64 MB */
        runtime_journal_add(&w, JOURNAL_STDOUT, (wall_t){0}, line);
    }
    uint64_t bytes = 0;
    size_t files = 0;
    for (size_t i = 0; i < w.segment_count; i++) {
        struct stat st;
        char name[40];
        (void)snprintf(name, sizeof(name), "log.%020llu", (unsigned long long)w.starts[i]);
        REQUIRE(fstatat(folder, name, &st, 0) == 0);
        bytes += (uint64_t)st.st_size;
        files++;
    }
    EXPECT(files <= JOURNAL_SEGMENTS_MAX);
    EXPECT(bytes <= JOURNAL_SEGMENTS_MAX * (JOURNAL_SEGMENT_BYTES + 65552));
    uint64_t missed = 0;
    uint64_t got = 0;
    while (runtime_journal_next(&r, folder, &record) == ERR_OK) {
        missed += record.missed_bytes;
        got += record.line.len + JOURNAL_HEAD_BYTES;
    }
    EXPECT(missed > 0);
    EXPECT_EQ(missed + got + 5 + JOURNAL_HEAD_BYTES, w.end);
    EXPECT_EQ(w.dropped_lines, 0);
    runtime_journal_reader_fini(&r);
    runtime_journal_writer_fini(&w);
}

TEST(half_a_record_is_waited_for_and_a_damaged_one_passed_over)
{
    auto_fd int folder = open_folder();
    auto_fd int file = openat(folder, "log.00000000000000000000", O_RDWR | O_CREAT, 0600);
    struct journal_reader r;
    struct journal_record record;
    runtime_journal_reader_init(&r, 0);
    EXPECT_EQ(runtime_journal_next(&r, folder, &record), ERR_AGAIN);
    static const char whole[] = "\5\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0hello";
    size_t bytes = sizeof(whole) - 1;
    for (size_t i = 0; i < bytes; i++) {
        EXPECT_EQ(runtime_journal_next(&r, folder, &record), ERR_AGAIN);
        REQUIRE_EQ(pwrite(file, whole + i, 1, (off_t)i), 1);
    }
    REQUIRE_EQ(runtime_journal_next(&r, folder, &record), ERR_OK);
    EXPECT_STR(record.line, "hello");
    REQUIRE_EQ(pwrite(file, "\5\0\0\0\7 no such stream...", 24, (off_t)bytes), 24);
    EXPECT_EQ(runtime_journal_next(&r, folder, &record), ERR_PROTOCOL);
    EXPECT_EQ(runtime_journal_next(&r, folder, &record), ERR_AGAIN);
    REQUIRE_EQ(pwrite(file, whole, bytes, (off_t)(bytes + 24)), bytes);
    REQUIRE_EQ(runtime_journal_next(&r, folder, &record), ERR_OK);
    EXPECT_STR(record.line, "hello");
    runtime_journal_reader_fini(&r);
}

TEST(notes_and_ends_come_back_and_rubbish_reads_as_none)
{
    auto_op struct op op;
    op_init(&op);
    auto_fd int folder = open_folder();
    struct runtime_note note;
    runtime_note_read(folder, &note);
    EXPECT_EQ(note.log_position, 0);
    struct runtime_note kept = {.log_position = 77,
                                .stop_sent_at = {.us = 5},
                                .health = {.state = RUNTIME_UNHEALTHY, .failures_in_row = 3}};
    runtime_note_write(folder, &kept);
    runtime_note_read(folder, &note);
    EXPECT_EQ(note.log_position, 77);
    EXPECT_EQ(note.stop_sent_at.us, 5);
    EXPECT_EQ(note.health.state, RUNTIME_UNHEALTHY);
    auto_fd int file = openat(folder, "note", O_WRONLY | O_TRUNC);
    REQUIRE_EQ(write(file, "rubbish", 7), 7);
    runtime_note_read(folder, &note);
    EXPECT_EQ(note.log_position, 0);

    struct keep_end end;
    EXPECT_EQ(runtime_keep_read_end(&op, folder, &end), ERR_NOT_FOUND);
    struct keep_end written = {.has_started = true,
                               .is_out_of_memory = true,
                               .code = 137,
                               .ended_at = {.us = 9},
                               .reason = STR("two\nlines")};
    REQUIRE_OK(runtime_keep_write_end(&op, folder, &written), &op);
    REQUIRE_OK(runtime_keep_read_end(&op, folder, &end), &op);
    EXPECT(end.has_started && end.is_out_of_memory);
    EXPECT_EQ(end.code, 137);
    EXPECT_EQ(end.ended_at.us, 9);
    EXPECT_STR(end.reason, "two lines");
}

TEST(a_lock_is_held_by_one)
{
    auto_op struct op op;
    op_init(&op);
    auto_fd int folder = open_folder();
    auto_fd int first = -1;
    auto_fd int second = -1;
    EXPECT(!runtime_keep_is_locked(folder));
    REQUIRE_OK(runtime_keep_lock(&op, folder, &first), &op);
    EXPECT(runtime_keep_is_locked(folder));
    EXPECT_EQ(runtime_keep_lock(&op, folder, &second), ERR_AGAIN);
    (void)close(steal_fd(&first));
    EXPECT(!runtime_keep_is_locked(folder));
}

TEST(a_launch_block_comes_back_and_a_cut_or_damaged_one_is_refused)
{
    auto_op struct op op;
    op_init(&op);
    struct str words[] = {STR_INIT("a"), STR_INIT("")};
    struct shim_launch launch = {
        .container_folder = STR("/f"),
        .words = {words, 2},
        .environment = {words, 1},
        .cgroups = {STR("/c")},
        .cgroup_count = 1,
        .ulimits = {{.name = STR("nofile"), .soft = -1, .hard = 7}},
        .ulimit_count = 1,
        .is_log_followed = true,
    };
    auto_buf struct buf b;
    buf_init(&b, 65536);
    runtime_launch_encode(&b, &launch);
    struct shim_launch back;
    REQUIRE_OK(runtime_launch_decode(&op, buf_str(&b), &back), &op);
    EXPECT_STR(back.container_folder, "/f");
    EXPECT(!str_is_set(back.user));
    EXPECT_EQ(back.words.count, 2);
    EXPECT_STR(back.words.items[1], "");
    EXPECT_EQ(back.ulimits[0].soft, -1);
    EXPECT(back.is_log_followed);
    for (size_t len = 0; len < b.len; len++) {
        EXPECT(runtime_launch_decode(&op, str_slice(buf_str(&b), 0, len), &back) != ERR_OK);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t r = rand_u64();
        char before = b.ptr[r % b.len];
        b.ptr[r % b.len] = (char)(r >> 32);
        (void)!runtime_launch_decode(&op, buf_str(&b), &back);
        b.ptr[r % b.len] = before;
        arena_reset(&op.arena);
    }
}
