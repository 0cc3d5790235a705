/* One executable: the commands, and the roles that `hitless serve` and the process runtime start it
 * in. */
#include "app/operations.h"
#include "app/serve.h"
#include "base/check.h"
#include "base/fault.h"
#include "runtime/process/process.h"

#define SHIM_NAME "task-shim"

int main(int argc, char **argv)
{
    static const struct role roles[] = {{ROLE_CONTROL, control_main}, {ROLE_LB, lb_main}};
    int code = 0;
    if (argc > 1 && strcmp(argv[1], SHIM_NAME) == 0) {
        return runtime_shim_main();
    }
    fault_init();
    if (roles_run(roles, ARRAY_COUNT(roles), argc, argv, &code)) {
        return code;
    }
    const struct cli_command commands[] = {app_serve, app_operations};
    return cli_main(argc, argv, commands, ARRAY_COUNT(commands));
}
