#include "svc/common/network.h"

#include "base/check.h"
#include "svc/common/ids.h"

const struct str network_regions[] = {
    STR_INIT("ap-northeast-1"), STR_INIT("ap-northeast-2"), STR_INIT("ap-northeast-3"),
    STR_INIT("ap-south-1"),     STR_INIT("ap-southeast-1"), STR_INIT("ap-southeast-2"),
    STR_INIT("ca-central-1"),   STR_INIT("eu-central-1"),   STR_INIT("eu-north-1"),
    STR_INIT("eu-west-1"),      STR_INIT("eu-west-2"),      STR_INIT("eu-west-3"),
    STR_INIT("sa-east-1"),      STR_INIT("us-east-1"),      STR_INIT("us-east-2"),
    STR_INIT("us-west-1"),      STR_INIT("us-west-2"),
};
const size_t network_region_count = ARRAY_COUNT(network_regions);

static const struct {
    struct str word;
    struct str letters;
} directions[] = {
    {STR_INIT("northeast"), STR_INIT("ne")}, {STR_INIT("northwest"), STR_INIT("nw")},
    {STR_INIT("southeast"), STR_INIT("se")}, {STR_INIT("southwest"), STR_INIT("sw")},
    {STR_INIT("north"), STR_INIT("n")},      {STR_INIT("south"), STR_INIT("s")},
    {STR_INIT("east"), STR_INIT("e")},       {STR_INIT("west"), STR_INIT("w")},
    {STR_INIT("central"), STR_INIT("c")},    {STR_INIT("gov"), STR_INIT("g")},
};

static struct str short_word(struct str word)
{
    for (size_t i = 0; i < ARRAY_COUNT(directions); i++) {
        if (str_equal(directions[i].word, word)) {
            return directions[i].letters;
        }
    }
    return word;
}

/* "eu-west-1" as "euw1", the way zone ids write it. */
static struct str short_region(struct arena *a, struct str region)
{
    struct str text = STR("");
    struct str rest = region;
    struct str word = STR_NONE;
    while (str_next(&rest, '-', &word)) {
        struct str letters = short_word(word);
        text = arena_printf(a, "%.*s%.*s", STR_ARG(text), STR_ARG(letters));
    }
    return text;
}

static struct str derived(struct arena *a, const char *prefix, struct str region, int number)
{
    struct str words = arena_printf(a, "%s %.*s %d", prefix, STR_ARG(region), number);
    struct str hex = id_derived(a, words, 16);
    return arena_printf(a, "%s-0%.*s", prefix, STR_ARG(hex));
}

struct network network_default(struct arena *a, struct str region)
{
    struct network n = {
        .region = region,
        .vpc_id = derived(a, "vpc", region, 0),
        .security_group_id = derived(a, "sg", region, 0),
        .route_table_id = derived(a, "rtb", region, 0),
        .acl_id = derived(a, "acl", region, 0),
        .internet_gateway_id = derived(a, "igw", region, 0),
        .dhcp_options_id = derived(a, "dopt", region, 0),
    };
    struct str brief = short_region(a, region);
    for (int i = 0; i < NETWORK_SUBNETS; i++) {
        n.subnets[i] = (struct network_subnet){
            .id = derived(a, "subnet", region, i),
            .zone = arena_printf(a, "%.*s%c", STR_ARG(region), 'a' + i),
            .zone_id = arena_printf(a, "%.*s-az%d", STR_ARG(brief), i + 1),
            .cidr = arena_printf(a, "172.31.%d.0/20", i * 16),
        };
    }
    return n;
}

const struct network_subnet *network_find_subnet(const struct network *n, struct str subnet_id)
{
    for (size_t i = 0; i < NETWORK_SUBNETS; i++) {
        if (str_equal(n->subnets[i].id, subnet_id)) {
            return &n->subnets[i];
        }
    }
    return NULL;
}
