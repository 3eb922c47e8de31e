//! The kinds, the operations whose inputs are their specs, and the exceptions.

use ecs_operator_crds::v1beta1::{
    EcrRepositorySpec, EcsCapacityProviderSpec, EcsClusterSpec, EcsServiceSpec,
    EcsTaskDefinitionSpec, EcsTaskSpec,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A kind and the operation whose input is its spec.
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    /// The service, as botocore names it.
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    /// Members of the spec that the operation does not have, with all that is in them.
    pub(crate) own: &'static [&'static str],
    /// Parses a document as the spec and writes it again.
    pub(crate) carry: fn(&Value) -> Result<Value, String>,
}

pub(crate) const KINDS: &[Row] = &[
    Row {
        kind: "EcsCluster",
        service: "ecs",
        operation: "CreateCluster",
        own: &[],
        carry: carried::<EcsClusterSpec>,
    },
    Row {
        kind: "EcsTaskDefinition",
        service: "ecs",
        operation: "RegisterTaskDefinition",
        own: &[
            "deleteRevisions",
            "imageResolution",
            "revisionHistoryLimit",
            "verifyImages",
        ],
        carry: carried::<EcsTaskDefinitionSpec>,
    },
    Row {
        kind: "EcsService",
        service: "ecs",
        operation: "CreateService",
        own: &[
            "autoscaling",
            "clusterRef",
            "desiredCountOwner",
            "rollout",
            "taskDefinitionRef",
        ],
        carry: carried::<EcsServiceSpec>,
    },
    Row {
        kind: "EcrRepository",
        service: "ecr",
        operation: "CreateRepository",
        own: &[
            "forceDelete",
            "lifecyclePolicy",
            "lifecyclePolicyText",
            "repositoryPolicy",
            "repositoryPolicyText",
        ],
        carry: carried::<EcrRepositorySpec>,
    },
    Row {
        kind: "EcsCapacityProvider",
        service: "ecs",
        operation: "CreateCapacityProvider",
        own: &["clusterRef"],
        carry: carried::<EcsCapacityProviderSpec>,
    },
    Row {
        kind: "EcsTask",
        service: "ecs",
        operation: "RunTask",
        own: &[
            "activeDeadlineSeconds",
            "backoffLimit",
            "clusterRef",
            "failurePolicy",
            "runPolicy",
            "taskDefinitionRef",
        ],
        carry: carried::<EcsTaskSpec>,
    },
];

/// Members of EcsService that are inputs of Application Auto Scaling: the path, the operation, and
/// the members of the path that the operation does not have.
pub(crate) const AUTOSCALING: &[(&str, &str, &[&str])] = &[
    (
        "autoscaling",
        "RegisterScalableTarget",
        &[
            "cpu",
            "memory",
            "policies",
            "queueBacklogPerTask",
            "scheduledActions",
        ],
    ),
    ("autoscaling.policies[]", "PutScalingPolicy", &[]),
    ("autoscaling.scheduledActions[]", "PutScheduledAction", &[]),
];

/// The row of a kind.
pub(crate) fn kind(name: &str) -> &'static Row {
    KINDS
        .iter()
        .find(|kind| kind.kind == name)
        .expect("the kind has a row")
}

/// The definition of a kind, as JSON.
pub(crate) fn definition(kind: &str) -> Value {
    let crd = ecs_operator_crds::all()
        .into_iter()
        .find(|crd| crd.spec.names.kind == kind)
        .expect("the kind is defined");
    serde_json::to_value(crd).expect("it serializes")
}

/// The document after it was parsed as the spec of a custom resource and written again.
fn carried<Spec: Serialize + DeserializeOwned>(document: &Value) -> Result<Value, String> {
    let spec: Spec = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(spec).map_err(|error| error.to_string())
}

/// Where a custom resource differs from the API on purpose: path, and why.
pub(crate) const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "EcsService clientToken",
        "the operator makes the token, from the UID: a user's would not survive a crash",
    ),
    (
        "EcsTask clientToken",
        "the operator makes the token, from the UID and the attempt",
    ),
    (
        "EcsTask startedBy",
        "the operator finds the tasks of an attempt by it",
    ),
    (
        "EcsTask referenceId",
        "AWS documents that it is not for use",
    ),
    (
        "EcsTask taskDefinition required",
        "taskDefinitionRef takes its place",
    ),
    ("EcsTask tags max", "two of the 50 tags are the operator's"),
    (
        "EcsTask launchType value MANAGED_INSTANCES",
        "such tasks name a strategy",
    ),
    ("EcsTask propagateTags value SERVICE", "RunTask refuses it"),
    (
        "EcsTaskDefinition family required",
        "the default is metadata.name",
    ),
    (
        "EcsService serviceName required",
        "the default is metadata.name",
    ),
    (
        "EcrRepository registryId",
        "a repository is created in the own registry only",
    ),
    (
        "EcrRepository tags[].value required",
        "an absent value is sent as an empty one",
    ),
    (
        "EcrRepository repositoryName required",
        "the default is metadata.name",
    ),
    (
        "EcsCapacityProvider name required",
        "the default is metadata.name",
    ),
    (
        "EcsCapacityProvider tags max",
        "two of the 50 tags are the operator's",
    ),
    (
        "EcsCluster tags max",
        "two of the 50 tags are the operator's",
    ),
    (
        "EcsTaskDefinition tags max",
        "two of the 50 tags are the operator's",
    ),
    (
        "EcsService tags max",
        "two of the 50 tags are the operator's",
    ),
    (
        "EcsService launchType value MANAGED_INSTANCES",
        "ECS shows it and does not take it: such services name a strategy",
    ),
];

/// Where `spec.autoscaling` differs from the API on purpose: member, and why.
pub(crate) const AUTOSCALING_EXCEPTIONS: &[(&str, &str)] = &[
    ("serviceNamespace", "it is always ecs"),
    (
        "resourceId",
        "it is made of the names of cluster and service",
    ),
    ("scalableDimension", "it is always ecs:service:DesiredCount"),
    ("roleARN", "AWS uses its service-linked role for services"),
    (
        "tags",
        "the scalable target has the owner tag of the service",
    ),
    ("tags{}", "the same"),
    ("minCapacity required", "a new scalable target needs it"),
    ("maxCapacity required", "a new scalable target needs it"),
    (
        "startTime kind: timestamp in the API, string here",
        "times are texts in Kubernetes",
    ),
    (
        "endTime kind: timestamp in the API, string here",
        "times are texts in Kubernetes",
    ),
    ("schedule required", "a new scheduled action needs it"),
    (
        "scalableTargetAction required",
        "a new scheduled action needs it",
    ),
];

/// Whether a difference is an exception.
pub(crate) fn exempt(what: &str) -> bool {
    EXCEPTIONS.iter().any(|(exception, _)| *exception == what)
}

/// The API model leaves these optional, and ECS refuses documents without them; list keys need them
/// besides.
pub(crate) const REQUIRED_BY_US: &[&str] = &[
    "EcsCluster settings[].name",
    "EcsCluster settings[].value",
    "EcsCluster tags[].key",
    "EcsTaskDefinition containerDefinitions[].name",
    "EcsTaskDefinition containerDefinitions[].image",
    "EcsTaskDefinition containerDefinitions[].environment[].name",
    "EcsTaskDefinition proxyConfiguration.properties[].name",
    "EcsTaskDefinition volumes[].name",
    "EcsTaskDefinition tags[].key",
    "EcsService tags[].key",
    "EcsCapacityProvider tags[].key",
    "EcsTask tags[].key",
    "EcsTask overrides.containerOverrides[].name",
    "EcsTask overrides.containerOverrides[].environment[].name",
    "EcsTask volumeConfigurations[].managedEBSVolume.tagSpecifications[].tags[].key",
    "EcsService volumeConfigurations[].managedEBSVolume.tagSpecifications[].tags[].key",
];
