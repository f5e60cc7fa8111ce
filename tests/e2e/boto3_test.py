"""boto3's own waiters and paginators against the mock, signatures verified.

usage: boto3_test.py COALMINE

Skipped where boto3 is not installed. A paginator is asked for pages of one or two, and has to bring
everything that was made, once.
"""

import json
import sys
import traceback

from lab import Coalmine, skip, wait_until

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError, WaiterError
except ImportError:
    skip("boto3 is not installed")

QUICK = {"Delay": 1, "MaxAttempts": 90}


def clients(mine):
    environment = mine.environment("511522223657", "eu-west-1")
    session = boto3.Session(aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
                            region_name="eu-west-1")
    config = Config(inject_host_prefix=False, retries={"max_attempts": 1})
    return lambda service: session.client(service, endpoint_url=mine.endpoint, config=config)


def pages(client, operation, member, page_size, **inputs):
    """All items of a paginator, which must have come in several pages."""
    paginator = client.get_paginator(operation)
    found = list(paginator.paginate(PaginationConfig={"PageSize": page_size}, **inputs))
    items = [item for page in found for item in page[member]]
    assert len(items) <= page_size or len(found) > 1, f"{operation}: one page of {len(items)}"
    assert all(len(page[member]) <= page_size for page in found), f"{operation}: too long a page"
    return items


def names(items, key=None):
    return sorted(item[key] if key else item for item in items)


def refused(code, call, **inputs):
    try:
        call(**inputs)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"wanted {code}")


NODE = {"listeners": [{"portMapping": {"port": 9000, "protocol": "http"}}],
        "serviceDiscovery": {"dns": {"hostname": "a.local"}}}


def app_mesh(client):
    mesh = client("appmesh")
    for name in ("m1", "m2", "m3"):
        mesh.create_mesh(meshName=name)
    assert names(pages(mesh, "list_meshes", "meshes", 2), "meshName") == ["m1", "m2", "m3"]
    wanted = ["n1", "n2", "n3"]
    for name in wanted:
        mesh.create_virtual_node(meshName="m1", virtualNodeName=name, spec=NODE)
    mesh.create_virtual_router(meshName="m1", virtualRouterName="r", spec={
        "listeners": NODE["listeners"]})
    for name in wanted:
        mesh.create_route(meshName="m1", virtualRouterName="r", routeName=name, spec={"httpRoute": {
            "match": {"prefix": f"/{name}"},
            "action": {"weightedTargets": [{"virtualNode": name, "weight": 1}]}}})
        mesh.create_virtual_service(meshName="m1", virtualServiceName=f"{name}.local", spec={
            "provider": {"virtualRouter": {"virtualRouterName": "r"}}})
        mesh.create_virtual_gateway(meshName="m1", virtualGatewayName=name, spec={
            "listeners": NODE["listeners"]})
        mesh.create_gateway_route(meshName="m1", virtualGatewayName="n1", gatewayRouteName=name,
                                  spec={"httpRoute": {"match": {"prefix": f"/{name}"}, "action": {
                                      "target": {"virtualService": {
                                          "virtualServiceName": "n1.local"}}}}}) \
            if name == "n1" else None
    for operation, member, key, inputs in (
            ("list_virtual_nodes", "virtualNodes", "virtualNodeName", {}),
            ("list_routes", "routes", "routeName", {"virtualRouterName": "r"}),
            ("list_virtual_gateways", "virtualGateways", "virtualGatewayName", {})):
        assert names(pages(mesh, operation, member, 1, meshName="m1", **inputs), key) == wanted
    assert len(pages(mesh, "list_virtual_services", "virtualServices", 2, meshName="m1")) == 3
    arn = mesh.describe_mesh(meshName="m1")["mesh"]["metadata"]["arn"]
    mesh.tag_resource(resourceArn=arn, tags=[{"key": f"k{i}", "value": "v"} for i in range(3)])
    tags = pages(mesh, "list_tags_for_resource", "tags", 1, resourceArn=arn)
    assert names(tags, "key") == ["k0", "k1", "k2"]
    print("passed: App Mesh pages")


def ecs(client):
    ecs = client("ecs")
    for name in ("c1", "c2", "c3"):
        ecs.create_cluster(clusterName=name)
    assert len(pages(ecs, "list_clusters", "clusterArns", 2)) == 3
    for family in ("f1", "f2", "f3"):
        ecs.register_task_definition(
            family=family, networkMode="awsvpc", cpu="256", memory="512",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=[{"name": "app", "image": "app:v1", "essential": True}])
    assert pages(ecs, "list_task_definition_families", "families", 2) == ["f1", "f2", "f3"]
    assert len(pages(ecs, "list_task_definitions", "taskDefinitionArns", 1)) == 3
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}}
    for family in ("f1", "f2", "f3"):
        ecs.create_service(cluster="c1", serviceName=family, taskDefinition=family, desiredCount=2,
                           launchType="FARGATE", networkConfiguration=network)
    ecs.get_waiter("services_stable").wait(cluster="c1", services=["f1", "f2", "f3"],
                                           WaiterConfig=QUICK)
    assert len(pages(ecs, "list_services", "serviceArns", 2, cluster="c1")) == 3
    tasks = pages(ecs, "list_tasks", "taskArns", 2, cluster="c1")
    assert len(tasks) == len(set(tasks)) == 6, tasks
    ecs.get_waiter("tasks_running").wait(cluster="c1", tasks=tasks, WaiterConfig=QUICK)
    interfaces(client, ecs, tasks)
    ecs.delete_service(cluster="c1", service="f1", force=True)
    ecs.get_waiter("services_inactive").wait(cluster="c1", services=["f1"], WaiterConfig=QUICK)
    task = ecs.run_task(cluster="c1", taskDefinition="f1", launchType="FARGATE",
                        networkConfiguration=network)["tasks"][0]["taskArn"]
    ecs.get_waiter("tasks_running").wait(cluster="c1", tasks=[task], WaiterConfig=QUICK)
    ecs.stop_task(cluster="c1", task=task)
    ecs.get_waiter("tasks_stopped").wait(cluster="c1", tasks=[task], WaiterConfig=QUICK)
    try:
        ecs.get_waiter("tasks_running").wait(cluster="c1", tasks=[task], WaiterConfig=QUICK)
        raise AssertionError("a stopped task does not run")
    except WaiterError as error:
        assert "STOPPED" in str(error), error
    print("passed: ECS waiters and pages")


def interfaces(client, ecs, tasks):
    """From a task to its address, as scripts do: DescribeTasks, DescribeNetworkInterfaces."""
    ec2 = client("ec2")
    described = ecs.describe_tasks(cluster="c1", tasks=tasks)["tasks"]
    details = [{one["name"]: one["value"] for one in task["attachments"][0]["details"]}
               for task in described]
    wanted = {one["networkInterfaceId"]: one["privateIPv4Address"] for one in details}
    found = ec2.describe_network_interfaces(
        NetworkInterfaceIds=list(wanted))["NetworkInterfaces"]
    assert {one["NetworkInterfaceId"]: one["PrivateIpAddress"] for one in found} == wanted
    one = found[0]
    assert one["Status"] == "in-use" and one["SubnetId"] == "subnet-1", one
    assert one["Association"]["PublicIp"] == one["PrivateIpAddress"], one
    found = ec2.describe_network_interfaces(Filters=[
        {"Name": "private-ip-address", "Values": [one["PrivateIpAddress"]]}])
    assert names(found["NetworkInterfaces"], "NetworkInterfaceId") == [one["NetworkInterfaceId"]]
    refused("InvalidNetworkInterfaceID.NotFound", ec2.describe_network_interfaces,
            NetworkInterfaceIds=["eni-0123456789abcdef0"])


def load_balancers(client):
    elb = client("elbv2")
    arns = [elb.create_load_balancer(Name=f"lb{i}", Subnets=["subnet-1", "subnet-2"])
            ["LoadBalancers"][0]["LoadBalancerArn"] for i in range(3)]
    elb.get_waiter("load_balancer_exists").wait(LoadBalancerArns=arns, WaiterConfig=QUICK)
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=arns, WaiterConfig=QUICK)
    found = pages(elb, "describe_load_balancers", "LoadBalancers", 2)
    assert names(found, "LoadBalancerName") == ["lb0", "lb1", "lb2"]
    groups = [elb.create_target_group(Name=f"tg{i}", Protocol="HTTP", Port=80, VpcId="vpc-1",
                                      TargetType="ip", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
              ["TargetGroups"][0]["TargetGroupArn"] for i in range(3)]
    found = pages(elb, "describe_target_groups", "TargetGroups", 1)
    assert names(found, "TargetGroupName") == ["tg0", "tg1", "tg2"]
    forward = [{"Type": "forward", "TargetGroupArn": groups[0]}]
    listeners = [elb.create_listener(LoadBalancerArn=arns[0], Protocol="HTTP", Port=port,
                                     DefaultActions=forward)["Listeners"][0]["ListenerArn"]
                 for port in (8081, 8082, 8083)]
    found = pages(elb, "describe_listeners", "Listeners", 2, LoadBalancerArn=arns[0])
    assert names(found, "Port") == [8081, 8082, 8083]
    for priority in (1, 2, 3):
        elb.create_rule(ListenerArn=listeners[0], Priority=priority, Actions=forward, Conditions=[
            {"Field": "path-pattern", "Values": [f"/{priority}"]}])
    assert len(pages(elb, "describe_rules", "Rules", 2, ListenerArn=listeners[0])) == 4
    elb.delete_load_balancer(LoadBalancerArn=arns[2])
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arns[2]], WaiterConfig=QUICK)
    target = [{"Id": "10.9.9.9", "Port": 80}]
    elb.register_targets(TargetGroupArn=groups[0], Targets=target)
    elb.deregister_targets(TargetGroupArn=groups[0], Targets=target)
    elb.get_waiter("target_deregistered").wait(TargetGroupArn=groups[0], Targets=target,
                                               WaiterConfig=QUICK)
    print("passed: load balancers' waiters and pages")


def targets_in_service(client):
    """Targets of an ECS service become healthy by the probes, and the waiter sees it."""
    elb, ecs = client("elbv2"), client("ecs")
    group = elb.create_target_group(Name="probed", Protocol="HTTP", Port=80, VpcId="vpc-1",
                                    TargetType="ip", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                    HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
    balancer = elb.create_load_balancer(Name="probing", Subnets=["subnet-1", "subnet-2"])
    elb.create_listener(LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
                        Protocol="HTTP", Port=8090,
                        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
    ecs.register_task_definition(
        family="probed", networkMode="awsvpc", cpu="256", memory="512",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[{"name": "app", "image": "app:v1", "essential": True,
                               "portMappings": [{"containerPort": 80}]}])
    ecs.create_service(cluster="c1", serviceName="probed", taskDefinition="probed", desiredCount=1,
                       launchType="FARGATE",
                       networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
                       loadBalancers=[{"targetGroupArn": group, "containerName": "app",
                                       "containerPort": 80}])
    ecs.get_waiter("services_stable").wait(cluster="c1", services=["probed"], WaiterConfig=QUICK)
    health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    targets = [{"Id": one["Target"]["Id"], "Port": 80} for one in health]
    assert targets, "the service registered nothing"
    elb.get_waiter("target_in_service").wait(TargetGroupArn=group, Targets=targets,
                                             WaiterConfig=QUICK)
    print("passed: targets come into service")


def cloudwatch(client):
    watch = client("cloudwatch")
    for name in ("a1", "a2", "a3"):
        watch.put_metric_alarm(AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum",
                               Period=60, EvaluationPeriods=1, Threshold=1,
                               ComparisonOperator="GreaterThanThreshold")
    watch.get_waiter("alarm_exists").wait(AlarmNames=["a1"], WaiterConfig=QUICK)
    watch.put_composite_alarm(AlarmName="all", AlarmRule="ALARM(a1) OR ALARM(a2)")
    watch.get_waiter("composite_alarm_exists").wait(
        AlarmNames=["all"], AlarmTypes=["CompositeAlarm"], WaiterConfig=QUICK)
    assert names(pages(watch, "describe_alarms", "MetricAlarms", 2,
                       AlarmTypes=["MetricAlarm"]), "AlarmName") == ["a1", "a2", "a3"]
    watch.set_alarm_state(AlarmName="a1", StateValue="ALARM", StateReason="a test")
    watch.set_alarm_state(AlarmName="a1", StateValue="OK", StateReason="a test")
    history = pages(watch, "describe_alarm_history", "AlarmHistoryItems", 1, AlarmName="a1",
                    HistoryItemType="StateUpdate")
    assert len(history) >= 2, history
    watch.put_metric_data(Namespace="n", MetricData=[
        {"MetricName": f"m{i}", "Value": 1} for i in range(3)])
    found = list(watch.get_paginator("list_metrics").paginate(Namespace="n"))
    assert names([m for page in found for m in page["Metrics"]], "MetricName") == ["m0", "m1", "m2"]
    print("passed: CloudWatch waiters and pages")


def manifest(tag):
    """An index of images, which needs no layers here."""
    return json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [], "annotations": {"tag": tag}})


def the_others(client):
    registry = client("ecr")
    for name in ("x/one", "x/two", "x/three"):
        registry.create_repository(repositoryName=name)
    found = pages(registry, "describe_repositories", "repositories", 2)
    assert names(found, "repositoryName") == ["x/one", "x/three", "x/two"]
    for tag in ("1", "2", "3"):
        registry.put_image(repositoryName="x/one", imageTag=tag, imageManifest=manifest(tag))
    found = pages(registry, "list_images", "imageIds", 2, repositoryName="x/one")
    assert names(found, "imageTag") == ["1", "2", "3"]
    assert len(pages(registry, "describe_images", "imageDetails", 1, repositoryName="x/one")) == 3

    discovery = client("servicediscovery")

    def done(answer):
        wait_until(lambda: discovery.get_operation(OperationId=answer["OperationId"])
                   ["Operation"]["Status"] == "SUCCESS", "Cloud Map has done it")

    for name in ("a.local", "b.local", "c.local"):
        done(discovery.create_private_dns_namespace(Name=name, Vpc="vpc-1"))
    assert len(pages(discovery, "list_operations", "Operations", 1)) == 3
    found = pages(discovery, "list_namespaces", "Namespaces", 2)
    assert names(found, "Name") == ["a.local", "b.local", "c.local"]
    service = None
    for name in ("s1", "s2", "s3"):
        service = discovery.create_service(Name=name, NamespaceId=found[0]["Id"], DnsConfig={
            "DnsRecords": [{"Type": "A", "TTL": 10}]})["Service"]["Id"]
    assert names(pages(discovery, "list_services", "Services", 1), "Name") == ["s1", "s2", "s3"]
    for i in ("1", "2", "3"):
        done(discovery.register_instance(ServiceId=service, InstanceId=i,
                                         Attributes={"AWS_INSTANCE_IPV4": f"127.9.9.{i}"}))
    found = pages(discovery, "list_instances", "Instances", 2, ServiceId=service)
    assert names(found, "Id") == ["1", "2", "3"]

    logs = client("logs")
    for name in ("g1", "g2", "g3"):
        logs.create_log_group(logGroupName=name)
        logs.create_log_stream(logGroupName="g1", logStreamName=name)
    assert names(pages(logs, "describe_log_groups", "logGroups", 2),
                 "logGroupName") == ["g1", "g2", "g3"]
    found = pages(logs, "describe_log_streams", "logStreams", 1, logGroupName="g1")
    assert names(found, "logStreamName") == ["g1", "g2", "g3"]
    now = int(logs.describe_log_groups()["logGroups"][0]["creationTime"])
    logs.put_log_events(logGroupName="g1", logStreamName="g1", logEvents=[
        {"timestamp": now + i, "message": f"line {i}"} for i in range(5)])
    found = pages(logs, "filter_log_events", "events", 2, logGroupName="g1")
    assert [one["message"] for one in found] == [f"line {i}" for i in range(5)]

    iam = client("iam")
    for name in ("r1", "r2", "r3"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument='{"Version":"2012-10-17",'
                        '"Statement":[{"Effect":"Allow","Principal":{"Service":'
                        '"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}')
    iam.get_waiter("role_exists").wait(RoleName="r1", WaiterConfig=QUICK)
    found = names(pages(iam, "list_roles", "Roles", 2), "RoleName")
    assert [name for name in found if name.startswith("r")] == ["r1", "r2", "r3"], found
    for name in ("p1", "p2", "p3"):
        iam.put_role_policy(RoleName="r1", PolicyName=name, PolicyDocument='{"Version":"2012-10-17",'
                            '"Statement":[]}')
    assert pages(iam, "list_role_policies", "PolicyNames", 1, RoleName="r1") == ["p1", "p2", "p3"]
    print("passed: ECR, Cloud Map, Logs and IAM pages")


def main():
    program = sys.argv[1]
    failed = 0
    with Coalmine(program, "mock-aws", "--port", "0", "--driver", "simulated", "--speed", "5",
                  "--verify-signatures") as mine:
        client = clients(mine)
        assert client("sts").get_caller_identity()["Account"] == "511522223657"
        for check in (app_mesh, ecs, load_balancers, targets_in_service, cloudwatch, the_others):
            try:
                check(client)
            except (AssertionError, ClientError, WaiterError):
                failed += 1
                print(f"FAILED: {check.__name__}: {traceback.format_exc()}", file=sys.stderr)
        mine.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
