#include "rollout/service.h"

#include "test.h"
