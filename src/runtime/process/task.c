#include "runtime/process/internal.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "net/socket.h"
#include "runtime/process/procfs.h"
#include "runtime/spec.h"

#include <dirent.h>
#include <stdio.h>

#define ADDRESS_TRIES 65536

const char *process_task_folder(const struct runtime_task *t, struct arena *a)
{
    return arena_printf(a, "%s/%.*s", process_of(t)->state_folder, STR_ARG(t->spec->id)).ptr;
}

const char *process_run_folder(const struct runtime_task *t, struct arena *a)
{
    return arena_printf(a, "%s/%.*s", process_of(t)->run_folder, STR_ARG(t->spec->id)).ptr;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static bool is_address_used(const struct process *p, const char *address)
{
    size_t at = 0;
    struct str id = STR_NONE;
    void *task = NULL;
    while (map_next(&p->rt.tasks, &at, &id, &task)) {
        if (strcmp(((const struct runtime_task *)task)->address, address) == 0) {
            return true;
        }
    }
    return false;
}

/* Another engine of this machine, or a stray process, may sit on a port of that address. */
static bool may_listen(struct op *op, const struct runtime_task_spec *spec, const char *address)
{
    for (size_t i = 0; i < spec->container_count; i++) {
        const struct runtime_container_spec *c = &spec->containers[i];
        for (size_t n = 0; n < c->port_count; n++) {
            struct net_addr addr;
            int fd = -1;
            if (c->ports[n].is_udp ||
                !net_addr_parse_host(str_of(address), (uint16_t)c->ports[n].container_port,
                                     &addr)) {
                continue;
            }
            enum err e = net_listen(op, &addr, NULL, &fd);
            cleanup_fd(&fd);
            op_note_clear(op);
            if (e == ERR_EXISTS) {
                return false;
            }
        }
    }
    return true;
}

/* Numbers go round, so that an address rests before it is used again. */
static enum err pick_address(struct process *p, struct op *op, struct runtime_task *t)
{
    for (size_t tries = 0; tries < ADDRESS_TRIES; tries++) {
        uint32_t number = p->next_address++ & 0xffffu;
        char address[RUNTIME_ADDRESS_BYTES];
        (void)snprintf(address, sizeof(address), "127.78.%u.%u", number >> 8, number & 0xffu);
        bool is_host = (number & 0xffu) != 0 && (number & 0xffu) != 0xffu;
        if (is_host && !is_address_used(p, address) && may_listen(op, t->spec, address)) {
            memcpy(t->address, address, sizeof(t->address));
            return ERR_OK;
        }
    }
    return op_fail(op, ERR_NO_SPACE, "no address of 127.78.0.0/16 is free");
}

/* ---- birth ----------------------------------------------------------------------------------- */

static enum err make_container_folders(struct op *op, struct runtime_task *t, const char *folder,
                                       const char *run)
{
    for (size_t i = 0; i < t->spec->container_count; i++) {
        struct process_container *pc = process_container_of(t->containers[i]);
        const char *own = arena_printf(&op->arena, "%s/%zu", folder, i).ptr;
        TRY(runtime_kept_open(op, own, true, &pc->folder_fd));
        TRY(file_make_folder(op, arena_printf(&op->arena, "%s/%zu", run, i).ptr, 0700));
    }
    return ERR_OK;
}

enum err process_task_prepare(struct runtime_task *t, struct op *op)
{
    struct process *p = process_of(t);
    for (size_t i = 0; i < t->spec->container_count; i++) {
        process_container_of(t->containers[i])->folder_fd = -1;
    }
    TRY(pick_address(p, op, t));
    const char *folder = process_task_folder(t, &op->arena);
    const char *run = process_run_folder(t, &op->arena);
    TRY(file_make_folder(op, folder, RUNTIME_FOLDER_MODE));
    TRY(file_make_folder(op, run, 0711));
    TRY(make_container_folders(op, t, folder, run));
    TRY(runtime_cgroup_make_task(op, &p->cgroups, t->spec));
    FAULT_POINT("process.before_spec");
    TRY(file_write(op, arena_printf(&op->arena, "%s/address", folder).ptr, str_of(t->address),
                   0600));
    return runtime_kept_write_spec(op, folder, t->spec);
}

/* ---- adoption -------------------------------------------------------------------------------- */

static enum err adopt_task(struct process *p, struct op *op, const char *name)
{
    const char *folder = arena_printf(&op->arena, "%s/%s", p->state_folder, name).ptr;
    struct str address = STR_NONE;
    struct runtime_task_spec *spec = NULL;
    TRY(runtime_kept_read_spec(op, folder, str_of(name), &spec));
    TRY(file_read(op, arena_printf(&op->arena, "%s/address", folder).ptr, RUNTIME_ADDRESS_BYTES,
                  &address));
    struct runtime_task *t = runtime_adopt_task(&p->rt, spec);
    CHECK(t != NULL); /* a folder's name is unique */
    if (!str_to_c(address, t->address, sizeof(t->address))) {
        t->address[0] = '\0';
    }
    for (size_t i = 0; i < spec->container_count; i++) {
        process_container_adopt(t->containers[i], op);
    }
    return ERR_OK;
}

static bool has_living_shim(struct op *op, const char *folder)
{
    for (size_t i = 0; i < RUNTIME_CONTAINERS_MAX; i++) {
        auto_fd int fd = -1;
        const char *own = arena_printf(&op->arena, "%s/%zu", folder, i).ptr;
        if (runtime_kept_open(op, own, false, &fd) == ERR_OK && runtime_keep_is_locked(fd)) {
            return true;
        }
    }
    return false;
}

/* Without a description nothing was started; with a damaged one, something may live. */
static void give_up_folder(struct process *p, struct op *op, const char *name, enum err why)
{
    const char *folder = arena_printf(&op->arena, "%s/%s", p->state_folder, name).ptr;
    if (why != ERR_NOT_FOUND) {
        log_warn("runtime", "the task folder \"%s\" cannot be used: %s", folder, op->note.text);
    }
    if (!has_living_shim(op, folder)) {
        runtime_cgroup_remove(&p->cgroups, str_of(name), RUNTIME_CONTAINERS_MAX);
        runtime_kept_remove_folder(arena_printf(&op->arena, "%s/%s", p->run_folder, name).ptr);
        runtime_kept_remove(folder);
    }
    op_note_clear(op);
}

enum err process_tasks_adopt(struct process *p, struct op *op)
{
    DIR *folder = opendir(p->state_folder);
    if (folder == NULL) {
        return op_fail_errno(op, "could not read the folder \"%s\"", p->state_folder);
    }
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (!runtime_task_id_is_valid(str_of(e->d_name))) {
            continue;
        }
        enum err why = adopt_task(p, op, e->d_name);
        if (why != ERR_OK) {
            give_up_folder(p, op, e->d_name, why);
        }
    }
    (void)closedir(folder);
    return ERR_OK;
}

/* ---- the end --------------------------------------------------------------------------------- */

void process_task_remove(struct runtime_task *t)
{
    struct arena a;
    arena_init(&a);
    (void)runtime_cgroup_kill(&process_of(t)->cgroups, t->spec->id);
    runtime_cgroup_remove(&process_of(t)->cgroups, t->spec->id, t->spec->container_count);
    FAULT_POINT("process.cgroups_removed");
    runtime_kept_remove_folder(process_run_folder(t, &a));
    FAULT_POINT("process.run_removed");
    runtime_kept_remove(process_task_folder(t, &a));
    arena_fini(&a);
    runtime_task_removed(t);
}

/* ---- usage ----------------------------------------------------------------------------------- */

void process_task_sample(struct runtime_task *t)
{
    struct process_task *pt = CONTAINER_OF(t, struct process_task, task);
    auto_op struct op op;
    op_init(&op);
    pid_t shims[RUNTIME_CONTAINERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < t->spec->container_count; i++) {
        const struct process_container *pc = process_container_of(t->containers[i]);
        if (t->containers[i]->phase == RUNTIME_PHASE_RUNNING && pc->shim_pid != 0) {
            shims[count++] = pc->shim_pid;
        }
    }
    struct runtime_usage usage;
    if (!runtime_cgroup_usage(&process_of(t)->cgroups, t->spec->id, &usage) &&
        !runtime_procfs_usage(&op, shims, count, &usage)) {
        runtime_task_sampled(t, NULL);
        return;
    }
    usage.cpu.us = usage.cpu.us > pt->cpu_before.us ? usage.cpu.us : pt->cpu_before.us;
    pt->cpu_before = usage.cpu;
    runtime_task_sampled(t, &usage);
}
