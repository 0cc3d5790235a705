#!/usr/bin/env python3
"""kill -9 of the control process in the middle of a canary: traffic goes on, and so does the deployment."""
import time

import rig
from deployments_test import canary_group, lost, start_canary, wait_ended
from rig import Engine, Load, Shop, wait_until


class Setup:
    def __init__(self):
        self.engine = Engine(time_scale=60)
        self.shop = Shop(self.engine, controller="CODE_DEPLOY", name="kill", desired=2, deregistration_s=10)
        self.deploy, self.cloudwatch = canary_group(self.engine, self.shop)

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def weights(setup):
    action = setup.shop.elb.describe_listeners(ListenerArns=[setup.shop.listener_arn])["Listeners"][0]["DefaultActions"][0]
    return sorted(g["Weight"] for g in action["ForwardConfig"]["TargetGroups"])


def api_answers(setup):
    try:
        return bool(setup.shop.service())
    except Exception:
        return False


def test_control_dies_in_a_canary_and_not_one_request_fails(setup):
    load = Load(setup.shop.address, rate=1000)
    for kill in range(3):
        deployment = start_canary(setup.deploy, setup.shop.register(VERSION=f"v{kill + 2}"))
        wait_until("10 percent", lambda: weights(setup) == [10, 90], 30)
        old = setup.engine.kill_role("control")
        wait_until("another control", lambda: setup.engine.role_pid("control") not in (None, old), 10)
        wait_until("the API answers again", lambda: api_answers(setup), 20)
        info = wait_ended(setup.deploy, deployment)
        assert info["status"] == "Succeeded", info
        assert f'"version":"v{kill + 2}"' in setup.shop.get().body
    account = load.stop()
    missing = lost(account, load.rows, set())
    print(f"# {account['requests']} requests, {len(missing)} lost, {account['by_version']}")
    assert not missing, missing[:5]


def test_a_bad_canary_is_taken_back_although_control_died(setup):
    deployment = start_canary(setup.deploy, setup.shop.register(VERSION="bad", FAIL_EVERY=2))
    load = Load(setup.shop.address, rate=500)
    wait_until("10 percent", lambda: weights(setup) == [10, 90], 30)
    setup.engine.kill_role("control")
    wait_until("the API answers again", lambda: api_answers(setup), 20)
    info = wait_ended(setup.deploy, deployment)
    assert info["status"] == "Stopped", info
    wait_ended(setup.deploy, info["rollbackInfo"]["rollbackDeploymentId"])
    account = load.stop()
    assert not lost(account, load.rows, {"bad"}), account
    assert '"version":"v4"' in setup.shop.get().body


def test_the_data_plane_dies_and_is_back_at_once(setup):
    old = setup.engine.kill_role("lb")
    wait_until("another lb", lambda: setup.engine.role_pid("lb") not in (None, old), 10)

    def serves():
        try:
            return setup.shop.get().status == 200
        except OSError:
            return False
    started = time.monotonic()
    wait_until("it serves again", serves, 10)
    print(f"# served again after {time.monotonic() - started:.2f} s")


if __name__ == "__main__":
    rig.run_tests([test_control_dies_in_a_canary_and_not_one_request_fails,
                   test_a_bad_canary_is_taken_back_although_control_died,
                   test_the_data_plane_dies_and_is_back_at_once], Setup)
