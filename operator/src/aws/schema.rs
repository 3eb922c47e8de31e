//! What the schemas of the custom resources say about the members of the ECS API: which lists have
//! no order, and which objects have free keys.
//!
//! The specs of all kinds are the API inputs, so a path such as `containerDefinitions.environment`
//! means the same list in a spec and in an answer of ECS. Elements of a list have the path of the
//! list.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// What the schema says about one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    /// How the schema tells the elements of a list apart (`x-kubernetes-list-type`); `None` for an
    /// atomic list, whose order may count, and for what is no list.
    pub(crate) elements: Option<Elements>,
    /// Whether it is an object whose keys are free, such as `dockerLabels`, or any JSON.
    pub(crate) is_free: bool,
}

/// How the elements of a list without an order are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Elements {
    /// By this member (`x-kubernetes-list-type: map`).
    By(String),
    /// By their whole value (`x-kubernetes-list-type: set`).
    Whole,
}

/// The path of a member below `path`.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Whether the keys of an object are free, so that each of its values counts.
pub(crate) fn is_free(path: &str) -> bool {
    member(path).is_some_and(|member| member.is_free)
}

/// The member at `path`; `None` when no schema has it.
pub(crate) fn member(path: &str) -> Option<&'static Member> {
    MEMBERS.get(path)
}

static MEMBERS: LazyLock<BTreeMap<String, Member>> = LazyLock::new(|| {
    let mut members = BTreeMap::new();
    for version in ecs_operator_crds::all()
        .into_iter()
        .flat_map(|definition| definition.spec.versions)
    {
        let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
        if let Some(spec) = schema.and_then(|schema| schema.properties?.remove("spec")) {
            collect("", &spec, &mut members);
        }
    }
    members
});

fn collect(path: &str, schema: &JSONSchemaProps, members: &mut BTreeMap<String, Member>) {
    for (name, property) in schema.properties.iter().flatten() {
        let path = join(path, name);
        let elements = match property.x_kubernetes_list_type.as_deref() {
            Some("set") => Some(Elements::Whole),
            Some("map") => property
                .x_kubernetes_list_map_keys
                .iter()
                .flatten()
                .next()
                .cloned()
                .map(Elements::By),
            _ => None,
        };
        let is_free = property.additional_properties.is_some()
            || property.x_kubernetes_preserve_unknown_fields == Some(true);
        // Kinds share names of members: what one of them says about a list holds for all.
        let known = members.entry(path.clone()).or_default();
        known.elements = known.elements.take().or(elements);
        known.is_free |= is_free;
        collect(&path, property, members);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &property.items {
            collect(&path, items, members);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_say_how_elements_are_told_apart() {
        let elements = |path: &str| member(path).and_then(|member| member.elements.clone());
        assert_eq!(
            elements("containerDefinitions.environment"),
            Some(Elements::By("name".to_owned()))
        );
        assert_eq!(
            elements("containerDefinitions.linuxParameters.capabilities.add"),
            Some(Elements::Whole)
        );
        assert_eq!(elements("containerDefinitions.command"), None);
        assert!(member("containerDefinitions.dockerLabels").is_some_and(|member| member.is_free));
        assert!(
            member("deploymentConfiguration.lifecycleHooks.hookDetails")
                .is_some_and(|member| member.is_free)
        );
        assert!(
            member("containerDefinitions.logConfiguration").is_some_and(|member| !member.is_free)
        );
        assert_eq!(member("containerDefinitions.nothing"), None);
    }
}
