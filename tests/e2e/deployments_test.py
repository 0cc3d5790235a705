#!/usr/bin/env python3
"""Twenty deployments in a row under a constant load, five of them bad: no request is lost.

A request is lost when it was not answered, or answered with an error
that the load balancer made or that the old version made."""
import json, time

import rig
from rig import ACCOUNT, Docker, Engine, Load, Shop, wait_until

REQUESTS_MIN = 100_000
RATE = 2000
PAUSE_S = 0.5 # between two rolling updates, so that each serves for a while


class Setup:
    """Engines of both runtimes; the one on Docker is made when its first test asks for it."""

    def __init__(self):
        self.engine = Engine(time_scale=60)
        self.image = None
        self.docker = None
        self.total = 0

    def use_docker(self):
        if self.docker is None:
            self.docker = Docker()
            self.engine.close()
            self.engine, self.image = None, self.docker.image
            self.engine = Engine("--docker-socket", self.docker.socket, time_scale=60, runtime="docker")

    def show_log(self):
        if self.engine:
            self.engine.show_log()

    def close(self):
        if self.engine:
            self.engine.close()
        if self.docker:
            self.docker.close()


def lost(account, rows, bad_versions):
    """Rows that a person would complain about: no answer, or a 5xx that a bad version did not make itself."""
    return [r for r in rows if r[1] == "0" or (int(r[1]) >= 500 and r[2] not in bad_versions)]


def test_ten_rolling_updates_two_of_them_bad_lose_nothing(setup):
    shop = Shop(setup.engine, name="rolling", desired=2, deregistration_s=10, image=setup.image)
    load = Load(shop.address, rate=RATE)
    good = "v1"
    for number in range(2, 12):
        time.sleep(PAUSE_S)
        is_bad = number in (5, 9)
        version = f"v{number}"
        definition = shop.register(VERSION=version, **({"CRASH_AT_START": 1} if is_bad else {}))
        answer = shop.ecs.update_service(cluster=shop.cluster, service=shop.name, taskDefinition=definition)
        deployment = answer["service"]["deployments"][0]["id"]
        service = shop.wait_stable(90)
        primary = service["deployments"][0]
        if is_bad:
            assert primary["taskDefinition"] != definition, f"{version} was not taken back: {primary}"
            assert primary["id"] != deployment, primary
        else:
            assert primary["id"] == deployment and primary["rolloutState"] == "COMPLETED", primary
            good = version
        assert f'"version":"{good}"' in shop.get().body, f"{good} does not serve after {version}"
    account = load.stop()
    missing = lost(account, load.rows, set())
    setup.total += account["requests"]
    print(f"# rolling: {account['requests']} requests, {len(missing)} lost, p99 {account['p99_ms']} ms, {account['by_version']}")
    assert not missing, missing[:5]
    assert account["by_status"]["5xx"] == 0 and account["by_status"]["4xx"] == 0, account


def canary_group(engine, shop):
    deploy, cloudwatch = engine.client("codedeploy"), engine.client("cloudwatch")

    def metric(name):
        return {"Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": [
            {"Name": "LoadBalancer", "Value": shop.lb_dimension}]}, "Period": 60, "Stat": "Sum"}
    cloudwatch.put_metric_alarm(
        AlarmName="api-5xx-rate-high", ComparisonOperator="GreaterThanThreshold", Threshold=1, EvaluationPeriods=1,
        TreatMissingData="notBreaching", Metrics=[
            {"Id": "rate", "Expression": "(errors / requests) * 100", "ReturnData": True},
            {"Id": "errors", "MetricStat": metric("HTTPCode_Target_5XX_Count"), "ReturnData": False},
            {"Id": "requests", "MetricStat": metric("RequestCount"), "ReturnData": False}])
    deploy.create_application(applicationName="api-deploy", computePlatform="ECS")
    deploy.create_deployment_group(
        applicationName="api-deploy", deploymentGroupName="api-production",
        serviceRoleArn=f"arn:aws:iam::{ACCOUNT}:role/codedeploy",
        deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes",
        deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        blueGreenDeploymentConfiguration={
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 1},
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}},
        alarmConfiguration={"enabled": True, "alarms": [{"name": "api-5xx-rate-high"}]},
        autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]},
        loadBalancerInfo={"targetGroupPairInfoList": [{
            "targetGroups": [{"name": f"{shop.name}-blue"}, {"name": f"{shop.name}-green"}],
            "prodTrafficRoute": {"listenerArns": [shop.listener_arn]}}]},
        ecsServices=[{"clusterName": shop.cluster, "serviceName": shop.name}])
    return deploy, cloudwatch


def start_canary(deploy, definition):
    spec = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
        "TaskDefinition": definition, "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080}}}}]}
    return deploy.create_deployment(applicationName="api-deploy", deploymentGroupName="api-production", revision={
        "revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(spec)}})["deploymentId"]


def wait_ended(deploy, deployment, timeout_s=60):
    def info():
        seen = deploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
        return seen if seen["status"] in ("Succeeded", "Stopped", "Failed") else None
    return wait_until(f"{deployment} ends", info, timeout_s)


def test_ten_canaries_three_of_them_bad_lose_nothing_but_what_the_bad_ones_answered(setup):
    shop = Shop(setup.engine, controller="CODE_DEPLOY", name="canary", desired=2, deregistration_s=10,
                image=setup.image)
    deploy, cloudwatch = canary_group(setup.engine, shop)
    load = Load(shop.address, rate=RATE)
    good, bad_versions, shares = "v1", set(), []
    for number in range(2, 12):
        is_bad = number in (4, 7, 10)
        version = f"{'bad' if is_bad else 'v'}{number}"
        definition = shop.register(VERSION=version, **({"FAIL_EVERY": 3} if is_bad else {}))
        deployment = start_canary(deploy, definition)
        info = wait_ended(deploy, deployment)
        if is_bad:
            bad_versions.add(version)
            assert info["status"] == "Stopped" and info["errorInformation"]["code"] == "ALARM_ACTIVE", info
            back = wait_ended(deploy, info["rollbackInfo"]["rollbackDeploymentId"])
            assert back["status"] == "Succeeded" and back["creator"] == "codeDeployRollback", back
            wait_until("the alarm is quiet", lambda: cloudwatch.describe_alarms(
                AlarmNames=["api-5xx-rate-high"])["MetricAlarms"][0]["StateValue"] != "ALARM", 30)
        else:
            assert info["status"] == "Succeeded", info
            good = version
        assert f'"version":"{good}"' in shop.get().body, f"{good} does not serve after {version}"
    account = load.stop()
    missing = lost(account, load.rows, bad_versions)
    setup.total += account["requests"]
    print(f"# canaries: {account['requests']} requests, {len(missing)} lost, p99 {account['p99_ms']} ms, {account['by_version']}")
    assert not missing, missing[:5]


def test_there_were_requests_enough_to_say_so(setup):
    print(f"# {setup.total} requests in all")
    assert setup.total >= REQUESTS_MIN, setup.total


def test_on_docker_ten_rolling_updates_two_of_them_bad_lose_nothing(setup):
    setup.use_docker()
    test_ten_rolling_updates_two_of_them_bad_lose_nothing(setup)


def test_on_docker_ten_canaries_three_of_them_bad_lose_nothing_but_what_the_bad_ones_answered(setup):
    setup.use_docker()
    test_ten_canaries_three_of_them_bad_lose_nothing_but_what_the_bad_ones_answered(setup)


if __name__ == "__main__":
    rig.run_tests([test_ten_rolling_updates_two_of_them_bad_lose_nothing,
                   test_ten_canaries_three_of_them_bad_lose_nothing_but_what_the_bad_ones_answered,
                   test_there_were_requests_enough_to_say_so,
                   test_on_docker_ten_rolling_updates_two_of_them_bad_lose_nothing,
                   test_on_docker_ten_canaries_three_of_them_bad_lose_nothing_but_what_the_bad_ones_answered], Setup)
