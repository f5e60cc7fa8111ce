"""The ten steps of "canary deployments on ECS + App Mesh", typed as the tutorial has them.

usage: ten_steps_test.py COALMINE

The real AWS CLI against `coalmine up --empty`: mesh, two virtual nodes, router, virtual service,
route 99:1, gateway, gateway route, cluster, three ECS services behind a load balancer. Then the
moves of the pipeline behind it, each seen in the traffic, and the deletion in both orders.
"""

import hashlib
import json
import sys
import tempfile

from lab import (AwsCli, Coalmine, SteadyTraffic, assert_split, call_raw, get, strip_nulls,
                 traffic, version_of, wait_until)

APP = "my-own-app"
ACCOUNT = "511522223657"
REGION = "ap-south-1"
NAMESPACE = "app.internal"
ENVOY = "840364872350.dkr.ecr.ap-southeast-1.amazonaws.com/aws-appmesh-envoy:v1.25.1.0-prod"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
NULLS = {name: None for name in (
    "dnsSearchDomains", "environmentFiles", "linuxParameters", "resourceRequirements", "ulimits",
    "dnsServers", "workingDirectory", "secrets", "dockerSecurityOptions", "memoryReservation",
    "stopTimeout", "startTimeout", "firelensConfiguration", "disableNetworking", "interactive",
    "links", "hostname", "extraHosts", "pseudoTerminal", "readonlyRootFilesystem",
    "dockerLabels", "systemControls", "privileged")}


def container(name, image, group, **more):
    return {**NULLS, "name": name, "image": image, "essential": True, "cpu": 0, "entryPoint": [],
            "command": [], "mountPoints": [], "volumesFrom": [], "memory": None, "user": None,
            "healthCheck": None, "dependsOn": None,
            "logConfiguration": {"logDriver": "awslogs", "secretOptions": None, "options": {
                "awslogs-group": group, "awslogs-region": REGION,
                "awslogs-stream-prefix": "ecs", "awslogs-create-group": "true"}}, **more}


def ports(*numbers):
    return [{"containerPort": n, "hostPort": n, "protocol": "tcp"} for n in numbers]


def live_check(interval, timeout, start_period):
    return {"command": ["CMD-SHELL",
                        "curl -s http://localhost:9901/server_info | grep state | grep -q LIVE"],
            "interval": interval, "timeout": timeout, "retries": 3, "startPeriod": start_period}


def common(family, cpu, memory, roles):
    return {"family": family, "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
            "cpu": cpu, "memory": memory, "volumes": [], "placementConstraints": [],
            "taskRoleArn": f"arn:aws:iam::{ACCOUNT}:role/{roles}TaskRole",
            "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/{roles}TaskExecutionRole",
            "ipcMode": None, "pidMode": None, "inferenceAccelerators": None}


def service_task(n, image=None):
    """svc1-v1.json and svc1-v2.json of the tutorial, console export with its nulls."""
    name = f"{APP}-svc1-v{n}"
    node = {"name": "APPMESH_VIRTUAL_NODE_NAME",
            "value": f"mesh/{APP}/virtualNode/{APP}-virtual-node-{n}"}
    # AppPorts 3000 is the tutorial's own slip: the app listens on 9000. Traffic flows all the same.
    properties = [("ProxyIngressPort", "15000"), ("AppPorts", "3000"),
                  ("EgressIgnoredIPs", "169.254.170.2,169.254.169.254"), ("IgnoredGID", ""),
                  ("EgressIgnoredPorts", ""), ("IgnoredUID", "1337"), ("ProxyEgressPort", "15001")]
    return {**common(name, "512", "1024", "svc"),
            "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": None},
            "containerDefinitions": [
                container(name, image or f"{REGISTRY}/{name}", f"/ecs/{name}",
                          portMappings=ports(9000, 3000), environment=[node],
                          dependsOn=[{"containerName": "envoy", "condition": "HEALTHY"}]),
                container("envoy", ENVOY, f"/ecs/{name}", portMappings=[], environment=[node],
                          user="1337", memory=500, healthCheck=live_check(5, 2, 10))],
            "proxyConfiguration": {"type": "APPMESH", "containerName": "envoy", "properties": [
                {"name": k, "value": v} for k, v in properties]}}


def gateway_task():
    return {**common(f"{APP}-service-gateway", "256", "512", "gw"),
            "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
            "proxyConfiguration": None,
            "containerDefinitions": [
                container("service-gateway", ENVOY, f"/ecs/{APP}-gateway",
                          portMappings=ports(9080, 9901), environment=[{
                              "name": "APPMESH_VIRTUAL_NODE_NAME",
                              "value": f"mesh/{APP}/virtualGateway/{APP}-virtual-gateway"}],
                          healthCheck=live_check(30, 5, None))]}


class TenSteps:
    def __init__(self, mine):
        self.mine = mine
        self.aws = AwsCli(mine, ACCOUNT, REGION)
        self.url = mine.addresses["gateway"]
        self.network = None
        self.registries = {}

    def mesh(self, verb, **options):
        return self.aws("appmesh", verb, mesh_name=APP, **options)

    # --- steps 1 to 7: the mesh ---------------------------------------------------------------

    def mesh_nodes_router_service_route_gateway(self):
        made = self.mesh("create-mesh")["mesh"]
        assert made["status"]["status"] == "ACTIVE" and made["metadata"]["version"] == 1
        assert made["metadata"]["arn"] == f"arn:aws:appmesh:{REGION}:{ACCOUNT}:mesh/{APP}"
        for n in (1, 2):
            self.mesh("create-virtual-node", virtual_node_name=f"{APP}-virtual-node-{n}", spec={
                "listeners": [{"portMapping": {"port": 9000, "protocol": "http"}}],
                "serviceDiscovery": {"dns": {"hostname": f"{APP}-svc1-v{n}.{NAMESPACE}"}}})
        listener = [{"portMapping": {"port": 9000, "protocol": "http"}}]
        self.mesh("create-virtual-router", virtual_router_name=f"{APP}-virtual-router",
                  spec={"listeners": listener})
        self.aws.refused("NotFoundException", "appmesh", "create-virtual-service", mesh_name=APP,
                         virtual_service_name="nowhere",
                         spec={"provider": {"virtualRouter": {"virtualRouterName": "none"}}})
        self.mesh("create-virtual-service", virtual_service_name=f"{APP}-svc1-v1.{NAMESPACE}",
                  spec={"provider": {"virtualRouter": {
                      "virtualRouterName": f"{APP}-virtual-router"}}})
        self.mesh("create-route", virtual_router_name=f"{APP}-virtual-router",
                  route_name=f"{APP}-route", spec=self.route(99, 1))
        self.aws.refused("BadRequestException", "appmesh", "create-route", mesh_name=APP,
                         virtual_router_name=f"{APP}-virtual-router", route_name="too-heavy",
                         spec=self.route(101, 1))
        self.mesh("create-virtual-gateway", virtual_gateway_name=f"{APP}-virtual-gateway", spec={
            "listeners": [{"portMapping": {"port": 9080, "protocol": "http"}}]})
        self.mesh("create-gateway-route", virtual_gateway_name=f"{APP}-virtual-gateway",
                  gateway_route_name=f"{APP}-gateway-route", spec={"httpRoute": {
                      "match": {"prefix": "/"}, "action": {"target": {"virtualService": {
                          "virtualServiceName": f"{APP}-svc1-v1.{NAMESPACE}"}}}}})
        nodes = self.aws("appmesh", "list-virtual-nodes", mesh_name=APP)["virtualNodes"]
        assert len(nodes) == 2

    def route(self, weight_1, weight_2):
        targets = [{"virtualNode": f"{APP}-virtual-node-{n}", "weight": w}
                   for n, w in ((1, weight_1), (2, weight_2))]
        return {"httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": targets}}}

    def set_weights(self, weight_1, weight_2):
        names = {"virtual_router_name": f"{APP}-virtual-router", "route_name": f"{APP}-route"}
        before = self.mesh("describe-route", **names)["route"]["metadata"]["version"]
        after = self.mesh("update-route", spec=self.route(weight_1, weight_2), **names)["route"]
        assert after["metadata"]["version"] == before + 1

    # --- steps 8 to 10: the tasks -------------------------------------------------------------

    def roles(self):
        trust = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Action": "sts:AssumeRole"}]}
        allow = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "appmesh:StreamAggregatedResources", "Resource": "*"}]}
        for prefix in ("svc", "gw"):
            for kind in ("TaskRole", "TaskExecutionRole"):
                self.aws("iam", "create-role", role_name=prefix + kind,
                         assume_role_policy_document=trust, max_session_duration=3600)
                self.aws("iam", "put-role-policy", role_name=prefix + kind, policy_name="inline",
                         policy_document=allow)
            self.aws("iam", "attach-role-policy", role_name=prefix + "TaskRole",
                     policy_arn="arn:aws:iam::aws:policy/AWSAppMeshEnvoyAccess")
        self.aws.refused("NoSuchEntity", "iam", "put-role-policy", role_name="notMade",
                         policy_name="p", policy_document=allow)

    def cluster_and_namespace(self):
        assert self.aws("sts", "get-caller-identity")["Account"] == ACCOUNT
        vpc = self.aws("ec2", "describe-vpcs")["Vpcs"][0]["VpcId"]
        subnets = [s["SubnetId"] for s in self.aws("ec2", "describe-subnets")["Subnets"]][:2]
        group = self.aws("ec2", "describe-security-groups")["SecurityGroups"][0]["GroupId"]
        self.vpc, self.subnets = vpc, subnets
        self.network = {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [group],
                                                "assignPublicIp": "ENABLED"}}
        self.aws("ecs", "create-cluster", cluster_name=APP)
        operation = self.aws("servicediscovery", "create-private-dns-namespace", name=NAMESPACE,
                             vpc=vpc)["OperationId"]
        done = wait_until(lambda: self.namespace_operation(operation), "the namespace exists")
        self.namespace_id = done["Targets"]["NAMESPACE"]

    def namespace_operation(self, operation):
        answer = self.aws("servicediscovery", "get-operation", operation_id=operation)["Operation"]
        assert answer["Status"] != "FAIL", answer
        return answer if answer["Status"] == "SUCCESS" else None

    def application_service(self, n):
        name = f"{APP}-svc1-v{n}"
        repository = self.aws("ecr", "create-repository", repository_name=name)["repository"]
        assert repository["repositoryArn"].endswith(f"{REGION}:{ACCOUNT}:repository/{name}")
        registry = self.aws("servicediscovery", "create-service", name=name,
                            namespace_id=self.namespace_id,
                            dns_config={"DnsRecords": [{"Type": "A", "TTL": 60}]})["Service"]
        self.registries[n] = registry["Id"]
        self.aws("ecs", "register-task-definition", cli_input_json=strip_nulls(service_task(n)))
        self.aws("ecs", "create-service", cluster=APP, service_name=name, task_definition=name,
                 desired_count=1, launch_type="FARGATE", network_configuration=self.network,
                 service_registries=[{"registryArn": registry["Arn"]}])
        self.aws("ecs", "wait", "services-stable", cluster=APP, services=[name])
        task = self.task(name)
        assert task["lastStatus"] == "RUNNING", task
        envoy = next(c for c in task["containers"] if c["name"] == "envoy")
        assert envoy["healthStatus"] == "HEALTHY", envoy
        address = self.address(task)
        status, body, _ = get(f"http://{address}:9000/")
        assert version_of(status, body) == f"v{n}", body
        found = self.aws("servicediscovery", "discover-instances", namespace_name=NAMESPACE,
                         service_name=name)["Instances"]
        assert [i["Attributes"]["AWS_INSTANCE_IPV4"] for i in found] == [address]

    def task(self, service):
        arns = self.aws("ecs", "list-tasks", cluster=APP, service_name=service)["taskArns"]
        return self.aws("ecs", "describe-tasks", cluster=APP, tasks=arns)["tasks"][0]

    @staticmethod
    def address(task):
        details = next(a for a in task["attachments"] if a["type"] == "ElasticNetworkInterface")
        return next(d["value"] for d in details["details"] if d["name"] == "privateIPv4Address")

    def raw_nulls(self):
        """The console's export, sent by a client that does not check: null means absent."""
        body = service_task(1)
        body["family"] = f"{APP}-raw"
        status, answer = call_raw(self.mine.endpoint,
                                  "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", body)
        assert status == 200, answer
        assert "null" not in json.dumps(answer), answer
        body["containerDefinitions"].append(None)
        status, answer = call_raw(self.mine.endpoint,
                                  "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", body)
        assert status == 400 and answer["__type"].endswith("SerializationException"), answer

    def gateway_service(self):
        status, body, headers = get(self.url + "/")
        assert status == 503, f"no gateway service yet, so no traffic: {status} {body} {headers}"
        balancer = self.aws("elbv2", "create-load-balancer", name=f"{APP}-alb",
                            subnets=self.subnets)["LoadBalancers"][0]
        group = self.aws("elbv2", "create-target-group", name=f"{APP}-gw", protocol="HTTP",
                         port=9080, target_type="ip", vpc_id=self.vpc,
                         health_check_interval_seconds=5, health_check_timeout_seconds=2,
                         health_check_path="/server_info", health_check_port=9901,
                         )["TargetGroups"][0]["TargetGroupArn"]
        self.aws("elbv2", "modify-target-group-attributes", target_group_arn=group,
                 attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}])
        self.aws("elbv2", "create-listener", load_balancer_arn=balancer["LoadBalancerArn"],
                 protocol="HTTP", port=80,
                 default_actions=[{"Type": "forward", "TargetGroupArn": group}])
        self.aws("elbv2", "wait", "load-balancer-available",
                 load_balancer_arns=[balancer["LoadBalancerArn"]])
        self.aws("ecs", "register-task-definition", cli_input_json=strip_nulls(gateway_task()))
        name = f"{APP}-gateway-service"
        self.aws("ecs", "create-service", cluster=APP, service_name=name,
                 task_definition=f"{APP}-service-gateway", desired_count=1, launch_type="FARGATE",
                 network_configuration=self.network, health_check_grace_period_seconds=60,
                 load_balancers=[{"targetGroupArn": group, "containerName": "service-gateway",
                                  "containerPort": 9080}])
        self.aws("ecs", "wait", "services-stable", cluster=APP, services=[name])
        self.aws("elbv2", "wait", "target-in-service", target_group_arn=group)
        address = self.address(self.task(name))
        assert '"state": "LIVE"' in get(f"http://{address}:9901/server_info")[1]
        wait_until(lambda: get(self.url + "/")[0] == 200, "traffic flows through 9080")
        self.balancer = f"http://{balancer['DNSName']}"

    # --- the pipeline's moves -----------------------------------------------------------------

    def push_image(self, repository, content):
        """docker push, by the API: config and one layer, then the manifest tagged `latest`."""
        blobs = {}
        for kind, data in (("config", b'{"architecture":"amd64"}'), ("layer", content)):
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            upload = self.aws("ecr", "initiate-layer-upload", repository_name=repository)
            with tempfile.NamedTemporaryFile() as part:
                part.write(data)
                part.flush()
                self.aws("ecr", "upload-layer-part", repository_name=repository,
                         upload_id=upload["uploadId"], part_first_byte=0,
                         part_last_byte=len(data) - 1, layer_part_blob="fileb://" + part.name)
            self.aws("ecr", "complete-layer-upload", repository_name=repository,
                     upload_id=upload["uploadId"], layer_digests=[digest])
            blobs[kind] = {"digest": digest, "size": len(data)}
        media = "application/vnd.docker.container.image.v1+json"
        layer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        manifest = {"schemaVersion": 2,
                    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "config": {"mediaType": media, **blobs["config"]},
                    "layers": [{"mediaType": layer, **blobs["layer"]}]}
        image = self.aws("ecr", "put-image", repository_name=repository, image_tag="latest",
                         image_manifest=json.dumps(manifest))["image"]
        return image["imageId"]["imageDigest"]

    def promote_by_digest(self):
        digest = self.push_image(f"{APP}-svc1-v2", b"the new build")
        name = f"{APP}-svc1-v1"
        promoted = service_task(1, image=f"{REGISTRY}/{APP}-svc1-v2@{digest}")
        definition = self.aws("ecs", "register-task-definition",
                              cli_input_json=strip_nulls(promoted))["taskDefinition"]
        assert definition["revision"] == 2
        with SteadyTraffic(self.url) as load:
            self.aws("ecs", "update-service", cluster=APP, service=name, task_definition=name)
            self.aws("ecs", "wait", "services-stable", cluster=APP, services=[name])
        bad = {k: n for k, n in load.counts.items() if not k.startswith("v")}
        assert not bad, f"the promotion dropped requests: {bad}"
        assert traffic(self.url, 400) == {"v2": 400}

    def requests_seen_by(self, n):
        """How many requests the app of service n has answered, by its own count."""
        address = self.address(self.task(f"{APP}-svc1-v{n}"))
        lines = get(f"http://{address}:9000/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines
                   if "requests_total{" in line and 'path="/"' in line)

    # --- taking it down -----------------------------------------------------------------------

    def delete_in_the_wrong_order(self):
        in_use = "ResourceInUseException"
        self.aws.refused(in_use, "appmesh", "delete-mesh", mesh_name=APP)
        self.aws.refused(in_use, "appmesh", "delete-virtual-node", mesh_name=APP,
                         virtual_node_name=f"{APP}-virtual-node-2")
        self.aws.refused(in_use, "appmesh", "delete-virtual-router", mesh_name=APP,
                         virtual_router_name=f"{APP}-virtual-router")
        self.aws.refused(in_use, "appmesh", "delete-virtual-gateway", mesh_name=APP,
                         virtual_gateway_name=f"{APP}-virtual-gateway")
        self.aws.refused("InvalidParameterException", "ecs", "delete-service", cluster=APP,
                         service=f"{APP}-svc1-v1")
        self.aws.refused("ClusterContainsServicesException", "ecs", "delete-cluster", cluster=APP)
        assert_split(traffic(self.url, 400), "v2", 1.0)  # refused means unchanged

    def delete_in_order(self):
        services = [f"{APP}-gateway-service", f"{APP}-svc1-v1", f"{APP}-svc1-v2"]
        for service in services:
            self.aws("ecs", "update-service", cluster=APP, service=service, desired_count=0)
            self.aws("ecs", "delete-service", cluster=APP, service=service)
        self.mesh("delete-gateway-route", virtual_gateway_name=f"{APP}-virtual-gateway",
                  gateway_route_name=f"{APP}-gateway-route")
        self.mesh("delete-virtual-gateway", virtual_gateway_name=f"{APP}-virtual-gateway")
        self.mesh("delete-virtual-service", virtual_service_name=f"{APP}-svc1-v1.{NAMESPACE}")
        self.mesh("delete-route", virtual_router_name=f"{APP}-virtual-router",
                  route_name=f"{APP}-route")
        self.mesh("delete-virtual-router", virtual_router_name=f"{APP}-virtual-router")
        for n in (1, 2):
            self.mesh("delete-virtual-node", virtual_node_name=f"{APP}-virtual-node-{n}")
        self.mesh("delete-mesh")
        assert self.aws("appmesh", "list-meshes")["meshes"] == []
        # One at a time: the waiter is content when any of its services is INACTIVE.
        for service in services:
            self.aws("ecs", "wait", "services-inactive", cluster=APP, services=[service])
        self.aws("ecs", "delete-cluster", cluster=APP)


def main():
    program = sys.argv[1]
    arguments = ["up", "--empty", "--port", "0", "--gateway-port", "0"]
    with Coalmine(program, *arguments) as mine:
        steps = TenSteps(mine)

        def step(title, action):
            print(f"- {title}", flush=True)
            action()

        step("1-7 mesh, nodes, router, service, route 99:1, gateway, gateway route",
             steps.mesh_nodes_router_service_route_gateway)
        step("8 roles", steps.roles)
        step("8 cluster and namespace", steps.cluster_and_namespace)
        step("8 v1", lambda: steps.application_service(1))
        step("9 v2", lambda: steps.application_service(2))
        step("  raw nulls", steps.raw_nulls)
        step("10 gateway behind a load balancer", steps.gateway_service)
        step("traffic is split 99:1",
             lambda: assert_split(traffic(steps.url, 20000), "v2", 0.01))
        step("the load balancer serves it too",
             lambda: assert_split(traffic(steps.balancer, 2000), "v2", 0.01))

        def fifty_fifty():
            with SteadyTraffic(steps.url) as load:
                steps.set_weights(50, 50)
                wait_until(lambda: traffic(steps.url, 100)["v2"] > 20, "weights are live", 1)
                assert_split(traffic(steps.url, 4000), "v2", 0.5)
            bad = {k: n for k, n in load.counts.items() if not k.startswith("v")}
            assert not bad, f"the weight change dropped requests: {bad}"

        step("update-route to 50:50 within a second, nothing dropped", fifty_fifty)

        def seventy_thirty():
            steps.set_weights(70, 30)
            wait_until(lambda: traffic(steps.url, 200)["v2"] < 90, "weights are live", 5)
            assert_split(traffic(steps.url, 4000), "v2", 0.3)

        step("weights 70:30", seventy_thirty)
        step("promote v2's image to v1 by digest", steps.promote_by_digest)

        def all_to_stable():
            steps.set_weights(100, 0)
            # A count from the app itself: after the promotion both services answer "v2".
            def quiet():
                before = steps.requests_seen_by(2)
                traffic(steps.url, 400)
                return steps.requests_seen_by(2) == before
            wait_until(quiet, "the canary gets no traffic", 20)

        step("back to 100:0", all_to_stable)
        step("deleting in the wrong order is refused", steps.delete_in_the_wrong_order)
        step("deleting in order", steps.delete_in_order)
        mine.stop()
    print("passed")


if __name__ == "__main__":
    main()
