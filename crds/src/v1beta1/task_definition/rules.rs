//! What RegisterTaskDefinition refuses across members, as rules of the schema.
//!
//! Sources: "Task definition parameters" for Fargate and for EC2 in the Amazon ECS developer guide, and the messages of
//! RegisterTaskDefinition that users report. Where AWS accepts, so do we; a value that we do not know is left to AWS.

use kube::core::cel::Rule;

use crate::v1beta1::shared::rules::{immutable, rule, tags};

/// Every rule, as the spec carries them.
pub(super) fn all() -> Vec<Rule> {
    vec![
        immutable(
            "family",
            "family cannot change, ECS cannot rename a family: create a new EcsTaskDefinition and point the services to it",
        ),
        // Containers among each other
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
            "self.containerDefinitions.all(c, !has(c.volumesFrom) || c.volumesFrom.all(v, !has(v.sourceContainer) || self.containerDefinitions.exists(x, x.name == v.sourceContainer)))",
            "containerDefinitions[].volumesFrom[].sourceContainer names a container that this task definition does not have",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.mountPoints) || c.mountPoints.all(m, !has(m.sourceVolume) || (has(self.volumes) && self.volumes.exists(v, v.name == m.sourceVolume))))",
            "containerDefinitions[].mountPoints[].sourceVolume names a volume that is not in volumes",
        ),
        // Sizes
        rule(
            "has(self.memory) || self.containerDefinitions.all(c, has(c.memory) || has(c.memoryReservation))",
            "containerDefinitions[]: without memory of the task, every container needs memory or memoryReservation",
        ),
        rule(
            "self.containerDefinitions.all(c, !has(c.memory) || !has(c.memoryReservation) || c.memory >= c.memoryReservation)",
            "containerDefinitions[].memoryReservation cannot be above memory",
        ),
        // Network
        rule(
            "!has(self.networkMode) || !(self.networkMode in ['awsvpc', 'host']) || self.containerDefinitions.all(c, !has(c.portMappings) || c.portMappings.all(p, !has(p.hostPort) || p.hostPort == 0 || !has(p.containerPort) || p.hostPort == p.containerPort))",
            "containerDefinitions[].portMappings[].hostPort must equal containerPort in networkMode awsvpc and host: drop hostPort",
        ),
        rule(
            "!has(self.networkMode) || self.networkMode != 'awsvpc' || self.containerDefinitions.all(c, (!has(c.links) || size(c.links) == 0) && (!has(c.extraHosts) || size(c.extraHosts) == 0) && (!has(c.dnsServers) || size(c.dnsServers) == 0) && (!has(c.dnsSearchDomains) || size(c.dnsSearchDomains) == 0))",
            "containerDefinitions[]: links, extraHosts, dnsServers and dnsSearchDomains are not possible in networkMode awsvpc",
        ),
        // Volumes
        rule(
            "!has(self.volumes) || self.volumes.all(v, !has(v.efsVolumeConfiguration) || !has(v.efsVolumeConfiguration.authorizationConfig) || (!has(v.efsVolumeConfiguration.authorizationConfig.accessPointId) && !(has(v.efsVolumeConfiguration.authorizationConfig.iam) && v.efsVolumeConfiguration.authorizationConfig.iam == 'ENABLED')) || (has(v.efsVolumeConfiguration.transitEncryption) && v.efsVolumeConfiguration.transitEncryption == 'ENABLED'))",
            "volumes[].efsVolumeConfiguration: an access point and IAM authorization need transitEncryption: ENABLED",
        ),
        // Tags
        tags(),
        // Fargate
        fargate(
            "has(self.networkMode) && self.networkMode == 'awsvpc'",
            "networkMode must be awsvpc when requiresCompatibilities has FARGATE",
        ),
        fargate(
            "has(self.cpu) && has(self.memory)",
            "cpu and memory of the task are needed when requiresCompatibilities has FARGATE",
        ),
        fargate(
            FARGATE_SIZES,
            "cpu and memory are no pair that Fargate has: 256 goes with 512, 1024 or 2048 MiB; 512 with 1 to 4 GB; 1024 with 2 to 8 GB; 2048 with 4 to 16 GB; 4096 with 8 to 30 GB; 8192 with 16 to 60 GB in steps of 4; 16384 with 32 to 120 GB in steps of 8",
        ),
        fargate(
            "!has(self.volumes) || self.volumes.all(v, (!has(v.host) || !has(v.host.sourcePath)) && !has(v.dockerVolumeConfiguration) && !has(v.fsxWindowsFileServerVolumeConfiguration))",
            "volumes[]: Fargate has no host to mount from; host.sourcePath, dockerVolumeConfiguration and fsxWindowsFileServerVolumeConfiguration are for EC2",
        ),
        fargate(
            "self.containerDefinitions.all(c, (!has(c.privileged) || !c.privileged) && (!has(c.disableNetworking) || !c.disableNetworking) && (!has(c.dockerSecurityOptions) || size(c.dockerSecurityOptions) == 0))",
            "containerDefinitions[]: privileged, disableNetworking and dockerSecurityOptions are not possible on Fargate",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.linuxParameters) || ((!has(c.linuxParameters.devices) || size(c.linuxParameters.devices) == 0) && !has(c.linuxParameters.maxSwap) && !has(c.linuxParameters.swappiness)))",
            "containerDefinitions[].linuxParameters: devices, maxSwap and swappiness are not possible on Fargate",
        ),
        fargate(
            "self.containerDefinitions.all(c, !has(c.resourceRequirements) || c.resourceRequirements.all(r, r.type != 'GPU'))",
            "containerDefinitions[].resourceRequirements: Fargate has no GPU",
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

/// A rule for task definitions that must be valid for Fargate.
fn fargate(condition: &str, message: &str) -> Rule {
    rule(&format!("!has(self.requiresCompatibilities) || !('FARGATE' in self.requiresCompatibilities) || ({condition})"), message)
}

/// Both sizes in units and MiB, whatever their spelling, and the pairs that Fargate has. A size in another spelling, or a
/// CPU size that is newer than this list, is left to AWS.
const FARGATE_SIZES: &str = "!has(self.cpu) || !has(self.memory) \
|| !self.cpu.lowerAscii().matches('^([0-9]+|[0-9]*[.]?[0-9]+ ?vcpu)$') || !self.memory.lowerAscii().matches('^([0-9]+|[0-9]*[.]?[0-9]+ ?gb)$') \
|| [self.cpu.lowerAscii().endsWith('vcpu') ? int(double(self.cpu.lowerAscii().replace('vcpu', '').trim()) * 1024.0) : int(self.cpu)].exists(c, \
[self.memory.lowerAscii().endsWith('gb') ? int(double(self.memory.lowerAscii().replace('gb', '').trim()) * 1024.0) : int(self.memory)].exists(m, \
c == 256 ? m in [512, 1024, 2048] \
: c == 512 ? m >= 1024 && m <= 4096 && m % 1024 == 0 \
: c == 1024 ? m >= 2048 && m <= 8192 && m % 1024 == 0 \
: c == 2048 ? m >= 4096 && m <= 16384 && m % 1024 == 0 \
: c == 4096 ? m >= 8192 && m <= 30720 && m % 1024 == 0 \
: c == 8192 ? m >= 16384 && m <= 61440 && m % 4096 == 0 \
: c == 16384 ? m >= 32768 && m <= 122880 && m % 8192 == 0 \
: true))";
