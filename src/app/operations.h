#pragma once
/* The command that lists what the engine offers. */

#include "cli/cli.h"

extern const struct cli_command app_operations;
