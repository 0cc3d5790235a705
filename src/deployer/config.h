#pragma once
/* hitless.yaml as typed configuration. Every key is a row of a table (config_fields.c), from which
 * the reader, docs/configuration.md and the JSON Schema are made. All mistakes of a file are told
 * at once, each with file, line and column and what was expected. */

#include "base/op.h"
#include "deployer/yaml.h"

#define CONFIG_SERVICES_MAX     20
#define CONFIG_ENVIRONMENTS_MAX 50
#define CONFIG_STEPS_MAX        100
#define CONFIG_RULES_MAX        10
#define CONFIG_PROBLEMS_MAX     50
#define CONFIG_FILE_NAME        "hitless.yaml"

struct config_words {
    struct str *items;
    size_t count;
};

struct config_pair {
    struct str name;
    struct str value;
    int line;
    int column;
};

struct config_pairs {
    struct config_pair *items;
    size_t count;
};

struct config_health {
    struct str path; /* "/health" */
    int64_t interval_s;
    int64_t timeout_s;
    int64_t healthy_threshold;
    int64_t unhealthy_threshold;
    struct str matcher; /* "200" or "200-299" */
};

struct config_service {
    struct str name;
    struct str image;   /* a reference, or dir:///absolute (relative ones are resolved) */
    struct str context; /* build context, or absent */
    struct str platform;
    struct config_words command;
    int64_t port; /* 0: none */
    struct config_health health;
    int64_t cpu;
    int64_t memory;
    int64_t count;
    struct config_pairs env;
    struct config_pairs secrets; /* value: a parameter name or an ARN, never the secret */
    struct str task_definition;  /* absolute path of AWS's JSON, or absent */
    int64_t grace_s;
    int64_t stop_timeout_s;
    const struct yaml_node *node;
};

struct config_migrations {
    struct config_words command; /* count 0: none */
    struct str service;          /* whose image runs it; absent: the first */
    struct str sql;              /* glob, or absent */
    int64_t timeout_s;
};

struct config_json_check {
    struct str path;     /* ".count" */
    struct str expected; /* "> 0", "= open", "open" */
};

struct config_verify {
    struct str get; /* path on the load balancer, or a whole URL */
    int64_t status;
    struct str contains; /* or absent */
    struct config_json_check *json;
    size_t json_count;
    int64_t timeout_s;
};

enum config_target { CONFIG_TARGET_LOCAL, CONFIG_TARGET_AWS };
enum config_strategy {
    CONFIG_ROLLING,
    CONFIG_CANARY,
    CONFIG_LINEAR,
    CONFIG_BLUE_GREEN, /* also written all_at_once */
};
enum config_confirm { CONFIG_CONFIRM_NONE, CONFIG_CONFIRM_WORD, CONFIG_CONFIRM_ALWAYS };

struct config_step {
    double percent; /* 0 < percent <= 100, rising */
    int64_t wait_s; /* behind it; 0 behind the last */
};

enum config_measure { CONFIG_ERROR_RATE, CONFIG_5XX_COUNT, CONFIG_LATENCY, CONFIG_ALARM };

/* "error_rate > 1% for 5m", "p99 > 500ms", "5xx > 10 for 1m", "alarm api-5xx-rate-high" */
struct config_rule {
    enum config_measure measure;
    double percentile; /* CONFIG_LATENCY */
    double threshold;  /* percent, count, or seconds */
    int64_t for_s;     /* a whole number of minutes; 60 by default */
    struct str alarm;  /* CONFIG_ALARM */
    struct str text;   /* as written */
};

struct config_environment {
    struct str name;
    enum config_target target;
    struct str endpoint; /* absent: the target's */
    struct str region;
    struct str profile;
    struct str cluster; /* absent: APP-NAME */
    struct str service; /* absent: the service's name */
    struct str after;   /* environment, or absent */
    enum config_strategy strategy;
    struct config_step
        *steps; /* of canary and linear; filled with the default where none are given */
    size_t step_count;
    int64_t bake_s;
    struct config_rule *rules;
    size_t rule_count;
    enum config_confirm confirm;
    struct str confirm_word;
    struct config_pairs env;
    int64_t count; /* 0: the service's */
    int64_t port;  /* of the listener */
    int64_t drain_s;
    int64_t min_healthy_percent;
    int64_t max_percent;
    int64_t time_scale;             /* of an engine that is started for it */
    int64_t timeout_s;              /* of a whole deployment */
    struct str infrastructure_role; /* ARN, for strategies other than rolling on AWS */
    struct str execution_role;
    struct config_words subnets;
    struct config_words security_groups;
    const struct yaml_node *node;
};

struct config_notify {
    struct str slack; /* webhook URL: a secret */
};

struct config {
    struct str path;   /* absolute path of the file */
    struct str folder; /* where it stands */
    struct str app;
    struct config_service *services;
    size_t service_count;
    struct config_migrations migrations;
    struct config_verify *verify;
    size_t verify_count;
    struct config_environment *environments;
    size_t environment_count;
    struct config_notify notify;
};

struct config_problem {
    int line;
    int column;
    struct str text; /* what is there and what was expected */
};

struct config_problems {
    struct config_problem *items;
    size_t count;
};

/* Looks up ${env:NAME}; absent when it is not set. */
typedef struct str (*config_lookup_fn)(void *self, struct str name);

struct config_source {
    struct str path; /* absolute */
    struct str text;
    config_lookup_fn lookup;
    void *self;
};

/* ERR_INPUT: ret_problems holds at least one problem, in the order of the file; ret_config is not
 * to be used. Everything lives in the op's arena. */
enum err config_parse(struct op *op, const struct config_source *source, struct config *ret_config,
                      struct config_problems *ret_problems);

/* NULL when there is none of that name. */
const struct config_environment *config_find_environment(const struct config *c, struct str name);
const char *config_strategy_text(enum config_strategy strategy);

/* Changes the strategy, by its name in the file, with default steps where it needs others; false
 * when there is none of that name. */
bool config_use_strategy(struct arena *a, struct str name, struct config_environment *e);

/* docs/configuration.md's table and `hitless schema`, from the same rows. */
struct buf;
void config_write_reference(struct buf *to);
void config_write_schema(struct buf *to);

/* Pure readers of the small languages; false when the text is none of them. */
bool config_read_span_s(struct str text,
                        int64_t *ret_seconds); /* "90", "90s", "5m", "1h", "1h30m" */
bool config_read_rule(struct arena *a, struct str text, struct config_rule *ret_rule);
bool config_read_step(struct str text, struct config_step *ret_step); /* "10% 5m", "100%" */
