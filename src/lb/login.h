#pragma once
/* authenticate-oidc: who has no session is sent to the identity provider, and comes back to
 * /oauth2/idpresponse with a code, which control exchanges (sign_in.h).
 * Source: ELBv2 guide, "Authenticate users"; codes 401, 500 and 561. */

#include "lb/session.h"
#include "lb/worker.h"

enum lb_unauthenticated { LB_LOGIN_AUTHENTICATES, LB_LOGIN_DENIES, LB_LOGIN_ALLOWS };

/* A rule's. */
struct lb_login {
    enum lb_unauthenticated otherwise;
    uint64_t tag;       /* of what makes it this login; even */
    struct str purpose; /* of its sessions: issuer, client, scope, cookie */
    struct str issuer_json;
    struct str client_json;
    struct str signer_json; /* ARN of the load balancer */
    struct str start; /* authorization endpoint with all parameters that are always the same */
    struct str cookie_name;
    int64_t session_seconds;
};

/* conf_build.c: an action in front of the routing action: authenticate-oidc, else lb_guard_add. */
enum err lb_login_or_guard_add(struct op *op, struct lb_conf *conf,
                               const struct lbconf_listener *listener,
                               const struct lbconf_action *in, struct lb_rule *rule) MUST_USE;

/* The address that sends the user to the identity provider, and brings back `state`; absent when it
 * would be too long. */
struct str lb_login_start_url(struct arena *a, const struct lb_login *login, struct str host,
                              struct str state);
/* x-amzn-oidc-data: signed, with the padding that ALB leaves in. */
struct str lb_login_data(struct arena *a, const struct lb_conf *conf, const struct lb_login *login,
                         struct str claims, int64_t now_s);

struct lb_login_says {
    const struct lb_action *reply; /* LB_SIGN_IN; NULL: an error page */
    unsigned status;
    bool holds; /* the request stays with its client and comes again */
};
/* For worker->request_head on a listener that has logins. False: the request goes on, as
 * worker->identity says; else *ret says how it does not. */
bool lb_login_ask(struct lb_client *c, const struct lb_listener *l, const struct lb_rule *rule,
                  struct lb_login_says *ret);
/* A request that waited has its answer; false when it has none. */
bool lb_sign_in_answer(struct lb_client *c, struct lb_login_says *ret);

/* "x-amzn-oidc-...", with "_" for "-" as well. */
bool lb_is_identity_field(struct str name);
void lb_identity_write(const struct lb_identity *who, struct h1_writer *w);
