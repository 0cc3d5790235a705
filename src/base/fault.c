#include "base/fault.h"

#include "base/str.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int fault_is_armed;

static struct {
    uint64_t kill_at; /* 0: never */
    uint64_t reached;
    int count_fd; /* -1: not counted */
} fault = {.count_fd = -1};

void fault_init(void)
{
    struct str at = str_of(getenv("HITLESS_FAULT_AT"));
    const char *file = getenv("HITLESS_FAULT_COUNT");
    if (!str_parse_u64(at, UINT64_MAX, &fault.kill_at)) {
        fault.kill_at = 0;
    }
    if (file != NULL) {
        fault.count_fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    fault_is_armed = fault.kill_at != 0 || fault.count_fd != -1;
}

void fault_hit(const char *name)
{
    fault.reached++;
    if (fault.count_fd != -1) {
        (void)!write(fault.count_fd, name, strlen(name));
        (void)!write(fault.count_fd, "\n", 1);
    }
    if (fault.reached == fault.kill_at) {
        (void)kill(getpid(), SIGKILL);
    }
}
