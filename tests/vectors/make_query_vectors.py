#!/usr/bin/env python3
"""Writes tests/vectors/query.txt: requests as botocore's serializers write them.

SOURCE: botocore (Apache-2.0), whichever release is installed; the file's first line says which. Run by hand when
a protocol's rules are in doubt; the file is committed, so that tests need no Python.

One case is three lines: "service operation", the input as JSON in the order of the model, the form body.
"""
import json, pathlib, urllib.parse
import botocore, botocore.session, botocore.serialize

CASES = [
    ("elbv2", "DescribeLoadBalancers", {"Names": ["a b", "ä&="], "PageSize": 3}),
    ("elbv2", "CreateRule", {
        "ListenerArn": "arn:l",
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a*", "/b"]}},
                       {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}],
        "Priority": 10,
        "Actions": [{"Type": "forward", "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": "tg1", "Weight": 90}, {"TargetGroupArn": "tg2", "Weight": 10}],
            "TargetGroupStickinessConfig": {"Enabled": False, "DurationSeconds": 60}}}],
        "Tags": [{"Key": "k", "Value": ""}]}),
    ("elbv2", "ModifyTargetGroupAttributes", {
        "TargetGroupArn": "tg", "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}] * 12}),
    ("elbv2", "DescribeTags", {"ResourceArns": []}),
    ("cloudwatch", "PutMetricAlarm", {
        "AlarmName": "high", "ActionsEnabled": True, "AlarmActions": ["arn:a"], "Dimensions": [{"Name": "n", "Value": "v"}],
        "Period": 60, "EvaluationPeriods": 2, "Threshold": 0.5, "ComparisonOperator": "GreaterThanThreshold"}),
    ("cloudwatch", "GetMetricStatistics", {
        "Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "StartTime": "2026-11-20T10:00:00Z",
        "EndTime": "2026-11-20T11:00:00Z", "Period": 60, "Statistics": ["Sum", "Average"]}),
    ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/deploy", "RoleSessionName": "ci",
                           "DurationSeconds": 900}),
    ("sts", "GetCallerIdentity", {}),
    ("ec2", "DescribeVpcs", {"Filters": [{"Name": "isDefault", "Values": ["true", "x y"]},
                                         {"Name": "vpc-id", "Values": ["vpc-1"]}], "VpcIds": ["vpc-1", "vpc-2"],
                             "MaxResults": 5, "DryRun": False}),
    ("ec2", "DescribeVpcAttribute", {"Attribute": "enableDnsSupport", "VpcId": "vpc-1"}),
]


def ordered(shape, value):
    """The value with members in the model's order, timestamps as numbers."""
    if shape.type_name == "structure":
        return {n: ordered(m, value[n]) for n, m in shape.members.items() if n in value}
    if shape.type_name == "list":
        return [ordered(shape.member, v) for v in value]
    if shape.type_name == "timestamp":
        import calendar, time
        return calendar.timegm(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))
    return value


def main():
    session = botocore.session.get_session()
    out = [f"# Made by make_query_vectors.py with botocore {botocore.__version__}; not edited by hand."]
    for service, name, params in CASES:
        model = session.get_service_model(service)
        protocol = "ec2" if service == "ec2" else "query"
        operation = model.operation_model(name)
        body = botocore.serialize.create_serializer(protocol).serialize_to_request(params, operation)["body"]
        value = ordered(operation.input_shape, params) if operation.input_shape else {}
        out += [f"{service} {name}", json.dumps(value, separators=(",", ":"), ensure_ascii=False),
                urllib.parse.urlencode(body, quote_via=urllib.parse.quote, safe="-_.~")]
    pathlib.Path(__file__).with_name("query.txt").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
