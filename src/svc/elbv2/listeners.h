#pragma once
/* Operations on listeners and their certificates. Private to the module. */

#include "svc/elbv2/elbv2.h"

enum err elbv2_create_listener(struct op *op, struct elbv2 *e,
                               const struct elbv2_create_listener_in *in,
                               struct elbv2_create_listener_out *ret);
enum err elbv2_describe_listeners(struct op *op, struct elbv2 *e,
                                  const struct elbv2_describe_listeners_in *in,
                                  struct elbv2_describe_listeners_out *ret);
enum err elbv2_modify_listener(struct op *op, struct elbv2 *e,
                               const struct elbv2_modify_listener_in *in,
                               struct elbv2_modify_listener_out *ret);
enum err elbv2_delete_listener(struct op *op, struct elbv2 *e,
                               const struct elbv2_delete_listener_in *in,
                               struct elbv2_delete_listener_out *ret);
enum err elbv2_describe_listener_attributes(struct op *op, struct elbv2 *e,
                                            const struct elbv2_describe_listener_attributes_in *in,
                                            struct elbv2_describe_listener_attributes_out *ret);
enum err elbv2_modify_listener_attributes(struct op *op, struct elbv2 *e,
                                          const struct elbv2_modify_listener_attributes_in *in,
                                          struct elbv2_modify_listener_attributes_out *ret);

enum err elbv2_add_listener_certificates(struct op *op, struct elbv2 *e,
                                         const struct elbv2_add_listener_certificates_in *in,
                                         struct elbv2_add_listener_certificates_out *ret);
enum err elbv2_remove_listener_certificates(struct op *op, struct elbv2 *e,
                                            const struct elbv2_remove_listener_certificates_in *in,
                                            struct elbv2_remove_listener_certificates_out *ret);
enum err elbv2_describe_listener_certificates(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_listener_certificates_in *in,
    struct elbv2_describe_listener_certificates_out *ret);
