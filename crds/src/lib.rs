//! The custom resources of ecs-operator: Amazon ECS objects as Kubernetes types.
//!
//! This crate knows Kubernetes schemas and nothing else: no AWS SDK, no client, no runtime. The
//! members of a `spec` are those of the ECS API input of the same object, with the same names and
//! nesting, so that its JSON *is* the request.

#![allow(
    clippy::duplicated_attributes,
    reason = "kube's derive takes one attribute for each printer column"
)]
#![allow(
    unreachable_pub,
    reason = "kube's derive makes every spec public again in a module of its own"
)]

pub mod condition;
pub mod v1beta1;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// The API group of every kind of this crate.
pub const GROUP: &str = "ecs-operator.dev";

/// The finalizer that keeps an object until its AWS object is deleted.
pub const FINALIZER: &str = "ecs-operator.dev/finalizer";

/// Annotation that requests a reconciliation with a fresh read of AWS, one for each new value. The
/// status shows the handled value in `lastHandledReconcileAt`. Any text is a value; a time is
/// usual.
pub const RECONCILE_AT: &str = "ecs-operator.dev/reconcileAt";

/// The same, as Flux writes it (`flux reconcile`).
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Annotation on an EcsService that restarts its tasks with the same revision, and retries a
/// deployment that failed: one forced deployment for each new value, a time (RFC 3339), as `kubectl
/// rollout restart` does it.
///
/// Like every command by annotation it is answered once, by an event and in
/// `status.handledCommands`.
pub const RESTARTED_AT: &str = "ecs-operator.dev/restartedAt";

/// Annotation on an EcsService that rolls back to the revision of an earlier rollout, until the
/// spec or its revision changes. The value is `family:revision`, one of `status.rolloutHistory`.
pub const ROLLBACK_TO: &str = "ecs-operator.dev/rollbackTo";

/// Annotation on an EcsService that continues a deployment which is paused at a hook
/// (ContinueServiceDeployment). The value is a time.
pub const CONTINUE_AT: &str = "ecs-operator.dev/continueAt";

/// Annotation on an EcsService that stops the current deployment and rolls it back
/// (StopServiceDeployment, ROLLBACK). The value is a time.
pub const STOP_AT: &str = "ecs-operator.dev/stopAt";

/// The same without a rollback (StopServiceDeployment, ABORT).
pub const ABORT_AT: &str = "ecs-operator.dev/abortAt";

/// The commands by annotation, in the order in which they are answered.
pub const COMMANDS: [&str; 5] = [STOP_AT, ABORT_AT, CONTINUE_AT, ROLLBACK_TO, RESTARTED_AT];

/// All custom resource definitions, in the order in which a reader meets them.
///
/// # Panics
/// Never: a definition is made of types that serialize.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut all = vec![
        v1beta1::EcsCluster::crd(),
        v1beta1::EcsTaskDefinition::crd(),
        v1beta1::EcsService::crd(),
        v1beta1::EcrRepository::crd(),
        v1beta1::EcsCapacityProvider::crd(),
        v1beta1::EcsTask::crd(),
    ];
    all.iter_mut().for_each(allow_absent_spec);
    all.into_iter().map(with_joined_lines).collect()
}

/// The definition with the lines of each paragraph of a description as one line: they are wrapped
/// for the source, and `kubectl explain` wraps them for the terminal.
fn with_joined_lines(definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut json = serde_json::to_value(definition).expect("a definition serializes");
    join_lines(&mut json);
    serde_json::from_value(json).expect("it was a definition")
}

fn join_lines(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                let paragraphs = text
                    .split("\n\n")
                    .map(|paragraph| paragraph.replace('\n', " "));
                *text = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
            members.values_mut().for_each(join_lines);
        }
        Value::Array(elements) => elements.iter_mut().for_each(join_lines),
        _ => {}
    }
}

/// Makes `spec` optional in a definition whose spec has a default, which the API server sets then.
fn allow_absent_spec(definition: &mut CustomResourceDefinition) {
    let versions = definition.spec.versions.iter_mut();
    let schemas =
        versions.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    for schema in schemas {
        let spec = schema
            .properties
            .as_ref()
            .and_then(|members| members.get("spec"));
        if spec.is_some_and(|spec| spec.default.is_some()) {
            schema.required = None;
        }
    }
}
