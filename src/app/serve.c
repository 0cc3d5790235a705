#include "app/serve.h"

#include "app/credentials.h"
#include "app/sup.h"
#include "base/file.h"
#include "base/log.h"
#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

enum err serve_begin_role(struct op *op, const struct role_start *start,
                          struct options *ret_options)
{
    TRY(options_parse(op, start->word_count, start->words, ret_options));
    clock_set_scale(ret_options->time_scale);
    log_set_level(ret_options->is_verbose ? LOG_DEBUG : LOG_INFO);
    TRY(proc_hide_memory(op));
    return ERR_OK;
}

/* One engine a state folder: the lock lives as long as the supervisor. */
static enum err lock_state(struct op *op, const struct options *o)
{
    struct str path = arena_printf(&op->arena, "%.*s/lock", STR_ARG(o->state));
    int fd = open(path.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1) {
        return op_fail_errno(op, "could not open \"%s\"", path.ptr);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        (void)close(fd);
        return op_fail(op, ERR_STATE, "another engine uses the state folder \"%.*s\"",
                       STR_ARG(o->state));
    }
    return ERR_OK;
}

static enum err prepare(struct op *op, const struct options *o)
{
    struct credentials credentials = {0};
    TRY(file_make_folder(op, arena_c_str(&op->arena, o->state), 0700));
    TRY(lock_state(op, o));
    return credentials_load(op, o->state, &credentials);
}

static struct str ready_line(struct op *op, const struct options *o)
{
    struct str api = net_addr_text(&op->arena, &o->api);
    return arena_printf(
        &op->arena, "hitless is ready: API http://%.*s, state %.*s, credentials %.*s/credentials",
        STR_ARG(api), STR_ARG(o->state), STR_ARG(o->state));
}

static int run(struct op *op, const struct cli_args *args)
{
    struct options options = {0};
    if (options_parse(op, args->count, args->words, &options) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, "hitless serve --help lists the options");
    }
    log_set_role("sup");
    log_set_level(options.is_verbose ? LOG_DEBUG : LOG_INFO);
    if (prepare(op, &options) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    if (options.is_test_mode) {
        log_warn("serve",
                 "TEST MODE: any credentials are taken; whoever reaches the API may do everything");
    }
    struct sup_options sup = {.word_count = args->count,
                              .words = args->words,
                              .ready_line = ready_line(op, &options).ptr};
    return sup_run(&sup);
}

const struct cli_command app_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "the engine: runs services here and speaks the AWS APIs",
    .help = options_help,
    .run = run,
};
