#!/usr/bin/env python3
"""The commands and scripts of the articles, with the stock aws CLI and boto3, unmodified but for names."""
import json, pathlib, subprocess, sys, tempfile, textwrap, time

import rig
from rig import REGION, Engine, Shop, wait_until


class Setup:
    def __init__(self):
        self.engine = Engine(time_scale=20)
        self.shop = Shop(self.engine, name="my-service")
        self.canary = Shop(self.engine, controller="CODE_DEPLOY", name="api-service")

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def run_script(setup, text, *words):
    """A Python script of the articles, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "run.py"
        path.write_text(textwrap.dedent(text))
        done = subprocess.run([sys.executable, str(path), *words], env=setup.engine.env, capture_output=True, text=True,
                              timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_who_am_i(setup):
    who = setup.engine.aws("sts", "get-caller-identity")
    assert who["Account"] == rig.ACCOUNT, who


def test_the_deploy_script_forces_a_new_deployment_and_waits_until_one_primary_is_left(setup):
    out = run_script(setup, f'''
        import subprocess, sys, time, json
        CLUSTER = "my-service-cluster"
        REGION = "{REGION}"
        SERVICES = {{"dev": "my-service"}}
        AWS = "aws {' '.join(setup.engine.cli_endpoint())}"

        def run(cmd, check=True):
            print(f"  -> {{cmd}}")
            result = subprocess.run(cmd.replace("aws ", AWS + " ", 1), shell=True, capture_output=True, text=True)
            if check and result.returncode != 0:
                print(f"  FAILED: {{result.stderr}}")
                sys.exit(1)
            return result

        def deploy(env):
            service = SERVICES[env]
            print(f"\\n[4/5] Deploying to {{env}} ({{service}})...")
            run(f"aws ecs update-service --cluster {{CLUSTER}} --service {{service}} --force-new-deployment --region {{REGION}}")
            start = time.time()
            timeout = 600
            while time.time() - start < timeout:
                result = run(f"aws ecs describe-services --cluster {{CLUSTER}} --services {{service}} --region {{REGION}} --query 'services[0].deployments'", check=False)
                deployments = json.loads(result.stdout)
                primary = next((d for d in deployments if d['status'] == 'PRIMARY'), None)
                if primary and primary['runningCount'] == primary['desiredCount'] and len(deployments) == 1:
                    print(f"  Rollout complete ({{int(time.time()-start)}}s)")
                    return True
                time.sleep(15)
            return False

        sys.exit(0 if deploy("dev") else 1)
        ''')
    assert "Rollout complete" in out, out


def test_wait_services_stable(setup):
    setup.engine.aws("ecs", "wait", "services-stable", "--cluster", "my-service-cluster", "--services", "my-service")


DEV_ENV_CONTROL = '''
    import boto3, sys
    CLUSTER = "my-service-cluster"
    SERVICE = "my-service"

    def client():
        import os
        return boto3.client('ecs', region_name='eu-west-1', endpoint_url=os.environ["AWS_ENDPOINT_URL"])

    def get_status():
        ecs = client()
        resp = ecs.describe_services(cluster=CLUSTER, services=[SERVICE])
        svc = resp['services'][0]
        return svc['desiredCount'], svc['runningCount']

    def scale(count: int):
        ecs = client()
        ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=count)
        print(f"Scaled {SERVICE} to desiredCount={count}")

    if __name__ == '__main__':
        action = sys.argv[1] if len(sys.argv) > 1 else 'status'
        if action == 'status':
            desired, running = get_status()
            print(f"Dev: desired={desired}, running={running}")
        elif action == 'up':
            scale(1)
        elif action == 'down':
            scale(0)
    '''


def test_dev_env_control_takes_the_environment_down_and_up(setup):
    def status():
        return run_script(setup, DEV_ENV_CONTROL, "status").strip()

    assert "Scaled my-service to desiredCount=0" in run_script(setup, DEV_ENV_CONTROL, "down")
    wait_until("down", lambda: status() == "Dev: desired=0, running=0", 60, 0.5)
    assert "desiredCount=1" in run_script(setup, DEV_ENV_CONTROL, "up")
    wait_until("up", lambda: status() == "Dev: desired=1, running=1", 60, 0.5)


def test_alb_source_ip_access_reads_and_replaces_the_allowed_address(setup):
    elb = setup.engine.client("elbv2")
    rule = elb.create_rule(ListenerArn=setup.shop.listener_arn, Priority=10, Conditions=[
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["192.0.2.1/32"]}},
        {"Field": "path-pattern", "Values": ["/admin"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "in"}}])
    arn = rule["Rules"][0]["RuleArn"]
    script = f'''
        import boto3, os, sys
        RULE_ARNS = {{"dev": "{arn}"}}
        def client():
            return boto3.client('elbv2', region_name='{REGION}', endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        def get_current_ips(rule_arn: str) -> list:
            elbv2 = client()
            rules = elbv2.describe_rules(RuleArns=[rule_arn])
            for condition in rules['Rules'][0]['Conditions']:
                if condition['Field'] == 'source-ip':
                    return condition['SourceIpConfig']['Values']
            return []
        def update_ip(rule_arn: str, new_ip: str):
            elbv2 = client()
            elbv2.modify_rule(RuleArn=rule_arn, Conditions=[
                {{'Field': 'source-ip', 'SourceIpConfig': {{'Values': [f'{{new_ip}}/32']}}}}])
        if sys.argv[1] == 'status':
            for name, arn in RULE_ARNS.items():
                print(f"{{name}}: {{get_current_ips(arn)}}")
        elif sys.argv[1] == 'update':
            for name, arn in RULE_ARNS.items():
                update_ip(arn, sys.argv[2])
                print(f"Updated {{name}} to {{sys.argv[2]}}/32")
        '''
    assert "dev: ['192.0.2.1/32']" in run_script(setup, script, "status")
    assert rig.http_get(setup.shop.address, "/").body != "in"
    run_script(setup, script, "update", "127.0.0.1")
    assert "dev: ['127.0.0.1/32']" in run_script(setup, script, "status")
    wait_until("the rule serves", lambda: rig.http_get(setup.shop.address, "/").body == "in", 5)
    elb.delete_rule(RuleArn=arn)
    wait_until("the rule is gone", lambda: rig.http_get(setup.shop.address, "/").body != "in", 5)


def test_manual_rollback_to_the_revision_before(setup):
    shop, aws = setup.shop, setup.engine.aws
    shop.register(VERSION="v2")
    aws("ecs", "update-service", "--cluster", shop.cluster, "--service", shop.name, "--task-definition", shop.name)
    shop.wait_stable()
    assert '"version":"v2"' in shop.get().body
    current = aws("ecs", "describe-services", "--cluster", shop.cluster, "--services", shop.name, "--query",
                  "services[0].taskDefinition", "--output", "text")
    family, revision = current.rsplit(":", 1)
    aws("ecs", "update-service", "--cluster", shop.cluster, "--service", shop.name, "--task-definition",
        f"{family}:{int(revision) - 1}")
    shop.wait_stable()
    assert '"version":"v1"' in shop.get().body


def test_logs_of_a_task_are_read_with_get_log_events(setup):
    shop, aws = setup.shop, setup.engine.aws
    task = aws("ecs", "list-tasks", "--cluster", shop.cluster, "--service-name", shop.name)["taskArns"][0]
    stream = f"ecs/shop/{task.rsplit('/', 1)[1]}"
    events = wait_until("log lines", lambda: aws("logs", "get-log-events", "--log-group-name", f"/ecs/{shop.name}",
                                                 "--log-stream-name", stream, "--limit", "50")["events"], 10)
    assert "listens on" in events[0]["message"], events


def test_a_migration_runs_as_a_one_off_task_and_is_waited_for(setup):
    shop, aws = setup.shop, setup.engine.aws
    run = aws("ecs", "run-task", "--cluster", shop.cluster, "--task-definition", shop.name, "--launch-type", "FARGATE",
              "--network-configuration",
              '{"awsvpcConfiguration":{"subnets":["' + shop.network["awsvpcConfiguration"]["subnets"][0] + '"]}}',
              "--overrides", '{"containerOverrides":[{"name":"shop","command":["/bin/sh","-c","echo migrated; exit 3"]}]}')
    arn = run["tasks"][0]["taskArn"]
    aws("ecs", "wait", "tasks-stopped", "--cluster", shop.cluster, "--tasks", arn)
    task = aws("ecs", "describe-tasks", "--cluster", shop.cluster, "--tasks", arn)["tasks"][0]
    assert task["containers"][0]["exitCode"] == 3, task
    assert task["stopCode"] == "EssentialContainerExited", task
    reason = aws("ecs", "describe-tasks", "--cluster", shop.cluster, "--tasks", arn, "--query", "tasks[0].stoppedReason")
    assert reason == "Essential container in task exited", reason


def create_deploy_group(setup, app="api-deploy", group="api-production", extra=()):
    aws, shop = setup.engine.aws, setup.canary
    aws("deploy", "create-application", "--application-name", app, "--compute-platform", "ECS")
    aws("deploy", "create-deployment-group", "--application-name", app, "--deployment-group-name", group,
        "--service-role-arn", f"arn:aws:iam::{rig.ACCOUNT}:role/codedeploy",
        "--deployment-config-name", "CodeDeployDefault.ECSCanary10Percent5Minutes",
        "--deployment-style", "deploymentType=BLUE_GREEN,deploymentOption=WITH_TRAFFIC_CONTROL",
        "--blue-green-deployment-configuration", json.dumps({
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 1},
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}}),
        "--auto-rollback-configuration", "enabled=true,events=DEPLOYMENT_FAILURE,DEPLOYMENT_STOP_ON_ALARM",
        "--load-balancer-info", json.dumps({"targetGroupPairInfoList": [{
            "targetGroups": [{"name": f"{shop.name}-blue"}, {"name": f"{shop.name}-green"}],
            "prodTrafficRoute": {"listenerArns": [shop.listener_arn]}}]}),
        "--ecs-services", json.dumps([{"clusterName": shop.cluster, "serviceName": shop.name}]), *extra)


def test_codedeploy_canary_with_an_appspec_as_in_the_workflow(setup):
    aws, shop = setup.engine.aws, setup.canary
    create_deploy_group(setup)
    current = aws("ecs", "describe-task-definition", "--task-definition", shop.name, "--query", "taskDefinition")
    for name in ("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt",
                 "registeredBy"):
        current.pop(name, None)
    current["containerDefinitions"][0]["environment"] = [{"name": "VERSION", "value": "v2"}]
    with tempfile.TemporaryDirectory() as folder:
        definition = pathlib.Path(folder) / "task-def.json"
        definition.write_text(json.dumps(current))
        arn = aws("ecs", "register-task-definition", "--cli-input-json", f"file://{definition}", "--query",
                  "taskDefinition.taskDefinitionArn", "--output", "text")
        spec = {"version": 1, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
            "TaskDefinition": arn, "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080}}}}]}
        revision = pathlib.Path(folder) / "rev.json"
        revision.write_text(json.dumps({"revisionType": "AppSpecContent",
                                        "appSpecContent": {"content": json.dumps(spec)}}))
        deployment = aws("deploy", "create-deployment", "--application-name", "api-deploy", "--deployment-group-name",
                         "api-production", "--revision", f"file://{revision}", "--query", "deploymentId", "--output", "text")
    assert deployment.startswith("d-"), deployment
    aws("deploy", "wait", "deployment-successful", "--deployment-id", deployment)
    assert '"version":"v2"' in shop.get().body
    target = aws("deploy", "get-deployment-target", "--deployment-id", deployment, "--target-id",
                 f"{shop.cluster}:{shop.name}")["deploymentTarget"]["ecsTarget"]
    names = [e["lifecycleEventName"] for e in target["lifecycleEvents"]]
    assert names == ["BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic",
                     "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"], names
    assert all(e["status"] in ("Succeeded", "Skipped") for e in target["lifecycleEvents"]), target


if __name__ == "__main__":
    rig.run_tests([test_who_am_i, test_wait_services_stable, test_logs_of_a_task_are_read_with_get_log_events,
                   test_the_deploy_script_forces_a_new_deployment_and_waits_until_one_primary_is_left,
                   test_dev_env_control_takes_the_environment_down_and_up,
                   test_alb_source_ip_access_reads_and_replaces_the_allowed_address,
                   test_manual_rollback_to_the_revision_before,
                   test_a_migration_runs_as_a_one_off_task_and_is_waited_for,
                   test_codedeploy_canary_with_an_appspec_as_in_the_workflow], Setup)
