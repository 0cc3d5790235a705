#include "aws/credentials.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

/* Words as a shell would cut them, without anything else of a shell: blanks separate, quotes of
 * both kinds hold together, a backslash keeps the next character. */
static bool split_words(struct arena *a, struct str command, char **words, size_t *ret_count)
{
    size_t count = 0;
    size_t i = 0;
    for (;;) {
        while (i < command.len && (command.ptr[i] == ' ' || command.ptr[i] == '\t')) {
            i++;
        }
        if (i == command.len) {
            break;
        }
        if (count == AWS_PROCESS_WORDS_MAX) {
            return false;
        }
        char *word = arena_alloc(a, command.len - i + 1);
        size_t len = 0;
        char quote = '\0';
        for (; i < command.len; i++) {
            char c = command.ptr[i];
            bool is_end = quote == '\0' && (c == ' ' || c == '\t');
            if (is_end) {
                break;
            }
            if (c == '\\' && quote != '\'' && i + 1 < command.len) {
                word[len++] = command.ptr[++i];
            } else if (quote == '\0' ? c == '"' || c == '\'' : c == quote) {
                quote = quote == '\0' ? c : '\0';
            } else {
                word[len++] = c;
            }
        }
        if (quote != '\0') {
            return false;
        }
        words[count++] = word;
    }
    words[count] = NULL;
    *ret_count = count;
    return count > 0;
}

static enum err start(struct op *op, char **words, int out_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO) == 0);
    int failed = posix_spawnp(ret_pid, words[0], &actions, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        errno = failed;
        return op_fail_errno(op, "could not start credential_process \"%s\"", words[0]);
    }
    return ERR_OK;
}

/* Everything that the process writes, up to its end. */
static enum err collect(struct op *op, int fd, struct buf *out)
{
    mono_t began = clock_mono();
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left_ms = AWS_PROCESS_MS_MAX - dur_ms(mono_since(clock_mono(), began));
        int ready = left_ms > 0 ? poll(&p, 1, (int)left_ms) : 0;
        if (ready == 0) {
            return op_fail(op, ERR_TIMEOUT, "credential_process took more than %d seconds",
                           AWS_PROCESS_MS_MAX / 1000);
        }
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        char *room = buf_reserve(out, 4096);
        if (room == NULL) {
            return op_fail(op, ERR_LIMIT, "credential_process wrote more than %d bytes",
                           AWS_PROCESS_OUTPUT_BYTES_MAX);
        }
        ssize_t got = read(fd, room, 4096);
        if (got < 0 && errno != EINTR) {
            return op_fail_errno(op, "could not read from credential_process");
        }
        if (got == 0) {
            return ERR_OK;
        }
        out->len += got > 0 ? (size_t)got : 0;
    }
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
    }
    return status;
}

enum err aws_credentials_of_process(struct op *op, struct str command,
                                    struct aws_credentials *ret_credentials)
{
    char *words[AWS_PROCESS_WORDS_MAX + 1];
    size_t count = 0;
    int fds[2];
    pid_t pid = 0;
    if (!split_words(&op->arena, command, words, &count)) {
        return op_fail(op, ERR_INPUT,
                       "credential_process is no command: empty, a quote that stays "
                       "open, or too many words");
    }
    if (pipe2(fds, O_CLOEXEC) == -1) {
        return op_fail_errno(op, "could not make a pipe for credential_process");
    }
    auto_fd int read_fd = fds[0];
    auto_fd int write_fd = fds[1];
    auto_buf struct buf out;
    buf_init(&out, AWS_PROCESS_OUTPUT_BYTES_MAX);
    TRY(start(op, words, write_fd, &pid));
    (void)close(steal_fd(&write_fd));
    enum err e = collect(op, read_fd, &out);
    if (e != ERR_OK) {
        (void)kill(pid, SIGKILL); /* our own child, not waited for yet */
        (void)wait_for(pid);
        return e;
    }
    int status = wait_for(pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return op_fail(op, ERR_REMOTE, "credential_process \"%s\" failed with status %d", words[0],
                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    struct str text = arena_str(&op->arena, buf_str(&out));
    explicit_bzero(out.ptr, out.len);
    return aws_credentials_parse(op, text, "credential_process", ret_credentials);
}
