#pragma once
/* Key sets of jwt-validation actions: fetched over HTTPS by the control loop, kept in memory,
 * fetched again every five minutes. What was fetched is checked before the data plane gets it;
 * while nothing was fetched, requests of the rule are answered with 500. Private to the module. */

#include "svc/elbv2/elbv2.h"

void elbv2_jwks_init(struct elbv2 *e);
void elbv2_jwks_fini(struct elbv2 *e);
/* The key set of that address as it was fetched last, until the next turn; absent while there is
 * none. Asks for it to be fetched. */
struct str elbv2_jwks_want(struct elbv2 *e, struct str url);
/* Starts the fetches whose time has come and asks for the next turn; forgets what no rule uses. */
void elbv2_jwks_turn(struct elbv2 *e);
