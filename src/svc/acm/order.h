#pragma once
/* What is to be done next to get a certificate from an authority: a pure decision over the row.
 *
 *   state       what is known                        what is done
 *   LOCAL       the engine's own authority issues    sign
 *   NEW         nothing is at the authority          newOrder, section 7.4 of RFC 8555
 *   AUTHORIZE   the order and its authorizations     read each (7.5); when the data plane answers
 *                                                    the challenges, have them asked (7.5.1); read
 *                                                    until all are valid
 *   FINALIZE    all are valid                        send the request (7.4)
 *   WAIT        the authority signs                  read the order
 *   DOWNLOAD    it is signed                         read the certificate (7.4.2)
 *
 * A failure goes back to NEW (an order is never mended) and waits: ACM_RETRY_FIRST, then twice as
 * long each time. Only moments are stored. */

#include "base/op.h"
#include "gen/engine.h"

#define ORDER_LOCAL     STR("LOCAL")
#define ORDER_NEW       STR("NEW")
#define ORDER_AUTHORIZE STR("AUTHORIZE")
#define ORDER_FINALIZE  STR("FINALIZE")
#define ORDER_WAIT      STR("WAIT")
#define ORDER_DOWNLOAD  STR("DOWNLOAD")

enum order_action {
    ORDER_REST, /* nothing until `until`, or until something else happens */
    ORDER_SIGN_LOCALLY,
    ORDER_ASK_NEW,
    ORDER_READ_AUTHORIZATION, /* the one at `index` */
    ORDER_ASK_CHALLENGE,
    ORDER_ASK_FINALIZE,
    ORDER_READ,
    ORDER_ASK_CERTIFICATE,
    ORDER_GIVE_UP, /* the time for validation is over */
};

struct order_sight {
    wall_t now;
    wall_t requested_at;
    bool are_challenges_published;
};

struct order_step {
    enum order_action action;
    size_t index;
    wall_t until; /* 0: for something else than time */
};

struct order_step acm_order_decide(const struct engine_acm_order *order,
                                   const struct order_sight *seen);

/* Renewal begins when a third of the lifetime is left (the CA/Browser Forum's short lifetimes and
 * Let's Encrypt's advice alike). */
wall_t acm_renewal_at(wall_t from, wall_t until);
