/* Replays a corpus through a fuzz target, as a test of every build: each argument is a file or a
 * folder of files. Prints TAP. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#define CASE_BYTES_MAX ((size_t)1 << 20)

static unsigned case_count;

static void run_file(const char *path)
{
    static uint8_t bytes[CASE_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        printf("not ok %u - %s cannot be read\n", ++case_count, path);
        return;
    }
    size_t count = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, count);
    printf("ok %u - %s\n", ++case_count, path);
}

static void run_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char name[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) < (int)sizeof(name)) {
            run_file(name);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            run_folder(argv[i]);
        } else {
            run_file(argv[i]);
        }
    }
    printf("1..%u\n", case_count);
    return 0;
}
