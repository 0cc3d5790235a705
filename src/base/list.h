#pragma once
/* Intrusive doubly linked ring. A head links to itself when empty; a zeroed or removed node links
 * to itself or to NULL and may be removed again. Owns: nothing. */

#include "base/check.h"

#include <stdbool.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l || l->next == NULL;
}

static inline void list_add_before(struct list *at, struct list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
    list_add_before(head, node);
}

static inline void list_add_head(struct list *head, struct list *node)
{
    list_add_before(head->next, node);
}

static inline void list_remove(struct list *node)
{
    if (node->next == NULL) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Safe against removal of `it` (of nothing else) in the body. */
// NOLINTBEGIN(bugprone-macro-parentheses): type and it are a type and a name, no expressions
#define LIST_FOR(it, head, type, member)                                    \
    for (type *it = CONTAINER_OF((head)->next, type, member),               \
              *it##_next_ = CONTAINER_OF((head)->next->next, type, member); \
         &it->member != (head);                                             \
         it = it##_next_, it##_next_ = CONTAINER_OF(it->member.next, type, member))
// NOLINTEND(bugprone-macro-parentheses)
