/* Runs a fuzz target over its kept corpus, file by file: prints TAP. Every input is also tried cut
 * short at every byte (up to a limit), because a parser's mistakes live at the end of its input. */

#include "base/check.h"
#include "base/file.h"
#include "base/op.h"
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_BYTES_MAX (1 << 20)
#define CUTS_MAX        2048

static void run(const char *bytes, size_t count)
{
    /* an exact copy, so that the address sanitizer sees a read past the end */
    uint8_t *copy = malloc(count + (count == 0)); /* lint: malloc */
    CHECK(copy != NULL);
    if (count > 0) {
        memcpy(copy, bytes, count);
    }
    (void)LLVMFuzzerTestOneInput(copy, count); /* always 0; what is wrong aborts */
    free(copy); /* lint: free */
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    DIR *folder = opendir(argv[1]);
    struct dirent *entry;
    size_t number = 0;
    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        auto_op struct op op;
        struct str text;
        op_init(&op);
        struct str path = arena_printf(&op.arena, "%s/%s", argv[1], entry->d_name);
        CHECK(file_read(&op, path.ptr, INPUT_BYTES_MAX, &text) == ERR_OK);
        for (size_t cut = 0; cut < text.len && cut < CUTS_MAX; cut++) {
            run(text.ptr, cut);
        }
        run(text.ptr, text.len);
        (void)printf("ok %zu %s\n", ++number, entry->d_name);
    }
    (void)closedir(folder);
    (void)printf("1..%zu\n", number);
    return number > 0 ? 0 : 1;
}
