#!/usr/bin/env python3
"""The life of every resource through boto3, and what AWS says to wrong calls: codes and HTTP statuses."""
import datetime, gzip, http.client, json, pathlib, sys, time, urllib.error, urllib.request

import rig
from rig import ACCOUNT, REGION, SHOP_DIR, Engine, Skip, shop_container, wait_until

FAST = {"Delay": 1, "MaxAttempts": 60}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"


class Clients:
    """An engine and one client a service; the clients check nothing before they send."""

    def __init__(self):
        try:
            from botocore.config import Config
        except ImportError:
            raise Skip("no boto3 here")
        self.engine = Engine(time_scale=60)
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=30)
        for name, service in (("ecs", "ecs"), ("elb", "elbv2"), ("cd", "codedeploy"), ("cw", "cloudwatch"),
                              ("logs", "logs"), ("sts", "sts"), ("ec2", "ec2")):
            setattr(self, name, self.engine.client(service, config=config))
        self.vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = [s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"]]
        self.network = {"awsvpcConfiguration": {"subnets": self.subnets[:2], "assignPublicIp": "ENABLED"}}

    def group(self, name, **more):
        made = self.elb.create_target_group(**{**dict(Name=name, Protocol="HTTP", Port=8080, VpcId=self.vpc,
                                                      TargetType="ip", HealthCheckPath="/health",
                                                      HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2), **more})
        return made["TargetGroups"][0]["TargetGroupArn"]

    def register(self, family, **more):
        made = self.ecs.register_task_definition(**{**dict(
            family=family, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[shop_container(VERSION="v1")]), **more})
        return made["taskDefinition"]

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def refused(status, code, call, *words, text=None, **arguments):
    """The call must fail in exactly this way."""
    from botocore.exceptions import ClientError
    try:
        answer = call(*words, **arguments)
    except ClientError as problem:
        got = (problem.response["ResponseMetadata"]["HTTPStatusCode"], problem.response["Error"]["Code"])
        assert got == (status, code), f"{arguments}: wanted {status} {code}, got {got} {problem}"
        said = problem.response["Error"]["Message"]
        assert text is None or text in said, f"wanted {text!r} in {said!r}"
        return problem
    raise AssertionError(f"{arguments}: wanted {status} {code}, was taken: {answer}")


def pages(client, operation, key, size, **arguments):
    """Everything through the stock paginator, with the size of every page checked."""
    found = []
    for page in client.get_paginator(operation).paginate(PaginationConfig={"PageSize": size}, **arguments):
        assert len(page[key]) <= size, f"{operation}: a page of {len(page[key])} for a size of {size}"
        found += page[key]
    return found


# ---- sts and ec2 ----

def test_sts_knows_the_caller(c):
    who = c.sts.get_caller_identity()
    assert who["Account"] == ACCOUNT and who["Arn"].startswith("arn:aws:"), who
    url = c.sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    assert f"<Account>{ACCOUNT}</Account>" in urllib.request.urlopen(url).read().decode()
    try:
        urllib.request.urlopen(url.replace("Action=Get", "Action=get"))
        raise AssertionError("an altered presigned request was taken")
    except urllib.error.HTTPError as problem:
        assert problem.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in problem.read(), problem


def test_roles_are_assumed(c):
    import boto3
    made = c.sts.assume_role(RoleArn=ROLE, RoleSessionName="run-1", DurationSeconds=900)
    keys = made["Credentials"]
    assert keys["AccessKeyId"].startswith("ASIA") and isinstance(keys["Expiration"], datetime.datetime), made
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/run-1", made

    def as_role(service, token=keys["SessionToken"]):
        return boto3.client(service, region_name=REGION, endpoint_url=c.engine.endpoint, aws_session_token=token,
                            aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"])

    who = as_role("sts").get_caller_identity()
    assert who["Arn"] == made["AssumedRoleUser"]["Arn"], who
    assert who["UserId"] == made["AssumedRoleUser"]["AssumedRoleId"], who
    as_role("ecs").list_clusters()
    refused(403, "InvalidClientTokenId", as_role("sts", "forged").get_caller_identity)
    refused(400, "UnrecognizedClientException", as_role("ecs", None).list_clusters)
    refused(403, "AccessDenied", c.sts.assume_role, RoleArn="arn:aws:iam::999999999999:role/x", RoleSessionName="run")
    refused(400, "ValidationError", c.sts.assume_role, RoleArn=ROLE, RoleSessionName="a b")
    refused(400, "ValidationError", c.sts.assume_role, RoleArn=ROLE, RoleSessionName="run", DurationSeconds=10)
    refused(400, "InvalidIdentityToken", c.sts.assume_role_with_web_identity, RoleArn=ROLE, RoleSessionName="ci",
            WebIdentityToken="e30.eyJpc3MiOiJodHRwczovL2NpLmV4YW1wbGUiLCJzdWIiOiJyZXBvOnNob3AiLCJhdWQiOiJzdHMifQ.c2ln",
            text="No OpenIDConnect provider found in your account for https://ci.example")
    session = c.sts.get_session_token()["Credentials"]
    assert session["AccessKeyId"].startswith("ASIA"), session


def test_ec2_has_the_default_network(c):
    assert c.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"] == c.vpc
    assert len(pages(c.ec2, "describe_subnets", "Subnets", 5)) == 3
    c.ec2.get_waiter("vpc_available").wait(VpcIds=[c.vpc], WaiterConfig=FAST)
    c.ec2.get_waiter("subnet_available").wait(SubnetIds=c.subnets, WaiterConfig=FAST)
    c.ec2.get_waiter("security_group_exists").wait(GroupNames=["default"], WaiterConfig=FAST)
    refused(400, "InvalidVpcID.NotFound", c.ec2.describe_vpcs, VpcIds=["vpc-0"])
    refused(400, "InvalidSubnetID.NotFound", c.ec2.describe_subnets, SubnetIds=["subnet-0"])
    refused(400, "InvalidGroup.NotFound", c.ec2.describe_security_groups, GroupIds=["sg-0"])


# ---- elbv2 ----

def test_a_load_balancer_lives(c):
    elb = c.elb
    made = elb.create_load_balancer(Name="life", Subnets=c.subnets[:2], Tags=[{"Key": "a", "Value": "b"}])
    lb = made["LoadBalancers"][0]
    arn = lb["LoadBalancerArn"]
    assert lb["Scheme"] == "internet-facing" and lb["Type"] == "application" and lb["IpAddressType"] == "ipv4", lb
    elb.get_waiter("load_balancer_exists").wait(Names=["life"], WaiterConfig=FAST)
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig=FAST)
    again = elb.create_load_balancer(Name="life", Subnets=c.subnets[:2], Tags=[{"Key": "a", "Value": "b"}])
    assert again["LoadBalancers"][0]["LoadBalancerArn"] == arn
    refused(400, "DuplicateLoadBalancerName", elb.create_load_balancer, Name="life", Subnets=c.subnets[:2],
            Scheme="internal")
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[
        {"Key": "deletion_protection.enabled", "Value": "true"}])
    refused(400, "OperationNotPermitted", elb.delete_load_balancer, LoadBalancerArn=arn)
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[
        {"Key": "deletion_protection.enabled", "Value": "false"}])
    assert elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"] == [{"Key": "a", "Value": "b"}]
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn], WaiterConfig=FAST)
    refused(400, "LoadBalancerNotFound", elb.describe_load_balancers, Names=["life"])


def test_listeners_and_rules_live(c):
    elb = c.elb
    lb = elb.create_load_balancer(Name="rules", Subnets=c.subnets[:2])["LoadBalancers"][0]["LoadBalancerArn"]
    one, two = c.group("rules-one"), c.group("rules-two")
    listener = elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=8085, DefaultActions=[
        {"Type": "forward", "TargetGroupArn": one}])["Listeners"][0]
    arn = listener["ListenerArn"]
    action = listener["DefaultActions"][0]
    assert action["TargetGroupArn"] == one and action["ForwardConfig"] == {
        "TargetGroups": [{"TargetGroupArn": one, "Weight": 1}], "TargetGroupStickinessConfig": {"Enabled": False}}, action
    refused(400, "DuplicateListener", elb.create_listener, LoadBalancerArn=lb, Protocol="HTTP", Port=8085,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": two}])
    conditions = [
        {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a/*"]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-A", "Values": ["b"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "k", "Value": "v"}]}},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}}]
    weights = {"TargetGroups": [{"TargetGroupArn": one, "Weight": 9}, {"TargetGroupArn": two, "Weight": 1}]}
    rule = elb.create_rule(ListenerArn=arn, Priority=10, Conditions=conditions, Actions=[
        {"Type": "forward", "ForwardConfig": weights}])["Rules"][0]
    for sent, got in zip(conditions, rule["Conditions"]):
        assert all(got[name] == value for name, value in sent.items()), (sent, got)
    assert rule["Conditions"][0]["Values"] == ["/a/*"] and "TargetGroupArn" not in rule["Actions"][0], rule
    for priority in range(11, 16):
        elb.create_rule(ListenerArn=arn, Priority=priority, Conditions=[{"Field": "path-pattern", "Values": [f"/{priority}"]}],
                        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}])
    found = pages(elb, "describe_rules", "Rules", 2, ListenerArn=arn)
    assert [r["Priority"] for r in found] == [*(str(n) for n in range(10, 16)), "default"], found
    refused(400, "PriorityInUse", elb.create_rule, ListenerArn=arn, Priority=10, Conditions=conditions[:1],
            Actions=[{"Type": "forward", "TargetGroupArn": one}])
    refused(400, "OperationNotPermitted", elb.delete_rule, RuleArn=found[-1]["RuleArn"])
    refused(400, "ResourceInUse", elb.delete_target_group, TargetGroupArn=two)
    elb.modify_rule(RuleArn=rule["RuleArn"], Conditions=[{"Field": "source-ip", "SourceIpConfig": {"Values": ["1.2.3.4/32"]}}])
    elb.set_rule_priorities(RulePriorities=[{"RuleArn": rule["RuleArn"], "Priority": 99}])
    changed = elb.describe_rules(RuleArns=[rule["RuleArn"]])["Rules"][0]
    assert changed["Priority"] == "99" and changed["Conditions"][0]["SourceIpConfig"]["Values"] == ["1.2.3.4/32"], changed
    elb.delete_rule(RuleArn=rule["RuleArn"])
    refused(400, "RuleNotFound", elb.describe_rules, RuleArns=[rule["RuleArn"]])
    elb.delete_target_group(TargetGroupArn=two)
    assert len(pages(elb, "describe_listeners", "Listeners", 1, LoadBalancerArn=lb)) == 1
    elb.delete_load_balancer(LoadBalancerArn=lb)
    refused(400, "ListenerNotFound", elb.describe_listeners, ListenerArns=[arn])


def test_target_groups_are_told_in_pages(c):
    arns = {c.group(f"page-{n}") for n in range(7)}
    found = pages(c.elb, "describe_target_groups", "TargetGroups", 3)
    assert arns <= {g["TargetGroupArn"] for g in found}
    a = arns.pop()
    c.elb.register_targets(TargetGroupArn=a, Targets=[{"Id": "172.31.0.9"}])
    health = c.elb.describe_target_health(TargetGroupArn=a)["TargetHealthDescriptions"][0]
    assert health["TargetHealth"]["State"] == "unused" and health["TargetHealth"]["Reason"] == "Target.NotInUse", health
    c.elb.get_waiter("target_deregistered").wait(TargetGroupArn=a, Targets=[{"Id": "172.31.0.9"}], WaiterConfig=FAST)
    for arn in [a, *arns]:
        c.elb.delete_target_group(TargetGroupArn=arn)


def test_elbv2_refuses_as_aws_does(c):
    group = dict(Name="bad", Protocol="HTTP", Port=80, VpcId=c.vpc, TargetType="ip")
    for code, more in (("ValidationError", {"Port": 0}), ("ValidationError", {"Protocol": "FOO"}),
                       ("ValidationError", {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 5}),
                       ("ValidationError", {"HealthyThresholdCount": 1}), ("ValidationError", {"Name": "n" * 33}),
                       ("ValidationError", {"Name": "-n"}), ("ValidationError", {"VpcId": "vpc-0"}),
                       ("ValidationError", {"Matcher": {"HttpCode": "600"}}),
                       ("MalformedInput", {"Port": "eighty"})):
        refused(400, code, c.elb.create_target_group, **{**group, **more})
    lb = dict(Name="bad", Subnets=c.subnets[:2])
    for code, more in (("ValidationError", {"Subnets": c.subnets[:1]}), ("SubnetNotFound", {"Subnets": ["subnet-0", "subnet-1"]}),
                       ("ValidationError", {"Name": "internal-x"}), ("InvalidSecurityGroup", {"SecurityGroups": ["sg-0"]}),
                       ("ValidationError", {"Scheme": "sideways"})):
        refused(400, code, c.elb.create_load_balancer, **{**lb, **more})
    refused(400, "ValidationError", c.elb.describe_load_balancers, PageSize=401)
    refused(400, "TargetGroupNotFound", c.elb.describe_target_groups, Names=["zz"])


# ---- ecs ----

def test_clusters_live(c):
    for n in range(5):
        c.ecs.create_cluster(clusterName=f"many-{n}", tags=[{"key": "n", "value": str(n)}])
    arns = pages(c.ecs, "list_clusters", "clusterArns", 2)
    assert len([a for a in arns if "/many-" in a]) == 5, arns
    told = c.ecs.describe_clusters(clusters=["many-0", "zz"], include=["TAGS", "SETTINGS"])
    assert told["clusters"][0]["tags"] == [{"key": "n", "value": "0"}], told
    assert told["failures"] == [{"arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/zz", "reason": "MISSING"}], told
    for n in range(5):
        assert c.ecs.delete_cluster(cluster=f"many-{n}")["cluster"]["status"] == "INACTIVE"
    refused(400, "ClusterNotFoundException", c.ecs.delete_cluster, cluster="zz", text="Cluster not found.")


def test_task_definitions_live(c):
    first = c.register("life")
    assert first["revision"] == 1 and first["status"] == "ACTIVE" and "FARGATE" in first["compatibilities"], first
    container = first["containerDefinitions"][0]
    assert container["portMappings"] == [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}], container
    assert container["mountPoints"] == [] and container["volumesFrom"] == [] and container["cpu"] == 0, container
    assert isinstance(first["registeredAt"], datetime.datetime)
    for _ in range(4):
        c.register("life")
    arns = pages(c.ecs, "list_task_definitions", "taskDefinitionArns", 2, familyPrefix="life")
    assert [a.rsplit(":", 1)[1] for a in arns] == ["1", "2", "3", "4", "5"], arns
    assert c.ecs.describe_task_definition(taskDefinition="life")["taskDefinition"]["revision"] == 5
    c.ecs.deregister_task_definition(taskDefinition="life:5")
    assert c.ecs.describe_task_definition(taskDefinition="life")["taskDefinition"]["revision"] == 4
    assert c.ecs.describe_task_definition(taskDefinition="life:5")["taskDefinition"]["status"] == "INACTIVE"
    assert c.register("life")["revision"] == 6
    refused(400, "ClientException", c.ecs.describe_task_definition, taskDefinition="zz",
            text="Unable to describe task definition.")
    definition = dict(family="bad", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
                      containerDefinitions=[{"name": "a", "image": "a"}])
    for code, more in (("ClientException", {"memory": "513"}), ("ClientException", {"networkMode": "bridge"}),
                       ("ClientException", {"family": "a b"}), ("ClientException", {"containerDefinitions": []}),
                       ("ClientException", {"containerDefinitions": [{"name": "a"}]}),
                       ("InvalidParameterException", {"networkMode": "sideways"}),
                       ("SerializationException", {"containerDefinitions": [{"name": "a", "image": "a", "memory": "1"}]}),
                       ("SerializationException", {"family": 5})):
        refused(400, code, c.ecs.register_task_definition, **{**definition, **more})


def test_a_service_lives(c):
    ecs, elb = c.ecs, c.elb
    ecs.create_cluster(clusterName="life")
    c.register("svc")
    group = c.group("svc")
    lb = elb.create_load_balancer(Name="svc", Subnets=c.subnets[:2])["LoadBalancers"][0]["LoadBalancerArn"]
    service = dict(cluster="life", serviceName="svc", taskDefinition="svc", desiredCount=2, launchType="FARGATE",
                   networkConfiguration=c.network, clientToken="token-1", tags=[{"key": "k", "value": "v"}],
                   loadBalancers=[{"targetGroupArn": group, "containerName": "shop", "containerPort": 8080}])
    refused(400, "InvalidParameterException", ecs.create_service, **service, text="does not have an associated load balancer")
    elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=8086, DefaultActions=[
        {"Type": "forward", "TargetGroupArn": group}])
    for code, more in (("ClusterNotFoundException", {"cluster": "zz"}), ("ClientException", {"taskDefinition": "zz"}),
                       ("InvalidParameterException", {"launchType": "SIDEWAYS"}), ("InvalidParameterException", {"desiredCount": -1}),
                       ("InvalidParameterException", {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0"]}}}),
                       ("SerializationException", {"desiredCount": "two"})):
        refused(400, code, ecs.create_service, **{**service, **more})
    made = ecs.create_service(**service)["service"]
    assert made["status"] == "ACTIVE" and made["deploymentConfiguration"]["maximumPercent"] == 200, made
    assert made["deployments"][0]["rolloutStateReason"] == f"ECS deployment {made['deployments'][0]['id']} in progress.", made
    assert ecs.create_service(**service)["service"]["serviceArn"] == made["serviceArn"]
    refused(400, "InvalidParameterException", ecs.create_service, **{**service, "clientToken": "token-2", "desiredCount": 3},
            text="Creation of service was not idempotent.")
    ecs.get_waiter("services_stable").wait(cluster="life", services=["svc"], WaiterConfig=FAST)
    tasks = ecs.list_tasks(cluster="life", serviceName="svc")["taskArns"]
    assert len(tasks) == 2 and len(pages(ecs, "list_tasks", "taskArns", 1, cluster="life")) == 2
    ecs.get_waiter("tasks_running").wait(cluster="life", tasks=tasks, WaiterConfig=FAST)
    elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig=FAST)
    task = ecs.describe_tasks(cluster="life", tasks=tasks)["tasks"][0]
    assert task["group"] == "service:svc" and task["startedBy"] == made["deployments"][0]["id"], task
    assert {"createdAt", "startedAt", "pullStartedAt", "connectivityAt"} <= set(task), sorted(task)
    told = ecs.describe_services(cluster="life", services=["svc", "zz"], include=["TAGS"])
    assert told["services"][0]["tags"] == [{"key": "k", "value": "v"}] and told["failures"][0]["reason"] == "MISSING", told
    texts = " ".join(e["message"] for e in told["services"][0]["events"])
    assert "(service svc) has started" in texts and "registered" in texts and "steady state" in texts, texts
    refused(400, "InvalidParameterException", ecs.delete_service, cluster="life", service="svc",
            text="The service cannot be stopped while it is scaled above 0.")
    refused(400, "ClusterContainsServicesException", ecs.delete_cluster, cluster="life")
    ecs.update_service(cluster="life", service="svc", desiredCount=0)
    ecs.get_waiter("services_stable").wait(cluster="life", services=["svc"], WaiterConfig=FAST)
    ecs.delete_service(cluster="life", service="svc")
    ecs.get_waiter("services_inactive").wait(cluster="life", services=["svc"], WaiterConfig=FAST)
    refused(400, "ServiceNotActiveException", ecs.update_service, cluster="life", service="svc", desiredCount=1,
            text="Service was not ACTIVE.")
    refused(400, "ServiceNotFoundException", ecs.update_service, cluster="life", service="zz", desiredCount=1)
    elb.delete_load_balancer(LoadBalancerArn=lb)
    elb.delete_target_group(TargetGroupArn=group)


def test_a_task_runs_once_and_stops(c):
    ecs = c.ecs
    ecs.create_cluster(clusterName="once")
    c.register("once", containerDefinitions=[{"name": "a", "image": f"dir://{SHOP_DIR}", "command": ["/bin/sh", "-c", "exit 3"],
                                              "essential": True}])
    run = dict(cluster="once", taskDefinition="once", launchType="FARGATE", networkConfiguration=c.network)
    refused(400, "InvalidParameterException", ecs.run_task, **{**run, "count": 11})
    refused(400, "ClientException", ecs.run_task, **{**run, "taskDefinition": "zz"})
    task = ecs.run_task(**run, startedBy="me", clientToken="once-1")["tasks"][0]
    assert ecs.run_task(**run, startedBy="me", clientToken="once-1")["tasks"][0]["taskArn"] == task["taskArn"]
    refused(400, "ConflictException", ecs.run_task, **run, startedBy="you", clientToken="once-1")
    ecs.get_waiter("tasks_stopped").wait(cluster="once", tasks=[task["taskArn"]], WaiterConfig=FAST)
    ended = ecs.describe_tasks(cluster="once", tasks=[task["taskArn"]])["tasks"][0]
    assert ended["stopCode"] == "EssentialContainerExited", ended
    assert ended["stoppedReason"] == "Essential container in task exited", ended
    assert ended["containers"][0]["exitCode"] == 3, ended
    c.register("long")
    task = ecs.run_task(**{**run, "taskDefinition": "long"})["tasks"][0]["taskArn"]
    ecs.get_waiter("tasks_running").wait(cluster="once", tasks=[task], WaiterConfig=FAST)
    ecs.stop_task(cluster="once", task=task, reason="enough")
    ecs.get_waiter("tasks_stopped").wait(cluster="once", tasks=[task], WaiterConfig=FAST)
    ended = ecs.describe_tasks(cluster="once", tasks=[task])["tasks"][0]
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "enough"), ended
    assert ecs.describe_tasks(cluster="once", tasks=["0" * 32])["failures"][0]["reason"] == "MISSING"


# ---- codedeploy ----

def test_codedeploy_resources_live(c):
    cd = c.cd
    for n in range(5):
        cd.create_application(applicationName=f"app-{n}", computePlatform="ECS")
    names = [n for page in cd.get_paginator("list_applications").paginate() for n in page["applications"]]
    assert {f"app-{n}" for n in range(5)} <= set(names), names
    assert isinstance(cd.get_application(applicationName="app-0")["application"]["createTime"], datetime.datetime)
    refused(400, "ApplicationAlreadyExistsException", cd.create_application, applicationName="app-0", computePlatform="ECS")
    refused(400, "ApplicationDoesNotExistException", cd.get_application, applicationName="zz")
    refused(400, "ApplicationNameRequiredException", cd.create_application)
    refused(400, "InvalidComputePlatformException", cd.create_application, applicationName="x", computePlatform="Moon")
    routing = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 20, "linearInterval": 2}}
    cd.create_deployment_config(deploymentConfigName="own", computePlatform="ECS", trafficRoutingConfig=routing)
    assert cd.get_deployment_config(deploymentConfigName="own")["deploymentConfigInfo"]["trafficRoutingConfig"] == routing
    refused(400, "DeploymentConfigDoesNotExistException", cd.get_deployment_config, deploymentConfigName="zz")
    refused(400, "DeploymentGroupDoesNotExistException", cd.get_deployment_group, applicationName="app-0", deploymentGroupName="zz")
    refused(400, "DeploymentDoesNotExistException", cd.get_deployment, deploymentId="d-ABCDEFGHI")
    refused(400, "InvalidDeploymentIdException", cd.get_deployment, deploymentId="zz")
    refused(400, "InvalidDeploymentStatusException", cd.list_deployments, includeOnlyStatuses=["Sideways"])
    for n in range(5):
        cd.delete_application(applicationName=f"app-{n}")
    cd.delete_deployment_config(deploymentConfigName="own")


def test_a_deployment_is_waited_for(c):
    shop = rig.Shop(c.engine, controller="CODE_DEPLOY", name="bg", desired=1, version="v1")
    c.cd.create_application(applicationName="bg", computePlatform="ECS")
    c.cd.create_deployment_group(
        applicationName="bg", deploymentGroupName="bg", serviceRoleArn=ROLE,
        deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        ecsServices=[{"clusterName": shop.cluster, "serviceName": "bg"}],
        deploymentConfigName="CodeDeployDefault.ECSAllAtOnce", loadBalancerInfo={"targetGroupPairInfoList": [{
            "targetGroups": [{"name": "bg-blue"}, {"name": "bg-green"}],
            "prodTrafficRoute": {"listenerArns": [shop.listener_arn]}}]})
    told = c.cd.get_deployment_group(applicationName="bg", deploymentGroupName="bg")["deploymentGroupInfo"]
    blue = told["blueGreenDeploymentConfiguration"]
    assert blue["deploymentReadyOption"]["waitTimeInMinutes"] == 0, blue  # `aws ecs deploy` reads it without asking
    assert blue["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"] >= 0, blue
    content = json.dumps({"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
        "TaskDefinition": shop.register(VERSION="v2"),
        "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080}}}}]})
    made = c.cd.create_deployment(applicationName="bg", deploymentGroupName="bg", revision={
        "revisionType": "AppSpecContent", "appSpecContent": {"content": content}})["deploymentId"]
    assert made.startswith("d-") and len(made) == 11, made
    c.cd.get_waiter("deployment_successful").wait(deploymentId=made, WaiterConfig={"Delay": 1, "MaxAttempts": 40})
    info = c.cd.get_deployment(deploymentId=made)["deploymentInfo"]
    assert info["status"] == "Succeeded" and info["deploymentOverview"]["Succeeded"] == 1, info
    targets = c.cd.list_deployment_targets(deploymentId=made)["targetIds"]
    assert targets == [f"{shop.cluster}:bg"], targets
    target = c.cd.get_deployment_target(deploymentId=made, targetId=targets[0])["deploymentTarget"]["ecsTarget"]
    assert [e["status"] for e in target["lifecycleEvents"]] == ["Succeeded"] * 8, target
    assert '"version":"v2"' in shop.get().body
    refused(400, "DeploymentAlreadyCompletedException", c.cd.stop_deployment, deploymentId=made)


# ---- cloudwatch and logs ----

ALARM = dict(AlarmName="a", MetricName="m", Namespace="n", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
             ComparisonOperator="GreaterThanThreshold")


def test_alarms_live(c):
    cw = c.cw
    for n in range(7):
        cw.put_metric_alarm(**{**ALARM, "AlarmName": f"many-{n}"}, Tags=[{"Key": "n", "Value": str(n)}])
    cw.get_waiter("alarm_exists").wait(AlarmNames=["many-0"], WaiterConfig=FAST)
    found = [a for page in cw.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix="many-", PaginationConfig={"PageSize": 3}) for a in page["MetricAlarms"]]
    assert [a["AlarmName"] for a in found] == [f"many-{n}" for n in range(7)], found
    assert found[0]["StateValue"] == "INSUFFICIENT_DATA" and "AlarmArn" in found[0], found[0]
    cw.put_composite_alarm(AlarmName="any", AlarmRule="ALARM(many-0) OR ALARM(many-1)")
    cw.get_waiter("composite_alarm_exists").wait(AlarmNames=["any"], AlarmTypes=["CompositeAlarm"], WaiterConfig=FAST)
    cw.set_alarm_state(AlarmName="many-0", StateValue="ALARM", StateReason="a drill")
    history = pages(cw, "describe_alarm_history", "AlarmHistoryItems", 1, AlarmName="many-0")
    assert any(h["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM" for h in history), history
    refused(404, "ResourceNotFound", cw.set_alarm_state, AlarmName="zz", StateValue="OK", StateReason="x")
    refused(400, "ValidationError", cw.delete_alarms, AlarmNames=["many-0"])
    for more in ({"Period": 7}, {"EvaluationPeriods": 0}, {"ComparisonOperator": "Sideways"}, {"Statistic": "Most"},
                 {"TreatMissingData": "perhaps"}, {"AlarmName": "x" * 256}, {"DatapointsToAlarm": 2}):
        refused(400, "ValidationError", cw.put_metric_alarm, **{**ALARM, **more})
    cw.delete_alarms(AlarmNames=["any"])
    cw.delete_alarms(AlarmNames=[f"many-{n}" for n in range(7)])
    assert cw.describe_alarms(AlarmNamePrefix="many-")["MetricAlarms"] == []


def test_metrics_come_back(c):
    cw, now = c.cw, datetime.datetime.now(datetime.timezone.utc)
    data = [{"MetricName": "big", "Value": n, "Dimensions": [{"Name": "d", "Value": f"a long value {n % 20}" * 4}]}
            for n in range(900)]
    cw.put_metric_data(Namespace="packed", MetricData=data)  # above 10 KB botocore packs it
    assert len([m for p in cw.get_paginator("list_metrics").paginate(Namespace="packed") for m in p["Metrics"]]) == 20
    cw.put_metric_data(Namespace="n", MetricData=[{"MetricName": "v", "Values": [1, 5], "Counts": [2, 1], "Timestamp": now}])
    span = dict(StartTime=now - datetime.timedelta(hours=3), EndTime=now + datetime.timedelta(minutes=1))
    told = cw.get_metric_statistics(Namespace="n", MetricName="v", Period=60, Statistics=["Sum", "SampleCount"], **span)
    assert (told["Datapoints"][0]["Sum"], told["Datapoints"][0]["SampleCount"]) == (7, 3), told
    query = [{"Id": "m", "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "v"}, "Period": 60, "Stat": "Maximum"},
              "ReturnData": False}, {"Id": "e", "Expression": "m * 2"}]
    assert cw.get_metric_data(MetricDataQueries=query, **span)["MetricDataResults"][0]["Values"] == [10]
    put = lambda **one: cw.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", **one}])
    refused(400, "InvalidParameterValue", put, Value=float("nan"))
    refused(400, "InvalidParameterCombination", put, Value=1, Values=[1])
    refused(400, "MissingParameter", put)
    refused(400, "InvalidParameterValue", put, Value=1, Timestamp=now - datetime.timedelta(days=15))


def test_dashboards_live(c):
    body = json.dumps({"widgets": [{"type": "text", "x": 0, "y": 0, "width": 3, "height": 3, "properties": {"markdown": "hi"}}]})
    assert c.cw.put_dashboard(DashboardName="d", DashboardBody=body)["DashboardValidationMessages"] == []
    assert c.cw.get_dashboard(DashboardName="d")["DashboardBody"] == body
    assert [d["DashboardName"] for d in c.cw.list_dashboards()["DashboardEntries"]] == ["d"]
    refused(400, "InvalidParameterInput", c.cw.put_dashboard, DashboardName="d", DashboardBody="{")
    c.cw.delete_dashboards(DashboardNames=["d"])
    refused(404, "ResourceNotFound", c.cw.get_dashboard, DashboardName="d")


def test_logs_live(c):
    logs, now = c.logs, int(time.time() * 1000)
    for n in range(5):
        logs.create_log_group(logGroupName=f"/g/{n}", tags={"n": str(n)})
    found = [g for p in logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix="/g/", PaginationConfig={"PageSize": 2}) for g in p["logGroups"]]
    assert [g["logGroupName"] for g in found] == [f"/g/{n}" for n in range(5)], found
    assert found[0]["arn"].endswith(":log-group:/g/0:*") and isinstance(found[0]["creationTime"], int), found[0]
    logs.put_retention_policy(logGroupName="/g/0", retentionInDays=14)
    refused(400, "InvalidParameterException", logs.put_retention_policy, logGroupName="/g/0", retentionInDays=15)
    logs.create_log_stream(logGroupName="/g/0", logStreamName="s")
    logs.put_log_events(logGroupName="/g/0", logStreamName="s", logEvents=[
        {"timestamp": now + n, "message": f"line {n}"} for n in range(30)])
    got = logs.get_log_events(logGroupName="/g/0", logStreamName="s", startFromHead=True, limit=10)
    more = logs.get_log_events(logGroupName="/g/0", logStreamName="s", startFromHead=True, nextToken=got["nextForwardToken"])
    assert [e["message"] for e in got["events"] + more["events"]] == [f"line {n}" for n in range(30)]
    end = logs.get_log_events(logGroupName="/g/0", logStreamName="s", startFromHead=True, nextToken=more["nextForwardToken"])
    assert end["events"] == [] and end["nextForwardToken"] == more["nextForwardToken"], end
    found = pages(logs, "filter_log_events", "events", 4, logGroupName="/g/0", filterPattern="line")
    assert len(found) == 30
    refused(400, "ResourceAlreadyExistsException", logs.create_log_group, logGroupName="/g/0")
    refused(400, "ResourceNotFoundException", logs.get_log_events, logGroupName="/g/0", logStreamName="zz")
    for n in range(5):
        logs.delete_log_group(logGroupName=f"/g/{n}")
    refused(400, "ResourceNotFoundException", logs.delete_log_group, logGroupName="/g/0")


# ---- the wire ----

JSON = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CBOR = {"Content-Type": "application/cbor", "Accept": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}
CBOR_PATH = "/service/GraniteServiceVersion20100801/operation/"


class Wire:
    """Requests by hand: signed with botocore, then altered."""

    def __init__(self, engine):
        self.engine = engine

    def send(self, headers, body, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.engine.port, timeout=10)
        try:
            connection.request("POST", path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def signed(self, service, headers, body, path="/", key=None, secret=None, late_s=0, sent_body=None):
        import botocore.auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        request = AWSRequest("POST", self.engine.endpoint + path, dict(headers), body)
        signer = botocore.auth.SigV4Auth(Credentials(key or self.engine.key, secret or self.engine.secret), service, REGION)
        moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=late_s)
        real = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda *a, **k: moment
        try:
            signer.add_auth(request)
        finally:
            botocore.auth.get_current_datetime = real
        return self.send(dict(request.headers), sent_body or body, path)


def test_signatures_are_refused_in_each_services_words(c):
    wire = Wire(c.engine)
    whoami, vpcs = b"Action=GetCallerIdentity&Version=2011-06-15", b"Action=DescribeVpcs&Version=2016-11-15"
    cases = (
        ("ecs", JSON, b"{}", 400, "UnrecognizedClientException", 400, "InvalidSignatureException",
         400, "MissingAuthenticationTokenException", 400, "InvalidSignatureException"),
        ("sts", FORM, whoami, 403, "InvalidClientTokenId", 403, "SignatureDoesNotMatch",
         403, "MissingAuthenticationToken", 403, "SignatureDoesNotMatch"),
        ("ec2", FORM, vpcs, 401, "AuthFailure", 401, "AuthFailure", 403, "MissingAuthenticationToken", 400, "RequestExpired"))
    for service, headers, body, *want in cases:
        status, _, text = wire.signed(service, headers, body)
        assert status == 200, (service, status, text)
        tries = (wire.signed(service, headers, body, key="AKIAIOSFODNN7EXAMPLE"),
                 wire.signed(service, headers, body, secret="wrong"), wire.send(headers, body),
                 wire.signed(service, headers, body, late_s=305))
        for number, (status, _, text) in enumerate(tries):
            code = want[2 * number + 1].encode()
            assert status == want[2 * number] and code in text, (service, number, status, text)
        status, _, text = wire.signed(service, headers, body, sent_body=body + b" ")
        assert status == want[2] and want[3].encode() in text, ("altered", service, status, text)
        status, _, text = wire.signed(service, headers, body, late_s=-305)
        assert status == want[2] and want[3].encode() in text, ("early", service, status, text)
        assert wire.signed(service, headers, body, late_s=290)[0] == 200, service


def test_members_that_nobody_knows_are_refused_by_name(c):
    wire = Wire(c.engine)
    status, _, text = wire.signed("ecs", JSON, b'{"maxResults":5,"newMember":{"a":[1,null]}}')
    assert status == 400 and b"newMember" in text, text
    status, _, text = wire.signed("monitoring", CBOR, b"\xa1\x63new\x81\x01", CBOR_PATH + "DescribeAlarms")
    assert status == 400 and b"new" in text, text
    status, _, text = wire.signed("elasticloadbalancing", FORM,
                                  b"Action=DescribeLoadBalancers&Version=2015-12-01&New.member.1.X=2")
    assert status == 400 and b"new" in text.lower(), text
    status, _, text = wire.signed("ec2", FORM, b"Action=DescribeVpcs&Version=2016-11-15&New=1")
    assert status == 400 and b"UnknownParameter" in text, text


def test_malformed_calls_get_an_aws_error(c):
    wire = Wire(c.engine)
    target = JSON["X-Amz-Target"].split(".")[0]
    for headers, body, want in (
            (JSON, b"{", b"SerializationException"), (JSON, b"[]", b"SerializationException"),
            (JSON, b'{"maxResults":"a"}', b"SerializationException"),
            ({**JSON, "X-Amz-Target": f"{target}.Sideways"}, b"{}", b"UnknownOperationException"),
            ({"Content-Type": JSON["Content-Type"]}, b"{}", b"UnknownOperationException")):
        status, headers, text = wire.signed("ecs", headers, body)
        assert status == 400 and want in text and headers["Content-Type"] == "application/x-amz-json-1.1", (status, text)
    status, _, text = wire.signed("sts", FORM, b"Action=Sideways&Version=2011-06-15")
    assert status == 400 and b"<Code>InvalidAction</Code>" in text, text


def test_cloudwatch_speaks_three_protocols(c):
    """The same unknown alarm, the same list of none."""
    wire, json10 = Wire(c.engine), {"Content-Type": "application/x-amz-json-1.0", "x-amzn-query-mode": "true"}
    prefix = "GraniteServiceVersion20100801."
    status, headers, text = wire.signed("monitoring", {**json10, "X-Amz-Target": prefix + "SetAlarmState"},
                                        b'{"AlarmName":"zz","StateValue":"OK","StateReason":"x"}')
    assert status == 404 and json.loads(text)["__type"].endswith("ResourceNotFound"), text
    assert headers["x-amzn-query-error"] == "ResourceNotFound;Sender", headers
    status, headers, text = wire.signed(
        "monitoring", FORM, b"Action=SetAlarmState&Version=2010-08-01&AlarmName=zz&StateValue=OK&StateReason=x")
    assert status == 404 and b"<Code>ResourceNotFound</Code>" in text and headers["Content-Type"] == "text/xml", text
    asked = b"\xbf\x69AlarmName\x62zz\x6aStateValue\x62OK\x6bStateReason\x61x\xff"
    status, headers, text = wire.signed("monitoring", CBOR, asked, CBOR_PATH + "SetAlarmState")
    assert status == 404 and b"ResourceNotFound" in text and headers["Smithy-Protocol"] == "rpc-v2-cbor", (headers, text)
    c.cw.put_metric_alarm(**ALARM)
    status, headers, text = wire.signed("monitoring", CBOR, b"\xbf\xff", CBOR_PATH + "DescribeAlarms")
    assert status == 200 and headers["Content-Type"] == "application/cbor" and b"MetricAlarms" in text, text
    assert b"StateUpdatedTimestamp\xc1" in text, "a timestamp is tag 1"
    status, _, text = wire.signed("monitoring", FORM, b"Action=DescribeAlarms&Version=2010-08-01")
    assert b"<Threshold>1" in text and b"<MetricAlarms><member><AlarmName>a</AlarmName>" in text, text
    status, _, text = wire.signed("monitoring", {**json10, "X-Amz-Target": prefix + "DescribeAlarms"}, b"{}")
    alarm = json.loads(text)["MetricAlarms"][0]
    assert isinstance(alarm["StateUpdatedTimestamp"], (int, float)) and alarm["Dimensions"] == [], alarm
    packed = gzip.compress(json.dumps({"Namespace": "gz", "MetricData": [{"MetricName": "m", "Value": 1}]}).encode())
    status, _, text = wire.signed("monitoring", {**json10, "X-Amz-Target": prefix + "PutMetricData", "Content-Encoding": "gzip"}, packed)
    assert status == 200, text
    c.cw.delete_alarms(AlarmNames=["a"])


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    rig.run_tests([value for name, value in list(globals().items()) if name.startswith("test_")], Clients)
