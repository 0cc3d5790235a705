#include "runtime/process/process.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "net/addr.h"
#include "proc/spawn.h"
#include "runtime/process/internal.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLE_INTERVAL DUR_S(2)
/* "/<32 hex>/9/app.sock" below the run folder must fit into a socket's address. */
#define RUN_FOLDER_BYTES_MAX (NET_UNIX_PATH_BYTES_MAX - (1 + RUNTIME_TASK_ID_BYTES + 2 + 9))

static void resume(struct runtime_task *t)
{
    for (size_t i = 0; i < t->spec->container_count; i++) {
        process_container_resume(t->containers[i]);
    }
}

static void release(struct runtime_task *t)
{
    for (size_t i = 0; i < t->spec->container_count; i++) {
        process_container_release(t->containers[i]);
    }
}

static void close_process(struct runtime *rt)
{
    struct process *p = CONTAINER_OF(rt, struct process, rt);
    ev_defer_cancel(&p->get_ready);
    mem_free(p);
}

static const struct runtime_effects effects = {
    .name = "process",
    .task_bytes = sizeof(struct process_task),
    .container_bytes = sizeof(struct process_container),
    .sample_interval = SAMPLE_INTERVAL,
    .prepare = process_task_prepare,
    .socket_path = process_socket_path,
    .pull = process_container_pull,
    .may_start = runtime_may_always_start,
    .start = process_container_start,
    .send_stop = process_container_send_stop,
    .send_kill = process_container_send_kill,
    .probe = process_container_probe,
    .remember = process_container_remember,
    .sample = process_task_sample,
    .resume = resume,
    .remove = process_task_remove,
    .release = release,
    .close = close_process,
};

static void on_get_ready(struct ev_defer *d)
{
    runtime_set_ready(&CONTAINER_OF(d, struct process, get_ready)->rt);
}

/* The same path gives the same folder, so the next control finds the sockets again. In /tmp others
 * could have made it first: it must be ours. */
static enum err make_short_folder(struct op *op, struct process *p)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *at = p->run_folder; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 1099511628211u;
    }
    (void)snprintf(p->run_folder, sizeof(p->run_folder), "%s/hitless-%016llx",
                   geteuid() == 0 ? "/run" : "/tmp", (unsigned long long)hash);
    TRY(file_make_folder(op, p->run_folder, 0711));
    struct stat st;
    if (lstat(p->run_folder, &st) == -1 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
        return op_fail(op, ERR_DENIED, "the run folder \"%s\" is not ours", p->run_folder);
    }
    return ERR_OK;
}

static enum err set_paths(struct op *op, struct process *p,
                          const struct runtime_process_config *config)
{
    const char *shim = config->shim_path == NULL ? PROC_SELF : config->shim_path;
    if (!str_to_c(str_of(config->state_folder), p->state_folder, sizeof(p->state_folder)) ||
        !str_to_c(str_of(config->run_folder), p->run_folder, sizeof(p->run_folder)) ||
        !str_to_c(str_of(shim), p->shim_path, sizeof(p->shim_path))) {
        return op_fail(op, ERR_LIMIT, "a path has more than %d bytes", PROCESS_PATH_BYTES - 1);
    }
    TRY(file_make_folder(op, p->state_folder, 0700));
    if (strlen(p->run_folder) > RUN_FOLDER_BYTES_MAX) {
        return make_short_folder(op, p);
    }
    return file_make_folder(op, p->run_folder, 0711);
}

static enum err open_process(struct op *op, struct process *p,
                             const struct runtime_process_config *config)
{
    TRY(set_paths(op, p, config));
    p->cgroups = config->has_cgroups ? runtime_cgroup_detect() : (struct cgroup_setup){0};
    p->next_address = (uint32_t)rand_u64();
    return process_tasks_adopt(p, op);
}

enum err runtime_process_open(struct op *op, struct ev_loop *loop,
                              const struct runtime_process_config *config,
                              const struct runtime_sink *sink, struct runtime **ret)
{
    struct process *p = MEM_NEW(struct process);
    runtime_init(&p->rt, &effects, loop, sink);
    enum err e = open_process(op, p, config);
    if (e != ERR_OK) {
        runtime_close(&p->rt);
        return e;
    }
    ev_defer(loop, &p->get_ready, on_get_ready);
    *ret = &p->rt;
    return ERR_OK;
}
