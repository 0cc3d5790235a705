/* Certificates from files: FOLDER/REGION/NAME.pem (the leaf, then its chain) with NAME.key. A pair
 * that is new is imported, one whose files changed is imported over its ARN; the tag hitless.file
 * keeps the two together. A pair that is gone leaves its certificate: a listener may use it. */

#include "svc/acm/folder.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc/acm/limits.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define TAG_FILE STR("hitless.file")

static void close_folder(DIR **folder)
{
    if (*folder != NULL) {
        (void)closedir(*folder);
    }
}

/* ---- what was seen of a pair ----------------------------------------------------------------- */

/* Moment, size and inode of both files: another text means that they changed. */
static struct str look_at(struct arena *a, const char *pem, const char *key)
{
    struct stat p;
    struct stat k;
    if (stat(pem, &p) == -1 || stat(key, &k) == -1) {
        return STR_NONE;
    }
    return arena_printf(a, "%lld.%09ld %lld %llu %lld.%09ld %lld %llu", (long long)p.st_mtim.tv_sec,
                        p.st_mtim.tv_nsec, (long long)p.st_size, (unsigned long long)p.st_ino,
                        (long long)k.st_mtim.tv_sec, k.st_mtim.tv_nsec, (long long)k.st_size,
                        (unsigned long long)k.st_ino);
}

static bool is_known(const struct acm *acm, const char *path, struct str look)
{
    const char *known = map_find(&acm->seen_files, str_of(path));
    return known != NULL && str_equal(str_of(known), look);
}

static void remember(struct acm *acm, const char *path, struct str look)
{
    char *copy = mem_alloc(look.len + 1);
    memcpy(copy, look.ptr, look.len);
    mem_free(map_put(&acm->seen_files, str_of(path), copy));
}

/* ---- import ---------------------------------------------------------------------------------- */

static bool is_of_file(const struct engine_acm_certificate *row, struct str name)
{
    for (size_t i = 0; i < row->tags.count; i++) {
        if (str_equal(row->tags.items[i].key, TAG_FILE) &&
            str_equal(row->tags.items[i].value, name)) {
            return true;
        }
    }
    return false;
}

/* The row that was imported from this file, or an empty one. */
static enum err find_row(struct op *op, struct acm *acm, struct str name,
                         struct engine_acm_certificate *ret)
{
    struct store_items items = {0};
    TRY(store_list(op, acm->config.store, &acm_kind_certificate, &(struct store_range){0}, &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_acm_certificate *row = items.items[i].value;
        if (row->detail != NULL && is_of_file(row, name)) {
            *ret = *row;
        }
    }
    return ERR_OK;
}

static enum err import_texts(struct op *op, struct acm *acm, struct str name, struct str pem,
                             struct str key)
{
    struct engine_acm_certificate row = {0};
    struct acm_import_certificate_in in = {.private_key = key};
    struct acm_import_certificate_out out = {0};
    struct acm_tag tag = {.key = TAG_FILE, .value = name};
    enum cert_fault fault = cert_split(&op->arena, pem, &in.certificate, &in.certificate_chain);
    if (fault != CERT_FINE) {
        return op_fail(op, ERR_INPUT, "%s", cert_fault_text(fault));
    }
    TRY(find_row(op, acm, name, &row));
    if (row.detail != NULL && str_equal(row.certificate_pem, in.certificate)) {
        return ERR_OK; /* as it was before the restart */
    }
    if (row.detail != NULL) {
        in.certificate_arn = row.detail->certificate_arn;
    } else {
        in.tags = (struct acm_tag_list){.items = &tag, .count = 1, .is_set = true};
    }
    TRY(acm_do_import_certificate(op, acm, &in, &out));
    log_info("acm", "certificate %.*s is that of the file \"%.*s\"", STR_ARG(out.certificate_arn),
             STR_ARG(name));
    return ERR_OK;
}

static enum err import_pair(struct op *op, struct acm *acm, struct str name, const char *pem,
                            const char *key)
{
    struct str pem_text = STR_NONE;
    struct str key_text = STR_NONE;
    TRY(file_read(op, pem, CERT_CHAIN_BYTES_MAX, &pem_text));
    TRY(file_read(op, key, CERT_PEM_BYTES_MAX, &key_text));
    enum err result = import_texts(op, acm, name, pem_text, key_text);
    cert_clear(key_text);
    cert_clear(pem_text); /* some keep the key in it, too */
    return result;
}

static void take_pair(struct acm *acm, struct str region, struct str stem, const char *folder)
{
    auto_op struct op op;
    op_init(&op);
    op.account = acm->config.account;
    op.region = region;
    const char *pem = arena_printf(&op.arena, "%s/%.*s.pem", folder, STR_ARG(stem)).ptr;
    const char *key = arena_printf(&op.arena, "%s/%.*s.key", folder, STR_ARG(stem)).ptr;
    struct str look = look_at(&op.arena, pem, key);
    if (!str_is_set(look) || is_known(acm, pem, look)) {
        return;
    }
    remember(acm, pem, look); /* a pair that is refused is looked at again when it changes */
    if (import_pair(&op, acm, stem, pem, key) != ERR_OK) {
        log_error("acm", "the certificate \"%s\" was not taken: %s", pem, op.note.text);
    }
}

/* ---- the folder ------------------------------------------------------------------------------ */

static bool is_region(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!is_fine) {
            return false;
        }
    }
    return s.len >= 5 && s.len <= 32;
}

static void scan_region(struct acm *acm, struct str region, const char *path)
{
    AUTO(close_folder) DIR *folder = opendir(path);
    struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        struct str name = str_of(entry->d_name);
        if (str_ends_with(name, STR(".pem")) && name.len > 4 && entry->d_name[0] != '.') {
            take_pair(acm, region, str_slice(name, 0, name.len - 4), path);
        }
    }
}

void acm_folder_scan(struct acm *acm)
{
    struct arena a;
    const char *path = acm->config.folder.ptr;
    AUTO(close_folder) DIR *folder = opendir(path);
    if (folder == NULL) {
        log_warn("acm", "could not open the folder of certificates \"%s\": %s", path,
                 strerror(errno));
        return;
    }
    arena_init(&a);
    struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        struct str region = arena_str(&a, str_of(entry->d_name));
        if (is_region(region)) {
            scan_region(acm, region, arena_printf(&a, "%s/%s", path, entry->d_name).ptr);
        }
    }
    arena_fini(&a);
}

void acm_folder_fini(struct acm *acm)
{
    size_t at = 0;
    struct str key = STR_NONE;
    void *value = NULL;
    while (map_next(&acm->seen_files, &at, &key, &value)) {
        mem_free(value);
    }
    map_fini(&acm->seen_files);
}
