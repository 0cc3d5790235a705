#!/usr/bin/env python3
"""How long a bad version goes on getting requests once the alarm's window has closed.

Canaries of a version that fails every second request, one after the other, under a constant load. The
window ends at the last boundary of the period before the alarm's history says that it fired; the
last request to the bad version is the last one that the load client sent and the bad version answered.
One JSON line: median and worst of all runs, in milliseconds."""
import json, pathlib, statistics, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
from rig import ACCOUNT, Engine, Load, Shop, wait_until

SCALE = 60
PERIOD_S = 60


def create_alarm(cloudwatch, shop):
    def metric(name):
        return {"Namespace": "AWS/ApplicationELB", "MetricName": name,
                "Dimensions": [{"Name": "LoadBalancer", "Value": shop.lb_dimension}]}
    cloudwatch.put_metric_alarm(
        AlarmName="bad", ComparisonOperator="GreaterThanThreshold", Threshold=1, EvaluationPeriods=1,
        TreatMissingData="notBreaching", Metrics=[
            {"Id": "rate", "Expression": "(errors / requests) * 100", "Label": "error rate", "ReturnData": True},
            {"Id": "errors", "MetricStat": {"Metric": metric("HTTPCode_Target_5XX_Count"), "Period": PERIOD_S, "Stat": "Sum"}, "ReturnData": False},
            {"Id": "requests", "MetricStat": {"Metric": metric("RequestCount"), "Period": PERIOD_S, "Stat": "Sum"}, "ReturnData": False}])


def create_group(deploy, shop):
    deploy.create_application(applicationName="bench", computePlatform="ECS")
    deploy.create_deployment_group(
        applicationName="bench", deploymentGroupName="bench", serviceRoleArn=f"arn:aws:iam::{ACCOUNT}:role/codedeploy",
        deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes",
        deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        blueGreenDeploymentConfiguration={
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0},
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}},
        alarmConfiguration={"enabled": True, "alarms": [{"name": "bad"}]},
        autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]},
        loadBalancerInfo={"targetGroupPairInfoList": [{
            "targetGroups": [{"name": f"{shop.name}-blue"}, {"name": f"{shop.name}-green"}],
            "prodTrafficRoute": {"listenerArns": [shop.listener_arn]}}]},
        ecsServices=[{"clusterName": shop.cluster, "serviceName": shop.name}])


def canary(deploy, shop, definition):
    spec = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
        "TaskDefinition": definition, "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080}}}}]}
    return deploy.create_deployment(applicationName="bench", deploymentGroupName="bench", revision={
        "revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(spec)}})["deploymentId"]


def window_end(cloudwatch, since):
    """Epoch seconds of the end of the newest window that the alarm judged when it fired."""
    items = cloudwatch.describe_alarm_history(AlarmName="bad", HistoryItemType="StateUpdate", MaxRecords=10)
    for item in items["AlarmHistoryItems"]:
        data = json.loads(item["HistoryData"])
        if data["newState"]["stateValue"] == "ALARM" and item["Timestamp"].timestamp() >= since:
            return item["Timestamp"].timestamp(), data["newState"]["stateReasonData"]
    return None


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    engine = Engine(time_scale=SCALE)
    try:
        shop = Shop(engine, controller="CODE_DEPLOY", deregistration_s=0)
        deploy, cloudwatch = engine.client("codedeploy"), engine.client("cloudwatch")
        create_alarm(cloudwatch, shop)
        create_group(deploy, shop)
        bad = shop.register(VERSION="bad", FAIL_EVERY=2)
        load = Load(shop.address, rate=1000)
        ends = []
        for _ in range(runs):
            wait_until("the alarm is quiet", lambda: cloudwatch.describe_alarms(AlarmNames=["bad"])["MetricAlarms"][0]["StateValue"] != "ALARM", 30)
            started = time.time()
            deployment = canary(deploy, shop, bad)
            info = wait_until("the canary ends", lambda: (lambda i: i if i["status"] in ("Stopped", "Failed", "Succeeded") else None)(
                deploy.get_deployment(deploymentId=deployment)["deploymentInfo"]), 60)
            assert info["status"] == "Stopped", info
            fired, _ = wait_until("the history", lambda: window_end(cloudwatch, started), 10)
            ends.append((started, fired))
            wait_until("the rollback ends", lambda: deploy.get_deployment(
                deploymentId=info["rollbackInfo"]["rollbackDeploymentId"])["deploymentInfo"]["status"] == "Succeeded", 60)
            wait_until("one task set is left", lambda: len(shop.service()["taskSets"]) == 1, 60)
        account = load.stop()
    finally:
        engine.close()
    # The window that was judged ended at the last boundary before the alarm fired: docs/time-scale.md.
    width_us = PERIOD_S * (1_000_000 // SCALE)
    late = []
    for number, (started, fired) in enumerate(ends):
        # The history's timestamp is cut to the millisecond: the alarm fired within the one that begins there.
        end = int((fired + 0.001) * 1e6) // width_us * width_us / 1e6
        until = ends[number + 1][0] if number + 1 < len(ends) else float("inf")
        last = max((int(r[0]) / 1e6 for r in load.rows if r[2] == "bad" and started <= int(r[0]) / 1e6 < until), default=None)
        assert last is not None, "the bad version never got a request"
        late.append(max(0.0, (last - end) * 1000))
    print("# " + " ".join(f"{ms:.1f}/{(fired * 1e6) % width_us / 1e3:.1f}" for ms, (_, fired) in zip(late, ends)), file=sys.stderr)
    print(json.dumps({"figure": "window_end_to_last_bad_request_ms", "median": round(statistics.median(late), 1),
                      "worst": round(max(late), 1), "runs": len(late), "target_worst": 50,
                      "requests": account["requests"], "failed_without_answer": account["requests"] - sum(account["by_status"].values())}))


if __name__ == "__main__":
    main()
