"""Fills a moto server with what actions are tried on: two instances, one service of four tasks, a standalone task.

usage: populate_moto_actions.py ENDPOINT      (prints what is where, as JSON)
"""
import json
import sys

import boto3
import fresh_moto

ENDPOINT = sys.argv[1]
KW = fresh_moto.keys(ENDPOINT)
fresh_moto.reset(ENDPOINT)

ecs, ec2 = boto3.client("ecs", **KW), boto3.client("ec2", **KW)
ecs.create_cluster(clusterName="shop")
for n in (1, 2):
    ecs.register_task_definition(family="web", cpu="64", memory="64", containerDefinitions=[
        {"name": "app", "image": f"registry.example/web:{n}", "essential": True, "cpu": 64, "memory": 64}])
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
arns = []
for _ in range(2):
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")["Instances"][0]
    document = {"instanceId": instance["InstanceId"], "region": "eu-west-1", "accountId": "123456789012"}
    arns.append(ecs.register_container_instance(
        cluster="shop", instanceIdentityDocument=json.dumps(document),
        instanceIdentityDocumentSignature="x")["containerInstance"]["containerInstanceArn"])
ecs.create_service(cluster="shop", serviceName="web", taskDefinition="web:2", desiredCount=2, launchType="EC2")
boto3.client("application-autoscaling", **KW).register_scalable_target(
    ServiceNamespace="ecs", ResourceId="service/shop/web", ScalableDimension="ecs:service:DesiredCount",
    MinCapacity=1, MaxCapacity=8)
# moto starts no tasks for services, but lets anybody say that a task is a service's.
place = {"cluster": "shop", "taskDefinition": "web:2", "containerInstances": arns[:1]}
for _ in range(3):
    ecs.start_task(group="service:web", **place)
alone = ecs.start_task(**place)["tasks"][0]["taskArn"]
print(json.dumps({"alone": alone.rsplit("/", 1)[-1], "instance": arns[0]}))
