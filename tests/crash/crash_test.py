#!/usr/bin/env python3
"""The crash loop: the engine's control process is killed at the n-th fault point, for every n, and the
scenario – create a service, rolling update, canary, a bad canary that the alarm takes back – must end as
without the kill.

  crash_test.py              every n (tests/run.py)
  crash_test.py FROM TO      only these, one after the other, with the engine's log of a failure
CRASH_STEP=k takes every k-th point only, beginning with another one each day; CRASH_JOBS runs so many engines at once."""
import concurrent.futures, datetime, http.client, json, os, pathlib, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import rig
from rig import ACCOUNT, REGION, Engine, wait_until

SCALE = 300 # a canary of five minutes takes one second, an alarm's window a fifth of it
JOBS = int(os.environ.get("CRASH_JOBS", "6"))
STEP = int(os.environ.get("CRASH_STEP", "1"))


class Client:
    """boto3 that asks again while control is away; `known` names errors that mean: it was done already."""

    def __init__(self, engine, service):
        self.client = engine.client(service)

    def __getattr__(self, name):
        def call(known=(), **arguments):
            deadline = time.monotonic() + 30
            while True:
                try:
                    return getattr(self.client, name)(**arguments)
                except Exception as problem:
                    code = getattr(problem, "response", {}).get("Error", {}).get("Code", "")
                    if code and code in known:
                        return None
                    is_away = not code or code in ("InternalFailure", "ServerException", "InternalError")
                    if not is_away or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
        return call


class Scenario:
    def __init__(self, engine):
        self.engine = engine
        self.ecs, self.elb = Client(engine, "ecs"), Client(engine, "elbv2")
        self.deploy, self.cloudwatch = Client(engine, "codedeploy"), Client(engine, "cloudwatch")
        self.ec2 = Client(engine, "ec2")

    def run(self):
        self.make_network()
        self.rolling()
        self.canary()

    def make_network(self):
        subnets = [s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"]][:2]
        self.network = {"awsvpcConfiguration": {"subnets": subnets}}
        self.ecs.create_cluster(clusterName="c")
        lb = self.elb.create_load_balancer(Name="crash", Subnets=subnets)["LoadBalancers"][0]
        self.lb_arn, self.dimension = lb["LoadBalancerArn"], lb["LoadBalancerArn"].split("loadbalancer/")[1]
        self.groups = [self.make_group(name, lb["VpcId"]) for name in ("roll", "blue", "green")]
        self.listeners = [self.make_listener(port, group) for port, group in ((80, 0), (81, 1))]
        addresses = [a["IpAddress"] for z in lb["AvailabilityZones"] for a in z.get("LoadBalancerAddresses", [])]
        import socket
        self.host = addresses[0] if addresses else socket.gethostbyname(lb["DNSName"])

    def make_group(self, name, vpc):
        group = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip",
                                             HealthCheckPath="/health", HealthCheckIntervalSeconds=30)
        return group["TargetGroups"][0]["TargetGroupArn"]

    def make_listener(self, port, group):
        known = self.elb.describe_listeners(LoadBalancerArn=self.lb_arn)["Listeners"]
        for listener in known:
            if listener["Port"] == port:
                return listener["ListenerArn"]
        made = self.elb.create_listener(known=("DuplicateListener",), LoadBalancerArn=self.lb_arn, Protocol="HTTP",
                                        Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": self.groups[group]}])
        return made["Listeners"][0]["ListenerArn"] if made else self.make_listener(port, group)

    def register(self, family, **env):
        return self.ecs.register_task_definition(
            family=family, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[rig.shop_container(**env)])["taskDefinition"]["taskDefinitionArn"]

    def create_service(self, name, group, controller, definition):
        self.ecs.create_service(
            cluster="c", serviceName=name, taskDefinition=definition, desiredCount=1, launchType="FARGATE",
            networkConfiguration=self.network, deploymentController={"type": controller}, clientToken=f"token-{name}",
            loadBalancers=[{"targetGroupArn": self.groups[group], "containerName": "shop", "containerPort": 8080}])

    def service(self, name):
        return self.ecs.describe_services(cluster="c", services=[name])["services"][0]

    def serves(self, port, version):
        def is_served():
            try:
                return f'"version":"{version}"' in rig.http_get((self.host, port)).body
            except OSError:
                return False
        wait_until(f"{version} serves on port {port}", is_served, 30)

    def rolling(self):
        self.create_service("roll", 0, "ECS", self.register("roll", VERSION="v1"))
        self.settle_rolling("v1")
        self.ecs.update_service(cluster="c", service="roll", taskDefinition=self.register("roll", VERSION="v2"))
        self.settle_rolling("v2")

    def settle_rolling(self, version):
        def is_settled():
            seen = self.service("roll")
            return len(seen["deployments"]) == 1 and seen["runningCount"] == 1 and seen["pendingCount"] == 0 and \
                seen["deployments"][0]["rolloutState"] == "COMPLETED"
        wait_until("the rolling service is settled", is_settled, 60)
        self.serves(80, version)

    def canary(self):
        self.make_alarm()
        self.create_service("api", 1, "CODE_DEPLOY", self.register("api", VERSION="v1"))
        self.settle_sets()
        self.deploy.create_application(known=("ApplicationAlreadyExistsException",), applicationName="a",
                                       computePlatform="ECS")
        self.deploy.create_deployment_group(
            known=("DeploymentGroupAlreadyExistsException",), applicationName="a", deploymentGroupName="g",
            serviceRoleArn=f"arn:aws:iam::{ACCOUNT}:role/r", deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes",
            deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            blueGreenDeploymentConfiguration={
                "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 1},
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}},
            alarmConfiguration={"enabled": True, "alarms": [{"name": "bad"}]},
            autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]},
            loadBalancerInfo={"targetGroupPairInfoList": [{"targetGroups": [{"name": "blue"}, {"name": "green"}],
                                                           "prodTrafficRoute": {"listenerArns": [self.listeners[1]]}}]},
            ecsServices=[{"clusterName": "c", "serviceName": "api"}])
        good = self.finish(self.shift(self.register("api", VERSION="v2")))
        assert good["status"] == "Succeeded", good
        self.serves(81, "v2")
        self.settle_sets()
        is_over = threading.Event()
        asking = threading.Thread(target=self.ask_all_the_time, args=(is_over,), daemon=True)
        asking.start()
        try:
            # watched for longer than the good one, so that a busy machine, too, has asked it often enough
            bad = self.finish(self.shift(self.register("api", VERSION="bad", FAIL_EVERY=1), minutes=15))
        finally:
            is_over.set()
            asking.join()
        assert bad["status"] == "Stopped" and bad["errorInformation"]["code"] == "ALARM_ACTIVE", bad
        back = self.finish(bad["rollbackInfo"]["rollbackDeploymentId"])
        assert back["status"] == "Succeeded", back
        self.serves(81, "v2")
        self.settle_sets()

    def make_alarm(self):
        self.cloudwatch.put_metric_alarm(
            AlarmName="bad", Namespace="AWS/ApplicationELB", MetricName="HTTPCode_Target_5XX_Count", Statistic="Sum",
            Dimensions=[{"Name": "LoadBalancer", "Value": self.dimension}], Period=60, EvaluationPeriods=1, Threshold=0.5, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching")

    def shift(self, definition, minutes=5):
        spec = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
            "TaskDefinition": definition, "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080}}}}]}
        made = self.deploy.create_deployment(
            known=("DeploymentLimitExceededException",), applicationName="a", deploymentGroupName="g",
            deploymentConfigName=f"CodeDeployDefault.ECSCanary10Percent{minutes}Minutes", revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(spec)}})
        return made["deploymentId"] if made else self.newest_of_ours()

    def newest_of_ours(self):
        """The deployment that the killed call made: it may have been taken back already, by one of the engine's own."""
        made = [self.deploy.get_deployment(deploymentId=i)["deploymentInfo"] for i in
                self.deploy.list_deployments(applicationName="a", deploymentGroupName="g")["deployments"]]
        return max((i for i in made if i["creator"] == "user"), key=lambda i: i["createTime"])["deploymentId"]

    def ask_all_the_time(self, is_over):
        """What the alarm sees: requests, of which the bad version fails every one that it gets."""
        connection = http.client.HTTPConnection(self.host, 81, timeout=5)
        while not is_over.is_set():
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
            time.sleep(0.003)
        connection.close()

    def finish(self, deployment):
        def info():
            seen = self.deploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
            return seen if seen["status"] in ("Succeeded", "Stopped", "Failed") else None
        return wait_until(f"{deployment} ends", info, 60)

    def settle_sets(self):
        def is_settled():
            seen = self.service("api")
            return len(seen["taskSets"]) == 1 and seen["taskSets"][0]["stabilityStatus"] == "STEADY_STATE" and \
                seen["runningCount"] == 1
        wait_until("the canary service is settled", is_settled, 60)


def run_once(kill_at=None, count_file=None):
    """None when all went well, else what went wrong and the end of the engine's log."""
    env = {}
    if kill_at:
        env["HITLESS_FAULT_AT"] = str(kill_at)
    if count_file:
        env["HITLESS_FAULT_COUNT"] = str(count_file)
    engine = Engine(time_scale=SCALE, env=env)
    try:
        Scenario(engine).run()
        return None
    except BaseException as problem:
        return f"n={kill_at}: {type(problem).__name__}: {problem}\n" + engine.log_path.read_text(errors="replace")[-3000:]
    finally:
        try:
            engine.close()
        except BaseException as problem:
            return f"n={kill_at}: the engine did not stop: {problem}"


def count_points():
    with tempfile.NamedTemporaryFile(prefix="hitless-points-") as file:
        problem = run_once(count_file=file.name)
        assert problem is None, f"without a kill: {problem}"
        names = pathlib.Path(file.name).read_text().split()
    return names


def test_every_point():
    names = count_points()
    print(f"# {len(names)} fault points reached, of {len(set(names))} kinds: {' '.join(sorted(set(names)))}", flush=True)
    problems = []
    wanted = range(1 + datetime.date.today().toordinal() % STEP, len(names) + 1, STEP)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for problem in pool.map(run_once, wanted):
            if problem:
                problems.append(problem)
                print("# " + problem.replace("\n", "\n# "), flush=True)
    print(f"# {len(wanted)} kills, {len(problems)} scenarios that ended otherwise")
    assert not problems, f"{len(problems)} of {len(wanted)}"


if __name__ == "__main__":
    if len(sys.argv) == 3:
        for n in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
            print(f"n={n}: {run_once(n) or 'as without the kill'}", flush=True)
    else:
        rig.run_tests([test_every_point])
