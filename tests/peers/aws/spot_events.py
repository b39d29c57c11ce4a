"""An EventBridge rule that sends notices to an SQS queue and to a Logs group, and events for it.

usage: spot_events.py ENDPOINT set-up
       spot_events.py ENDPOINT put ID...     an interruption and a rebalance of each instance
       spot_events.py ENDPOINT show RECEIPT  makes a hidden message visible again
"""
import json
import sys

import boto3

ENDPOINT, VERB, *REST = sys.argv[1:]
KW = dict(endpoint_url=ENDPOINT, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
events, sqs, logs = boto3.client("events", **KW), boto3.client("sqs", **KW), boto3.client("logs", **KW)
KINDS = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
QUEUE, GROUP = "quarterdeck-events", "/aws/events/quarterdeck"

if VERB == "set-up":
    url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    logs.create_log_group(logGroupName=GROUP)
    group = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]["arn"].removesuffix(":*")
    pattern = {"source": ["aws.ec2"], "detail-type": KINDS}
    events.put_rule(Name="quarterdeck", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="quarterdeck", Targets=[{"Id": "queue", "Arn": arn}, {"Id": "log", "Arn": group}])
    print(json.dumps({"url": url}))
elif VERB == "put":
    entries = [
        {"Source": "aws.ec2", "DetailType": kind, "Detail": json.dumps({"instance-id": i, "instance-action": "terminate"})}
        for i in REST for kind in KINDS
    ]
    for n in range(0, len(entries), 10):
        answer = events.put_events(Entries=entries[n:n + 10])
        assert answer["FailedEntryCount"] == 0, answer
elif VERB == "show":
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=REST[0], VisibilityTimeout=0)
else:
    sys.exit(__doc__)
