#include "app/roles.h"

#include "base/log.h"

#include <unistd.h>

#define WORDS_OF_A_ROLE 4 /* program, mark, name, generation */

static const struct role *find(const struct role *roles, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(name, str_of(roles[i].name))) {
            return &roles[i];
        }
    }
    return NULL;
}

bool roles_run(const struct role *roles, size_t count, int argc, char **argv, int *ret_exit_code)
{
    if (argc < 2 || strcmp(argv[1], PROC_ROLE_MARK) != 0) {
        return false;
    }
    *ret_exit_code = PROC_EXIT_HOPELESS;
    uint64_t generation = 0;
    const struct role *role = argc < WORDS_OF_A_ROLE ? NULL : find(roles, count, str_of(argv[2]));
    if (role == NULL || !str_parse_u64(str_of(argv[3]), UINT32_MAX, &generation)) {
        log_error("app", "roles are started by `hitless serve` alone");
        return true;
    }
    log_set_role(role->name);
    struct role_start start = {
        .name = str_of(role->name),
        .generation = (uint32_t)generation,
        .channel_fd = PROC_ROLE_CHANNEL_FD,
        .counters_fd = PROC_ROLE_COUNTERS_FD,
        .sup_pid = getppid(),
        .word_count = argc - WORDS_OF_A_ROLE,
        .words = argv + WORDS_OF_A_ROLE,
    };
    *ret_exit_code = role->main(&start);
    return true;
}
