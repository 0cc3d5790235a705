#!/usr/bin/env python3
"""ECS's own strategies – CANARY, LINEAR, BLUE_GREEN – on one service that is also rolled between them."""
import time

import rig
from rig import ACCOUNT, Engine, Load, Shop, wait_until

ENDS = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


class Setup:
    def __init__(self):
        self.engine = Engine(time_scale=60)
        self.shop = Shop(self.engine, name="native", desired=2, deregistration_s=5)
        shop = self.shop
        self.rule = [r for r in shop.elb.describe_rules(ListenerArn=shop.listener_arn)["Rules"] if r["IsDefault"]][0]["RuleArn"]
        shop.elb.modify_listener(ListenerArn=shop.listener_arn, DefaultActions=[{"Type": "forward", "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": shop.groups[0], "Weight": 1}, {"TargetGroupArn": shop.groups[1], "Weight": 0}]}}])
        self.make_alarm()
        self.load = Load(shop.address, rate=800)

    def make_alarm(self):
        def metric(name):
            return {"Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": [
                {"Name": "LoadBalancer", "Value": self.shop.lb_dimension}]}, "Period": 60, "Stat": "Sum"}
        self.engine.client("cloudwatch").put_metric_alarm(
            AlarmName="rate", ComparisonOperator="GreaterThanThreshold", Threshold=1, EvaluationPeriods=1,
            TreatMissingData="notBreaching", Metrics=[
                {"Id": "rate", "Expression": "(errors / requests) * 100", "ReturnData": True},
                {"Id": "errors", "MetricStat": metric("HTTPCode_Target_5XX_Count"), "ReturnData": False},
                {"Id": "requests", "MetricStat": metric("RequestCount"), "ReturnData": False}])

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def deploy(setup, strategy, **env):
    """Gives the ended service deployment and the weights and stages that were seen on the way."""
    shop = setup.shop
    configuration = {"bakeTimeInMinutes": 1, "deploymentCircuitBreaker": {"enable": True, "rollback": True},
                     "alarms": {"alarmNames": ["rate"], "enable": True, "rollback": True}, **strategy}
    shop.ecs.update_service(
        cluster=shop.cluster, service=shop.name, taskDefinition=shop.register(**env), deploymentConfiguration=configuration,
        loadBalancers=[{"targetGroupArn": shop.groups[0], "containerName": "shop", "containerPort": 8080,
                        "advancedConfiguration": {"alternateTargetGroupArn": shop.groups[1], "productionListenerRule": setup.rule,
                                                  "roleArn": f"arn:aws:iam::{ACCOUNT}:role/ecs"}}])
    arn = shop.ecs.list_service_deployments(cluster=shop.cluster, service=shop.name)["serviceDeployments"][0]["serviceDeploymentArn"]
    weights, stages = [], []

    def ended():
        seen = shop.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]
        weight = seen["targetServiceRevision"].get("requestedProductionTrafficWeight")
        if weight is not None and weight not in weights:
            weights.append(weight)
        if seen.get("lifecycleStage") and seen["lifecycleStage"] not in stages:
            stages.append(seen["lifecycleStage"])
        return seen if seen["status"] in ENDS else None
    return wait_until(f"{arn} ends", ended, 60, 0.03), weights, stages


def test_a_canary_gives_ten_percent_then_all(setup):
    end, weights, stages = deploy(setup, {"strategy": "CANARY", "canaryConfiguration": {
        "canaryPercent": 10.0, "canaryBakeTimeInMinutes": 2}}, VERSION="v2")
    assert end["status"] == "SUCCESSFUL", end
    assert weights == [0, 10, 100], weights
    assert stages.index("SCALE_UP") < stages.index("PRODUCTION_TRAFFIC_SHIFT") < stages.index("BAKE_TIME"), stages
    assert '"version":"v2"' in setup.shop.get().body


def test_linear_goes_in_equal_steps(setup):
    end, weights, _ = deploy(setup, {"strategy": "LINEAR", "linearConfiguration": {
        "stepPercent": 25.0, "stepBakeTimeInMinutes": 1}}, VERSION="v3")
    assert end["status"] == "SUCCESSFUL", end
    assert weights == [0, 25, 50, 75, 100], weights


def test_blue_green_goes_at_once(setup):
    end, weights, _ = deploy(setup, {"strategy": "BLUE_GREEN"}, VERSION="v4")
    assert end["status"] == "SUCCESSFUL", end
    assert weights == [0, 100], weights


def test_a_canary_that_fails_is_taken_back_by_its_alarm(setup):
    end, _, _ = deploy(setup, {"strategy": "CANARY", "canaryConfiguration": {
        "canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5}}, VERSION="bad", FAIL_EVERY=3)
    assert end["status"] == "ROLLBACK_SUCCESSFUL", end
    assert end["statusReason"] == "Service deployment rolled back because an alarm was detected.", end
    assert end["alarms"]["triggeredAlarmNames"] == ["rate"], end
    assert '"version":"v4"' in setup.shop.get().body


def test_one_that_crashes_is_taken_back_before_any_traffic(setup):
    time.sleep(1.2)
    end, weights, _ = deploy(setup, {"strategy": "CANARY"}, VERSION="crash", CRASH_AT_START=1)
    assert end["status"] == "ROLLBACK_SUCCESSFUL", end
    assert "circuit breaker" in end["statusReason"] and weights in ([], [0]), (end, weights)


def test_stop_service_deployment_takes_it_back(setup):
    shop = setup.shop
    shop.ecs.update_service(cluster=shop.cluster, service=shop.name, taskDefinition=shop.register(VERSION="v5"),
                            deploymentConfiguration={"strategy": "CANARY"})
    arn = shop.service()["currentServiceDeployment"]
    wait_until("five percent", lambda: shop.ecs.describe_service_deployments(serviceDeploymentArns=[arn])[
        "serviceDeployments"][0]["targetServiceRevision"].get("requestedProductionTrafficWeight") == 5, 20)
    shop.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    end = wait_until("it ends", lambda: (lambda d: d if d["status"] in ENDS else None)(
        shop.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]), 30)
    assert end["status"] == "ROLLBACK_SUCCESSFUL", end
    assert '"version":"v4"' in shop.get().body


def test_a_rolling_update_follows_on_the_same_service(setup):
    shop = setup.shop
    shop.ecs.update_service(cluster=shop.cluster, service=shop.name, taskDefinition=shop.register(VERSION="v6"),
                            deploymentConfiguration={"strategy": "ROLLING"})
    shop.wait_stable()
    assert '"version":"v6"' in shop.get().body


def test_no_request_was_lost(setup):
    account = setup.load.stop()
    lost = [r for r in setup.load.rows if r[1] == "0" or (int(r[1]) >= 500 and r[2] != "bad")]
    print(f"# {account['requests']} requests, {len(lost)} lost, {account['by_version']}")
    assert not lost, lost[:5]


if __name__ == "__main__":
    rig.run_tests([test_a_canary_gives_ten_percent_then_all, test_linear_goes_in_equal_steps,
                   test_blue_green_goes_at_once, test_a_canary_that_fails_is_taken_back_by_its_alarm,
                   test_one_that_crashes_is_taken_back_before_any_traffic, test_stop_service_deployment_takes_it_back,
                   test_a_rolling_update_follows_on_the_same_service, test_no_request_was_lost], Setup)
