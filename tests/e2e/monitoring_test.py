#!/usr/bin/env python3
"""CloudWatch and Logs with the stock clients: custom data, the balancer's own counters to the last request, alarms at
the end of their window, log events in pages."""
import datetime, json, time

import rig
from rig import Engine, Load, Shop, wait_until

SCALE = 60  # a configured minute is a second


class Setup:
    def __init__(self):
        self.engine = Engine(time_scale=SCALE)
        self.shop = Shop(self.engine, name="watched", desired=1)
        self.cloudwatch = self.engine.client("cloudwatch")
        self.logs = self.engine.client("logs")
        group = self.shop.elb.describe_target_groups()["TargetGroups"][0]
        self.dimensions = [
            {"Name": "LoadBalancer", "Value": group["LoadBalancerArns"][0].split("loadbalancer/")[1]},
            {"Name": "TargetGroup", "Value": group["TargetGroupArn"].split(":")[-1]}]

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def state(setup, name):
    return setup.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def test_an_alarm_on_custom_data_rises_and_tells_its_history(setup):
    aws = setup.engine.aws
    aws("cloudwatch", "put-metric-alarm", "--alarm-name", "queue", "--namespace", "Shop", "--metric-name", "Queue",
        "--statistic", "Maximum", "--period", "60", "--evaluation-periods", "1", "--threshold", "5",
        "--comparison-operator", "GreaterThanThreshold", "--treat-missing-data", "ignore")
    aws("cloudwatch", "put-metric-data", "--namespace", "Shop", "--metric-name", "Queue", "--value", "7")
    wait_until("the alarm", lambda: state(setup, "queue") == "ALARM", 5)
    summaries = [item["HistorySummary"] for item in
                 aws("cloudwatch", "describe-alarm-history", "--alarm-name", "queue")["AlarmHistoryItems"]]
    assert summaries == ["Alarm updated from INSUFFICIENT_DATA to ALARM", 'Alarm "queue" created'], summaries


def test_large_data_come_compressed_and_have_percentiles(setup):
    setup.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[
        {"MetricName": "Latency", "Dimensions": [{"Name": "host", "Value": f"h{i % 5}"}], "Unit": "Milliseconds",
         "Values": [float(v) for v in range(1, 101)], "Counts": [1.0] * 100} for i in range(300)])
    now = datetime.datetime.now(datetime.timezone.utc)
    results = setup.cloudwatch.get_metric_data(
        StartTime=now - datetime.timedelta(seconds=30), EndTime=now + datetime.timedelta(seconds=30), MetricDataQueries=[
            {"Id": "all", "Expression": "SEARCH('{Shop,host} Latency', 'p90', 60)"},
            {"Id": "sum", "Expression": "SUM(SEARCH('{Shop,host} Latency', 'SampleCount', 60))"}])["MetricDataResults"]
    assert [r["Values"] for r in results[:-1]] == [[90.0]] * 5, results
    assert results[-1]["Values"] == [30000.0], results


def total_requests(setup, since):
    now = datetime.datetime.now(datetime.timezone.utc)
    result = setup.cloudwatch.get_metric_data(StartTime=since, EndTime=now + datetime.timedelta(seconds=1), MetricDataQueries=[
        {"Id": "m1", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {
            "Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Dimensions": setup.dimensions}}}])
    return int(sum(result["MetricDataResults"][0]["Values"]))


def test_every_request_is_in_the_metrics_although_control_dies(setup):
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    before = total_requests(setup, since - datetime.timedelta(seconds=60))
    load = Load(setup.shop.address, rate=500)
    time.sleep(3)
    old = setup.engine.kill_role("control")
    wait_until("another control", lambda: setup.engine.role_pid("control") not in (None, old), 10)
    time.sleep(3)
    sent = load.stop()["requests"]
    counted = lambda: total_requests(setup, since - datetime.timedelta(seconds=60)) - before
    wait_until("the last window", lambda: counted() >= sent, 5)
    assert counted() == sent, (counted(), sent)
    print(f"# {sent} requests sent, {counted()} counted")


def test_an_alarm_is_raised_at_the_end_of_its_window(setup):
    setup.cloudwatch.put_metric_alarm(
        AlarmName="traffic", Namespace="AWS/ApplicationELB", MetricName="RequestCount", Dimensions=setup.dimensions,
        Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching")
    late = []
    for _ in range(3):
        wait_until("quiet", lambda: state(setup, "traffic") == "OK", 10)
        assert setup.shop.get().status == 200
        wait_until("the alarm", lambda: state(setup, "traffic") == "ALARM", 5)
        data = json.loads(setup.cloudwatch.describe_alarms(AlarmNames=["traffic"])["MetricAlarms"][0]["StateReasonData"])
        judged, began = (datetime.datetime.strptime(t, "%Y-%m-%dT%H:%M:%S.%f%z") for t in
                         (data["queryDate"], data["evaluatedDatapoints"][0]["timestamp"]))
        late.append((judged - began).total_seconds() - 60 / SCALE)
    print(f"# judged {', '.join(f'{s * 1000:.0f}' for s in late)} ms after the end of the window")
    assert max(late) < 0.25, late


def test_lines_of_a_task_are_its_log_events(setup):
    stream = wait_until("a stream of the task", lambda: setup.logs.describe_log_streams(
        logGroupName="/ecs/watched", orderBy="LastEventTime", descending=True)["logStreams"], 10)[0]
    assert stream["logStreamName"].startswith("ecs/shop/"), stream
    events = setup.logs.get_log_events(logGroupName="/ecs/watched", logStreamName=stream["logStreamName"])["events"]
    assert events and all(e["message"] for e in events), events
    print(f"# {events[0]['message']!r}")


def test_log_events_in_both_directions_and_in_pages(setup):
    logs = setup.logs
    logs.create_log_group(logGroupName="/shop/test", tags={"team": "shop"})
    logs.create_log_stream(logGroupName="/shop/test", logStreamName="one")
    now = int(time.time() * 1000)
    for part in range(3):
        logs.put_log_events(logGroupName="/shop/test", logStreamName="one", logEvents=[
            {"timestamp": now + i, "message": json.dumps({"level": "error" if i % 100 == 0 else "info", "n": i})}
            for i in range(part * 4000, (part + 1) * 4000)])
    token, seen = None, 0
    while True:
        page = logs.get_log_events(logGroupName="/shop/test", logStreamName="one", startFromHead=True,
                                   **({"nextToken": token} if token else {}))
        if page["nextForwardToken"] == token:
            break
        token, seen = page["nextForwardToken"], seen + len(page["events"])
    assert seen == 12000, seen
    newest = setup.engine.aws("logs", "get-log-events", "--log-group-name", "/shop/test", "--log-stream-name", "one",
                              "--limit", "50")["events"]
    assert json.loads(newest[-1]["message"])["n"] == 11999 and len(newest) == 50
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/shop/test",
                                                             filterPattern='{ $.level = "error" && $.n >= 200 }')
    found = [e for page in pages for e in page["events"]]
    assert len(found) == 118 and len({e["eventId"] for e in found}) == 118, len(found)
    logs.put_retention_policy(logGroupName="/shop/test", retentionInDays=7)
    group = logs.describe_log_groups(logGroupNamePrefix="/shop")["logGroups"][0]
    assert group["retentionInDays"] == 7 and group["storedBytes"] > 0, group
    logs.delete_log_group(logGroupName="/shop/test")
    try:
        logs.get_log_events(logGroupName="/shop/test", logStreamName="one")
        raise AssertionError("a deleted group answered")
    except logs.exceptions.ResourceNotFoundException as problem:
        assert "The specified log group does not exist." in str(problem), problem


if __name__ == "__main__":
    rig.run_tests([test_an_alarm_on_custom_data_rises_and_tells_its_history,
                   test_large_data_come_compressed_and_have_percentiles,
                   test_every_request_is_in_the_metrics_although_control_dies,
                   test_an_alarm_is_raised_at_the_end_of_its_window,
                   test_lines_of_a_task_are_its_log_events,
                   test_log_events_in_both_directions_and_in_pages], Setup)
