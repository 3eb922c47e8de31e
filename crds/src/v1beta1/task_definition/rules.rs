//! What RegisterTaskDefinition refuses across members, as rules of the schema.
//!
//! Sources: "Task definition parameters" for Fargate and for EC2 in the Amazon ECS developer guide,
//! and the messages of RegisterTaskDefinition that users report. Where AWS accepts, so do we; a
//! value that we do not know is left to AWS.

use kube::core::cel::Rule;

use crate::v1beta1::shared::rules::{immutable, rule, tags};

/// Every rule, as the spec carries them.
pub(super) fn all() -> Vec<Rule> {
    [
        identity(),
        containers(),
        logs(),
        sizes(),
        network(),
        volumes(),
        fargate_task(),
        fargate_containers(),
    ]
    .concat()
}

/// Family and tags.
fn identity() -> Vec<Rule> {
    vec![
        immutable(
            "family",
            "family cannot change, ECS cannot rename a family: create a new EcsTaskDefinition and point the services to it",
        ),
        tags(),
    ]
}

/// Containers that name each other, and volumes.
fn containers() -> Vec<Rule> {
    vec![
        rule(
            "self.containerDefinitions.exists(c, !has(c.essential) || c.essential)",
            "containerDefinitions: at least one container must be essential; drop essential: false from the one the task lives for",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.dependsOn) || c.dependsOn.all(d, self.containerDefinitions.exists(x, x.name == d.containerName)))",
            "containerDefinitions[].dependsOn[].containerName names a container that this task definition does not have",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.dependsOn) || c.dependsOn.all(d, d.containerName != c.name))",
            "containerDefinitions[].dependsOn: a container cannot depend on itself",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.dependsOn) || c.dependsOn.all(d, !(d.condition in ['SUCCESS', 'COMPLETE']) || self.containerDefinitions.all(x, x.name != d.containerName || (has(x.essential) && !x.essential))))",
            "containerDefinitions[].dependsOn[].condition SUCCESS and COMPLETE wait for a container that ends, so that container needs essential: false",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.dependsOn) || c.dependsOn.all(d, d.condition != 'HEALTHY' || self.containerDefinitions.all(x, x.name != d.containerName || has(x.healthCheck))))",
            "containerDefinitions[].dependsOn[].condition HEALTHY needs healthCheck on the container that it waits for: add healthCheck there, or set condition START",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.links) || c.links.all(l, self.containerDefinitions.exists(x, l == x.name || l.startsWith(x.name + ':'))))",
            "containerDefinitions[].links[] names a container that this task definition does not have: give name, or name:alias, of one that it has",
        ),
        rule(
            "!has(self.proxyConfiguration) || self.containerDefinitions.exists(c, c.name == self.proxyConfiguration.containerName)",
            "proxyConfiguration.containerName names a container that this task definition does not have: give the name of one that it has",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.volumesFrom) || c.volumesFrom.all(v, !has(v.sourceContainer) || self.containerDefinitions.exists(x, x.name == v.sourceContainer)))",
            "containerDefinitions[].volumesFrom[].sourceContainer names a container that this task definition does not have",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.mountPoints) || c.mountPoints.all(m, !has(m.sourceVolume) || (has(self.volumes) && self.volumes.exists(v, v.name == m.sourceVolume))))",
            "containerDefinitions[].mountPoints[].sourceVolume names a volume that is not in volumes",
        ),
    ]
}

/// Where containers send their logs.
fn logs() -> Vec<Rule> {
    vec![
        rule(
            "self.containerDefinitions.all(c, !has(c.logConfiguration) || c.logConfiguration.logDriver != 'awslogs' || (has(c.logConfiguration.secretOptions) && size(c.logConfiguration.secretOptions) > 0) || (has(c.logConfiguration.options) && 'awslogs-group' in c.logConfiguration.options && 'awslogs-region' in c.logConfiguration.options))",
            "containerDefinitions[].logConfiguration.options: the log driver awslogs needs awslogs-group and awslogs-region: add both",
        ),
        rule(
            "self.containerDefinitions.filter(c, has(c.firelensConfiguration)).size() <= 1",
            "containerDefinitions[].firelensConfiguration: ECS allows one log router in a task: keep it on one container",
        ),
        rule(
            "self.containerDefinitions.exists(c, has(c.firelensConfiguration)) || self.containerDefinitions.all(c, !has(c.logConfiguration) || c.logConfiguration.logDriver != 'awsfirelens')",
            "containerDefinitions[].logConfiguration.logDriver awsfirelens needs a log router: add firelensConfiguration to one container",
        ),
        rule(
            "!self.containerDefinitions.exists(c, has(c.firelensConfiguration)) || self.containerDefinitions.exists(c, has(c.logConfiguration) && c.logConfiguration.logDriver == 'awsfirelens')",
            "containerDefinitions[].firelensConfiguration: no container sends to the log router: set logConfiguration.logDriver awsfirelens on one, or drop firelensConfiguration",
        ),
    ]
}

/// CPU and memory of the task and its containers.
fn sizes() -> Vec<Rule> {
    vec![
        rule(
            "has(self.memory) || self.containerDefinitions.all(c, has(c.memory) || has(c.memoryReservation))",
            "containerDefinitions[]: without memory of the task, every container needs memory or memoryReservation",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.memory) || !has(c.memoryReservation) || c.memory >= c.memoryReservation)",
            "containerDefinitions[].memoryReservation cannot be above memory",
        ),
        sized(
            "cpu",
            "vcpu",
            "self.containerDefinitions.map(c, has(c.cpu) ? c.cpu : 0).sum() <= limit",
            "containerDefinitions[].cpu: the containers together have more than the task: raise cpu of the task, or lower cpu of a container",
        ),
        sized(
            "memory",
            "gb",
            "self.containerDefinitions.all(c, !has(c.memory) || c.memory <= limit)",
            "containerDefinitions[].memory is above memory of the task: raise memory of the task, or lower memory of the container",
        ),
        sized(
            "memory",
            "gb",
            "self.containerDefinitions.map(c, has(c.memoryReservation) ? c.memoryReservation : 0).sum() <= limit",
            "containerDefinitions[].memoryReservation: the containers together reserve more than memory of the task: raise memory of the task, or lower a reservation",
        ),
    ]
}

/// What the network mode and the IPC mode exclude.
fn network() -> Vec<Rule> {
    vec![
        rule(
            "!has(self.networkMode) || !(self.networkMode in ['awsvpc', 'host']) || self.containerDefinitions.all(c, !has(c.portMappings) || c.portMappings.all(p, !has(p.hostPort) || p.hostPort == 0 || !has(p.containerPort) || p.hostPort == p.containerPort))",
            "containerDefinitions[].portMappings[].hostPort must equal containerPort in networkMode awsvpc and host: drop hostPort",
        ),
        rule(
            "!has(self.networkMode) || self.networkMode != 'awsvpc' || self.containerDefinitions.all(c, (!has(c.links) || size(c.links) == 0) && (!has(c.hostname) || c.hostname == '') && (!has(c.extraHosts) || size(c.extraHosts) == 0) && (!has(c.dnsServers) || size(c.dnsServers) == 0) && (!has(c.dnsSearchDomains) || size(c.dnsSearchDomains) == 0))",
            "containerDefinitions[]: links, hostname, extraHosts, dnsServers and dnsSearchDomains are not possible in networkMode awsvpc: drop them",
        ),
        rule(
            "!has(self.networkMode) || !(self.networkMode in ['host', 'none']) || self.containerDefinitions.all(c, (!has(c.links) || size(c.links) == 0) && (!has(c.portMappings) || c.portMappings.all(p, !has(p.containerPortRange) || p.containerPortRange == '')))",
            "containerDefinitions[]: links and portMappings[].containerPortRange are not possible in networkMode host and none: drop them, or set networkMode bridge",
        ),
        rule(
            "!has(self.networkMode) || self.networkMode != 'none' || self.containerDefinitions.all(c, !has(c.portMappings) || size(c.portMappings) == 0)",
            "containerDefinitions[].portMappings are not possible in networkMode none: drop them, or set another networkMode",
        ),
        rule(
            "!has(self.networkMode) || self.networkMode != 'host' || self.containerDefinitions.all(c, !has(c.systemControls) || c.systemControls.all(s, !has(s.__namespace__) || !s.__namespace__.startsWith('net.')))",
            "containerDefinitions[].systemControls[].namespace: parameters net.* are not possible in networkMode host: drop them, or set networkMode bridge or awsvpc",
        ),
        rule(
            "!has(self.ipcMode) || self.ipcMode != 'host' || self.containerDefinitions.all(c, !has(c.systemControls) || c.systemControls.all(s, !has(s.__namespace__) || !(s.__namespace__.startsWith('fs.mqueue.') || s.__namespace__ in ['kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni', 'kernel.shm_rmid_forced'])))",
            "containerDefinitions[].systemControls[].namespace: IPC parameters are not possible with ipcMode host: drop them, or set ipcMode task",
        ),
    ]
}

/// Volumes of the task.
fn volumes() -> Vec<Rule> {
    vec![
        rule(
            "!has(self.volumes) || self.volumes.all(v, [has(v.host), has(v.dockerVolumeConfiguration), has(v.efsVolumeConfiguration), has(v.s3filesVolumeConfiguration), has(v.fsxWindowsFileServerVolumeConfiguration), has(v.configuredAtLaunch) && v.configuredAtLaunch].filter(kind, kind).size() <= 1)",
            "volumes[] takes one of host, dockerVolumeConfiguration, efsVolumeConfiguration, s3filesVolumeConfiguration, fsxWindowsFileServerVolumeConfiguration and configuredAtLaunch: keep one of them",
        ),
        rule(
            "!has(self.volumes) || self.volumes.filter(v, has(v.configuredAtLaunch) && v.configuredAtLaunch).size() <= 1",
            "volumes[].configuredAtLaunch: ECS allows one such volume in a task definition: keep it on one volume",
        ),
        rule(
            "!has(self.volumes) || self.volumes.all(v, (!has(v.efsVolumeConfiguration) || !has(v.efsVolumeConfiguration.rootDirectory) || v.efsVolumeConfiguration.rootDirectory in ['', '/'] || !has(v.efsVolumeConfiguration.authorizationConfig) || !has(v.efsVolumeConfiguration.authorizationConfig.accessPointId)) && (!has(v.s3filesVolumeConfiguration) || !has(v.s3filesVolumeConfiguration.rootDirectory) || v.s3filesVolumeConfiguration.rootDirectory in ['', '/'] || !has(v.s3filesVolumeConfiguration.accessPointArn)))",
            "volumes[].efsVolumeConfiguration and s3filesVolumeConfiguration: the access point sets the directory: drop rootDirectory, or set it to /",
        ),
        rule(
            "!has(self.volumes) || self.volumes.all(v, !has(v.efsVolumeConfiguration) || !has(v.efsVolumeConfiguration.authorizationConfig) || (!has(v.efsVolumeConfiguration.authorizationConfig.accessPointId) && !(has(v.efsVolumeConfiguration.authorizationConfig.iam) && v.efsVolumeConfiguration.authorizationConfig.iam == 'ENABLED')) || (has(v.efsVolumeConfiguration.transitEncryption) && v.efsVolumeConfiguration.transitEncryption == 'ENABLED'))",
            "volumes[].efsVolumeConfiguration: an access point and IAM authorization need transitEncryption: ENABLED",
        ),
    ]
}

/// What Fargate needs and excludes in the task.
fn fargate_task() -> Vec<Rule> {
    vec![
        fargate(
            "has(self.networkMode) && self.networkMode == 'awsvpc'",
            "networkMode must be awsvpc when requiresCompatibilities has FARGATE",
        ),
        fargate(
            "has(self.cpu) && has(self.memory)",
            "cpu and memory of the task are needed when requiresCompatibilities has FARGATE",
        ),
        fargate(
            &fargate_sizes(),
            "cpu and memory are no pair that Fargate has: 256 goes with 512, 1024 or 2048 MiB; 512 with 1 to 4 GB; 1024 with 2 to 8 GB; 2048 with 4 to 16 GB; 4096 with 8 to 30 GB; 8192 with 16 to 60 GB in steps of 4; 16384 with 32 to 120 GB in steps of 8",
        ),
        fargate(
            "!has(self.volumes) || self.volumes.all(v, (!has(v.host) || !has(v.host.sourcePath)) && !has(v.dockerVolumeConfiguration) && !has(v.fsxWindowsFileServerVolumeConfiguration))",
            "volumes[]: Fargate has no host to mount from; host.sourcePath, dockerVolumeConfiguration and fsxWindowsFileServerVolumeConfiguration are for EC2",
        ),
        fargate(
            "(!has(self.placementConstraints) || size(self.placementConstraints) == 0) && (!has(self.pidMode) || self.pidMode != 'host') && !has(self.ipcMode)",
            "placementConstraints, ipcMode and pidMode: host are not possible when requiresCompatibilities has FARGATE",
        ),
        fargate(
            "has(self.executionRoleArn) || self.containerDefinitions.all(c, (!has(c.secrets) || size(c.secrets) == 0) && (!has(c.logConfiguration) || c.logConfiguration.logDriver != 'awslogs') && !has(c.repositoryCredentials) && !c.image.matches('^[0-9]{12}[.]dkr[.-]ecr[.-]'))",
            "executionRoleArn is needed on Fargate for secrets, the log driver awslogs, repositoryCredentials and images in ECR",
        ),
    ]
}

/// What Fargate needs and excludes in containers.
fn fargate_containers() -> Vec<Rule> {
    vec![
        fargate(
            "self.containerDefinitions.all(c, (!has(c.privileged) || !c.privileged) && (!has(c.disableNetworking) || !c.disableNetworking) && (!has(c.dockerSecurityOptions) || size(c.dockerSecurityOptions) == 0))",
            "containerDefinitions[]: privileged, disableNetworking and dockerSecurityOptions are not possible on Fargate",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.linuxParameters) || ((!has(c.linuxParameters.devices) || size(c.linuxParameters.devices) == 0) && !has(c.linuxParameters.maxSwap) && !has(c.linuxParameters.swappiness) && (!has(c.linuxParameters.sharedMemorySize) || c.linuxParameters.sharedMemorySize == 0)))",
            "containerDefinitions[].linuxParameters: devices, maxSwap, swappiness and sharedMemorySize are not possible on Fargate: drop them",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.linuxParameters) || !has(c.linuxParameters.capabilities) || !has(c.linuxParameters.capabilities.add) || c.linuxParameters.capabilities.add.all(a, a in ['SYS_PTRACE', 'CAP_SYS_PTRACE']))",
            "containerDefinitions[].linuxParameters.capabilities.add: Fargate lets only SYS_PTRACE be added: drop the others",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.stopTimeout) || c.stopTimeout <= 120)",
            "containerDefinitions[].stopTimeout cannot be above 120 on Fargate: set 120 or less",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.logConfiguration) || c.logConfiguration.logDriver != 'awslogs' || (has(c.logConfiguration.secretOptions) && size(c.logConfiguration.secretOptions) > 0) || (has(c.logConfiguration.options) && 'awslogs-stream-prefix' in c.logConfiguration.options))",
            "containerDefinitions[].logConfiguration.options: the log driver awslogs needs awslogs-stream-prefix on Fargate: add it",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.logConfiguration) || !(c.logConfiguration.logDriver in ['json-file', 'syslog', 'journald', 'gelf', 'fluentd']))",
            "containerDefinitions[].logConfiguration.logDriver: Fargate supports awslogs, splunk and awsfirelens: set one of them",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.resourceRequirements) || c.resourceRequirements.all(r, r.type != 'GPU'))",
            "containerDefinitions[].resourceRequirements: Fargate has no GPU",
        ),
    ]
}

/// A rule for task definitions that must be valid for Fargate.
fn fargate(condition: &str, message: &str) -> Rule {
    rule(
        &format!(
            "!has(self.requiresCompatibilities) || !('FARGATE' in self.requiresCompatibilities) || ({condition})"
        ),
        message,
    )
}

/// A rule for task definitions with a size of the whole task, `limit` in CPU units or MiB. Windows
/// containers ignore that size, and a size in another spelling is left to AWS.
///
/// Sources: RegisterTaskDefinition, ECS API reference, and its messages "The sum of all container
/// 'cpu' values cannot be greater than the value of the task 'cpu'", the same with
/// 'memoryReservation', and "The 'memory' setting for container … is greater than for the task". No
/// message compares the sum of `memory`, so that is left to AWS.
fn sized(member: &str, unit: &str, condition: &str, message: &str) -> Rule {
    let size = size(member, unit);
    rule(
        &format!(
            "!has(self.{member}) || {} || !{} || [{size}].all(limit, {condition})",
            "(has(self.runtimePlatform) && has(self.runtimePlatform.operatingSystemFamily) && self.runtimePlatform.operatingSystemFamily.startsWith('WINDOWS'))",
            is_size(member, unit),
        ),
        message,
    )
}

/// Whether [`size`] can read a size of the whole task.
fn is_size(member: &str, unit: &str) -> String {
    format!(
        "self.{member}.lowerAscii().matches('^([0-9]{{1,9}}|[0-9]{{0,6}}[.]?[0-9]{{1,6}} ?{unit})$')"
    )
}

/// A size of the whole task in CPU units or MiB. One `unit` is 1024 of these.
fn size(member: &str, unit: &str) -> String {
    format!(
        "self.{member}.lowerAscii().endsWith('{unit}') ? int(double(self.{member}.lowerAscii().replace('{unit}', '').trim()) * 1024.0) : int(self.{member})"
    )
}

/// The pairs of sizes that Fargate has. A size in another spelling, or a CPU size that is newer
/// than this list, is left to AWS.
fn fargate_sizes() -> String {
    let (cpu, memory) = (("cpu", "vcpu"), ("memory", "gb"));
    format!(
        "!has(self.cpu) || !has(self.memory) || !{} || !{} || [{}].exists(c, [{}].exists(m, {FARGATE_PAIRS}))",
        is_size(cpu.0, cpu.1),
        is_size(memory.0, memory.1),
        size(cpu.0, cpu.1),
        size(memory.0, memory.1)
    )
}

/// Whether `m` MiB go with `c` CPU units.
const FARGATE_PAIRS: &str = "c == 256 ? m in [512, 1024, 2048] \
: c == 512 ? m >= 1024 && m <= 4096 && m % 1024 == 0 \
: c == 1024 ? m >= 2048 && m <= 8192 && m % 1024 == 0 \
: c == 2048 ? m >= 4096 && m <= 16384 && m % 1024 == 0 \
: c == 4096 ? m >= 8192 && m <= 30720 && m % 1024 == 0 \
: c == 8192 ? m >= 16384 && m <= 61440 && m % 4096 == 0 \
: c == 16384 ? m >= 32768 && m <= 122880 && m % 8192 == 0 \
: true";
