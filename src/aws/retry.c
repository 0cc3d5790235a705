#include "aws/retry.h"

#include "aws/client.h"
#include "base/check.h"

/* Source: "Retry behavior" in the AWS SDKs and tools reference, standard mode. */
static const struct str throttling_codes[] = {
    STR_INIT("Throttling"),
    STR_INIT("ThrottlingException"),
    STR_INIT("ThrottledException"),
    STR_INIT("RequestThrottled"),
    STR_INIT("RequestThrottledException"),
    STR_INIT("TooManyRequestsException"),
    STR_INIT("ProvisionedThroughputExceededException"),
    STR_INIT("TransactionInProgressException"),
    STR_INIT("RequestLimitExceeded"),
    STR_INIT("BandwidthLimitExceeded"),
    STR_INIT("SlowDown"),
    STR_INIT("PriorRequestNotComplete"),
    STR_INIT("EC2ThrottledException"),
};

static const struct str transient_codes[] = {
    STR_INIT("RequestTimeout"),
    STR_INIT("RequestTimeoutException"),
    STR_INIT("InternalError"),
};

static bool is_among(const struct str *codes, size_t count, struct str code)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(codes[i], code)) {
            return true;
        }
    }
    return false;
}

static bool is_about_the_clock(struct str code, struct str message)
{
    bool is_signature =
        STR_IS(code, "SignatureDoesNotMatch") || STR_IS(code, "InvalidSignatureException");
    bool is_time = str_starts_with(message, STR("Signature expired")) ||
                   str_starts_with(message, STR("Signature not yet current"));
    return (is_signature && is_time) || STR_IS(code, "RequestTimeTooSkewed") ||
           STR_IS(code, "RequestExpired");
}

enum aws_retry aws_retry_of_answer(int status, struct str code, struct str message)
{
    if (status == 429 || is_among(throttling_codes, ARRAY_COUNT(throttling_codes), code)) {
        return AWS_RETRY_THROTTLED;
    }
    if (is_about_the_clock(code, message)) {
        return AWS_RETRY_CLOCK;
    }
    bool is_transient = status == 500 || status == 502 || status == 503 || status == 504 ||
                        is_among(transient_codes, ARRAY_COUNT(transient_codes), code);
    return is_transient ? AWS_RETRY_TRANSIENT : AWS_RETRY_NO;
}

bool aws_retry_is_repeatable(const struct shape_operation *operation)
{
    static const struct str makers[] = {STR_INIT("Create"), STR_INIT("Run"), STR_INIT("Start"),
                                        STR_INIT("Register"), STR_INIT("Publish")};
    struct str name = str_of(operation->name);
    /* registering targets twice changes nothing */
    bool makes = !STR_IS(name, "RegisterTargets");
    bool is_maker = false;
    for (size_t i = 0; i < ARRAY_COUNT(makers); i++) {
        is_maker = is_maker || str_starts_with(name, makers[i]);
    }
    for (size_t i = 0; i < operation->in->member_count; i++) {
        is_maker = is_maker && (operation->in->members[i].flags & SHAPE_TOKEN) == 0;
    }
    return !(makes && is_maker);
}

dur_t aws_retry_pause(unsigned attempt, double random)
{
    CHECK(attempt >= 1);
    double seconds = attempt > 10 ? 1024 : (double)(1u << attempt);
    int64_t ms = (int64_t)(random * seconds * 1000);
    return DUR_MS(ms < AWS_BACKOFF_MS_MAX ? ms : AWS_BACKOFF_MS_MAX);
}
