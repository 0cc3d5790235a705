#pragma once
/* Trust stores: the authorities whose client certificates a listener with mutual authentication
 * accepts, and the revocation lists. Bundles come from the folder that stands for S3 and are copied
 * into the store when they are named, as AWS does: a later change of the file changes nothing until
 * ModifyTrustStore. Private to the module. */

#include "gen/engine.h"
#include "store/store.h"
#include "svc/elbv2/elbv2.h"

extern const struct store_kind elbv2_kind_trust_store;
extern const struct store_kind elbv2_kind_revocations;

/* ValidationError or TrustStoreNotFound. */
enum err elbv2_get_trust_store(struct op *op, struct elbv2 *e, struct str arn,
                               struct engine_elb_trust_store *ret);
/* With a greater edition, and the listeners that use it are read again. */
enum err elbv2_put_trust_store(struct op *op, struct elbv2 *e, struct engine_elb_trust_store *row);
/* PEM of all authorities and of all revocation lists (absent without any). */
enum err elbv2_trust_store_content(struct op *op, struct elbv2 *e, struct str arn,
                                   struct str *ret_authorities_pem,
                                   struct str *ret_revocations_pem);
enum err elbv2_list_revocations(struct op *op, struct elbv2 *e, struct str arn,
                                struct store_items *ret);
/* ARNs of the load balancers with a listener that verifies by it, each once. */
enum err elbv2_trust_store_users(struct op *op, struct elbv2 *e, struct str arn,
                                 struct port_arns *ret);

/* ---- trust_objects.c ------------------------------------------------------------------------- */

struct elbv2_object {
    struct str bucket;
    struct str key;
    struct str version;
    const struct err_public *not_found;
};
/* The text of OBJECTS/BUCKET/KEY. */
enum err elbv2_read_object(struct op *op, struct elbv2 *e, const struct elbv2_object *object,
                           struct str *ret_text);
/* Writes the text to a file of its own and gives its file:// location. */
enum err elbv2_hand_out(struct op *op, struct elbv2 *e, struct str name, struct str text,
                        struct str *ret_location);

/* ---- operations ------------------------------------------------------------------------------ */

#define ELBV2_OPERATION(name_)                                                                  \
    enum err elbv2_##name_(struct op *op, struct elbv2 *e, const struct elbv2_##name_##_in *in, \
                           struct elbv2_##name_##_out *ret)

ELBV2_OPERATION(create_trust_store);
ELBV2_OPERATION(modify_trust_store);
ELBV2_OPERATION(delete_trust_store);
ELBV2_OPERATION(describe_trust_stores);
ELBV2_OPERATION(describe_trust_store_associations);
ELBV2_OPERATION(add_trust_store_revocations);
ELBV2_OPERATION(remove_trust_store_revocations);
ELBV2_OPERATION(describe_trust_store_revocations);
ELBV2_OPERATION(get_trust_store_ca_certificates_bundle);
ELBV2_OPERATION(get_trust_store_revocation_content);
ELBV2_OPERATION(delete_shared_trust_store_association);
