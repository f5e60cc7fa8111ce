#!/usr/bin/env python3
"""Our SigV4 signer against botocore's: python3 sigv4_against_botocore.py SIGV4_SIGN [SEED]."""
import datetime
import json
import random
import subprocess
import sys
import urllib.parse

try:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    print("skipped: botocore not installed")
    sys.exit(77)

NOW = datetime.datetime(2026, 1, 1, 12, 34, 56)
REQUESTS = 200
TEXTS = ["", "a", "Zz", "mesh one", "a/b", "a%b", "ä€", "x+y", "~-_.", "a=b&c", "1"]


def random_request(rng):
    quote = lambda text: urllib.parse.quote(text, safe="-_.~")
    segments = [rng.choice(["", ".", "..", *(quote(t) for t in TEXTS)])
                for _ in range(rng.randrange(5))]
    pairs = [f"{quote(rng.choice(TEXTS))}={quote(rng.choice(TEXTS))}"
             for _ in range(rng.randrange(5))]
    headers = [("Host", rng.choice(["127.0.0.1:4566", "ecs.us-east-1.amazonaws.com"]))]
    if rng.random() < 0.7:
        headers.append(("Content-Type", rng.choice(["application/json", "a;  b", " x "])))
    if rng.random() < 0.7:
        headers.append(("X-Amz-Target", f"Service.{rng.choice(['A', 'B  C', 'D'])}"))
    return {
        "method": rng.choice(["GET", "POST", "PUT", "DELETE"]),
        "target": "/" + "/".join(segments) + ("?" + "&".join(pairs) if pairs else ""),
        "headers": headers,
        "body": rng.randbytes(rng.choice([0, 3, 5000])).hex(),
        "access_key": rng.choice(["AKIDEXAMPLE", "test"]),
        "secret_key": rng.choice(["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "s"]),
        "token": rng.choice(["", "", "IQoJb3JpZ2lu/+=="]),
        "region": rng.choice(["us-east-1", "ap-south-1"]),
        "service": rng.choice(["appmesh", "ecs", "monitoring"]),
        "time": int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp()),
    }


def botocore_signature(request):
    host = request["headers"][0][1]
    aws = AWSRequest(method=request["method"], url=f"http://{host}{request['target']}",
                     data=bytes.fromhex(request["body"]), headers=dict(request["headers"]))
    credentials = Credentials(request["access_key"], request["secret_key"],
                              request["token"] or None)
    botocore.auth.SigV4Auth(credentials, request["service"], request["region"]).add_auth(aws)
    return aws.headers["Authorization"]


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)
    botocore.auth.get_current_datetime = lambda: NOW
    requests = [random_request(rng) for _ in range(REQUESTS)]
    text = "".join(json.dumps(r) + "\n" for r in requests)
    done = subprocess.run([sys.argv[1]], input=text, capture_output=True, text=True, check=True)
    ours = done.stdout.splitlines()
    assert len(ours) == REQUESTS, f"{len(ours)} answers to {REQUESTS} requests"
    wrong = [(r, o) for r, o in zip(requests, ours) if o != botocore_signature(r)]
    for request, signature in wrong[:3]:
        print(f"differs: {json.dumps(request)}\n  ours:     {signature}\n"
              f"  botocore: {botocore_signature(request)}")
    print(f"{REQUESTS - len(wrong)} of {REQUESTS} signatures agree with botocore (seed {seed})")
    sys.exit(1 if wrong else 0)


main()
