#pragma once
/* What a runtime takes at most. Past one of these start_task() answers ERR_LIMIT. */

#define RUNTIME_TASK_ID_BYTES         32 /* lower-case hex */
#define RUNTIME_NAME_BYTES_MAX        255
#define RUNTIME_TASKS_MAX             4096
#define RUNTIME_CONTAINERS_MAX        10 /* AWS: containers of a task definition */
#define RUNTIME_WORDS_MAX             512
#define RUNTIME_WORDS_BYTES_MAX       (64u << 10)
#define RUNTIME_ENVIRONMENT_MAX       1024
#define RUNTIME_ENVIRONMENT_BYTES_MAX (512u << 10)
#define RUNTIME_PORTS_MAX             100 /* AWS: port mappings of a container */
#define RUNTIME_ULIMITS_MAX           15
#define RUNTIME_DEPENDS_MAX           (RUNTIME_CONTAINERS_MAX - 1)
#define RUNTIME_LABELS_MAX            50
#define RUNTIME_LABEL_BYTES_MAX       1024
#define RUNTIME_REASON_BYTES_MAX      1024         /* a longer reason is cut */
#define RUNTIME_LINE_BYTES_MAX        (256u << 10) /* a longer log line becomes several */
#define RUNTIME_LINES_PER_EVENT_MAX   256
