#include "runtime/kept.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>

#define NOTE_MARK 0x31544f4eu /* "NOT1": the layout below */

struct note_file {
    uint32_t mark;
    int32_t failures_in_row;
    uint64_t log_position;
    int64_t pull_started_us;
    int64_t pull_stopped_us;
    int64_t stop_sent_us;
    uint8_t health;
    uint8_t has_passed;
    uint8_t zero[6];
};

void runtime_note_write(int folder_fd, const struct runtime_note *note)
{
    struct note_file f = {
        .mark = NOTE_MARK,
        .failures_in_row = note->health.failures_in_row,
        .log_position = note->log_position,
        .pull_started_us = note->pull_started_at.us,
        .pull_stopped_us = note->pull_stopped_at.us,
        .stop_sent_us = note->stop_sent_at.us,
        .health = (uint8_t)note->health.state,
        .has_passed = note->health.has_passed,
    };
    auto_fd int fd = openat(folder_fd, "note", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1 || pwrite(fd, &f, sizeof(f), 0) != (ssize_t)sizeof(f)) {
        log_debug("runtime", "a container's note was not written: %s", strerror(errno));
    }
}

void runtime_note_read(int folder_fd, struct runtime_note *ret)
{
    struct note_file f = {0};
    *ret = (struct runtime_note){0};
    auto_fd int fd = openat(folder_fd, "note", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1 || pread(fd, &f, sizeof(f), 0) != (ssize_t)sizeof(f) || f.mark != NOTE_MARK ||
        f.health > RUNTIME_UNHEALTHY) {
        return;
    }
    *ret = (struct runtime_note){
        .log_position = f.log_position,
        .pull_started_at = {.us = f.pull_started_us},
        .pull_stopped_at = {.us = f.pull_stopped_us},
        .stop_sent_at = {.us = f.stop_sent_us},
        .health = {.state = (enum runtime_health)f.health,
                   .failures_in_row = f.failures_in_row,
                   .has_passed = f.has_passed != 0},
    };
}
