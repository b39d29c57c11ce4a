"""boto3, which nobody here wrote, drives the embedded fleet.

usage: drive.py ENDPOINT KEY_ID SECRET CLUSTER     (prints "ok" when everything holds)
"""
import datetime
import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, KEY, SECRET, CLUSTER = sys.argv[1:5]
REGION = "eu-west-1"


def client(name, key=KEY):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client(name, endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id=key,
                        aws_secret_access_key=SECRET, config=config)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        got = error.response["Error"]
        assert got["Code"].split(".")[-1] == code or got["Code"] == code, (code, got)
        return got["Message"]
    raise AssertionError(f"{code} was expected")


def until(what, seconds, check):
    end = time.time() + seconds
    while time.time() < end:
        if check():
            return
        time.sleep(0.5)
    raise AssertionError(f"waited in vain for {what}")


def lists():
    clusters = ecs.list_clusters()["clusterArns"]
    assert [a.rsplit("/", 1)[1] for a in clusters] == [CLUSTER], clusters
    found = ecs.describe_clusters(clusters=[CLUSTER, "nope"], include=["STATISTICS", "SETTINGS"])
    assert found["failures"][0]["reason"] == "MISSING"
    cluster = found["clusters"][0]
    services = [a for p in ecs.get_paginator("list_services").paginate(
        cluster=CLUSTER, PaginationConfig={"PageSize": 3}) for a in p["serviceArns"]]
    assert len(services) == cluster["activeServicesCount"] == len(set(services)), services
    assert len(ecs.list_services(cluster=CLUSTER)["serviceArns"]) == 10, "AWS gives ten by default"
    described = ecs.describe_services(cluster=CLUSTER, services=services[:10], include=["TAGS"])["services"]
    for s in described:
        assert s["runningCount"] == s["desiredCount"] and s["deployments"][0]["rolloutState"] == "COMPLETED", s
        assert isinstance(s["createdAt"], datetime.datetime) and s["events"][0]["message"].startswith("(service ")
    tasks = [a for p in ecs.get_paginator("list_tasks").paginate(
        cluster=CLUSTER, PaginationConfig={"PageSize": 7}) for a in p["taskArns"]]
    assert len(tasks) == len(set(tasks)) == cluster["runningTasksCount"], (len(tasks), cluster)
    statistics = {s["name"]: int(s["value"]) for s in cluster["statistics"]}
    assert statistics["runningEC2TasksCount"] + statistics["runningFargateTasksCount"] == len(tasks), statistics
    found = ecs.describe_tasks(cluster=CLUSTER, tasks=tasks[:100])["tasks"]
    assert all(t["lastStatus"] == "RUNNING" and t["containers"][0]["lastStatus"] == "RUNNING" for t in found)
    providers = {t.get("capacityProviderName") or t["launchType"] for t in found}
    assert {"FARGATE", "FARGATE_SPOT", "shop-ec2"} <= providers, providers
    of_web = ecs.list_tasks(cluster=CLUSTER, serviceName="web")["taskArns"]
    assert len(of_web) == 6, of_web
    instances = ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    rows = ecs.describe_container_instances(cluster=CLUSTER, containerInstances=instances)["containerInstances"]
    assert len(rows) == 3 and all(i["agentConnected"] and i["status"] == "ACTIVE" for i in rows)
    on_first = ecs.list_tasks(cluster=CLUSTER, containerInstance=instances[0])["taskArns"]
    assert len(on_first) == rows[0]["runningTasksCount"], (len(on_first), rows[0])
    definition = ecs.describe_task_definition(taskDefinition="web")["taskDefinition"]
    assert definition["containerDefinitions"][0]["logConfiguration"]["logDriver"] == "awslogs"
    assert set(cluster["capacityProviders"]) == {"FARGATE", "FARGATE_SPOT", "shop-ec2"}, cluster
    assert cluster["defaultCapacityProviderStrategy"] == [{"capacityProvider": "shop-ec2", "weight": 1, "base": 0}]
    found = ecs.describe_capacity_providers(capacityProviders=cluster["capacityProviders"] + ["nope"])
    assert [f["reason"] for f in found["failures"]] == ["MISSING"], found
    providers = {p["name"]: p for p in found["capacityProviders"]}
    assert providers["shop-ec2"]["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 100, providers
    assert ecs.list_service_deployments(cluster=CLUSTER, service="web")["serviceDeployments"]


def refusals():
    assert refused("ClusterNotFoundException", ecs.list_tasks, cluster="nope") == "Cluster not found."
    refused("ServiceNotFoundException", ecs.update_service, cluster=CLUSTER, service="nope", desiredCount=1)
    refused("InvalidParameterException", ecs.describe_tasks, cluster=CLUSTER, tasks=[])
    refused("InvalidParameterException", ecs.list_tasks, cluster=CLUSTER, nextToken="garbage")
    refused("InvalidParameterException", ecs.stop_task, cluster=CLUSTER, task="nope")
    refused("UnrecognizedClientException", client("ecs", key="AKIANOBODY").list_clusters)
    # Over the limit: a burst of a hundred, then twenty a second.
    throttled = 0
    for _ in range(150):
        try:
            ecs.list_services(cluster=CLUSTER)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ThrottlingException", error.response
            assert error.response["Error"]["Message"] == "Rate exceeded", error.response
            throttled += 1
    assert throttled > 0, "150 calls at once are too many"
    time.sleep(1.5)
    ecs.list_services(cluster=CLUSTER)


def acts():
    before = ecs.describe_services(cluster=CLUSTER, services=["cart"])["services"][0]
    ecs.update_service(cluster=CLUSTER, service="cart", desiredCount=5)
    count = lambda name: ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]
    until("five tasks of cart", 40, lambda: count("cart")["runningCount"] == 5)
    ecs.update_service(cluster=CLUSTER, service="cart", forceNewDeployment=True)
    rolling = count("cart")
    assert rolling["deployments"][0]["id"] != before["deployments"][0]["id"] and len(rolling["deployments"]) == 2
    assert rolling["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    task = ecs.list_tasks(cluster=CLUSTER, serviceName="email")["taskArns"][0]
    stopped = ecs.stop_task(cluster=CLUSTER, task=task, reason="practice")["task"]
    assert (stopped["stopCode"], stopped["stoppedReason"], stopped["desiredStatus"]) == ("UserInitiated", "practice", "STOPPED")

    def gone():
        t = ecs.describe_tasks(cluster=CLUSTER, tasks=[task])["tasks"][0]
        return t["lastStatus"] == "STOPPED" and t["containers"][0]["exitCode"] == 0 and "stoppedAt" in t
    until("a stopped task", 40, gone)
    assert task in ecs.list_tasks(cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"]
    until("its replacement", 40, lambda: count("email")["runningCount"] == 2)
    instance = ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"][0]
    ecs.update_container_instances_state(cluster=CLUSTER, containerInstances=[instance], status="DRAINING")
    draining = ecs.list_container_instances(cluster=CLUSTER, status="DRAINING")["containerInstanceArns"]
    assert draining == [instance], draining
    until("an empty instance", 60, lambda: ecs.describe_container_instances(
        cluster=CLUSTER, containerInstances=[instance])["containerInstances"][0]["runningTasksCount"] == 0)
    until("the rollout of cart", 60, lambda: count("cart")["deployments"][0]["rolloutState"] == "COMPLETED")


def protection():
    web = ecs.list_tasks(cluster=CLUSTER, serviceName="web")["taskArns"]
    on = ecs.update_task_protection(cluster=CLUSTER, tasks=web[:1], protectionEnabled=True, expiresInMinutes=30)
    assert on["protectedTasks"][0]["protectionEnabled"], on
    got = ecs.get_task_protection(cluster=CLUSTER, tasks=web + ["nope"])
    assert [f["reason"] for f in got["failures"]] == ["MISSING"] and len(got["protectedTasks"]) == len(web), got
    by = {p["taskArn"]: p for p in got["protectedTasks"]}
    left = by[web[0]]["expirationDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=28) < left <= datetime.timedelta(minutes=30), by
    assert not by[web[1]]["protectionEnabled"] and "expirationDate" not in by[web[1]], by
    ecs.update_task_protection(cluster=CLUSTER, tasks=web[:1], protectionEnabled=False)
    refused("InvalidParameterException", ecs.update_task_protection, cluster=CLUSTER, tasks=web[:1],
            protectionEnabled=True, expiresInMinutes=2881)


def metrics():
    cloudwatch = client("cloudwatch")
    end = datetime.datetime.now(datetime.timezone.utc)
    start = end - datetime.timedelta(minutes=20)

    def query(number, namespace, name, stat, dimensions):
        return {"Id": f"q{number}", "MetricStat": {"Stat": stat, "Period": 60, "Metric": {
            "Namespace": namespace, "MetricName": name,
            "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()]}}}
    service = {"ClusterName": CLUSTER, "ServiceName": "web"}
    group = ecs.describe_services(cluster=CLUSTER, services=["web"])["services"][0]["loadBalancers"][0]["targetGroupArn"]
    balancer = client("elbv2").describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"][0]
    target = {"TargetGroup": "targetgroup/" + group.split(":targetgroup/")[1],
              "LoadBalancer": balancer.split(":loadbalancer/")[1]}
    queries = [query(0, "AWS/ECS", "CPUUtilization", "Average", service),
               query(1, "AWS/ApplicationELB", "TargetResponseTime", "p50", target),
               query(2, "AWS/ApplicationELB", "TargetResponseTime", "p99", target),
               query(3, "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum", target),
               query(4, "AWS/ECS", "CPUUtilization", "Average", {"ClusterName": CLUSTER, "ServiceName": "nope"})]
    results = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=end,
                                         ScanBy="TimestampAscending")["MetricDataResults"]
    cpu, p50, p99, errors, nothing = results
    assert 15 <= len(cpu["Values"]) <= 20 and all(0 < v <= 100 for v in cpu["Values"]), cpu
    assert all(t.second == 0 for t in cpu["Timestamps"]) and cpu["Timestamps"] == sorted(cpu["Timestamps"])
    assert end - cpu["Timestamps"][-1] > datetime.timedelta(seconds=60), "the last minute is not there yet"
    assert all(b > a for a, b in zip(p50["Values"], p99["Values"])), (p50, p99)
    assert len(errors["Values"]) < len(p50["Values"]), "minutes without errors have no points"
    assert nothing["Values"] == [] and nothing["StatusCode"] == "Complete"
    assert cloudwatch.list_metrics(Namespace="AWS/ECS")["Metrics"]


def alarms():
    cloudwatch = client("cloudwatch")
    types = ["MetricAlarm", "CompositeAlarm"]
    pages = list(cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=types, PaginationConfig={"PageSize": 5}))
    metric = [a for p in pages for a in p["MetricAlarms"]]
    composite = [a for p in pages for a in p["CompositeAlarms"]]
    names = [a["AlarmName"] for a in metric]
    assert len(pages) > 3 and len(names) == len(set(names)) == 22, names
    assert [c["AlarmName"] for c in composite] == [f"{CLUSTER}-degraded"], composite
    assert "CompositeAlarms" not in cloudwatch.describe_alarms() or not cloudwatch.describe_alarms()["CompositeAlarms"]
    cpu = next(a for a in metric if a["AlarmName"] == f"{CLUSTER}-web-cpu-high")
    assert {d["Name"]: d["Value"] for d in cpu["Dimensions"]} == {"ClusterName": CLUSTER, "ServiceName": "web"}
    assert isinstance(cpu["StateTransitionedTimestamp"], datetime.datetime) and cpu["StateValue"] == "OK", cpu
    assert json.loads(cpu["StateReasonData"])["threshold"] == cpu["Threshold"] == 90.0
    low = next(a for a in metric if a["AlarmName"] == f"{CLUSTER}-web-tasks-low")
    assert [q.get("Expression") for q in low["Metrics"]] == [None, None, "desired - running"], low
    # The composite one watches the first service's.
    child = f"{CLUSTER}-cart-tasks-low"
    assert child in composite[0]["AlarmRule"], composite
    cloudwatch.set_alarm_state(AlarmName=child, StateValue="ALARM", StateReason="practice")
    fires = cloudwatch.describe_alarms(AlarmNames=[child])["MetricAlarms"][0]
    assert (fires["StateValue"], fires["StateReason"]) == ("ALARM", "practice"), fires
    until("the composite alarm", 20, lambda: cloudwatch.describe_alarms(
        AlarmTypes=types, StateValue="ALARM")["CompositeAlarms"])
    # What is kept from acting says so, and goes on being looked at; names of none are passed over.
    enabled = lambda: [a["ActionsEnabled"] for a in cloudwatch.describe_alarms(AlarmNames=[child])["MetricAlarms"]]
    assert enabled() == [True], enabled()
    cloudwatch.disable_alarm_actions(AlarmNames=[child, "nope"])
    assert enabled() == [False], enabled()
    cloudwatch.enable_alarm_actions(AlarmNames=[child])
    assert enabled() == [True], enabled()
    refused("ValidationError", cloudwatch.disable_alarm_actions, AlarmNames=[f"a{n}" for n in range(101)])
    refused("ResourceNotFound", cloudwatch.set_alarm_state, AlarmName="nope", StateValue="OK", StateReason="x")


def logs():
    service = client("logs")
    task = ecs.list_tasks(cluster=CLUSTER, serviceName="web")["taskArns"][0].rsplit("/", 1)[1]
    group, stream = f"/ecs/{CLUSTER}/web", f"ecs/app/{task}"
    since = int((time.time() - 60) * 1000)
    events = service.filter_log_events(logGroupName=group, logStreamNames=[stream], startTime=since)["events"]
    assert len(events) > 20 and all(e["timestamp"] >= since for e in events)
    assert [e["timestamp"] for e in events] == sorted(e["timestamp"] for e in events)
    paged = [e for p in service.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=since, endTime=int(time.time() * 1000) - 5000, PaginationConfig={"PageSize": 120})
        for e in p["events"]]
    assert len({e["eventId"] for e in paged}) == len(paged) > 100
    tail = service.get_log_events(logGroupName=group, logStreamName=stream, limit=5, startFromHead=False)
    assert len(tail["events"]) == 5
    older = service.get_log_events(logGroupName=group, logStreamName=stream, limit=5, nextToken=tail["nextBackwardToken"])
    assert older["events"][-1]["timestamp"] < tail["events"][0]["timestamp"]
    refused("ResourceNotFoundException", service.get_log_events, logGroupName=group, logStreamName="nope")
    assert service.describe_log_groups(logGroupNamePrefix=group)["logGroups"]


def queue():
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="events", Attributes={"VisibilityTimeout": "2"})["QueueUrl"]
    for n in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=f"message {n}")
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [m["Body"] for m in got] == [f"message {n}" for n in range(10)]
    sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]}
                                                    for n, m in enumerate(got[:9])])
    rest = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [m["Body"] for m in rest] == ["message 10", "message 11"]
    for m in rest:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
    # The one that was not deleted comes again; the long poll waits for it.
    again = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert again[0]["Body"] == "message 9" and again[0]["Attributes"]["ApproximateReceiveCount"] == "2", again
    refused("QueueDoesNotExist", sqs.receive_message, QueueUrl=url + "-nope")


def surroundings():
    scaling, ec2, balancing = client("application-autoscaling"), client("ec2"), client("elbv2")
    targets = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert {t["ResourceId"] for t in targets} == {f"service/{CLUSTER}/web", f"service/{CLUSTER}/checkout"}, targets
    assert scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"][0]["PolicyType"] == "TargetTrackingScaling"
    assert scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
    service = ecs.describe_services(cluster=CLUSTER, services=["web"])["services"][0]
    ids = service["networkConfiguration"]["awsvpcConfiguration"]["subnets"]
    subnets = ec2.describe_subnets(SubnetIds=ids)["Subnets"]
    assert len(subnets) == 3 and all(0 < s["AvailableIpAddressCount"] < 251 for s in subnets), subnets
    refused("InvalidSubnetID.NotFound", ec2.describe_subnets, SubnetIds=["subnet-nope"])
    assert len([i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]) == 3
    group = service["loadBalancers"][0]["targetGroupArn"]
    assert balancing.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["TargetType"] == "ip"
    health = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert [t["TargetHealth"]["State"] for t in health].count("healthy") >= 6, health
    quota = client("service-quotas").get_service_quota(ServiceCode="fargate", QuotaCode="L-3032A538")["Quota"]
    assert quota["Value"] == 64.0
    assert client("sts").get_caller_identity()["Account"] == "123456789012"


ecs = client("ecs")
for part in (lists, protection, metrics, alarms, logs, queue, surroundings, refusals, acts):
    part()
    print(part.__name__, "holds", flush=True)
print("ok")
