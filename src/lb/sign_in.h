#pragma once
/* Users who came back from the identity provider: their requests are held while control exchanges
 * the code. Worker and control thread put letters into each other's mailbox; nothing else is
 * shared. An answer to a client that left meanwhile finds nobody and is dropped. */

#include "base/arena.h"
#include "base/list.h"
#include "base/time.h"

#include <pthread.h>
#include <stdatomic.h>

struct lb;
struct lb_client;
struct lb_login;
struct lb_rule;
struct lb_state;
struct lb_worker;

struct lb_mailbox {
    pthread_mutex_t mutex;
    struct list letters; /* of struct lb_letter, heap */
    atomic_bool has_letters;
};
void lb_mailbox_init(struct lb_mailbox *box);
void lb_mailbox_fini(struct lb_mailbox *box);

/* False when too many wait already. The client's request stays with it until there is an answer. */
bool lb_sign_in_begin(struct lb_client *c, const struct lb_rule *rule, const struct lb_state *state,
                      struct str code, struct str redirect_uri);
/* It waited too long. */
void lb_sign_in_expire(struct lb_client *c);
/* Forgets it, for whatever reason. */
void lb_sign_in_leave(struct lb_client *c);
/* On the worker: takes the answers that came. */
void lb_sign_ins_hear(struct lb_worker *w);
/* login_ask.c: when the worker ends. */
void lb_identities_free(struct lb_worker *w);
/* On the control thread: passes on what workers ask. */
void lb_sign_ins_tell(struct lb *lb);
