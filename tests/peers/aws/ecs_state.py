"""What boto3 sees of an ECS cluster, as JSON.

usage: ecs_state.py ENDPOINT KEY_ID SECRET CLUSTER [run-task FAMILY]
"""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, KEY, SECRET, CLUSTER = sys.argv[1:5]


def client(name):
    config = Config(retries={"total_max_attempts": 5}, connect_timeout=5, read_timeout=30)
    return boto3.client(name, endpoint_url=ENDPOINT, region_name="eu-west-1", aws_access_key_id=KEY,
                        aws_secret_access_key=SECRET, config=config)


def tail(arn):
    return arn.rsplit("/", 1)[-1]


ecs = client("ecs")
if sys.argv[5:6] == ["run-task"]:
    started = ecs.run_task(cluster=CLUSTER, taskDefinition=sys.argv[6], launchType="EC2", startedBy="ecs_state.py")
    assert not started["failures"], started
    print(json.dumps({"task": tail(started["tasks"][0]["taskArn"])}))
    sys.exit()

services = {}
names = [a for p in ecs.get_paginator("list_services").paginate(cluster=CLUSTER) for a in p["serviceArns"]]
for s in ecs.describe_services(cluster=CLUSTER, services=names)["services"] if names else []:
    name = s["serviceName"]
    described = ecs.describe_task_definition(taskDefinition=s["taskDefinition"], include=["TAGS"])
    definition = described["taskDefinition"]
    # Whatever a revision has of its own.
    for key in ("taskDefinitionArn", "revision", "registeredAt", "registeredBy"):
        definition.pop(key, None)
    services[name] = {
        "desired": s["desiredCount"], "running": s["runningCount"], "definition": tail(s["taskDefinition"]),
        "described": definition, "tags": described.get("tags", []),
        "deployments": [{"id": d["id"], "status": d["status"], "rollout": d.get("rolloutState"),
                         "running": d["runningCount"], "definition": tail(d["taskDefinition"])}
                        for d in s["deployments"]],
    }
    try:
        rollouts = ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"]
        arns = [r["serviceDeploymentArn"] for r in rollouts]
        full = ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
        assert [r["status"] for r in full] == [r["status"] for r in rollouts], (full, rollouts)
        services[name]["rollouts"] = [r["status"] for r in rollouts]
        services[name]["rollbacks"] = [r["rollback"]["reason"] for r in full if "rollback" in r]
    except ClientError as error:
        # moto has none of this.
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error

arns = ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
rows = ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"] if arns else []
machines = {i["containerInstanceArn"]: i["ec2InstanceId"] for i in rows}
tasks = {}
for wanted in ("RUNNING", "STOPPED"):
    found = ecs.list_tasks(cluster=CLUSTER, desiredStatus=wanted)["taskArns"]
    for t in ecs.describe_tasks(cluster=CLUSTER, tasks=found)["tasks"] if found else []:
        tasks[tail(t["taskArn"])] = {
            "group": t.get("group"), "status": t["lastStatus"], "desired": t["desiredStatus"],
            "definition": tail(t["taskDefinitionArn"]), "code": t.get("stopCode"), "reason": t.get("stoppedReason"),
            "on": machines.get(t.get("containerInstanceArn")), "images": [c.get("image") for c in t["containers"]],
        }
targets = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
print(json.dumps({
    "services": services, "tasks": tasks,
    "instances": {i["ec2InstanceId"]: i["status"] for i in rows},
    "scaled": {tail(t["ResourceId"]): [t["MinCapacity"], t["MaxCapacity"]] for t in targets},
}))
