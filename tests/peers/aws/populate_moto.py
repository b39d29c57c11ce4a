"""Fills a moto server with an ECS cluster: 2 instances, 120 services, 250 tasks, metrics, logs.

usage: populate_moto.py ENDPOINT
"""
import datetime
import json
import sys
import time

import boto3
import fresh_moto

ENDPOINT = sys.argv[1]
SERVICES, TASKS = 120, 250
KW = fresh_moto.keys(ENDPOINT)
fresh_moto.reset(ENDPOINT)

ecs, ec2 = boto3.client("ecs", **KW), boto3.client("ec2", **KW)
logs, cloudwatch = boto3.client("logs", **KW), boto3.client("cloudwatch", **KW)
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
group = ec2.create_security_group(GroupName="shop", Description="shop", VpcId=vpc)["GroupId"]
ecs.create_cluster(clusterName="shop")
definition = ecs.register_task_definition(
    family="web", requiresCompatibilities=["FARGATE"], cpu="256", memory="512", networkMode="awsvpc",
    containerDefinitions=[{
        "name": "app", "image": "registry.example/web:1", "essential": True, "cpu": 256, "memory": 512,
        "logConfiguration": {"logDriver": "awslogs", "options": {
            "awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"}}}],
)["taskDefinition"]["taskDefinitionArn"]
network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
for _ in range(2):
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")["Instances"][0]
    document = {"instanceId": instance["InstanceId"], "region": "eu-west-1", "accountId": "123456789012"}
    ecs.register_container_instance(
        cluster="shop", instanceIdentityDocument=json.dumps(document), instanceIdentityDocumentSignature="x")
for n in range(SERVICES):
    ecs.create_service(cluster="shop", serviceName=f"svc-{n:03}", taskDefinition=definition, desiredCount=2,
                       launchType="FARGATE", networkConfiguration=network)
arns = []
for n in range(0, TASKS, 10):
    started = ecs.run_task(cluster="shop", taskDefinition=definition, count=10, launchType="FARGATE",
                           group=f"service:svc-{n // 10:03}", networkConfiguration=network)
    arns += [t["taskArn"] for t in started["tasks"]]
logs.create_log_group(logGroupName="/ecs/web")
stream = "web/app/" + arns[0].rsplit("/", 1)[-1]
logs.create_log_stream(logGroupName="/ecs/web", logStreamName=stream)
now = int(time.time() * 1000)
logs.put_log_events(logGroupName="/ecs/web", logStreamName=stream, logEvents=[
    {"timestamp": now - (10 - n) * 1000, "message": f"line {n}"} for n in range(10)])
moment = datetime.datetime.now(datetime.timezone.utc)
for name, value in [("CPUUtilization", 37.5), ("MemoryUtilization", 62.5)]:
    cloudwatch.put_metric_data(Namespace="AWS/ECS", MetricData=[
        {"MetricName": name, "Timestamp": moment - datetime.timedelta(minutes=m), "Value": value, "Unit": "Percent",
         "Dimensions": [{"Name": "ClusterName", "Value": "shop"}, {"Name": "ServiceName", "Value": "svc-000"}]}
        for m in range(1, 10)])
# Requests of the last two hours, and errors of every tenth minute only, as a load balancer has them.
balancer = [{"Name": "TargetGroup", "Value": "targetgroup/checkout/0728c506b4e6f024"},
            {"Name": "LoadBalancer", "Value": "app/shop-ecs/50dc6c495c0c9188"}]
for name, value, step in [("RequestCount", 100.0, 1), ("HTTPCode_Target_5XX_Count", 2.0, 10)]:
    points = [{"MetricName": name, "Timestamp": moment - datetime.timedelta(minutes=m), "Value": value, "Unit": "Count",
               "Dimensions": balancer} for m in range(1, 121, step)]
    for n in range(0, len(points), 20):
        cloudwatch.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=points[n:n + 20])
web = [{"Name": "ClusterName", "Value": "shop"}, {"Name": "ServiceName", "Value": "svc-000"}]
common = dict(EvaluationPeriods=1, Threshold=80.0, ComparisonOperator="GreaterThanThreshold")
for n in range(110):
    cloudwatch.put_metric_alarm(AlarmName=f"svc-{n:03}-cpu", Namespace="AWS/ECS", MetricName="CPUUtilization", Period=60,
                                Statistic="Average", Dimensions=[web[0], {"Name": "ServiceName", "Value": f"svc-{n:03}"}],
                                AlarmDescription=f"Severity: critical. Runbook: https://runbooks.example.com/{n}", **common)
cloudwatch.put_metric_alarm(AlarmName="orders-old", Namespace="AWS/SQS", MetricName="ApproximateAgeOfOldestMessage",
                            Period=60, Statistic="Maximum", Dimensions=[{"Name": "QueueName", "Value": "orders"}], **common)
reason = {"version": "1.0", "threshold": 80.0, "recentDatapoints": [93.5]}
cloudwatch.set_alarm_state(AlarmName="svc-000-cpu", StateValue="ALARM", StateReason="Threshold Crossed",
                           StateReasonData=json.dumps(reason))
print(json.dumps({"first_task": arns[0], "tasks": len(arns), "stopped": arns[-1],
                  "moment": int(moment.timestamp())}))
