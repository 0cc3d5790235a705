#include "runtime/docker/internal.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#define SILENCE_NONE HTTPIO_NO_TIMEOUT

/* ---- lines ------------------------------------------------------------------------------------
 */

static void tell_batch(struct docker_container *dc)
{
    size_t count = dc->batch_count;
    dc->batch_count = 0;
    runtime_container_lines(&dc->c, dc->batch, count);
    arena_reset(&dc->batch_arena);
}

static void on_line(void *self, const struct runtime_line *line)
{
    struct docker_container *dc = self;
    if (str_find(line->text, STR("exec format error"), 0) != STR_NOT_FOUND) {
        dc->saw_exec_format_error = true;
    }
    dc->batch[dc->batch_count] = *line;
    dc->batch[dc->batch_count].text = arena_str(&dc->batch_arena, line->text);
    if (++dc->batch_count == RUNTIME_LINES_PER_EVENT_MAX) {
        tell_batch(dc);
    }
}

static void close_stream(struct docker_container *dc)
{
    if (dc->is_stream_open) {
        dc->is_stream_open = false;
        docker_stream_fini(&dc->stream);
        arena_fini(&dc->batch_arena);
        mem_free(dc->batch);
        dc->batch = NULL;
    }
}

static void open_stream(struct docker_container *dc)
{
    close_stream(dc);
    docker_stream_init(&dc->stream, dc->c.note.log_position, on_line, dc);
    arena_init(&dc->batch_arena);
    dc->batch = mem_alloc_array(RUNTIME_LINES_PER_EVENT_MAX, sizeof(*dc->batch));
    dc->batch_count = 0;
    dc->is_stream_open = true;
}

/* ---- the call ---------------------------------------------------------------------------------
 */

static void on_retry(struct ev_timer *timer)
{
    docker_follow_logs(CONTAINER_OF(timer, struct docker_container, retry_logs));
}

static void log_is_over(struct docker_container *dc)
{
    if (dc->c.is_log_open) {
        runtime_container_log_ended(&dc->c);
    } else if (dc->has_exit) {
        docker_report_exit(dc);
    }
}

static void on_body(struct httpio_call *http, struct str piece)
{
    struct docker_call *call = CONTAINER_OF(http, struct docker_call, http);
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, logs);
    enum err e = docker_stream_feed(&dc->stream, piece);
    tell_batch(dc);
    if (e != ERR_OK) {
        log_warn("runtime", "docker sent output of a container that is not understood");
        docker_call_cancel(call);
        close_stream(dc);
        log_is_over(dc);
    }
}

static void on_done(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, logs);
    bool is_whole = docker_is_success(answer);
    bool is_ended = dc->has_exit || dc->c.is_log_open;
    if (is_whole && is_ended) {
        docker_stream_end(&dc->stream);
        tell_batch(dc);
    }
    close_stream(dc);
    if (is_ended && (is_whole || answer->status == 404 || answer->err != ERR_OK)) {
        log_is_over(dc);
        return;
    }
    /* It goes on living, or its end is not known yet: what it says meanwhile is read again from
     * the last line told. */
    if (!runtime_container_is_over(&dc->c)) {
        ev_timer_set(dc->c.task->rt->loop, &dc->retry_logs, DOCKER_RETRY, on_retry);
        docker_look(dc);
    }
}

void docker_follow_logs(struct docker_container *dc)
{
    const struct runtime_container_spec *spec = runtime_container_spec_of(&dc->c);
    if (!spec->wants_log || docker_call_is_running(&dc->logs)) {
        return;
    }
    open_stream(dc);
    struct arena a;
    arena_init(&a);
    uint64_t since_ns = dc->c.note.log_position >> DOCKER_POSITION_SHIFT;
    struct str name = docker_name_of(&dc->c, &a);
    struct docker_request request = {
        .method = STR("GET"),
        .target = arena_printf(
            &a, "/containers/%.*s/logs?follow=1&stdout=1&stderr=1&timestamps=1&since=%llu.%09llu",
            STR_ARG(name), (unsigned long long)(since_ns / 1000000000),
            (unsigned long long)(since_ns % 1000000000)),
        .on_body = on_body,
        /* A container that has said nothing yet may keep even the head waiting. */
        .answer_timeout = SILENCE_NONE,
        .silence_timeout = SILENCE_NONE,
    };
    docker_call_start(docker_of(dc->c.task), &dc->logs, &request, on_done);
    arena_fini(&a);
}

void docker_logs_close(struct docker_container *dc)
{
    docker_call_cancel(&dc->logs);
    ev_timer_stop(&dc->retry_logs);
    close_stream(dc);
}
