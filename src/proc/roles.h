#pragma once
/* What sup says to its roles and they to it, over the channel that each is born with (descriptor
 * PROC_ROLE_CHANNEL_FD). Control and lb speak to each other over a pair of their own, whose ends
 * sup hands out; what they say there is theirs. */

#include "net/addr.h"
#include "proc/channel.h"

/* Descriptors of a role at birth. */
#define PROC_ROLE_CHANNEL_FD  3 /* to sup */
#define PROC_ROLE_COUNTERS_FD 4 /* the shared counter memory (memfd); both roles map it */
/* argv of a role: program, PROC_ROLE_MARK, name, then the arguments of `hitless serve`. */
#define PROC_ROLE_MARK "@role"

enum proc_sup_message {
    /* sup -> role */
    PROC_PEER = 1,  /* [peer generation u32] + 1 fd: the channel to the other role. It replaces an
                       earlier one, whose other end is dead */
    PROC_LISTENING, /* struct proc_listen_answer; + 1 fd when it went well */
    PROC_STOP,      /* stop; [limit in ms u32]: then SIGKILL comes */
    /* role -> sup */
    PROC_LISTEN,   /* struct proc_listen_request: bind, or give again what is bound */
    PROC_UNLISTEN, /* the address, as text: forget the socket */
    PROC_READY,    /* the role does its work now; no payload */
};

#define PROC_LISTENERS_MAX 4096 /* that sup keeps */

struct proc_listen_request {
    uint32_t id; /* comes back in the answer */
    struct net_addr addr;
};

struct proc_listen_answer {
    uint32_t id;
    enum err result;
    struct str text;      /* for people, when result is not ERR_OK; views the payload */
    struct net_addr addr; /* where it really listens: the port is known even if 0 was asked */
};

/* Payloads. Decoding refuses what is short, long, or holds what is no address (false). */
struct str proc_listen_request_encode(struct arena *a, const struct proc_listen_request *r);
bool proc_listen_request_decode(struct str payload, struct proc_listen_request *ret);
struct str proc_listen_answer_encode(struct arena *a, const struct proc_listen_answer *r);
bool proc_listen_answer_decode(struct str payload, struct proc_listen_answer *ret);
struct str proc_u32_encode(struct arena *a, uint32_t value);
bool proc_u32_decode(struct str payload, uint32_t *ret_value);
