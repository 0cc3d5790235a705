"""What the end-to-end tests stand on: an engine of their own, the stock clients, load, TAP."""
import collections, json, os, pathlib, re, shutil, signal, socket, subprocess, sys, tempfile, time, traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HITLESS = ROOT / os.environ.get("HITLESS_BUILD", "build") / "hitless"
SHOP_DIR = ROOT / os.environ.get("HITLESS_BUILD", "build") / "examples" / "shop"
REGION = "eu-west-1"
ACCOUNT = "123456789012"


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def run_tests(tests, setup=None):
    """Runs functions in order, prints TAP, exits. setup() gives the first argument and has .close()."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    tests = [t for t in tests if wanted in t.__name__]
    print(f"1..{len(tests)}", flush=True)
    rig, failed, why = None, 0, None
    try:
        rig = setup() if setup else None
    except Exception as problem:
        why = problem
        traceback.print_exc(file=sys.stdout)
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_").replace("_", " ")
        started = time.monotonic()
        try:
            if why:
                raise RuntimeError(f"the setup failed: {why}")
            test(rig) if setup else test()
            print(f"ok {number} {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Skip as reason:
            print(f"ok {number} {name} # SKIP {reason}", flush=True)
        except BaseException as problem:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {number} {name}: {type(problem).__name__}", flush=True)
            if isinstance(problem, KeyboardInterrupt):
                break
    if rig is not None:
        if failed and hasattr(rig, "show_log"):
            rig.show_log()
        rig.close()
    sys.exit(1 if failed else 0)


def wait_until(what, condition, timeout_s=30, every_s=0.05):
    """A listener that does not answer yet is no failure, only not yet true."""
    deadline = time.monotonic() + timeout_s
    last = None
    while time.monotonic() < deadline:
        try:
            value = condition()
        except OSError as e:
            value, last = None, e
        if value:
            return value
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {timeout_s} s ({last})")


class Engine:
    """`hitless serve` in a folder of its own."""

    def __init__(self, *options, time_scale=1, runtime="process", state=None, env=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-e2e-"))
        self.state = state or self.folder / "state"
        self.log_path = self.folder / "engine.log"
        self.options = ["--time-scale", str(time_scale), "--runtime", runtime, *options]
        self.port = free_port()
        self.extra_env = env or {}
        self.process = None
        self.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        command = [str(HITLESS), "serve", "--state", str(self.state), "--api", f"127.0.0.1:{self.port}", *self.options]
        self.log = open(self.log_path, "a")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        env={**os.environ, **self.extra_env})
        line = self.process.stdout.readline()
        if "ready" not in line:
            self.process.wait(10)
            raise AssertionError(f"the engine did not become ready; it printed {line!r} and\n{self.log_path.read_text()[-4000:]}")
        text = (self.state / "credentials").read_text()
        self.key = re.search(r"aws_access_key_id\s*=\s*(\S+)", text)[1]
        self.secret = re.search(r"aws_secret_access_key\s*=\s*(\S+)", text)[1]
        return self

    @property
    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return {**env, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": self.key,
                "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION,
                "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent",
                "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "HITLESS_STATE": str(self.state)}

    def client(self, service, **options):
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise Skip("no boto3 here")
        config = Config(retries={"max_attempts": 1}, read_timeout=30)
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, aws_access_key_id=self.key,
                            aws_secret_access_key=self.secret, config=options.pop("config", config), **options)

    def aws(self, *words, check=True, timeout_s=300):
        """The stock CLI; gives what it printed, as JSON where it is JSON."""
        if shutil.which("aws") is None:
            raise Skip("no aws CLI here")
        done = subprocess.run(["aws", *self.cli_endpoint(), *words], env=self.env, capture_output=True, text=True,
                              timeout=timeout_s)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(words)}: exit {done.returncode}\n{done.stderr}")
        if not check:
            return done
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout.strip()

    def cli_endpoint(self):
        """CLIs older than the variable AWS_ENDPOINT_URL (Debian 12's) are given the option."""
        if not hasattr(Engine, "_knows_variable"):
            text = subprocess.run(["aws", "--version"], capture_output=True, text=True).stdout
            match = re.search(r"aws-cli/(\d+)\.(\d+)", text)
            version = (int(match[1]), int(match[2])) if match else (0, 0)
            Engine._knows_variable = version >= (2, 13) or (version[0] == 1 and version >= (1, 29))
        return [] if Engine._knows_variable else ["--endpoint-url", self.endpoint]

    def hitless(self, *words, cwd=None, timeout_s=120, check=False, env=None):
        done = subprocess.run([str(HITLESS), *words], env={**self.env, **(env or {})}, cwd=cwd, capture_output=True,
                              text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise AssertionError(f"hitless {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def role_pid(self, role):
        """The process of a role, found by its parent and its name."""
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int(re.search(r"^PPid:\s+(\d+)", (entry / "status").read_text(), re.M)[1])
            except (OSError, TypeError):
                continue
            if parent == self.process.pid and role.encode() in words:
                return int(entry.name)
        return None

    def kill_role(self, role):
        pid = self.role_pid(role)
        assert pid, f"no {role} process"
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, timeout_s=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the engine did not stop within {timeout_s} s")
        code = self.process.returncode
        if self.process.stdout:
            self.process.stdout.close()
        self.log.close()
        return code

    def show_log(self):
        print("# ---- the engine's log")
        for line in self.log_path.read_text(errors="replace").splitlines()[-60:]:
            print(f"# {line}")

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


Answer = collections.namedtuple("Answer", "status headers body")


def http_get(address, path="/", headers=None, host=None):
    """One request on a connection of its own. address: (host, port)."""
    import http.client
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request("GET", path, headers={**({"Host": host} if host else {}), **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
    finally:
        connection.close()


class Load:
    """`hitless load` beside a test: a constant rate, an account of every request."""

    def __init__(self, address, rate=1000, path="/", connections=32):
        self.file = tempfile.NamedTemporaryFile(prefix="hitless-load-", suffix=".tsv", delete=False)
        url = f"http://{address[0]}:{address[1]}{path}"
        self.process = subprocess.Popen([str(HITLESS), "load", url, "--rate", str(rate), "--connections",
                                         str(connections), "--log", self.file.name, "--json"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        """{"requests", "failed", "by_version", "by_status", ...} and the rows of the log."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode in (0, 4), f"hitless load: {self.process.returncode} {err}"
        self.rows = [line.split("\t") for line in open(self.file.name)]
        os.unlink(self.file.name)
        return json.loads(out.splitlines()[-1])


def shop_container(name="shop", port=8080, image=None, **env):
    return {"name": name, "image": image or f"dir://{SHOP_DIR}", "command": ["./shop"], "essential": True,
            "portMappings": [{"containerPort": port}],
            "environment": [{"name": k, "value": str(v)} for k, v in env.items()]}


class Shop:
    """A cluster, a load balancer with two target groups, and a service of the shop, made with boto3."""

    def __init__(self, engine, controller="ECS", name="shop", desired=2, version="v1", deregistration_s=5,
                 circuit_breaker=True, image=None):
        self.engine, self.name, self.controller, self.image = engine, name, controller, image
        self.ecs, self.elb = engine.client("ecs"), engine.client("elbv2")
        subnets = [s["SubnetId"] for s in engine.client("ec2").describe_subnets()["Subnets"]]
        self.cluster = self.ecs.create_cluster(clusterName=f"{name}-cluster")["cluster"]["clusterName"]
        lb = self.elb.create_load_balancer(Name=name, Subnets=subnets[:2])["LoadBalancers"][0]
        self.lb_arn, self.lb_dimension = lb["LoadBalancerArn"], lb["LoadBalancerArn"].split("loadbalancer/")[1]
        vpc = lb["VpcId"]
        self.groups = []
        for color in ("blue", "green"):
            group = self.elb.create_target_group(Name=f"{name}-{color}", Protocol="HTTP", Port=8080, VpcId=vpc,
                                                 TargetType="ip", HealthCheckPath="/health",
                                                 HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                                 HealthyThresholdCount=2, UnhealthyThresholdCount=2)
            arn = group["TargetGroups"][0]["TargetGroupArn"]
            self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
                {"Key": "deregistration_delay.timeout_seconds", "Value": str(deregistration_s)}])
            self.groups.append(arn)
        listener = self.elb.create_listener(LoadBalancerArn=self.lb_arn, Protocol="HTTP", Port=80, DefaultActions=[
            {"Type": "forward", "TargetGroupArn": self.groups[0]}])["Listeners"][0]
        self.listener_arn = listener["ListenerArn"]
        self.dns_name = lb["DNSName"]
        self.network = {"awsvpcConfiguration": {"subnets": subnets[:2], "assignPublicIp": "ENABLED"}}
        self.task_definition = self.register(VERSION=version)
        create = {"cluster": self.cluster, "serviceName": name, "taskDefinition": self.task_definition,
                  "desiredCount": desired, "launchType": "FARGATE", "networkConfiguration": self.network,
                  "deploymentController": {"type": controller}, "loadBalancers": [
                      {"targetGroupArn": self.groups[0], "containerName": "shop", "containerPort": 8080}]}
        if controller == "ECS":
            create["deploymentConfiguration"] = {"deploymentCircuitBreaker": {"enable": circuit_breaker,
                                                                              "rollback": circuit_breaker}}
        self.service_arn = self.ecs.create_service(**create)["service"]["serviceArn"]
        self.wait_stable()

    def register(self, **env):
        answer = self.ecs.register_task_definition(
            family=self.name, executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{**shop_container(image=self.image, **env), "logConfiguration": {
                "logDriver": "awslogs", "options": {"awslogs-group": f"/ecs/{self.name}", "awslogs-region": REGION,
                                                    "awslogs-stream-prefix": "ecs", "awslogs-create-group": "true"}}}])
        return answer["taskDefinition"]["taskDefinitionArn"]

    def service(self):
        return self.ecs.describe_services(cluster=self.cluster, services=[self.name])["services"][0]

    def wait_stable(self, timeout_s=60):
        def is_stable():
            service = self.service()
            if self.controller != "ECS":
                sets = service.get("taskSets", [])
                return sets and all(s["stabilityStatus"] == "STEADY_STATE" for s in sets) and \
                    service["runningCount"] == service["desiredCount"]
            return len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"] and \
                service["deployments"][0]["rolloutState"] != "IN_PROGRESS"
        wait_until(f"{self.name} is stable", is_stable, timeout_s)
        return self.service()

    @property
    def address(self):
        """Where the listener listens: the load balancer's own address."""
        try:
            return socket.gethostbyname(self.dns_name), 80
        except OSError:
            lb = self.elb.describe_load_balancers(LoadBalancerArns=[self.lb_arn])["LoadBalancers"][0]
            addresses = [a["IpAddress"] for z in lb["AvailabilityZones"] for a in z.get("LoadBalancerAddresses", [])]
            return (addresses[0] if addresses else self.dns_name), 80

    def get(self, path="/"):
        return http_get(self.address, path)


class Docker:
    """A Docker Engine for the tests: the machine's own where one answers, else one that is started here (as
    root, where docker.io is installed), with an image of the shop in it. Raises Skip where neither is to be had."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-docker-"))
        self.process = None
        if shutil.which("docker") is None:
            raise Skip("no docker command here")
        self.socket = "/var/run/docker.sock"
        if not self.answers():
            self.start()
        self.image = "hitless-e2e/shop:1"
        self.make_image()

    def run(self, *words, **options):
        return subprocess.run(["docker", "-H", f"unix://{self.socket}", *words], capture_output=True, **options)

    def answers(self):
        return os.path.exists(self.socket) and self.run("version").returncode == 0

    def start(self):
        if shutil.which("dockerd") is None or os.geteuid() != 0:
            raise Skip("no Docker Engine answers, and none can be started here")
        self.socket = str(self.folder / "docker.sock")
        log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(
            ["dockerd", "-H", f"unix://{self.socket}", "--data-root", str(self.folder / "data"), "--exec-root",
             str(self.folder / "exec"), "--pidfile", str(self.folder / "pid")], stdout=log, stderr=log)
        try:
            wait_until("dockerd answers", self.answers, 30, 0.2)
        except AssertionError:
            text = (self.folder / "log").read_text()[-300:]
            self.close()
            raise Skip(f"dockerd does not start here: {text}")

    def make_image(self):
        program = self.folder / "shop"
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-static", "-o", str(program),
                        str(ROOT / "examples/shop/shop.c")], check=True)
        tar = subprocess.run(["tar", "-C", str(self.folder), "-c", "shop"], capture_output=True, check=True).stdout
        done = self.run("import", "-", self.image, input=tar)
        assert done.returncode == 0, done.stderr

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
