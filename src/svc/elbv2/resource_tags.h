#pragma once
/* AddTags, RemoveTags, DescribeTags. Private to the module. */

#include "svc/elbv2/elbv2.h"

enum err elbv2_add_tags(struct op *op, struct elbv2 *e, const struct elbv2_add_tags_in *in,
                        struct elbv2_add_tags_out *ret);
enum err elbv2_remove_tags(struct op *op, struct elbv2 *e, const struct elbv2_remove_tags_in *in,
                           struct elbv2_remove_tags_out *ret);
enum err elbv2_describe_tags(struct op *op, struct elbv2 *e,
                             const struct elbv2_describe_tags_in *in,
                             struct elbv2_describe_tags_out *ret);
