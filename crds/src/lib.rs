//! The custom resources of ecs-operator: Amazon ECS objects as Kubernetes types.
//!
//! This crate knows Kubernetes schemas and nothing else: no AWS SDK, no client, no runtime. The members of a `spec` are
//! those of the ECS API input of the same object, with the same names and nesting, so that its JSON *is* the request.

#![allow(clippy::duplicated_attributes, reason = "kube's derive takes one attribute for each printer column")]
#![allow(unreachable_pub, reason = "kube's derive makes every spec public again in a module of its own")]

pub mod condition;
pub mod v1beta1;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The API group of every kind of this crate.
pub const GROUP: &str = "ecs-operator.dev";

/// The finalizer that holds an object back until what it made in AWS is gone.
pub const FINALIZER: &str = "ecs-operator.dev/finalizer";

/// Annotation that asks for a look at AWS now: one for each new value, which the status then echoes in
/// `lastHandledReconcileAt`. The value is free, a time is usual.
pub const RECONCILE_AT: &str = "ecs-operator.dev/reconcileAt";

/// The same, as Flux writes it (`flux reconcile`).
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Annotation on an EcsService that asks for new tasks of the same revision: one forced deployment for each new value, which
/// the status then echoes in `lastHandledRestartAt`. The value is free, a time (RFC 3339) is usual.
pub const RESTARTED_AT: &str = "ecs-operator.dev/restartedAt";

/// All custom resource definitions, in the order in which a reader meets them.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![v1beta1::EcsCluster::crd(), v1beta1::EcsTaskDefinition::crd(), v1beta1::EcsService::crd()]
}
