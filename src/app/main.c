/* One executable: the commands, and the roles that `hitless serve` starts itself in. */
#include "base/fault.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
    fault_init();
    return cli_main(argc, argv, NULL, 0);
}
