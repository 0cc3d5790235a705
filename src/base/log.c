#include "base/log.h"

#include "base/arena.h"
#include "base/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1200
#define RECENT_LINES   20

static struct {
    const char *role;
    enum log_level most;
    int fd;
    char recent[RECENT_LINES][LINE_BYTES_MAX];
    size_t recent_next;
} log_state = {.role = "cli", .most = LOG_INFO, .fd = STDERR_FILENO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_role(const char *role)
{
    log_state.role = role;
}

void log_set_level(enum log_level most)
{
    log_state.most = most;
}

void log_set_fd(int fd)
{
    log_state.fd = fd;
}

bool log_is_on(enum log_level level)
{
    return level <= log_state.most;
}

/* A line stays a line whatever the text holds. */
static void replace_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            text[i] = ' ';
        }
    }
}

static void write_all(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(log_state.fd, text, len);
        if (wrote <= 0) {
            return;
        }
        text += wrote;
        len -= (size_t)wrote;
    }
}

void log_line(enum log_level level, const char *module, const char *format, ...)
{
    if (!log_is_on(level)) {
        return;
    }
    struct arena a;
    arena_init(&a);
    struct str at = wall_iso8601(&a, clock_wall());
    char line[LINE_BYTES_MAX];
    int head = snprintf(line, sizeof(line) - 1, "%.*s level=%s role=%s module=%s ", STR_ARG(at),
                        level_names[level], log_state.role, module);
    arena_fini(&a);
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + head, sizeof(line) - 1 - (size_t)head, format, args);
    va_end(args);
    size_t len = strlen(line);
    (void)body;
    replace_controls(line, len);
    line[len++] = '\n';
    memcpy(log_state.recent[log_state.recent_next], line, len);
    log_state.recent[log_state.recent_next][len < LINE_BYTES_MAX ? len : LINE_BYTES_MAX - 1] = '\0';
    log_state.recent_next = (log_state.recent_next + 1) % RECENT_LINES;
    write_all(line, len);
}

void log_dump_recent(void)
{
    for (size_t i = 0; i < RECENT_LINES; i++) {
        const char *line = log_state.recent[(log_state.recent_next + i) % RECENT_LINES];
        if (line[0] != '\0') {
            write_all("  | ", 4);
            write_all(line, strlen(line));
        }
    }
}
