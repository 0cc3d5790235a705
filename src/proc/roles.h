#pragma once
/* What sup says to its roles and they to it, over the channel that each is born with (descriptor
 * PROC_ROLE_CHANNEL_FD). Control and lb speak to each other over a pair of their own, whose ends
 * sup hands out; what they say there is theirs. */

#include "net/addr.h"
#include "proc/channel.h"

/* Descriptors of a role at birth. */
#define PROC_ROLE_CHANNEL_FD  3 /* to sup */
#define PROC_ROLE_COUNTERS_FD 4 /* the shared counter memory (memfd); both roles map it */
/* argv of a role: program, PROC_ROLE_MARK, name, generation, then the words behind `serve`. */
#define PROC_ROLE_MARK "@role"

enum proc_sup_message {
    /* sup -> role */
    PROC_PEER = 1,  /* [peer generation u32] + 1 fd: the channel to the other role. It replaces an
                       earlier one, whose other end is dead */
    PROC_LISTENING, /* struct proc_listen_answer; + the sockets when it went well */
    PROC_STOP,      /* stop; [limit in ms u32]: then SIGKILL comes */
    /* role -> sup */
    PROC_LISTEN,   /* struct proc_listen_request: bind, or give again what is bound */
    PROC_UNLISTEN, /* the address, as text: forget the socket */
    PROC_READY,    /* the role does its work now; no payload */
};

#define PROC_LISTENERS_MAX         4096 /* addresses that sup keeps */
#define PROC_ANSWER_TEXT_BYTES_MAX 1024
/* A role that ends with this says: starting again will not help (bad arguments, a state folder that
 * cannot be used). Sup then stops everything. */
#define PROC_EXIT_HOPELESS 64

/* Sup binds, keeps a copy, and gives copies away: connections wait in the kernel while a role is
 * restarted. Asking again for an address that sup holds gives the same sockets. When a new
 * generation of a role says PROC_READY, the sockets of the earlier one that it has not asked for
 * are closed. */
struct proc_listen_request {
    uint32_t id;           /* comes back in the answer */
    uint32_t socket_count; /* 1..PROC_FDS_MAX: sockets that share the port (SO_REUSEPORT), so that
                              each worker has its own. All that there are must be served: the
                              answer carries more than asked for when more were bound before */
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
