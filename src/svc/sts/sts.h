#pragma once
/* Who is asking. The service has no state of its own: pass NULL as struct sts. */

#include "gen/sts.h"

extern const struct sts_handlers sts_handlers;
