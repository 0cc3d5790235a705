#pragma once
/* Between the files that read hitless.yaml. */

#include "deployer/config.h"
#include "deployer/config_fields.h"

struct config_reader {
    struct op *op;
    const struct config_source *source;
    struct config_problems *problems;
};

/* Notes a mistake at a node; the first CONFIG_PROBLEMS_MAX are kept. */
void config_complain(struct config_reader *r, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A text with ${env:NAME} replaced; notes what is wrong and returns false. */
bool config_read_text(struct config_reader *r, const struct yaml_node *node, const char *what,
                      struct str *ret_text);
bool config_check_name(struct config_reader *r, const struct yaml_node *node, const char *what,
                       struct str text);
void config_split_words(struct arena *a, struct str text, struct config_words *ret);
/* Fallbacks first, then every key of the map; FIELD_NODEs are left to the caller. */
void config_read_section(struct config_reader *r, const struct section *section,
                         const struct yaml_node *node, void *into);
