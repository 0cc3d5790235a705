#include "base/op.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>

void op_init(struct op *op)
{
    *op = (struct op){.now = clock_wall(), .now_mono = clock_mono()};
    arena_init(&op->arena);
}

void op_fini(struct op *op)
{
    arena_fini(&op->arena);
}

__attribute__((format(printf, 2, 0))) static void note_text(struct op *op, const char *format,
                                                            va_list args)
{
    (void)vsnprintf(op->note.text, sizeof(op->note.text), format, args);
}

enum err op_fail_at(struct op *op, enum err kind, const struct err_public *public_error,
                    const char *file, int line, const char *format, ...)
{
    CHECK(kind != ERR_OK);
    op->note.kind = kind;
    op->note.errno_value = 0;
    op->note.file = file;
    op->note.line = line;
    op->note.public_error = public_error;
    va_list args;
    va_start(args, format);
    note_text(op, format, args);
    va_end(args);
    return kind;
}

static enum err kind_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
    case EADDRINUSE:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_NET;
    default:
        return ERR_IO;
    }
}

enum err op_fail_errno_at(struct op *op, const char *file, int line, const char *format, ...)
{
    int errno_value = errno;
    char text[OP_NOTE_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char reason[128];
    enum err kind = kind_of_errno(errno_value);
    err_ignore(
        op_fail_at(op, kind, NULL, file, line, "%s: %s", text,
                   strerror_r(errno_value, reason, sizeof(reason)))); /* kind returned below */
    op->note.errno_value = errno_value;
    return kind;
}

void op_note_prefix(struct op *op, const char *format, ...)
{
    char text[OP_NOTE_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text)) {
        return;
    }
    size_t note_len = strlen(op->note.text);
    size_t room = sizeof(op->note.text) - 1 - (size_t)len;
    size_t kept = note_len < room ? note_len : room;
    memmove(op->note.text + len, op->note.text, kept);
    memcpy(op->note.text, text, (size_t)len);
    op->note.text[(size_t)len + kept] = '\0';
}

void op_note_clear(struct op *op)
{
    op->note.kind = ERR_OK;
    op->note.public_error = NULL;
    op->note.text[0] = '\0';
}
