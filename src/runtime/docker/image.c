#include "runtime/docker/image.h"

static bool is_reference_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '/' || c == ':' || c == '@';
}

static bool has_only_reference_chars(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_reference_char(s.ptr[i])) {
            return false;
        }
    }
    return true;
}

/* A first part with a dot or a port, or "localhost", is a host. */
static struct str registry_of(struct str name)
{
    struct str first = STR_NONE;
    struct str rest = STR_NONE;
    if (!str_cut(name, '/', &first, &rest)) {
        return STR_NONE;
    }
    bool is_host = str_find_char(first, '.', 0) != STR_NOT_FOUND ||
                   str_find_char(first, ':', 0) != STR_NOT_FOUND || STR_IS(first, "localhost");
    return is_host ? first : STR_NONE;
}

/* It becomes part of a URL's path: no way up, no empty part. */
static bool is_path_sound(struct str name)
{
    return name.len > 0 && name.ptr[0] != '/' && name.ptr[name.len - 1] != '/' &&
           str_find(name, STR("//"), 0) == STR_NOT_FOUND &&
           str_find(name, STR(".."), 0) == STR_NOT_FOUND &&
           str_find(name, STR("/./"), 0) == STR_NOT_FOUND && !str_starts_with(name, STR("./"));
}

bool docker_image_parse(struct str text, struct docker_image *ret)
{
    if (text.len == 0 || text.len > DOCKER_IMAGE_BYTES_MAX || !has_only_reference_chars(text)) {
        return false;
    }
    struct docker_image image = {.name = text};
    (void)str_cut(text, '@', &image.name, &image.digest);
    size_t slash = str_find_last_char(image.name, '/');
    size_t colon = str_find_last_char(image.name, ':');
    if (colon != STR_NOT_FOUND && (slash == STR_NOT_FOUND || colon > slash)) {
        image.tag = str_from(image.name, colon + 1);
        image.name = str_slice(image.name, 0, colon);
        if (image.tag.len == 0) {
            return false;
        }
    }
    if (str_is_set(image.digest)) {
        image.tag = STR_NONE;
        if (str_find_char(image.digest, ':', 0) == STR_NOT_FOUND ||
            str_find_char(image.digest, '@', 0) != STR_NOT_FOUND) {
            return false;
        }
    } else if (!str_is_set(image.tag)) {
        image.tag = STR("latest");
    }
    image.registry = registry_of(image.name);
    if (!is_path_sound(image.name)) {
        return false;
    }
    *ret = image;
    return true;
}

bool docker_image_is_settled(const struct docker_image *image)
{
    return str_is_set(image->digest) || !str_is_set(image->registry);
}
