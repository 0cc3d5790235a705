#pragma once
/* Finds the first rule of many that holds, without asking all of them.
 *
 * Every rule that can be is filed under texts of which the request must have one: a host or the end
 * of one, a path or the beginning of one, a header's value, a parameter of the query, an address
 * range. Of several conditions the one is chosen whose texts the fewest rules share. A request
 * looks up its own texts and asks the rules that it finds there, and those that are filed nowhere
 * (a regex, a pattern that begins with a wildcard, methods). What is found so is what asking one
 * after the other finds: the index only leaves out rules that cannot hold.
 *
 * Immutable after it was built; lives in the arena of its configuration. */

#include "lb/rule.h"

struct lb_rule_index *lb_rule_index_build(struct arena *a, const struct lb_rule *rules,
                                          size_t count);
/* Place of the first rule that holds; count when none does. No allocation. */
size_t lb_rule_index_find(const struct lb_rule_index *index, const struct lb_rule *rules,
                          size_t count, const struct lb_request_facts *facts);
