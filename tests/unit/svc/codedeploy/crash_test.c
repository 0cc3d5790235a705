/* Kills the program at every fault point of a deployment, once each, and starts it again on the
 * same state. Whatever the place: the deployment ends as it would have, nothing is made twice, and
 * what may never happen (fakes.c checks it at every effect) does not happen. */

#include "fakes.h"

#include "base/fault.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define POINTS_MAX 400

/* A script: steps that the shared state counts, so that the next process goes on where the killed
 * one was. Repeating a step must be harmless. True when the script is over. */
typedef bool script_fn(struct fake *f);

static struct str id_of(struct fake *f)
{
    return str_of(f->state->deployment_id);
}

/* The deployment of the group: made by us, or by the process before us. */
static void ensure_deployment(struct fake *f)
{
    struct codedeploy_list_deployments_in in = {.application_name = STR("shop"),
                                                .deployment_group_name = STR("web")};
    struct codedeploy_list_deployments_out out = {0};
    REQUIRE_OK(codedeploy_handlers.list_deployments(&f->op, f->cd, &in, &out), &f->op);
    struct str id =
        out.deployments.count > 0 ? out.deployments.items[0] : fake_deploy(f, NULL, FAKE_APPSPEC);
    REQUIRE(str_to_c(id, f->state->deployment_id, sizeof(f->state->deployment_id)));
}

static bool good_script(struct fake *f)
{
    switch (f->state->phase) {
    case 0:
        ensure_deployment(f);
        fake_settle(f);
        break;
    case 1:
    case 3:
        fake_tasks_live(f);
        break;
    case 2:
    case 4:
        fake_advance(f, DUR_MIN(5));
        break;
    default:
        fake_tasks_live(f);
        return fake_get(f, id_of(f))->status == CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED;
    }
    f->state->phase++;
    return false;
}

static bool alarm_script(struct fake *f)
{
    struct codedeploy_deployment_info *info = NULL;
    switch (f->state->phase) {
    case 0:
        ensure_deployment(f);
        fake_settle(f);
        break;
    case 1:
        fake_tasks_live(f);
        break;
    case 2:
        f->state->is_alarm = true;
        codedeploy_alarm_changed(f->cd, STR("eu-west-1"), STR("api-5xx"));
        fake_settle(f);
        break;
    default:
        fake_tasks_live(f);
        info = fake_get(f, id_of(f));
        if (info->status != CODEDEPLOY_DEPLOYMENT_STATUS_STOPPED) {
            return false;
        }
        return fake_get(f, info->rollback_info->rollback_deployment_id)->status ==
               CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED;
    }
    f->state->phase++;
    return false;
}

/* A process of the program's: until the script is over, or a fault point kills it. */
static void live(struct fake_state *state, const char *path, script_fn *script, int kill_at)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", kill_at);
    (void)setenv("HITLESS_FAULT_AT", number, 1);
    fault_init();
    struct fake f;
    fake_open(&f, state, path);
    fake_settle(&f);
    for (int i = 0; i < 100; i++) {
        if (script(&f)) {
            _exit(test_failure_count() == 0 ? 0 : 1);
        }
    }
    printf("# the script does not end, phase %d\n", state->phase);
    fflush(stdout);
    _exit(2);
}

/* True when the process was killed at a point. */
static bool run_process(struct fake_state *state, const char *path, script_fn *script, int kill_at)
{
    fflush(stdout);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        live(state, path, script, kill_at);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status)) {
        EXPECT_EQ(WTERMSIG(status), SIGKILL);
        return true;
    }
    EXPECT_EQ(WEXITSTATUS(status), 0);
    return false;
}

static void prepare(struct fake_state *state, const char *path)
{
    struct fake f;
    fake_open(&f, state, path);
    fake_make_group(&f, NULL);
    fake_close(&f);
}

/* In memory where the system has such a folder: a process that is killed loses nothing that it
 * wrote, and hundreds of states need not reach a disk. */
static void open_folder(char path[64])
{
    (void)snprintf(path, 64, "/dev/shm/hitless-test-XXXXXX");
    if (mkdtemp(path) == NULL) {
        (void)snprintf(path, 64, "%s", test_folder());
    }
}

static void remove_state(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char file[128];
        (void)snprintf(file, sizeof(file), "%s%s", path, ends[i]);
        (void)unlink(file);
    }
}

/* Returns how many points there are. */
static int crash_everywhere(script_fn *script, void (*check)(const struct fake_state *))
{
    char folder[64];
    int points = POINTS_MAX;
    open_folder(folder);
    for (int at = 1; at < points; at++) {
        struct fake_state *state = fake_state_new();
        char path[96];
        (void)snprintf(path, sizeof(path), "%s/state.db", folder);
        test_context("point", (unsigned long long)at);
        prepare(state, path);
        bool was_killed = run_process(state, path, script, at);
        if (was_killed) {
            EXPECT(!run_process(state, path, script, 0));
        }
        EXPECT_EQ(state->broken, 0);
        check(state);
        remove_state(path);
        if (!was_killed || test_failure_count() > 0) {
            points = at - 1;
        }
    }
    (void)rmdir(folder);
    return points;
}

static int32_t set_count(const struct fake_state *s)
{
    int32_t count = 0;
    for (int i = 0; i < FAKE_SETS_MAX; i++) {
        count += s->sets[i].exists;
    }
    return count;
}

static void check_good(const struct fake_state *s)
{
    EXPECT_EQ(s->production[0], 0);
    EXPECT_EQ(s->production[1], 100);
    EXPECT_EQ(set_count(s), 1);
    EXPECT(s->sets[1].exists);
    EXPECT_EQ(s->primary, 1);
}

static void check_rolled_back(const struct fake_state *s)
{
    EXPECT_EQ(s->production[0], 100);
    EXPECT_EQ(s->production[1], 0);
    EXPECT_EQ(set_count(s), 1);
    EXPECT(s->sets[0].exists);
    EXPECT_EQ(s->primary, 0);
}

TEST(a_deployment_killed_at_any_point_still_succeeds)
{
    int points = crash_everywhere(good_script, check_good);
    printf("# %d points\n", points);
    EXPECT(points > 30);
}

TEST(a_rollback_killed_at_any_point_still_ends_on_blue)
{
    int points = crash_everywhere(alarm_script, check_rolled_back);
    printf("# %d points\n", points);
    EXPECT(points > 30);
}
