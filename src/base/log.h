#pragma once
/* Lines of key=value on stderr: time, level, role, module, text. Four levels: error (someone must
 * act), warn (we went on, and say so), info (the state of the system changed), debug. Modules below
 * svc log at debug only. No secret is ever an argument. */

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* role: "sup", "control", "lb", "cli"; kept by reference. */
void log_set_role(const char *role);
void log_set_level(enum log_level most);
/* Sends lines to `fd` instead of stderr; tests use it. */
void log_set_fd(int fd);
bool log_is_on(enum log_level level);
void log_line(enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The last lines again, for a failed check. */
void log_dump_recent(void);

#define log_error(module, ...) log_line(LOG_ERROR, (module), __VA_ARGS__)
#define log_warn(module, ...)  log_line(LOG_WARN, (module), __VA_ARGS__)
#define log_info(module, ...)  log_line(LOG_INFO, (module), __VA_ARGS__)
#define log_debug(module, ...)                          \
    do {                                                \
        if (log_is_on(LOG_DEBUG)) {                     \
            log_line(LOG_DEBUG, (module), __VA_ARGS__); \
        }                                               \
    } while (0)
