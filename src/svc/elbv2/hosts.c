#include "svc/elbv2/hosts.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#define HOSTS_BYTES_MAX (1u << 20)
#define BEGIN_FORMAT    "# hitless %.*s begin: load balancer names, kept by the engine while it runs"
#define END_FORMAT      "# hitless %.*s end"

/* ---- the text ------------------------------------------------------------------------------- */

/* The line with its line feed. */
static bool next_line(struct str *rest, struct str *ret_line)
{
    if (rest->len == 0) {
        return false;
    }
    size_t end = str_find_char(*rest, '\n', 0);
    size_t len = end == STR_NOT_FOUND ? rest->len : end + 1;
    *ret_line = str_slice(*rest, 0, len);
    *rest = str_from(*rest, len);
    return true;
}

static bool is_ours(struct str line)
{
    return str_starts_with(line, STR("127.77.")) ||
           str_find(line, STR(".elb.amazonaws.com"), 0) != STR_NOT_FOUND;
}

static struct str join(struct arena *a, struct str head, struct str tail)
{
    return arena_printf(a, "%.*s%.*s", STR_ARG(head), STR_ARG(tail));
}

struct str elbv2_hosts_text(struct arena *a, struct str text, struct str mark,
                            const struct elbv2_host_name *names, size_t count)
{
    struct str begin = arena_printf(a, BEGIN_FORMAT, STR_ARG(mark));
    struct str end = arena_printf(a, END_FORMAT, STR_ARG(mark));
    struct str rest = text;
    struct str line = STR_NONE;
    bool is_inside = false;
    char *kept = arena_alloc(a, text.len + 1);
    size_t kept_len = 0;
    while (next_line(&rest, &line)) {
        bool is_end = str_equal(str_trim(line), end);
        if (str_equal(str_trim(line), begin)) {
            is_inside = true;
            continue;
        }
        if (is_inside && (is_end || is_ours(line))) {
            is_inside = !is_end;
            continue;
        }
        is_inside = false; /* a line that is not ours: the end is missing */
        memcpy(kept + kept_len, line.ptr, line.len);
        kept_len += line.len;
    }
    struct str before = str_make(kept, kept_len);
    if (count == 0) {
        return before;
    }
    bool needs_feed = before.len > 0 && before.ptr[before.len - 1] != '\n';
    struct str block = arena_printf(a, "%s%.*s\n", needs_feed ? "\n" : "", STR_ARG(begin));
    for (size_t i = 0; i < count; i++) {
        block = arena_printf(a, "%.*s%.*s %.*s\n", STR_ARG(block), STR_ARG(names[i].address),
                             STR_ARG(names[i].name));
    }
    return join(a, before, arena_printf(a, "%.*s%.*s\n", STR_ARG(block), STR_ARG(end)));
}

/* ---- the file ------------------------------------------------------------------------------- */

/* A file that is mounted on its own (in a container) cannot be replaced, only written. The new text
 * is one write, then what is left of the old one is cut off. */
static enum err write_in_place(struct op *op, const char *path, struct str text)
{
    auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd == -1) {
        return op_fail_errno(op, "could not open \"%s\"", path);
    }
    ssize_t written = pwrite(fd, text.ptr, text.len, 0);
    if (written == -1 || (size_t)written != text.len) {
        return op_fail_errno(op, "could not write \"%s\"", path);
    }
    if (ftruncate(fd, (off_t)text.len) == -1) {
        return op_fail_errno(op, "could not cut \"%s\"", path);
    }
    return ERR_OK;
}

static bool is_replaceable(const char *path, mode_t *ret_mode)
{
    struct stat st;
    bool is_file = lstat(path, &st) == 0 && S_ISREG(st.st_mode);
    *ret_mode = is_file ? st.st_mode & 07777 : 0644;
    return is_file;
}

/* Other engines on this machine change the same file: one at a time. */
static enum err lock_folder(struct op *op, const char *path, int *ret_fd)
{
    struct str file = str_of(path);
    size_t slash = str_find_last_char(file, '/');
    struct str folder = slash == STR_NOT_FOUND ? STR(".") : str_slice(file, 0, slash + 1);
    auto_fd int fd = open(arena_c_str(&op->arena, folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1) {
        return op_fail_errno(op, "could not open the folder of \"%s\"", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        if (errno == EWOULDBLOCK) {
            return op_fail(op, ERR_AGAIN, "another engine is writing \"%s\"", path);
        }
        return op_fail_errno(op, "could not lock the folder of \"%s\"", path);
    }
    *ret_fd = steal_fd(&fd);
    return ERR_OK;
}

static enum err write_names(struct op *op, const struct elbv2_options *options,
                            const struct elbv2_host_name *names, size_t count)
{
    struct str old = STR_NONE;
    mode_t mode = 0;
    auto_fd int lock = -1;
    TRY(lock_folder(op, options->hosts_path, &lock));
    TRY(file_read(op, options->hosts_path, HOSTS_BYTES_MAX, &old));
    struct str text = elbv2_hosts_text(&op->arena, old, options->hosts_mark, names, count);
    if (str_equal(text, old)) {
        return access(options->hosts_path, W_OK) == 0
                   ? ERR_OK
                   : op_fail_errno(op, "may not write \"%s\"", options->hosts_path);
    }
    if (is_replaceable(options->hosts_path, &mode) &&
        file_write(op, options->hosts_path, text, mode) == ERR_OK) {
        return ERR_OK;
    }
    op_note_clear(op);
    return write_in_place(op, options->hosts_path, text);
}

/* Every load balancer of every region; internal and internet-facing alike. */
static enum err gather(struct op *op, struct elbv2 *e, struct elbv2_host_name **ret_names,
                       size_t *ret_count)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_load_balancer,
                   &(struct store_range){.is_every_region = true}, &items));
    struct elbv2_host_name *names = ARENA_ARRAY(&op->arena, struct elbv2_host_name, items.count);
    for (size_t i = 0; i < items.count; i++) {
        const struct elbv2_load_balancer *lb = items.items[i].value;
        struct engine_elb_more more = {0};
        op->region = items.items[i].region;
        TRY(elbv2_get_more(op, e, lb->load_balancer_arn, &more));
        names[i] = (struct elbv2_host_name){.address = more.address, .name = lb->dns_name};
    }
    *ret_names = names;
    *ret_count = items.count;
    return ERR_OK;
}

void elbv2_names_write(struct elbv2 *e)
{
    if (!e->are_names_stale || e->options.hosts_path == NULL) {
        return;
    }
    auto_op struct op op;
    elbv2_begin_op(e, STR(""), &op);
    struct elbv2_host_name *names = NULL;
    size_t count = 0;
    enum err result = gather(&op, e, &names, &count);
    if (result == ERR_OK) {
        result = write_names(&op, &e->options, names, count);
    }
    if (result == ERR_AGAIN) {
        e->options.host.wake(e->options.host.self, DUR_MS(100));
        return;
    }
    e->are_names_stale = false;
    e->are_names_written = result == ERR_OK;
    if (result != ERR_OK && !e->is_hosts_warned) {
        e->is_hosts_warned = true;
        log_warn("elbv2", "the names of load balancers are not kept, DNSName is the address: %s",
                 op.note.text);
    }
}

void elbv2_names_remove(struct elbv2 *e)
{
    if (!e->are_names_written || e->options.hosts_path == NULL) {
        return;
    }
    auto_op struct op op;
    elbv2_begin_op(e, STR(""), &op);
    if (write_names(&op, &e->options, NULL, 0) != ERR_OK) {
        log_warn("elbv2", "the names of load balancers stay in \"%s\": %s", e->options.hosts_path,
                 op.note.text);
    }
}
