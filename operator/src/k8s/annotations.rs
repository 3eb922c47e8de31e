//! Annotations by which a user requests a reconcile.

use ecs_operator_crds::v1beta1::shared::Status;
use ecs_operator_crds::{FLUX_REQUESTED_AT, RECONCILE_AT};
use kube::ResourceExt;

use super::conditions::echo;
use super::object::Object;

/// The reconcile that an annotation requests; where both annotations are set, their values one
/// after the other.
pub fn requested(object: &impl ResourceExt) -> Option<String> {
    let annotations = object.annotations();
    let asked: Vec<_> = [RECONCILE_AT, FLUX_REQUESTED_AT]
        .into_iter()
        .filter_map(|name| annotations.get(name))
        .collect();
    (!asked.is_empty()).then(|| {
        asked
            .into_iter()
            .map(|value| echo(value))
            .collect::<Vec<_>>()
            .join(",")
    })
}

/// Whether an annotation requests a reconcile that the status does not report as handled.
pub(crate) fn is_asked<K: Object>(object: &K) -> bool {
    let handled = || {
        object
            .status()?
            .common()
            .last_handled_reconcile_at
            .as_deref()
    };
    requested(object).is_some_and(|request| handled() != Some(&*request))
}

#[cfg(test)]
mod tests {
    use ecs_operator_crds::v1beta1::EcsService;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn reads_both_annotations() {
        let asked = |annotations: &Value| {
            let object = json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsService", "spec": {},
                "metadata": {"name": "web", "namespace": "default", "annotations": annotations}});
            requested(&serde_json::from_value::<EcsService>(object).expect("a valid object"))
        };
        assert_eq!(asked(&json!({})), None);
        assert_eq!(
            asked(&json!({FLUX_REQUESTED_AT: "2"})).as_deref(),
            Some("2")
        );
        assert_eq!(
            asked(&json!({RECONCILE_AT: "1", FLUX_REQUESTED_AT: "2"})).as_deref(),
            Some("1,2")
        );
    }
}
