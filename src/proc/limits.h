#pragma once
/* Limits of what goes between processes. */

#define PROC_PAYLOAD_BYTES_MAX (16u << 20) /* of one message; a large snapshot must fit */
#define PROC_QUEUE_BYTES_MAX   (64u << 20) /* that wait to be sent on one channel */
#define PROC_QUEUE_FDS_MAX     1024        /* copies of descriptors that wait with them */
#define PROC_FDS_MAX           16          /* with one message */
#define PROC_INHERIT_MAX       64          /* descriptors given to a new process */
