//! What all custom resources have in common, so that one code watches them and writes their status.

use std::collections::BTreeSet;
use std::fmt::Debug;

use ecs_operator_crds::v1beta1::shared::{Policies, Spec, Status};
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::core::object::{HasSpec, HasStatus};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The API of a kind for one object, depending on whether the kind is namespaced or cluster-scoped.
pub trait Scope<K> {
    /// The API that reaches objects in `namespace`, which a cluster-scoped kind ignores.
    fn api(client: Client, namespace: &str) -> Api<K>;

    /// The APIs to watch so that all objects in `namespaces` are seen; none means all.
    fn apis(client: &Client, namespaces: &[String]) -> Vec<Api<K>>;
}

impl<K: Resource<DynamicType = (), Scope = Self>> Scope<K> for NamespaceResourceScope {
    fn api(client: Client, namespace: &str) -> Api<K> {
        Api::namespaced(client, namespace)
    }

    fn apis(client: &Client, namespaces: &[String]) -> Vec<Api<K>> {
        if namespaces.is_empty() {
            return vec![Api::all(client.clone())];
        }
        let each_once: BTreeSet<_> = namespaces.iter().collect();
        each_once
            .into_iter()
            .map(|namespace| Api::namespaced(client.clone(), namespace))
            .collect()
    }
}

impl<K: Resource<DynamicType = (), Scope = Self>> Scope<K> for ClusterResourceScope {
    fn api(client: Client, _: &str) -> Api<K> {
        Api::all(client)
    }

    fn apis(client: &Client, _: &[String]) -> Vec<Api<K>> {
        vec![Api::all(client.clone())]
    }
}

/// A custom resource of the operator.
pub trait Object:
    Resource<DynamicType = (), Scope: Scope<Self>>
    + HasSpec<Spec: Spec + Serialize>
    + HasStatus<Status: Status + Clone + Debug + Default + PartialEq + Serialize + Send + Sync>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// What the operator may do with the AWS object.
    fn policies(&self) -> &Policies {
        self.spec().policies()
    }

    /// Members of the spec that AWS has accepted and that are reset when the spec drops them.
    fn applied_members(&self) -> Option<&[String]> {
        self.status()?.common().applied_members.as_deref()
    }

    /// Keys of the tags of the spec that AWS has accepted.
    fn managed_tags(&self) -> Option<&[String]> {
        self.status()?.common().managed_tags.as_deref()
    }

    /// Whether the object is being deleted.
    fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    /// The API that reaches this object.
    fn api(&self, client: &Client) -> Api<Self> {
        Self::Scope::api(client.clone(), &self.namespace().unwrap_or_default())
    }
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope: Scope<Self>>
        + HasSpec<Spec: Spec + Serialize>
        + HasStatus<Status: Status + Clone + Debug + Default + PartialEq + Serialize + Send + Sync>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}
