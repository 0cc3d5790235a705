#!/usr/bin/env python3
"""The stock Terraform provider builds, reads, changes and destroys what the articles describe.

Needs `terraform` and a folder with the AWS provider: HITLESS_TF_MIRROR, or one of the folders that Terraform looks
into by itself. The provider waits 60 s of its own for every load balancer."""
import json, os, pathlib, shutil, subprocess, sys, tempfile

import rig
from pki import Authority
from rig import ACCOUNT, REGION, SHOP_DIR, Engine, Skip

PROVIDER = "registry.terraform.io/hashicorp/aws"
MIRRORS = ("~/.terraform.d/plugins", "~/.local/share/terraform/plugins", "/usr/local/share/terraform/plugins",
           "/usr/share/terraform/plugins")
SERVICES = ("acm", "cloudwatch", "codedeploy", "ec2", "ecs", "elbv2", "logs", "sts")

PLAN = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
variable "app_version" { default = "v1" }
variable "path" { default = "/shop/*" }
variable "threshold" { default = 5 }
variable "wait_minutes" { default = 5 }
variable "edition" { default = "first" }

provider "aws" {
  region     = "@REGION@"
  access_key = "@KEY@"
  secret_key = "@SECRET@"
  endpoints { @ENDPOINTS@ }
  default_tags { tags = { Project = "shop" } }
}

data "aws_caller_identity" "me" {}
data "aws_vpc" "default" { default = true }
data "aws_availability_zones" "all" { state = "available" }
data "aws_subnets" "all" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_security_group" "default" {
  vpc_id = data.aws_vpc.default.id
  name   = "default"
}
locals { role = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:role/deploy" }

resource "aws_cloudwatch_log_group" "shop" {
  name              = "/ecs/shop"
  retention_in_days = 14
}

resource "aws_ecs_cluster" "shop" {
  name = "shop"
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "shop" {
  cluster_name       = aws_ecs_cluster.shop.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
    base              = 1
  }
}

resource "aws_lb" "shop" {
  name               = "shop"
  load_balancer_type = "application"
  security_groups    = [data.aws_security_group.default.id]
  subnets            = slice(sort(data.aws_subnets.all.ids), 0, 2)
  idle_timeout       = 30
}

resource "aws_lb_target_group" "shop" {
  for_each             = toset(["blue", "green", "rolling"])
  name                 = "shop-${each.key}"
  port                 = 8080
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = data.aws_vpc.default.id
  deregistration_delay = 30
  health_check {
    path                = "/health"
    healthy_threshold   = 2
    unhealthy_threshold = 3
    interval            = 10
    timeout             = 5
    matcher             = "200-299"
  }
  stickiness {
    type    = "lb_cookie"
    enabled = false
  }
}

resource "aws_lb_listener" "prod" {
  load_balancer_arn = aws_lb.shop.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop["blue"].arn
  }
  lifecycle { ignore_changes = [default_action] }
}

resource "aws_lb_listener" "test" {
  load_balancer_arn = aws_lb.shop.arn
  port              = 8081
  protocol          = "HTTP"
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "nothing here"
      status_code  = "404"
    }
  }
}

resource "aws_acm_certificate" "shop" {
  certificate_body  = file("certs/${var.edition}.pem")
  private_key       = file("certs/${var.edition}.key")
  certificate_chain = file("certs/root.pem")
}

resource "aws_acm_certificate" "more" {
  domain_name               = "more.example.com"
  subject_alternative_names = ["www.more.example.com"]
  validation_method         = "DNS"
  tags                      = { "hitless.issuer" = "local" }
}

resource "aws_acm_certificate_validation" "more" {
  certificate_arn         = aws_acm_certificate.more.arn
  validation_record_fqdns = [for v in aws_acm_certificate.more.domain_validation_options : v.resource_record_name]
}

resource "aws_lb_trust_store" "people" {
  name                             = "people"
  ca_certificates_bundle_s3_bucket = "trust"
  ca_certificates_bundle_s3_key    = "people.pem"
}

resource "aws_lb_trust_store_revocation" "people" {
  trust_store_arn       = aws_lb_trust_store.people.arn
  revocations_s3_bucket = "trust"
  revocations_s3_key    = "gone.pem"
}

resource "aws_lb_listener" "secure" {
  load_balancer_arn = aws_lb.shop.arn
  port              = 8443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate.shop.arn
  mutual_authentication {
    mode            = "verify"
    trust_store_arn = aws_lb_trust_store.people.arn
  }
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "hello"
      status_code  = "200"
    }
  }
}

resource "aws_lb_listener_certificate" "more" {
  listener_arn    = aws_lb_listener.secure.arn
  certificate_arn = aws_acm_certificate_validation.more.certificate_arn
}

resource "aws_lb_listener_rule" "rolling" {
  listener_arn = aws_lb_listener.prod.arn
  priority     = 10
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.shop["rolling"].arn
        weight = 100
      }
      target_group {
        arn    = aws_lb_target_group.shop["green"].arn
        weight = 0
      }
      stickiness {
        enabled  = true
        duration = 600
      }
    }
  }
  condition {
    path_pattern { values = [var.path] }
  }
  condition {
    source_ip { values = ["127.0.0.0/8", "10.0.0.0/8"] }
  }
  condition {
    http_header {
      http_header_name = "X-Canary"
      values           = ["yes*"]
    }
  }
}

resource "aws_lb_listener_rule" "old" {
  listener_arn = aws_lb_listener.prod.arn
  priority     = 20
  action {
    type = "redirect"
    redirect {
      path        = "/new"
      status_code = "HTTP_301"
    }
  }
  condition {
    host_header { values = ["old.example.com"] }
  }
  condition {
    query_string {
      key   = "v"
      value = "1"
    }
  }
}

resource "aws_ecs_task_definition" "shop" {
  family                   = "shop"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = local.role
  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }
  container_definitions = jsonencode([{
    name         = "shop"
    image        = "dir://@SHOP@"
    command      = ["./shop"]
    essential    = true
    portMappings = [{ containerPort = 8080, protocol = "tcp" }]
    environment  = [{ name = "VERSION", value = var.app_version }, { name = "A", value = "1" }]
    healthCheck  = { command = ["CMD-SHELL", "true"], interval = 5, timeout = 2, retries = 3 }
    logConfiguration = {
      logDriver = "awslogs"
      options   = { "awslogs-group" = aws_cloudwatch_log_group.shop.name, "awslogs-region" = "@REGION@",
                    "awslogs-stream-prefix" = "ecs" }
    }
  }])
}

resource "aws_ecs_service" "rolling" {
  name                               = "rolling"
  cluster                            = aws_ecs_cluster.shop.id
  task_definition                    = aws_ecs_task_definition.shop.arn
  desired_count                      = 2
  launch_type                        = "FARGATE"
  wait_for_steady_state              = true
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60
  enable_execute_command             = true
  propagate_tags                     = "SERVICE"
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets          = slice(sort(data.aws_subnets.all.ids), 0, 2)
    security_groups  = [data.aws_security_group.default.id]
    assign_public_ip = true
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.shop["rolling"].arn
    container_name   = "shop"
    container_port   = 8080
  }
  depends_on = [aws_lb_listener_rule.rolling]
}

resource "aws_ecs_service" "bluegreen" {
  name            = "bluegreen"
  cluster         = aws_ecs_cluster.shop.id
  task_definition = aws_ecs_task_definition.shop.arn
  desired_count   = 1
  launch_type     = "FARGATE"
  deployment_controller { type = "CODE_DEPLOY" }
  network_configuration {
    subnets          = slice(sort(data.aws_subnets.all.ids), 0, 2)
    security_groups  = [data.aws_security_group.default.id]
    assign_public_ip = true
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.shop["blue"].arn
    container_name   = "shop"
    container_port   = 8080
  }
  lifecycle { ignore_changes = [task_definition, load_balancer] }
  depends_on = [aws_lb_listener.prod]
}

resource "aws_codedeploy_app" "shop" {
  name             = "shop"
  compute_platform = "ECS"
}

resource "aws_codedeploy_deployment_config" "slow" {
  deployment_config_name = "Shop.Canary20Percent3Minutes"
  compute_platform       = "ECS"
  traffic_routing_config {
    type = "TimeBasedCanary"
    time_based_canary {
      interval   = 3
      percentage = 20
    }
  }
}

resource "aws_codedeploy_deployment_group" "shop" {
  app_name               = aws_codedeploy_app.shop.name
  deployment_group_name  = "shop"
  service_role_arn       = local.role
  deployment_config_name = aws_codedeploy_deployment_config.slow.id
  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
  }
  alarm_configuration {
    enabled = true
    alarms  = [aws_cloudwatch_metric_alarm.errors.alarm_name]
  }
  blue_green_deployment_config {
    deployment_ready_option { action_on_timeout = "CONTINUE_DEPLOYMENT" }
    terminate_blue_instances_on_deployment_success {
      action                           = "TERMINATE"
      termination_wait_time_in_minutes = var.wait_minutes
    }
  }
  deployment_style {
    deployment_option = "WITH_TRAFFIC_CONTROL"
    deployment_type   = "BLUE_GREEN"
  }
  ecs_service {
    cluster_name = aws_ecs_cluster.shop.name
    service_name = aws_ecs_service.bluegreen.name
  }
  load_balancer_info {
    target_group_pair_info {
      prod_traffic_route { listener_arns = [aws_lb_listener.prod.arn] }
      test_traffic_route { listener_arns = [aws_lb_listener.test.arn] }
      target_group { name = aws_lb_target_group.shop["blue"].name }
      target_group { name = aws_lb_target_group.shop["green"].name }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "shop-error-rate"
  alarm_description   = "too many errors"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  threshold           = var.threshold
  treat_missing_data  = "notBreaching"
  metric_query {
    id          = "rate"
    expression  = "(errors / requests) * 100"
    label       = "error rate"
    return_data = true
  }
  metric_query {
    id = "errors"
    metric {
      metric_name = "HTTPCode_Target_5XX_Count"
      namespace   = "AWS/ApplicationELB"
      period      = 60
      stat        = "Sum"
      dimensions  = { LoadBalancer = aws_lb.shop.arn_suffix }
    }
  }
  metric_query {
    id = "requests"
    metric {
      metric_name = "RequestCount"
      namespace   = "AWS/ApplicationELB"
      period      = 60
      stat        = "Sum"
      dimensions  = { LoadBalancer = aws_lb.shop.arn_suffix }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  alarm_name          = "shop-latency"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  evaluation_periods  = 3
  threshold           = 0.5
  metric_name         = "TargetResponseTime"
  namespace           = "AWS/ApplicationELB"
  period              = 60
  extended_statistic  = "p99"
  dimensions = {
    LoadBalancer = aws_lb.shop.arn_suffix
    TargetGroup  = aws_lb_target_group.shop["rolling"].arn_suffix
  }
  alarm_actions = ["arn:aws:sns:@REGION@:${data.aws_caller_identity.me.account_id}:people"]
}

resource "aws_cloudwatch_composite_alarm" "any" {
  alarm_name = "shop-any"
  alarm_rule = "ALARM(\\"${aws_cloudwatch_metric_alarm.errors.alarm_name}\\") OR ALARM(\\"${aws_cloudwatch_metric_alarm.latency.alarm_name}\\")"
}

resource "aws_cloudwatch_dashboard" "shop" {
  dashboard_name = "shop"
  dashboard_body = jsonencode({ widgets = [{ type = "metric", x = 0, y = 0, width = 12, height = 6, properties = {
    metrics = [["AWS/ApplicationELB", "RequestCount", "LoadBalancer", aws_lb.shop.arn_suffix]]
    region  = "@REGION@", stat = "Sum", period = 60 } }] })
}

output "arn" { value = aws_ecs_service.rolling.id }
output "zones" { value = length(data.aws_availability_zones.all.names) }
"""


def find_mirror():
    for folder in [os.environ.get("HITLESS_TF_MIRROR", ""), *MIRRORS]:
        path = pathlib.Path(folder).expanduser()
        if folder and (path / PROVIDER).is_dir():
            return path
    raise Skip("no folder with Terraform's AWS provider: set HITLESS_TF_MIRROR")


class Plan:
    """A folder with a plan, and terraform in it."""

    def __init__(self):
        self.engine = None
        self.is_applied = False
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-tf-"))

    def open(self):
        if shutil.which("terraform") is None:
            raise Skip("no terraform here")
        mirror = find_mirror()
        self.engine = Engine(time_scale=60)
        (self.folder / "rc").write_text('provider_installation {\n  filesystem_mirror { path = "%s" }\n}\n' % mirror)
        endpoints = "\n".join(f'{s} = "{self.engine.endpoint}"' for s in SERVICES)
        text = PLAN
        for name, value in (("REGION", REGION), ("KEY", self.engine.key), ("SECRET", self.engine.secret),
                            ("SHOP", str(SHOP_DIR)), ("ENDPOINTS", f"\n{endpoints}\n")):
            text = text.replace(f"@{name}@", value)
        (self.folder / "main.tf").write_text(text)
        self.make_certificates()
        self.run("init", "-no-color", "-input=false")

    def make_certificates(self):
        root = Authority(self.folder / "pki")
        certs, bucket = self.folder / "certs", self.engine.state / "s3" / "trust"
        certs.mkdir()
        bucket.mkdir(parents=True)
        shutil.copy(root.path, certs / "root.pem")
        shutil.copy(root.path, bucket / "people.pem")
        (bucket / "gone.pem").write_text(root.revoke(2))
        for edition in ("first", "second"):
            for path, end in zip(root.issue("shop.example.com"), (".pem", ".key")):
                shutil.copy(path, certs / (edition + end))

    def run(self, *words, codes=(0,)):
        env = {**self.engine.env, "TF_CLI_CONFIG_FILE": str(self.folder / "rc"), "CHECKPOINT_DISABLE": "1",
               "TF_IN_AUTOMATION": "1"}
        done = subprocess.run(["terraform", *words], cwd=self.folder, env=env, capture_output=True, text=True,
                              timeout=200, stdin=subprocess.DEVNULL)
        if done.returncode not in codes:
            raise AssertionError(f"terraform {words[0]}: exit {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
        return done

    def apply(self, **variables):
        self.run("apply", "-no-color", "-input=false", "-auto-approve", *options(variables))

    def expect_no_changes(self, **variables):
        done = self.run("plan", "-no-color", "-input=false", "-detailed-exitcode", *options(variables), codes=(0, 2))
        assert done.returncode == 0, f"the plan is not empty:\n{done.stdout}"

    def show_log(self):
        if self.engine:
            self.engine.show_log()

    def close(self):
        try:
            if self.engine:
                self.engine.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def options(variables):
    return [f"-var={name}={value}" for name, value in variables.items()]


CHANGED = {"edition": "second", "app_version": "v2", "path": "/store/*", "threshold": 7, "wait_minutes": 10}


def ready(plan):
    if not plan.is_applied:
        raise Skip("the plan was not applied")


def test_apply_makes_everything_and_waits_for_the_service(plan):
    plan.open()
    plan.apply()
    plan.is_applied = True
    outputs = json.loads(plan.run("output", "-json").stdout)
    assert outputs["arn"]["value"] == f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/rolling", outputs
    service = plan.engine.client("ecs").describe_services(cluster="shop", services=["rolling"])["services"][0]
    assert service["runningCount"] == 2 and len(service["deployments"]) == 1, service


def test_the_second_plan_is_empty(plan):
    ready(plan)
    plan.expect_no_changes()


def test_a_change_is_rolled_out(plan):
    ready(plan)
    plan.apply(**CHANGED)
    service = plan.engine.client("ecs").describe_services(cluster="shop", services=["rolling"])["services"][0]
    assert service["taskDefinition"].endswith("/shop:2"), service["taskDefinition"]
    group = plan.engine.client("codedeploy").get_deployment_group(applicationName="shop", deploymentGroupName="shop")
    blue = group["deploymentGroupInfo"]["blueGreenDeploymentConfiguration"]
    assert blue["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"] == 10, blue


def test_the_plan_after_the_change_is_empty(plan):
    ready(plan)
    plan.expect_no_changes(**CHANGED)


def test_destroy_leaves_nothing_behind(plan):
    ready(plan)
    plan.run("destroy", "-no-color", "-input=false", "-auto-approve", *options(CHANGED))
    engine = plan.engine
    assert engine.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert engine.client("elbv2").describe_target_groups()["TargetGroups"] == []
    assert engine.client("ecs").list_clusters()["clusterArns"] == []
    assert engine.client("codedeploy").list_applications()["applications"] == []
    alarms = engine.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert alarms["MetricAlarms"] == [] and alarms["CompositeAlarms"] == []
    assert engine.client("logs").describe_log_groups()["logGroups"] == []
    every_key = {"keyTypes": ["RSA_2048", "EC_prime256v1"]}
    assert engine.client("acm").list_certificates(Includes=every_key)["CertificateSummaryList"] == []
    assert engine.client("elbv2").describe_trust_stores()["TrustStores"] == []


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    rig.run_tests([value for name, value in list(globals().items()) if name.startswith("test_")], Plan)
