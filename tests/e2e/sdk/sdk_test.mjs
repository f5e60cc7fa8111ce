// AWS SDK for JavaScript v3 against `coalmine mock-aws`: requests, strict parsing of the answers,
// errors as exceptions, paginators and waiters. usage: node sdk_test.mjs COALMINE
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import {
  AppMeshClient, CreateMeshCommand, CreateRouteCommand, CreateVirtualNodeCommand,
  CreateVirtualRouterCommand, DeleteMeshCommand, DescribeRouteCommand, UpdateRouteCommand,
  paginateListVirtualNodes,
} from '@aws-sdk/client-app-mesh';
import {
  CloudWatchClient, GetMetricDataCommand, PutMetricAlarmCommand, PutMetricDataCommand,
  paginateDescribeAlarms,
} from '@aws-sdk/client-cloudwatch';
import { CreateRepositoryCommand, DescribeRepositoriesCommand, ECRClient } from '@aws-sdk/client-ecr';
import {
  CreateClusterCommand, CreateServiceCommand, DescribeServicesCommand, ECSClient,
  ExecuteCommandCommand, RegisterTaskDefinitionCommand, UpdateServiceCommand,
  waitUntilServicesStable,
} from '@aws-sdk/client-ecs';
import {
  CreateListenerCommand, CreateLoadBalancerCommand, CreateTargetGroupCommand,
  DescribeListenersCommand, ElasticLoadBalancingV2Client, ModifyListenerCommand,
  waitUntilLoadBalancerAvailable,
} from '@aws-sdk/client-elastic-load-balancing-v2';

/** The URL of a mock-aws on a free port; stopped with SIGINT when the tests are over. */
async function startMock(program) {
  const child = spawn(program, ['mock-aws', '--port', '0', '--driver', 'simulated',
    '--verify-signatures'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    exited.then((code) => reject(new Error(`mock-aws ended with ${code} before it was ready`)));
  });
  const endpoint = /mock-aws=(\S+)/.exec(line)[1];
  const stop = async () => {
    child.kill('SIGINT');
    assert.equal(await exited, 0, 'mock-aws exits 0 after SIGINT');
  };
  return { endpoint, stop };
}

async function appMesh(config) {
  const mesh = new AppMeshClient(config);
  const made = await mesh.send(new CreateMeshCommand({ meshName: 'm' }));
  assert.equal(made.mesh.status.status, 'ACTIVE');
  assert.ok(made.mesh.metadata.createdAt instanceof Date);
  for (let i = 0; i < 5; ++i) {
    await mesh.send(new CreateVirtualNodeCommand({ meshName: 'm', virtualNodeName: `node-${i}`,
      spec: {} }));
  }
  const names = [];
  for await (const page of paginateListVirtualNodes({ client: mesh, pageSize: 2 },
    { meshName: 'm' })) {
    assert.ok(page.virtualNodes.length <= 2);
    names.push(...page.virtualNodes.map((n) => n.virtualNodeName));
  }
  assert.deepEqual(names, [0, 1, 2, 3, 4].map((i) => `node-${i}`));
  const listeners = [{ portMapping: { port: 9000, protocol: 'http' } }];
  await mesh.send(new CreateVirtualRouterCommand({ meshName: 'm', virtualRouterName: 'r',
    spec: { listeners } }));
  const spec = (stable, canary) => ({ httpRoute: { match: { prefix: '/' }, action: {
    weightedTargets: [{ virtualNode: 'node-0', weight: stable },
      { virtualNode: 'node-1', weight: canary }] } } });
  const names2 = { meshName: 'm', virtualRouterName: 'r', routeName: 'route' };
  await mesh.send(new CreateRouteCommand({ ...names2, spec: spec(99, 1) }));
  await mesh.send(new UpdateRouteCommand({ ...names2, spec: spec(50, 50) }));
  const route = (await mesh.send(new DescribeRouteCommand(names2))).route;
  assert.equal(route.metadata.version, 2);
  assert.equal(route.spec.httpRoute.action.weightedTargets[1].weight, 50);
  await assert.rejects(mesh.send(new UpdateRouteCommand({ ...names2, spec: spec(101, 1) })),
    { name: 'BadRequestException' });
  await assert.rejects(mesh.send(new DeleteMeshCommand({ meshName: 'm' })),
    (error) => error.name === 'ResourceInUseException' && error.$metadata.httpStatusCode === 409);
}

async function ecs(config) {
  const client = new ECSClient(config);
  await client.send(new CreateClusterCommand({ clusterName: 'c' }));
  const register = (tag) => client.send(new RegisterTaskDefinitionCommand({ family: 'app',
    containerDefinitions: [{ name: 'app', image: `app-${tag}`, memory: 128, essential: true }] }));
  await register('v1');
  await client.send(new CreateServiceCommand({ cluster: 'c', serviceName: 's',
    taskDefinition: 'app', desiredCount: 2, launchType: 'EC2' }));
  const wait = () => waitUntilServicesStable({ client, maxWaitTime: 120, minDelay: 1, maxDelay: 1 },
    { cluster: 'c', services: ['s'] });
  assert.equal((await wait()).state, 'SUCCESS');
  await register('v2');
  await client.send(new UpdateServiceCommand({ cluster: 'c', service: 's', taskDefinition: 'app',
    desiredCount: 1 }));
  assert.equal((await wait()).state, 'SUCCESS');
  const service = (await client.send(new DescribeServicesCommand({ cluster: 'c',
    services: ['s'] }))).services[0];
  assert.equal(service.runningCount, 1);
  assert.ok(service.taskDefinition.endsWith(':2'));
  await assert.rejects(client.send(new ExecuteCommandCommand({ cluster: 'c', task: 't',
    command: 'sh', interactive: true })), (error) => error.$metadata.httpStatusCode === 501);
}

async function loadBalancer(config) {
  const client = new ElasticLoadBalancingV2Client(config);
  const balancer = (await client.send(new CreateLoadBalancerCommand({ Name: 'lb',
    Subnets: ['subnet-a', 'subnet-b'] }))).LoadBalancers[0];
  assert.equal((await waitUntilLoadBalancerAvailable({ client, maxWaitTime: 60, minDelay: 1,
    maxDelay: 1 }, { LoadBalancerArns: [balancer.LoadBalancerArn] })).state, 'SUCCESS');
  const groups = [];
  for (const name of ['stable', 'canary']) {
    groups.push((await client.send(new CreateTargetGroupCommand({ Name: name, Protocol: 'HTTP',
      Port: 80, TargetType: 'ip', VpcId: 'vpc-1' }))).TargetGroups[0].TargetGroupArn);
  }
  const forward = (weights) => [{ Type: 'forward', ForwardConfig: { TargetGroups: groups.map(
    (TargetGroupArn, i) => ({ TargetGroupArn, Weight: weights[i] })) } }];
  const listener = (await client.send(new CreateListenerCommand({ Protocol: 'HTTP', Port: 80,
    LoadBalancerArn: balancer.LoadBalancerArn, DefaultActions: forward([999, 1]) }))).Listeners[0];
  await client.send(new ModifyListenerCommand({ ListenerArn: listener.ListenerArn,
    DefaultActions: forward([900, 100]) }));
  const seen = (await client.send(new DescribeListenersCommand({
    LoadBalancerArn: balancer.LoadBalancerArn }))).Listeners[0];
  assert.deepEqual(seen.DefaultActions[0].ForwardConfig.TargetGroups.map((g) => g.Weight),
    [900, 100]);
}

async function cloudWatch(config) {
  const client = new CloudWatchClient(config);
  const now = new Date(Math.floor(Date.now() / 60000) * 60000);
  await client.send(new PutMetricDataCommand({ Namespace: 'App', MetricData: [
    { MetricName: 'errors', Value: 3, Timestamp: now },
    { MetricName: 'errors', Value: 4, Timestamp: now }] }));
  const data = await client.send(new GetMetricDataCommand({
    StartTime: new Date(now - 60000), EndTime: new Date(now.getTime() + 60000),
    MetricDataQueries: [{ Id: 'e', MetricStat: { Period: 60, Stat: 'Sum',
      Metric: { Namespace: 'App', MetricName: 'errors' } } }] }));
  assert.deepEqual(data.MetricDataResults[0].Values, [7]);
  for (let i = 0; i < 5; ++i) {
    await client.send(new PutMetricAlarmCommand({ AlarmName: `a${i}`, MetricName: 'errors',
      Namespace: 'App', Statistic: 'Sum', Period: 60, EvaluationPeriods: 1, Threshold: 1,
      ComparisonOperator: 'GreaterThanThreshold' }));
  }
  const alarms = [];
  for await (const page of paginateDescribeAlarms({ client, pageSize: 2 }, {})) {
    alarms.push(...page.MetricAlarms.map((alarm) => alarm.AlarmName));
  }
  assert.deepEqual(alarms, ['a0', 'a1', 'a2', 'a3', 'a4']);
}

async function ecr(config) {
  const client = new ECRClient(config);
  const made = await client.send(new CreateRepositoryCommand({ repositoryName: 'team/app' }));
  assert.equal(made.repository.imageTagMutability, 'MUTABLE');
  await assert.rejects(client.send(new DescribeRepositoriesCommand({
    repositoryNames: ['none'] })), { name: 'RepositoryNotFoundException' });
}

const mock = await startMock(process.argv[2]);
const config = { endpoint: mock.endpoint, region: 'eu-west-1', maxAttempts: 1,
  credentials: { accessKeyId: '000000000000', secretAccessKey: 'coalmine' } };
for (const check of [appMesh, ecs, loadBalancer, cloudWatch, ecr]) {
  await check(config);
  console.log(`passed: ${check.name}`);
}
await mock.stop();
