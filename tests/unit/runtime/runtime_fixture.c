#include "runtime_fixture.h"

#include "base/check.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct runtime_fixture fx;

/* The runtime starts this very executable as shim. */
__attribute__((constructor)) static void become_shim(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "task-shim") == 0) {
        _exit(runtime_shim_main());
    }
}

static const char *const kind_names[] = {"pull",   "pulled", "started", "failed",
                                         "exited", "health", "log",     "over"};

static void add_lines(const struct runtime_event *e)
{
    for (size_t i = 0; i < e->line_count; i++) {
        EXPECT(e->lines[i].position > 0);
        buf_addf(&fx.lines, "%.*s/%s %.*s\n", STR_ARG(e->container),
                 e->lines[i].is_stderr ? "err" : "out", STR_ARG(e->lines[i].text));
        fx.last_position = e->lines[i].position;
    }
}

static void on_event(void *self, const struct runtime_event *e)
{
    (void)self;
    if (e->kind == RUNTIME_LOG) {
        add_lines(e);
        return;
    }
    buf_addf(&fx.story, "%.*s:%s", STR_ARG(e->container), kind_names[e->kind]);
    if (e->kind == RUNTIME_EXITED) {
        buf_addf(&fx.story, "=%d", e->exit_code);
    }
    if (e->kind == RUNTIME_HEALTH) {
        buf_addf(&fx.story, "=%d", (int)e->health);
    }
    fx.over_count += e->kind == RUNTIME_TASK_OVER;
    buf_addf(&fx.story, "(%.*s) ", STR_ARG(e->reason));
}

static void on_ready(void *self)
{
    (void)self;
    fx.is_ready = true;
}

static const char import_script[] =
    "cd /; list='/bin/sh /bin/sleep /bin/cat /usr/bin/tail'; "
    "libs=$(for p in $list; do ldd $p; done | grep -o '/[^ ]*' | sort -u); "
    "tar -chf - $list $libs /etc/passwd 2>/dev/null | "
    "docker -H unix://%s import - hitless-test:1 > /dev/null";

void fixture_use_docker(void)
{
    const char *socket_path = getenv("HITLESS_TEST_DOCKER");
    fx.docker_socket = socket_path == NULL ? "/var/run/docker.sock" : socket_path;
    fx.image = STR("hitless-test:1");
    char script[1024];
    (void)snprintf(script, sizeof(script), "docker -H unix://%s version > /dev/null 2>&1",
                   fx.docker_socket);
    if (system(script) != 0) { /* lint: system */
        (void)snprintf(script, sizeof(script), "no Docker Engine answers at %s", fx.docker_socket);
        test_skip(script);
    }
    (void)snprintf(script, sizeof(script), import_script, fx.docker_socket);
    (void)!system(script); /* lint: system */
}

void fixture_begin(void)
{
    static const struct runtime_sink sink = {.on_event = on_event, .on_ready = on_ready};
    op_init(&fx.op);
    buf_init(&fx.story, 4u << 20);
    buf_init(&fx.lines, 64u << 20);
    fx.is_ready = false;
    fx.over_count = 0;
    const char *folder = test_folder();
    const char *state = arena_printf(&fx.op.arena, "%s/state", folder).ptr;
    struct runtime_process_config process = {
        .state_folder = state,
        .run_folder = arena_printf(&fx.op.arena, "%s/run", folder).ptr,
        .has_cgroups = fx.has_cgroups,
    };
    struct runtime_docker_config docker = {
        .socket_path = fx.docker_socket, .state_folder = state, .instance = "hitless-test"};
    REQUIRE_OK(ev_loop_open(&fx.op, &fx.loop), &fx.op);
    if (fx.is_mixed) {
        process.state_folder = arena_printf(&fx.op.arena, "%s/state-process", folder).ptr;
        REQUIRE_OK(runtime_mixed_open(&fx.op, &fx.loop, &process, &docker, &sink, &fx.rt), &fx.op);
    } else if (fx.docker_socket != NULL) {
        REQUIRE_OK(runtime_docker_open(&fx.op, &fx.loop, &docker, &sink, &fx.rt), &fx.op);
    } else {
        fx.image = arena_printf(&fx.op.arena, "dir://%s", folder);
        REQUIRE_OK(runtime_process_open(&fx.op, &fx.loop, &process, &sink, &fx.rt), &fx.op);
    }
    while (!fx.is_ready) {
        (void)ev_loop_turn(&fx.loop, DUR_MS(100));
    }
}

void fixture_end(void)
{
    runtime_close(fx.rt);
    ev_loop_close(&fx.loop);
    buf_fini(&fx.story);
    buf_fini(&fx.lines);
    op_fini(&fx.op);
}

/* ---- other controls ------------------------------------------------------------------------- */

void fixture_live_and_be_killed(void (*life)(void))
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        fixture_begin();
        life();
        (void)!write(ends[1], "x", 1);
        for (;;) {
            fixture_turn(1000);
        }
    }
    (void)close(ends[1]);
    char byte = 0;
    REQUIRE_EQ(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    REQUIRE(kill(pid, SIGKILL) == 0);
    REQUIRE(waitpid(pid, NULL, 0) == pid);
}

void fixture_pause(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

bool fixture_has(const char *word)
{
    return str_find(buf_str(&fx.story), str_of(word), 0) != STR_NOT_FOUND;
}

static bool has_line(const char *text)
{
    return str_find(buf_str(&fx.lines), str_of(text), 0) != STR_NOT_FOUND;
}

void fixture_turn(int ms)
{
    mono_t until = mono_add(clock_mono(), DUR_MS(ms));
    while (clock_mono().us < until.us) {
        (void)ev_loop_turn(&fx.loop, DUR_MS(5));
    }
}

static bool wait_until(bool (*holds)(const char *), const char *text, int ms)
{
    mono_t until = mono_add(clock_mono(), DUR_MS(ms));
    while (!holds(text) && clock_mono().us < until.us) {
        (void)ev_loop_turn(&fx.loop, DUR_MS(20));
    }
    if (!holds(text)) {
        test_failed(__FILE__, __LINE__, "no \"%s\" in %d ms; told: %.*s", text, ms,
                    STR_ARG(buf_str(&fx.story)));
    }
    return holds(text);
}

bool fixture_wait(const char *word, int ms)
{
    return wait_until(fixture_has, word, ms);
}

bool fixture_wait_line(const char *text, int ms)
{
    return wait_until(has_line, text, ms);
}

bool fixture_wait_over(size_t count, int ms)
{
    mono_t until = mono_add(clock_mono(), DUR_MS(ms));
    while (fx.over_count < count && clock_mono().us < until.us) {
        (void)ev_loop_turn(&fx.loop, DUR_MS(20));
    }
    EXPECT_EQ(fx.over_count, count);
    return fx.over_count == count;
}

/* ---- specs ----------------------------------------------------------------------------------- */

static struct runtime_container_spec containers[RUNTIME_CONTAINERS_MAX];
static struct str words[RUNTIME_CONTAINERS_MAX][3];

struct runtime_container_spec *fixture_container(size_t index, const char *name, const char *script)
{
    CHECK(index < RUNTIME_CONTAINERS_MAX);
    words[index][0] = STR("/bin/sh");
    words[index][1] = STR("-c");
    words[index][2] = str_of(script);
    containers[index] = (struct runtime_container_spec){
        .name = str_of(name),
        .image = fx.image,
        .command = {words[index], 3},
        .wants_log = true,
        .is_essential = true,
    };
    return &containers[index];
}

struct runtime_task_spec fixture_task(const char *id, size_t count)
{
    return (struct runtime_task_spec){
        .id = str_of(id), .containers = containers, .container_count = count};
}

void fixture_start(const struct runtime_task_spec *spec)
{
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, spec), &fx.op);
}

struct runtime_container_sight fixture_see(const char *id, size_t container)
{
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, str_of(id), &sight), &fx.op);
    REQUIRE(container < sight.container_count);
    return sight.containers[container];
}

size_t fixture_processes(const char *id)
{
    static char environment[65536];
    size_t count = 0;
    struct str mark = arena_printf(&fx.op.arena, "HITLESS_TASK_ID=%s", id);
    DIR *proc = opendir("/proc");
    for (const struct dirent *e = readdir(proc); e != NULL; e = readdir(proc)) {
        uint64_t pid = 0;
        if (!str_parse_u64(str_of(e->d_name), INT32_MAX, &pid)) {
            continue;
        }
        FILE *f = fopen(arena_printf(&fx.op.arena, "/proc/%s/environ", e->d_name).ptr, "r");
        size_t got = f == NULL ? 0 : fread(environment, 1, sizeof(environment), f);
        if (f != NULL) {
            (void)fclose(f);
        }
        count += str_find(str_make(environment, got), mark, 0) != STR_NOT_FOUND;
    }
    (void)closedir(proc);
    return count;
}
