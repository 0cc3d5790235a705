#include "svc/sts/sts.h"

#include "svc/common/arn.h"

/* A caller that was not authenticated (test mode) is the account itself, as its root would be. */
static enum err get_caller_identity(struct op *op, struct sts *sts,
                                    const struct sts_get_caller_identity_in *in,
                                    struct sts_get_caller_identity_out *ret)
{
    (void)sts;
    (void)in;
    ret->account = op->account;
    ret->arn =
        op->caller_arn.len > 0 ? op->caller_arn : arn_make_global(op, STR("iam"), STR("root"));
    ret->user_id = op->caller_id.len > 0 ? op->caller_id : op->account;
    return ERR_OK;
}

const struct sts_handlers sts_handlers = {
    .get_caller_identity = get_caller_identity,
};
