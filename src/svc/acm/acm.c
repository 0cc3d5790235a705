/* Opening, the port to the users of certificates, the table of operations. */

#include "svc/acm/acm.h"

#include "base/mem.h"
#include "svc/acm/folder.h"
#include "svc/acm/limits.h"
#include "svc/acm/machine.h"
#include "svc/acm/service.h"

enum err acm_open(struct op *op, const struct acm_config *config, struct acm **ret_acm)
{
    struct acm *acm = MEM_NEW(struct acm);
    arena_init(&acm->arena);
    acm->config = *config;
    map_init(&acm->seen_files);
    acm->config.account = arena_str(&acm->arena, config->account);
    acm->config.state = arena_str(&acm->arena, config->state);
    acm->config.folder = arena_str(&acm->arena, config->folder);
    acm->config.acme.directory = arena_str(&acm->arena, config->acme.directory);
    acm->config.acme.contact = arena_str(&acm->arena, config->acme.contact);
    acm->config.acme.ca_file = arena_str(&acm->arena, config->acme.ca_file);
    if (str_is_set(acm->config.acme.directory)) {
        enum err result = acme_open(op, acm, &acm->acme);
        if (result != ERR_OK) {
            acm_close(acm);
            return result;
        }
    }
    *ret_acm = acm;
    return ERR_OK;
}

static void on_folder_due(struct ev_timer *timer)
{
    struct acm *acm = CONTAINER_OF(timer, struct acm, folder_timer);
    acm_folder_scan(acm);
    ev_timer_set(acm->config.loop, timer, ACM_FOLDER_EVERY, on_folder_due);
}

void acm_start(struct acm *acm)
{
    acm->is_started = true;
    if (str_is_set(acm->config.folder)) {
        on_folder_due(&acm->folder_timer);
    }
    acm_turn_soon(acm);
}

void acm_published(struct acm *acm)
{
    if (acm->acme != NULL) {
        acm_turn_soon(acm);
    }
}

void acm_close(struct acm *acm)
{
    acm->is_started = false;
    if (acm->turn.run != NULL) {
        ev_defer_cancel(&acm->turn);
    }
    ev_timer_stop(&acm->timer);
    ev_timer_stop(&acm->folder_timer);
    acm_folder_fini(acm);
    acme_close(acm->acme);
    arena_fini(&acm->arena);
    mem_wipe(acm, sizeof(*acm));
    mem_free(acm);
}

/* ---- the port -------------------------------------------------------------------------------- */

static enum err get_usable(struct op *op, struct acm *acm, struct str arn,
                           struct engine_acm_certificate *ret)
{
    enum err result = acm_get(op, acm, arn, ret);
    if (result == ERR_INPUT) { /* another service's: there is none such here */
        return ERR_NOT_FOUND;
    }
    TRY(result);
    if (!acm_is_usable(ret)) {
        return op_fail(op, ERR_STATE, "certificate \"%.*s\" is not issued", STR_ARG(arn));
    }
    return ERR_OK;
}

static enum err find(void *self, struct op *op, struct str arn, struct port_certificate *ret)
{
    struct acm *acm = self;
    struct engine_acm_certificate row = {0};
    struct str key = STR_NONE;
    TRY(get_usable(op, acm, arn, &row));
    TRY(acm_open_key(op, acm, arn, row.sealed_key, &key));
    ret->chain_pem =
        arena_printf(&op->arena, "%.*s%.*s", STR_ARG(row.certificate_pem), STR_ARG(row.chain_pem));
    ret->key_pem = key;
    return ERR_OK;
}

static enum err check(void *self, struct op *op, struct str arn)
{
    struct engine_acm_certificate row = {0};
    TRY(get_usable(op, self, arn, &row));
    if (row.detail->key_algorithm == ACM_KEY_ALGORITHM_RSA_1024) {
        return op_fail(op, ERR_STATE, "the key of certificate \"%.*s\" has 1024 bits: too few",
                       STR_ARG(arn));
    }
    return ERR_OK;
}

static enum err list_challenges(void *self, struct op *op, struct port_challenges *ret)
{
    return acm_list_challenges(op, self, ret);
}

struct port_certificates acm_port_certificates(struct acm *acm)
{
    return (struct port_certificates){
        .self = acm, .find = find, .check = check, .list_challenges = list_challenges};
}

const struct acm_handlers acm_handlers = {
    .import_certificate = acm_do_import_certificate,
    .request_certificate = acm_do_request_certificate,
    .renew_certificate = acm_do_renew_certificate,
    .describe_certificate = acm_do_describe_certificate,
    .get_certificate = acm_do_get_certificate,
    .list_certificates = acm_do_list_certificates,
    .delete_certificate = acm_do_delete_certificate,
    .export_certificate = acm_do_export_certificate,
    .resend_validation_email = acm_do_resend_validation_email,
    .update_certificate_options = acm_do_update_certificate_options,
    .get_account_configuration = acm_do_get_account_configuration,
    .put_account_configuration = acm_do_put_account_configuration,
    .add_tags_to_certificate = acm_do_add_tags_to_certificate,
    .remove_tags_from_certificate = acm_do_remove_tags_from_certificate,
    .list_tags_for_certificate = acm_do_list_tags_for_certificate,
};
