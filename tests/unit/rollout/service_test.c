#include "rollout/service.h"

#include "harness/test.h"
