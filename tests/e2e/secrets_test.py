#!/usr/bin/env python3
"""Parameter Store and Secrets Manager with the stock clients, and what tasks get of them."""
import hashlib, json, pathlib, re, time, uuid

from rig import ACCOUNT, REGION, Engine, run_tests, wait_until

# Values that must be nowhere in clear; each test adds its own.
VALUES = set()


def value(words="value"):
    made = f"{words}-{uuid.uuid4().hex}"
    VALUES.add(made)
    return made


class Bench:
    def __init__(self):
        self.engine = Engine()
        self.ssm = self.engine.client("ssm")
        self.sm = self.engine.client("secretsmanager")
        self.ecs = self.engine.client("ecs")
        self.ecs.create_cluster(clusterName="secrets")
        self.tools = self.engine.folder / "empty"
        self.tools.mkdir()
        (self.tools / "note").write_text("an image has a file")

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()

    def define(self, family, secrets, command):
        self.ecs.register_task_definition(family=family, containerDefinitions=[{
            "name": "main", "image": f"dir://{self.tools}", "essential": True, "memory": 64,
            "command": ["/bin/sh", "-c", command],
            "secrets": [{"name": k, "valueFrom": v} for k, v in secrets.items()]}])

    def run(self, family):
        """Runs one task to its end; gives what DescribeTasks says of it."""
        arn = self.ecs.run_task(cluster="secrets", taskDefinition=family)["tasks"][0]["taskArn"]

        def ended():
            task = self.ecs.describe_tasks(cluster="secrets", tasks=[arn])["tasks"][0]
            return task if task["lastStatus"] == "STOPPED" else None
        return wait_until(f"{family} ends", ended, 60)


def refused(call, code, words=""):
    from botocore.exceptions import ClientError
    try:
        call()
    except ClientError as problem:
        assert problem.response["Error"]["Code"] == code, problem
        assert words in problem.response["Error"]["Message"], problem
        for one in VALUES:
            assert one not in str(problem), "a value in an error"
        return
    raise AssertionError(f"not refused with {code}")


def test_the_aws_cli_puts_and_gets_parameters(b):  # aws-semantics.md 6.1, PutParameter, GetParameter
    first, second = value(), value()
    put = b.engine.aws("ssm", "put-parameter", "--name", "/shop/db/password", "--type", "SecureString", "--value", first)
    assert put == {"Version": 1, "Tier": "Standard"}, put
    refused(lambda: b.ssm.put_parameter(Name="/shop/db/password", Value=second), "ParameterAlreadyExists", "overwrite option")
    assert b.ssm.put_parameter(Name="/shop/db/password", Value=second, Overwrite=True)["Version"] == 2
    got = b.engine.aws("ssm", "get-parameter", "--name", "/shop/db/password", "--with-decryption")["Parameter"]
    assert got["Value"] == second and got["Version"] == 2 and got["Type"] == "SecureString", got
    assert got["ARN"] == f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/db/password" and got["DataType"] == "text", got
    assert b.ssm.get_parameter(Name="/shop/db/password")["Parameter"]["Value"] not in (first, second)  # ciphertext
    old = b.ssm.get_parameter(Name="/shop/db/password:1", WithDecryption=True)["Parameter"]
    assert old["Value"] == first and old["Selector"] == ":1", old
    assert b.ssm.get_parameter(Name=got["ARN"], WithDecryption=True)["Parameter"]["Value"] == second
    refused(lambda: b.ssm.get_parameter(Name="/shop/db/password:9"), "ParameterVersionNotFound")
    refused(lambda: b.ssm.get_parameter(Name="/shop/none"), "ParameterNotFound")
    history = b.ssm.get_parameter_history(Name="/shop/db/password", WithDecryption=True)["Parameters"]
    assert [(h["Version"], h["Value"]) for h in history] == [(1, first), (2, second)], "history"


def test_parameters_have_labels_paths_filters_and_tags(b):
    for number in range(12):
        b.ssm.put_parameter(Name=f"/many/p{number:02}", Value=str(number), Type="String", Tags=[{"Key": "n", "Value": str(number)}])
    b.ssm.put_parameter(Name="/many/below/one", Value="a,b", Type="StringList")
    page = b.ssm.get_parameters_by_path(Path="/many")
    assert len(page["Parameters"]) == 10 and page["NextToken"], page
    rest = b.ssm.get_parameters_by_path(Path="/many", NextToken=page["NextToken"])
    assert [p["Name"] for p in rest["Parameters"]] == ["/many/p10", "/many/p11"] and "NextToken" not in rest, rest
    pages = b.ssm.get_paginator("get_parameters_by_path").paginate(Path="/many/", Recursive=True)
    assert sum(len(p["Parameters"]) for p in pages) == 13
    b.ssm.put_parameter(Name="/many/p00", Value="new", Overwrite=True)
    assert b.ssm.label_parameter_version(Name="/many/p00", ParameterVersion=1, Labels=["prod", "aws-no"])["InvalidLabels"] == ["aws-no"]
    assert b.ssm.get_parameter(Name="/many/p00:prod")["Parameter"]["Value"] == "0"
    b.ssm.label_parameter_version(Name="/many/p00", Labels=["prod"])  # moves to the newest
    assert b.ssm.get_parameter(Name="/many/p00:prod")["Parameter"]["Value"] == "new"
    gone = b.ssm.unlabel_parameter_version(Name="/many/p00", ParameterVersion=2, Labels=["prod", "other"])
    assert gone["RemovedLabels"] == ["prod"] and gone["InvalidLabels"] == ["other"], gone
    refused(lambda: b.ssm.get_parameter(Name="/many/p00:prod"), "ParameterVersionNotFound")
    some = b.ssm.get_parameters(Names=["/many/p01", "/none", "/many/p02"])
    assert [p["Value"] for p in some["Parameters"]] == ["1", "2"] and some["InvalidParameters"] == ["/none"], some

    def described(key, values, **more):
        told = b.ssm.describe_parameters(ParameterFilters=[{"Key": key, "Values": values, **more}])["Parameters"]
        return [p["Name"] for p in told]
    assert described("Type", ["StringList"]) == ["/many/below/one"]
    assert described("Name", ["/many/p1"], Option="BeginsWith") == ["/many/p10", "/many/p11"]
    assert described("Path", ["/many/below"]) == ["/many/below/one"]
    assert described("tag:n", ["7"]) == ["/many/p07"]
    b.ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId="/many/p01", Tags=[{"Key": "team", "Value": "shop"}])
    b.ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId="/many/p01", TagKeys=["n"])
    assert b.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/many/p01")["TagList"] == [{"Key": "team", "Value": "shop"}]
    b.ssm.delete_parameter(Name="/many/p01")
    deleted = b.ssm.delete_parameters(Names=["/many/p01", "/many/p02"])
    assert deleted["DeletedParameters"] == ["/many/p02"] and deleted["InvalidParameters"] == ["/many/p01"], deleted


def test_what_parameters_are_refused(b):
    def put(**more):
        return lambda: b.ssm.put_parameter(**{"Name": "/bad", "Value": "x", "Type": "String", **more})
    refused(put(Name="aws-thing"), "ValidationException", "prefixed")
    refused(put(Name="a/b"), "ValidationException", "fully qualified")
    refused(put(Name="/a b"), "ValidationException", "sub-path")
    refused(put(Name="/" + "/".join("abcdefghijklmnop")), "HierarchyLevelLimitExceededException")
    refused(put(Value="x" * 4097), "ValidationException", "4096")
    refused(put(Value=value(), AllowedPattern="^[0-9]+$"), "ParameterPatternMismatchException", "allowedPattern")
    refused(put(AllowedPattern="("), "InvalidAllowedPatternException")
    refused(lambda: b.ssm.put_parameter(Name="/bad", Value="x"), "ValidationException", "type is required")
    assert put(Name="/long", Value="x" * 4097, Tier="Intelligent-Tiering")()["Tier"] == "Advanced"


def test_the_aws_cli_makes_reads_and_rotates_a_secret(b):  # aws-semantics.md 6.1, Secrets Manager
    first, second = value(), value()
    made = b.engine.aws("secretsmanager", "create-secret", "--name", "shop/db", "--secret-string", first, "--tags", "Key=team,Value=shop")
    assert re.fullmatch(rf"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:shop/db-[A-Za-z0-9]{{6}}", made["ARN"]), made
    got = b.engine.aws("secretsmanager", "get-secret-value", "--secret-id", "shop/db")
    assert got["SecretString"] == first and got["VersionStages"] == ["AWSCURRENT"] and got["VersionId"] == made["VersionId"], got
    refused(lambda: b.sm.create_secret(Name="shop/db", SecretString=first), "ResourceExistsException", "already exists")
    token = str(uuid.uuid4())
    for _ in range(2):  # the same token and value once more is fine
        assert b.sm.put_secret_value(SecretId=made["ARN"], SecretString=second, ClientRequestToken=token)["VersionId"] == token
    refused(lambda: b.sm.put_secret_value(SecretId="shop/db", SecretString=value(), ClientRequestToken=token), "ResourceExistsException", "already in use")
    assert b.sm.get_secret_value(SecretId=made["ARN"][:-7])["SecretString"] == second  # the ARN without its suffix
    assert b.sm.get_secret_value(SecretId="shop/db", VersionStage="AWSPREVIOUS")["SecretString"] == first
    assert b.sm.get_secret_value(SecretId="shop/db", VersionId=made["VersionId"])["SecretString"] == first
    stages = b.sm.describe_secret(SecretId="shop/db")["VersionIdsToStages"]
    assert stages == {token: ["AWSCURRENT"], made["VersionId"]: ["AWSPREVIOUS"]}, stages
    pending = b.sm.put_secret_value(SecretId="shop/db", SecretString=value(), VersionStages=["AWSPENDING"])["VersionId"]
    assert b.sm.get_secret_value(SecretId="shop/db")["VersionId"] == token
    refused(lambda: b.sm.update_secret_version_stage(SecretId="shop/db", VersionStage="AWSCURRENT", MoveToVersionId=pending),
            "InvalidParameterException", "RemoveFromVersionId can't be empty")
    b.sm.update_secret_version_stage(SecretId="shop/db", VersionStage="AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=token)
    stages = b.sm.describe_secret(SecretId="shop/db")["VersionIdsToStages"]
    assert sorted(stages[pending]) == ["AWSCURRENT", "AWSPENDING"] and stages[token] == ["AWSPREVIOUS"], stages
    ids = b.sm.list_secret_version_ids(SecretId="shop/db", IncludeDeprecated=True)["Versions"]
    assert {v["VersionId"] for v in ids} == {pending, token, made["VersionId"]}, ids
    refused(lambda: b.sm.get_secret_value(SecretId="shop/db", VersionStage="none"), "ResourceNotFoundException", "staging label: none")


def test_secrets_are_deleted_restored_listed_and_tagged(b):
    binary = bytes(range(256))
    b.sm.create_secret(Name="bin", SecretBinary=binary, Description="bytes")
    assert b.sm.get_secret_value(SecretId="bin")["SecretBinary"] == binary
    refused(lambda: b.sm.create_secret(Name="two", SecretBinary=b"x", SecretString="y"), "InvalidParameterException", "both")
    refused(lambda: b.sm.delete_secret(SecretId="bin", RecoveryWindowInDays=3), "InvalidParameterException", "between 7 and 30")
    due = b.sm.delete_secret(SecretId="bin")["DeletionDate"].timestamp()
    assert abs(due - time.time() - 30 * 86400) < 600, due
    refused(lambda: b.sm.get_secret_value(SecretId="bin"), "InvalidRequestException", "marked for deletion")
    refused(lambda: b.sm.create_secret(Name="bin"), "InvalidRequestException", "scheduled for deletion")
    assert "bin" not in [s["Name"] for s in b.sm.list_secrets()["SecretList"]]
    assert "bin" in [s["Name"] for s in b.sm.list_secrets(IncludePlannedDeletion=True)["SecretList"]]
    b.sm.restore_secret(SecretId="bin")
    batch = b.sm.batch_get_secret_value(SecretIdList=["bin", "none"])
    assert batch["SecretValues"][0]["SecretBinary"] == binary and batch["Errors"][0]["ErrorCode"] == "ResourceNotFoundException", batch["Errors"]
    b.sm.tag_resource(SecretId="bin", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    b.sm.untag_resource(SecretId="bin", TagKeys=["a"])
    listed = b.sm.list_secrets(Filters=[{"Key": "tag-key", "Values": ["b"]}])["SecretList"]
    assert [s["Name"] for s in listed] == ["bin"] and listed[0]["Tags"] == [{"Key": "b", "Value": "2"}], listed
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    b.sm.put_resource_policy(SecretId="bin", ResourcePolicy=policy)
    assert b.sm.get_resource_policy(SecretId="bin")["ResourcePolicy"] == policy
    refused(lambda: b.sm.put_resource_policy(SecretId="bin", ResourcePolicy="{"), "MalformedPolicyDocumentException")
    b.sm.delete_resource_policy(SecretId="bin")
    assert "ResourcePolicy" not in b.sm.get_resource_policy(SecretId="bin")
    b.sm.delete_secret(SecretId="bin", ForceDeleteWithoutRecovery=True)
    refused(lambda: b.sm.describe_secret(SecretId="bin"), "ResourceNotFoundException", "can't find the specified secret")
    word = b.sm.get_random_password(PasswordLength=40, ExcludePunctuation=True)["RandomPassword"]
    assert re.fullmatch(r"[A-Za-z0-9]{40}", word) and re.search(r"\d", word)


def digest(*parts):
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def test_a_task_gets_its_secrets_and_a_new_one_the_rotated(b):
    parameter, secret, user, rotated = value("parameter"), value("secret"), value("user"), value("rotated")
    b.ssm.put_parameter(Name="/task/one", Value=parameter, Type="SecureString")
    arn = b.sm.create_secret(Name="task/json", SecretString=json.dumps({"password": secret, "user": user}))["ARN"]
    out = b.engine.folder / "digest"
    b.define("digest", {"ONE": "/task/one", "BY_ARN": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/task/one",
                        "PASSWORD": f"{arn}:password::", "USER_NAME": f"{arn}:user:AWSCURRENT:"},
             f'printf %s "$ONE$BY_ARN$PASSWORD$USER_NAME" | sha256sum > {out}')
    task = b.run("digest")
    assert task["containers"][0].get("exitCode") == 0, task
    assert out.read_text().split()[0] == digest(parameter, parameter, secret, user)
    b.sm.put_secret_value(SecretId=arn, SecretString=json.dumps({"password": rotated, "user": user}))
    b.ssm.put_parameter(Name="/task/one", Value=secret, Overwrite=True)
    b.run("digest")
    assert out.read_text().split()[0] == digest(secret, secret, rotated, user)


def test_a_task_whose_secret_cannot_be_read_does_not_start(b):
    b.define("missing", {"ONE": "/task/none"}, "true")
    task = b.run("missing")
    assert task["stopCode"] == "TaskFailedToStart", task
    assert task["stoppedReason"].startswith("ResourceInitializationError: unable to pull secrets or registry auth: execution "
                                            "resource retrieval failed: unable to retrieve secrets from ssm"), task["stoppedReason"]
    assert "invalid ssm parameters: /task/none" in task["stoppedReason"], task["stoppedReason"]
    arn = b.sm.create_secret(Name="task/plain", SecretString=value())["ARN"]
    b.define("no-key", {"ONE": f"{arn}:password::"}, "true")
    task = b.run("no-key")
    assert "unable to retrieve secret from asm" in task["stoppedReason"], task["stoppedReason"]
    assert "did not contain json key password" in task["stoppedReason"], task["stoppedReason"]


def answers(call):
    try:
        return bool(call())
    except Exception:
        return False


def test_no_value_is_anywhere_in_clear(b):
    """While a task that has a secret runs, and over a kill of the control process."""
    secret, control = value("running"), f"control-{uuid.uuid4().hex}"
    b.ssm.put_parameter(Name="/task/long", Value=secret, Type="String", Description=control)
    for number in range(500):
        b.ssm.put_parameter(Name=f"/known/{number}", Value=value(), Type=("String", "SecureString")[number % 2])
        b.sm.create_secret(Name=f"known/{number}", SecretString=json.dumps({"password": value()}))
    b.define("long", {"ONE": "/task/long"}, "sleep 300")
    arn = b.ecs.run_task(cluster="secrets", taskDefinition="long")["tasks"][0]["taskArn"]

    def status():
        return b.ecs.describe_tasks(cluster="secrets", tasks=[arn])["tasks"][0]["lastStatus"]
    wait_until("it runs", lambda: status() == "RUNNING", 60)
    b.engine.kill_role("control")
    wait_until("control is back", lambda: answers(status), 60)
    assert status() == "RUNNING"
    assert len(VALUES) > 1000
    seen = set()
    files = [p for p in b.engine.state.rglob("*") if p.is_file()] + [b.engine.log_path]
    for path in files + [p / "cmdline" for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()]:
        try:
            words = {w.decode() for w in re.findall(rb"[a-z]+-[0-9a-f]{32}", path.read_bytes())}
        except OSError:
            continue
        assert not words & VALUES, f"a value lies in clear in {path}"
        seen |= words
    assert control in seen  # the search does find what is there in clear
    b.ecs.stop_task(cluster="secrets", task=arn)
    wait_until("it ends", lambda: status() == "STOPPED", 60)


def test_values_are_there_after_a_restart(b):
    secret = value("kept")
    b.sm.create_secret(Name="kept", SecretString=secret)
    b.engine.stop()
    b.engine.start()
    assert b.sm.get_secret_value(SecretId="kept")["SecretString"] == secret


if __name__ == "__main__":
    run_tests([v for k, v in list(globals().items()) if k.startswith("test_")], Bench)
