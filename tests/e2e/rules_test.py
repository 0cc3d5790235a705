#!/usr/bin/env python3
"""Rules, actions, transforms, header attributes and security groups through the stock clients, and what the traffic
does. Rows: aws-semantics.md 2.2, 2.3, 2.7."""
import http.client, json, socket

import rig
from rig import Engine, Skip, free_port, wait_until
from boto_test import refused


class Site:
    """An engine, a load balancer, a listener whose default answers 200 "default"."""

    def __init__(self):
        self.engine = Engine()
        try:
            from botocore.config import Config
        except ImportError:
            raise Skip("no boto3 here")
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=30)
        self.elb = self.engine.client("elbv2", config=config)
        self.ec2 = self.engine.client("ec2", config=config)
        self.vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnets = [s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"]]
        self.lb = self.elb.create_load_balancer(Name="site", Subnets=subnets[:2])["LoadBalancers"][0]
        self.arn = self.lb["LoadBalancerArn"]
        told = self.elb.get_paginator("describe_load_balancers").paginate().build_full_result()["LoadBalancers"][0]
        self.address = told["DNSName"]
        self.port = free_port()
        self.listener = self.elb.create_listener(LoadBalancerArn=self.arn, Protocol="HTTP", Port=self.port,
                                                 DefaultActions=[fixed("default")])["Listeners"][0]["ListenerArn"]
        wait_until("the listener answers", lambda: self.ask().body == "default")

    def rule(self, priority, *conditions, action=None, **more):
        made = self.elb.create_rule(ListenerArn=self.listener, Priority=priority, Conditions=list(conditions),
                                    Actions=[action or fixed(f"rule {priority}")], **more)
        return made["Rules"][0]

    def ask(self, path="/", method="GET", host="site.example.com", headers=None, source=None):
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10,
                                                source_address=(source, 0) if source else None)
        try:
            connection.request(method, path, headers={"Host": host, **(headers or {})})
            answer = connection.getresponse()
            return rig.Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def says(self, want, **how):
        wait_until(f"{how} gives {want!r}", lambda: self.ask(**how).body == want, 10)

    def clear(self):
        for rule in self.elb.describe_rules(ListenerArn=self.listener)["Rules"]:
            if not rule["IsDefault"]:
                self.elb.delete_rule(RuleArn=rule["RuleArn"])

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def fixed(text):
    return {"Type": "fixed-response",
            "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": text}}


def path(*values):
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(values)}}


def regex(field, *values):
    config = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}[field]
    return {"Field": field, config: {"RegexValues": list(values)}}


def test_every_condition_is_told_as_it_was_sent_and_chooses(s):
    rows = [({"Field": "host-header", "HostHeaderConfig": {"Values": ["*.shop.example.com"]}}, dict(host="a.SHOP.example.com")),
            (path("/img/*", "/a?c"), dict(path="/abc?x=y")),
            ({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Kind", "Values": ["be*a"]}},
             dict(headers={"x-kind": "BETA"})),
            ({"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["DELETE", "X-ODD"]}}, dict(method="DELETE")),
            ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2*"}, {"Value": "any\\*"}]}},
             dict(path="/?V=23")),
            ({"Field": "source-ip", "SourceIpConfig": {"Values": ["127.0.0.6/31", "2001:db8::/32"]}}, dict(source="127.0.0.7")),
            (regex("host-header", r"^v\d+\.example\.com$"), dict(host="V12.example.com")),
            (regex("path-pattern", r"^/users/[0-9]+$"), dict(path="/users/77")),
            ({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "User-Agent", "RegexValues": ["curl/[78]"]}},
             dict(headers={"User-Agent": "curl/7.1"}))]
    for priority, (condition, how) in enumerate(rows, 1):
        made = s.rule(priority, condition)
        told = s.elb.describe_rules(RuleArns=[made["RuleArn"]])["Rules"][0]
        assert told == made, (told, made)
        got = told["Conditions"][0]
        assert all(got[name] == value for name, value in condition.items()), (condition, got)
        extra = set(got) - set(condition)
        assert extra <= {"Values", "RegexValues"}, got
        if condition["Field"] in ("host-header", "path-pattern"):
            (config,) = [v for k, v in condition.items() if k.endswith("Config")]
            assert {k: got[k] for k in extra} == config, got
    for priority, (_, how) in enumerate(rows, 1):
        s.says(f"rule {priority}", **how)
    s.says("default", path="/users/x")
    s.clear()


def test_conditions_are_limited_as_by_aws(s):
    one = dict(ListenerArn=s.listener, Priority=1, Actions=[fixed("x")])
    for conditions, text in [
            ([path(*[f"/{n}" for n in range(6)])], "A rule can only have '5' condition values"),
            ([path("/*/*/*/*/*/*")], "A rule can only have '5' condition wildcards"),
            ([path("/a"), path("/b")], "A rule can only have one 'path-pattern' condition"),
            ([path("/" + "a" * 128)], "cannot be longer than '128' characters"),
            ([{"Field": "host-header", "HostHeaderConfig": {"Values": ["nodot"]}}], "must contain a '.'"),
            ([{"Field": "source-ip", "SourceIpConfig": {"Values": ["255.255.255.255/32"]}}], "not valid"),
            ([{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "Host", "Values": ["a"]}}], "host-header"),
            ([regex("path-pattern", "a(?=b)")], "uses a lookahead"),
            ([regex("path-pattern", "(a)\\1")], "uses a backreference"),
            ([regex("host-header", "(?>a)")], "uses an atomic group"),
            ([regex("path-pattern", "a++")], "uses a possessive quantifier"),
            ([regex("path-pattern", "\\p{L}")], "uses a Unicode character class"),
            ([regex("path-pattern", "(a")], "missing closing parenthesis"),
            ([regex("path-pattern", "a" * 129)], "between '1' and '128' characters"),
            ([{"Field": "source-ip", "RegexValues": ["a"], "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}], "RegexValues"),
            ([], "at least one condition")]:
        refused(400, "ValidationError", s.elb.create_rule, Conditions=conditions, text=text, **one)


def test_transforms_are_kept_told_and_taken_away(s):
    group = s.elb.create_target_group(Name="echo", Protocol="HTTP", Port=80, VpcId=s.vpc, TargetType="ip")
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    url = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/dp/(.*)$", "Replace": "/p?id=$1"}]}}
    host = {"Type": "host-header-rewrite",
            "HostHeaderRewriteConfig": {"Rewrites": [{"Regex": "^my-(.+)\\.com$", "Replace": "in.$1.com"}]}}
    forward = {"Type": "forward", "TargetGroupArn": arn}
    made = s.rule(1, path("/dp/*"), action=forward, Transforms=[url, host])
    assert made["Transforms"] == [url, host], made
    told = s.elb.describe_rules(RuleArns=[made["RuleArn"]])["Rules"][0]
    assert told == made, told
    with Echo() as echo:
        s.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": echo.port}])
        s.says(f"GET /p?id=7 HTTP/1.1|in.x.com:{s.port}", path="/dp/7", host="my-x.com")
        changed = s.elb.modify_rule(RuleArn=made["RuleArn"], Transforms=[host])["Rules"][0]
        assert changed["Transforms"] == [host] and changed["Conditions"] == made["Conditions"], changed
        s.says(f"GET /dp/7 HTTP/1.1|in.x.com:{s.port}", path="/dp/7", host="my-x.com")
        s.elb.modify_rule(RuleArn=made["RuleArn"], ResetTransforms=True)
        s.says(f"GET /dp/7 HTTP/1.1|my-x.com:{s.port}", path="/dp/7", host="my-x.com")
    assert not s.elb.describe_rules(RuleArns=[made["RuleArn"]])["Rules"][0].get("Transforms")
    one = dict(ListenerArn=s.listener, Priority=9, Conditions=[path("/x")], Actions=[fixed("x")])
    bad = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/(a)", "Replace": "/$2"}]}}
    for transforms, text in [([url, url], "one transform of each type"), ([bad], "refers to the group '$2'"),
                             ([{"Type": "url-rewrite"}], "exactly one rewrite"),
                             ([{**url, "HostHeaderRewriteConfig": host["HostHeaderRewriteConfig"]}], "its own type"),
                             ([{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [
                                 {"Regex": "a(?!b)", "Replace": "/"}]}}], "a lookahead"),
                             ([{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [
                                 {"Regex": "a", "Replace": "/\r\nX: y"}]}}], "printable ASCII")]:
        refused(400, "ValidationError", s.elb.create_rule, Transforms=transforms, text=text, **one)
    refused(400, "ValidationError", s.elb.modify_rule, RuleArn=made["RuleArn"], Transforms=[url], ResetTransforms=True)
    s.clear()


class Echo:
    """Answers every request with its first line and its host."""

    def __enter__(self):
        import threading
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            data = b""
            while b"\r\n\r\n" not in data:
                part = connection.recv(65536)
                if not part:
                    break
                data += part
            else:
                lines = data.decode().split("\r\n")
                host = next(line[6:] for line in lines if line.lower().startswith("host: "))
                body = f"{lines[0]}|{host}"
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            connection.close()

    def __exit__(self, *_):
        self.socket.close()


def test_redirects_are_filled_in_told_and_refused(s):
    """2.3: all parts echoed; at least one part changes; HTTPS to HTTP is refused; exactly one routing action, last."""
    made = s.rule(1, path("/old/*"), action={"Type": "redirect", "RedirectConfig": {
        "StatusCode": "HTTP_301", "Host": "new.#{host}", "Query": "was=#{path}&#{query}"}})
    assert made["Actions"][0]["RedirectConfig"] == {
        "Protocol": "#{protocol}", "Port": "#{port}", "Host": "new.#{host}", "Path": "/#{path}",
        "Query": "was=#{path}&#{query}", "StatusCode": "HTTP_301"}, made
    wait_until("the redirect", lambda: s.ask(path="/old/a?b=c").status == 301, 10)
    got = s.ask(path="/old/a?b=c").headers["Location"]
    assert got == f"http://new.site.example.com:{s.port}/old/a?was=old/a&b=c", got
    one = dict(ListenerArn=s.listener, Priority=9, Conditions=[path("/x")])
    for config in [{}, {"Query": "a=b"}, {"Protocol": "FTP"}, {"Port": "0"}, {"Path": "nope"}, {"Path": "/#{nope}"}]:
        refused(400, "InvalidLoadBalancerAction", s.elb.create_rule,
                Actions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_302", **config}}], **one)
    for status in ("302", "600", "99", "100"):
        refused(400, "InvalidLoadBalancerAction", s.elb.create_rule, Actions=[
            {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": status}}], **one)
    refused(400, "InvalidLoadBalancerAction", s.elb.create_rule, **one,
            Actions=[{**fixed("a"), "Order": 1}, {**fixed("b"), "Order": 2}])
    refused(400, "ValidationError", s.elb.create_rule, **one, Actions=[fixed("a"), fixed("b")], text="An order must be")
    s.clear()


def test_the_cli_makes_the_same_rules(s):
    aws = s.engine.aws
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/cli/*"]}},
                  {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b"}]}}]
    made = aws("elbv2", "create-rule", "--listener-arn", s.listener, "--priority", "7", "--conditions", json.dumps(conditions),
               "--actions", json.dumps([fixed("by the CLI")]))["Rules"][0]
    assert made["Conditions"][1] == conditions[1] and made["Priority"] == "7" and made["IsDefault"] is False, made
    s.says("by the CLI", path="/cli/x?a=b")
    s.clear()


def test_more_rules_than_a_hundred_when_the_attribute_says_so(s):
    s.elb.modify_load_balancer_attributes(LoadBalancerArn=s.arn, Attributes=[{"Key": "hitless.rules_max", "Value": "120"}])
    for n in range(1, 121):
        s.rule(n, {"Field": "host-header", "HostHeaderConfig": {"Values": [f"h{n}.example.com"]}})
    refused(400, "TooManyRules", s.elb.create_rule, ListenerArn=s.listener, Priority=500, Conditions=[path("/x")],
            Actions=[fixed("x")])
    s.says("rule 117", host="h117.example.com")
    refused(400, "ValidationError", s.elb.modify_load_balancer_attributes, LoadBalancerArn=s.arn,
            Attributes=[{"Key": "hitless.rules_max", "Value": "10001"}])
    s.clear()


def test_response_headers_follow_the_listeners_attributes(s):
    """2.7: routing.http.response.*: sent with every response; server.enabled."""
    names = {"strict_transport_security": "max-age=31536000; includeSubDomains", "access_control_allow_origin": "https://a.b",
             "access_control_allow_methods": "GET,POST", "access_control_allow_headers": "X-A", "access_control_max_age": "600",
             "access_control_allow_credentials": "true", "access_control_expose_headers": "X-B", "x_frame_options": "DENY",
             "content_security_policy": "default-src 'self'", "x_content_type_options": "nosniff"}
    told = s.elb.describe_listener_attributes(ListenerArn=s.listener)["Attributes"]
    assert {a["Key"]: a["Value"] for a in told} == {
        "routing.http.response.server.enabled": "true",
        **{f"routing.http.response.{name}.header_value": "" for name in names}}, told
    s.elb.modify_listener_attributes(ListenerArn=s.listener, Attributes=[
        {"Key": "routing.http.response.server.enabled", "Value": "false"},
        *({"Key": f"routing.http.response.{name}.header_value", "Value": value} for name, value in names.items())])
    wait_until("the headers", lambda: s.ask().headers["X-Frame-Options"] == "DENY", 10)
    headers = s.ask().headers
    for name, value in names.items():
        assert headers[name.replace("_", "-")] == value, (name, headers.items())
    assert headers["Server"] is None
    for name, value in [("x_content_type_options", "sniff"), ("x_frame_options", "a\r\nb"),
                        ("access_control_allow_credentials", "yes"), ("content_security_policy", "a" * 1025)]:
        refused(400, "ValidationError", s.elb.modify_listener_attributes, ListenerArn=s.listener,
                Attributes=[{"Key": f"routing.http.response.{name}.header_value", "Value": value}])
    refused(400, "ValidationError", s.elb.modify_listener_attributes, ListenerArn=s.listener,
            Attributes=[{"Key": "routing.http.response.nope.header_value", "Value": "x"}])
    s.elb.modify_listener_attributes(ListenerArn=s.listener, Attributes=[
        {"Key": "routing.http.response.server.enabled", "Value": "true"},
        *({"Key": f"routing.http.response.{name}.header_value", "Value": ""} for name in names)])
    wait_until("the headers are gone", lambda: s.ask().headers["Server"] == "awselb/2.0", 10)


def connects(s, source):
    try:
        return s.ask(source=source).status == 200
    except (ConnectionError, http.client.HTTPException):
        return False


def test_security_groups_decide_who_connects(s):
    """IP allowlists: AuthorizeSecurityGroupIngress, SetSecurityGroups; others are reset at once."""
    ec2 = s.ec2
    made = ec2.create_security_group(GroupName="office", Description="who may come", VpcId=s.vpc, TagSpecifications=[
        {"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": "office"}]}])
    group = made["GroupId"]
    refused(400, "InvalidGroup.Duplicate", ec2.create_security_group, GroupName="office", Description="again", VpcId=s.vpc)
    told = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert told["IpPermissions"] == [] and told["Tags"] == [{"Key": "Name", "Value": "office"}], told
    assert [p["IpRanges"] for p in told["IpPermissionsEgress"]] == [[{"CidrIp": "0.0.0.0/0"}]], told
    s.elb.set_security_groups(LoadBalancerArn=s.arn, SecurityGroups=[group])
    wait_until("nobody may connect", lambda: not connects(s, "127.0.0.1"), 10)
    permission = {"IpProtocol": "tcp", "FromPort": s.port, "ToPort": s.port, "IpRanges": [
        {"CidrIp": "127.0.0.8/30", "Description": "the office"}, {"CidrIp": "10.0.0.0/8"}]}
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"]
    assert [r["CidrIpv4"] for r in rules] == ["127.0.0.8/30", "10.0.0.0/8"] and rules[0]["GroupId"] == group, rules
    refused(400, "InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission])
    wait_until("the office may connect", lambda: connects(s, "127.0.0.9"), 10)
    assert not connects(s, "127.0.0.1") and not connects(s, "127.0.0.12") and connects(s, "127.0.0.11")
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=s.port - 1, CidrIp="127.0.0.1/32")
    assert not connects(s, "127.0.0.1"), "another port"
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rules[0]["SecurityGroupRuleId"]])
    wait_until("the office may not", lambda: not connects(s, "127.0.0.9"), 10)
    refused(400, "InvalidPermission.NotFound", ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": s.port, "ToPort": s.port, "IpRanges": [{"CidrIp": "127.0.0.8/30"}]}])
    friends = ec2.create_security_group(GroupName="friends", Description="tasks", VpcId=s.vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": friends}]}])
    wait_until("members of the other group may", lambda: connects(s, "127.0.0.1"), 10)
    refused(400, "DependencyViolation", ec2.delete_security_group, GroupId=friends)
    refused(400, "DependencyViolation", ec2.delete_security_group, GroupId=group)
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert len(found) == 4 and sum(r["IsEgress"] for r in found) == 1, found
    refused(400, "InvalidGroup.NotFound", ec2.authorize_security_group_ingress, GroupId="sg-0123", IpPermissions=[permission])
    refused(400, "InvalidParameterValue", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[
        {**permission, "IpRanges": [{"CidrIp": "10.0.0.0"}]}])
    refused(400, "InvalidParameterValue", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[
        {**permission, "FromPort": 70000}])
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"] == []
    ec2.create_tags(Resources=[group], Tags=[{"Key": "team", "Value": "web"}])
    ec2.delete_tags(Resources=[group], Tags=[{"Key": "Name"}])
    by_tag = ec2.describe_security_groups(Filters=[{"Name": "tag:team", "Values": ["web"]}])["SecurityGroups"]
    assert [g["GroupId"] for g in by_tag] == [group] and by_tag[0]["Tags"] == [{"Key": "team", "Value": "web"}], by_tag
    default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    refused(400, "CannotDelete", ec2.delete_security_group, GroupId=default)
    s.elb.set_security_groups(LoadBalancerArn=s.arn, SecurityGroups=[default])
    ec2.delete_security_group(GroupId=group)
    ec2.delete_security_group(GroupId=friends)
    refused(400, "InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[group])
    wait_until("everybody may again", lambda: connects(s, "127.0.0.1"), 10)


def test_dualstack_load_balancers_have_both_families(s):
    """SetIpAddressType; an ipv4 load balancer has no IPv6 listener. An engine of its own, that may listen on both."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        raise Skip("no IPv6 on this machine")
    subnets = [n["SubnetId"] for n in s.ec2.describe_subnets()["Subnets"]][:2]
    refused(400, "ValidationError", s.elb.set_ip_address_type, LoadBalancerArn=s.arn, IpAddressType="dualstack")
    refused(400, "ValidationError", s.elb.create_load_balancer, Name="both", Subnets=subnets, IpAddressType="dualstack")
    engine = Engine("--lb-address", "::")
    try:
        elb = engine.client("elbv2")
        arn = elb.create_load_balancer(Name="both", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        port = free_port()
        elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=[fixed("both")])

        def reaches(address):
            try:
                return rig.http_get((address, port)).body == "both"
            except OSError:
                return False

        wait_until("IPv4 is served", lambda: reaches("127.0.0.1"))
        assert not reaches("::1")
        assert elb.set_ip_address_type(LoadBalancerArn=arn, IpAddressType="dualstack")["IpAddressType"] == "dualstack"
        wait_until("IPv6 is served", lambda: reaches("::1"))
        wait_until("IPv4 still is", lambda: reaches("127.0.0.1"))
        assert elb.describe_load_balancers()["LoadBalancers"][0]["IpAddressType"] == "dualstack"
    finally:
        engine.close()


if __name__ == "__main__":
    rig.run_tests([fn for name, fn in list(globals().items()) if name.startswith("test_")], Site)
