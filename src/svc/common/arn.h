#pragma once
/* Amazon Resource Names: arn:partition:service:region:account:resource. */

#include "base/op.h"
#include "base/str.h"

#include <stdbool.h>

#define ARN_BYTES_MAX 2048

/* Parts point into the text that was parsed. region and account may be empty. */
struct arn {
    struct str partition; /* "aws", "aws-cn", ... */
    struct str service;   /* "elasticloadbalancing" */
    struct str region;
    struct str account;
    struct str resource; /* everything behind the fifth colon: "targetgroup/web/0123456789abcdef" */
};

/* False when text has not six parts, or partition, service or resource is empty. */
bool arn_parse(struct str text, struct arn *ret);
static inline bool arn_looks_like_one(struct str text)
{
    return str_starts_with(text, STR("arn:"));
}

/* The part of the resource behind prefix: arn_tail(&arn, STR("cluster/"), &name). False when the
 * resource does not start so, or nothing follows. */
bool arn_tail(const struct arn *arn, struct str prefix, struct str *ret_tail);

/* The ARN is of this service and of the caller's region and account. A service without regions in
 * its ARNs (iam) compares the account only. */
bool arn_is_here(const struct op *op, const struct arn *arn, struct str service);

/* The partition that a region belongs to: "aws", "aws-cn", "aws-us-gov". */
struct str arn_partition(struct str region);

/* arn:<partition>:<service>:<op's region>:<op's account>:<resource>, in the op's arena. */
struct str arn_make(struct op *op, struct str service, struct str resource);
struct str arn_makef(struct op *op, struct str service, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same without a region, as IAM and STS write theirs. */
struct str arn_make_global(struct op *op, struct str service, struct str resource);
