#include "proc/roles.h"

/* The machine's own byte order: both ends are the same executable. */
struct request_head {
    uint32_t id;
    uint32_t socket_count;
};

struct answer_head {
    uint32_t id;
    uint32_t result;
    uint16_t addr_bytes;
    uint16_t text_bytes;
};
_Static_assert(sizeof(struct answer_head) == 12, "the head has no holes");

static struct str pack(struct arena *a, const void *head, size_t head_bytes, struct str first,
                       struct str second)
{
    char *bytes = arena_alloc(a, head_bytes + first.len + second.len + 1);
    memcpy(bytes, head, head_bytes);
    if (first.len > 0) {
        memcpy(bytes + head_bytes, first.ptr, first.len);
    }
    if (second.len > 0) {
        memcpy(bytes + head_bytes + first.len, second.ptr, second.len);
    }
    return str_make(bytes, head_bytes + first.len + second.len);
}

struct str proc_listen_request_encode(struct arena *a, const struct proc_listen_request *r)
{
    struct request_head head = {.id = r->id, .socket_count = r->socket_count};
    return pack(a, &head, sizeof(head), net_addr_text(a, &r->addr), STR(""));
}

bool proc_listen_request_decode(struct str payload, struct proc_listen_request *ret)
{
    struct request_head head;
    struct proc_listen_request r = {0};
    if (payload.len < sizeof(head)) {
        return false;
    }
    memcpy(&head, payload.ptr, sizeof(head));
    r.id = head.id;
    r.socket_count = head.socket_count;
    if (r.socket_count < 1 || r.socket_count > PROC_FDS_MAX ||
        !net_addr_parse(str_from(payload, sizeof(head)), &r.addr)) {
        return false;
    }
    *ret = r;
    return true;
}

struct str proc_listen_answer_encode(struct arena *a, const struct proc_listen_answer *r)
{
    struct str addr = net_addr_text(a, &r->addr);
    struct str text = str_slice(r->text, 0, PROC_ANSWER_TEXT_BYTES_MAX);
    struct answer_head head = {.id = r->id,
                               .result = (uint32_t)r->result,
                               .addr_bytes = (uint16_t)addr.len,
                               .text_bytes = (uint16_t)text.len};
    return pack(a, &head, sizeof(head), addr, text);
}

bool proc_listen_answer_decode(struct str payload, struct proc_listen_answer *ret)
{
    struct answer_head head;
    if (payload.len < sizeof(head)) {
        return false;
    }
    memcpy(&head, payload.ptr, sizeof(head));
    if (payload.len != sizeof(head) + head.addr_bytes + head.text_bytes ||
        head.result > ERR_INTERNAL) {
        return false;
    }
    struct proc_listen_answer r = {.id = head.id, .result = (enum err)head.result};
    struct str addr = str_slice(payload, sizeof(head), sizeof(head) + head.addr_bytes);
    if (!net_addr_parse(addr, &r.addr)) {
        return false;
    }
    r.text = str_from(payload, sizeof(head) + head.addr_bytes);
    *ret = r;
    return true;
}

struct str proc_u32_encode(struct arena *a, uint32_t value)
{
    return pack(a, &value, sizeof(value), STR(""), STR(""));
}

bool proc_u32_decode(struct str payload, uint32_t *ret_value)
{
    if (payload.len != sizeof(*ret_value)) {
        return false;
    }
    memcpy(ret_value, payload.ptr, sizeof(*ret_value));
    return true;
}
