#include "cli/outcome.h"

#include "base/check.h"

#include <stdio.h>

static const enum cli_exit exits[] = {
    [DEPLOY_RELEASED] = CLI_OK,
    [DEPLOY_NOTHING] = CLI_OK,
    [DEPLOY_REFUSED] = CLI_PREFLIGHT,
    [DEPLOY_ROLLED_BACK] = CLI_ROLLED_BACK,
    [DEPLOY_NOT_ROLLED_BACK] = CLI_NOT_ROLLED_BACK,
    [DEPLOY_STOPPED] = CLI_STOPPED,
    [DEPLOY_WAITING] = CLI_WAITING,
    [DEPLOY_SUPERSEDED] = CLI_SUPERSEDED,
    [DEPLOY_LOCKED] = CLI_LOCKED,
    [DEPLOY_CANNOT_TELL] = CLI_CANNOT_TELL,
    [DEPLOY_MIGRATION] = CLI_MIGRATION,
};

enum cli_exit outcome_exit(enum deploy_outcome outcome)
{
    CHECK(outcome < ARRAY_COUNT(exits));
    return exits[outcome];
}

void outcome_hint(const struct deploy_result *r, struct str environment)
{
    switch (r->outcome) {
    case DEPLOY_STOPPED:
        if (str_is_set(r->serving)) {
            return; /* taken back already */
        }
        __attribute__((fallthrough)); /* the deployment goes on */
    case DEPLOY_WAITING:
    case DEPLOY_LOCKED:
    case DEPLOY_CANNOT_TELL:
        (void)fprintf(stderr,
                      "  hitless status %.*s     shows where it stands\n"
                      "  hitless stop %.*s       takes it back\n",
                      STR_ARG(environment), STR_ARG(environment));
        return;
    case DEPLOY_NOT_ROLLED_BACK:
        (void)fprintf(stderr, "  hitless rollback %.*s   brings the last good version back\n",
                      STR_ARG(environment));
        return;
    case DEPLOY_RELEASED:
    case DEPLOY_NOTHING:
    case DEPLOY_REFUSED:
    case DEPLOY_ROLLED_BACK:
    case DEPLOY_SUPERSEDED:
    case DEPLOY_MIGRATION:
        break;
    }
}
