"""A moto server of a test's own: how to reach it, and how to empty it."""
import json
import urllib.request


def keys(endpoint):
    """What every client of it is made with."""
    return dict(endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


def reset(endpoint):
    """Nothing is in it, and tasks stay as they are: else every DescribeTasks moves them on until they stop."""
    def post(path, body=b""):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(endpoint + path, data=body, headers=headers, method="POST")
        urllib.request.urlopen(request, timeout=20).read()

    post("/moto-api/reset")
    transition = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 1000000000}}
    post("/moto-api/state-manager/set-transition", json.dumps(transition).encode())
