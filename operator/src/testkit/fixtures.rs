//! Objects for unit tests, and what plans come to.

use ecs_operator_crds::v1beta1::EcsService;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::aws::Operation;
use crate::aws::tags::Owner;
use crate::reconcile::Kind;
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::references::Dependants;
use crate::reconcile::report::status_after;
use crate::trigger::ObjectId;

/// EcsServices of these names, which refer to an object that is being deleted.
pub(crate) fn dependants(names: &[&str]) -> Dependants {
    let service = |name: &&str| ObjectId::new::<EcsService>(Some("default"), name);
    Dependants {
        objects: names.iter().map(service).collect(),
        ..Dependants::default()
    }
}

/// Objects of a kind as tests need them: `EcsCluster::test("shop", &spec).deleting()`.
pub(crate) trait Fixture: Kind {
    /// An object of the namespace `default`, of UID `u-1` and generation 1.
    fn test(name: &str, spec: &Value) -> Self {
        let object = json!({
            "apiVersion": Self::api_version(&()),
            "kind": Self::kind(&()),
            "metadata": {"name": name, "namespace": "default", "uid": "u-1", "generation": 1},
            "spec": spec,
        });
        serde_json::from_value(object).expect("a valid object")
    }

    /// The object while it is being deleted.
    fn deleting(self) -> Self {
        self.with(&json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}))
    }

    /// The status of the object after a pass at the epoch that observed this, with this outcome.
    fn status_after(&self, observed: Option<&Self::Observed>, outcome: &Outcome) -> Self::Status {
        self.status_at(observed, outcome, Timestamp::UNIX_EPOCH)
    }

    /// The same, after a pass at this time.
    fn status_at(
        &self,
        observed: Option<&Self::Observed>,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Self::Status {
        status_after(
            self,
            &After {
                observed,
                outcome,
                accepted: &[],
                unanswered: None,
                now,
            },
        )
    }

    /// The object with more members of `metadata`, `spec` and `status`.
    fn with(self, more: &Value) -> Self {
        let mut object = serde_json::to_value(&self).expect("it serializes");
        for (part, members) in more.as_object().into_iter().flatten() {
            for (member, value) in members.as_object().into_iter().flatten() {
                object[part][member] = value.clone();
            }
        }
        serde_json::from_value(object).expect("a valid object")
    }
}

impl<K: Kind> Fixture for K {}

/// The owner of the object `name` that [`Fixture::test`] makes.
pub(crate) fn owner(name: &str) -> Owner {
    let [cluster_id, namespace, name, uid] = ["k8s", "default", name, "u-1"].map(str::to_owned);
    Owner {
        cluster_id,
        namespace,
        name,
        uid,
        former_clusters: Vec::new(),
    }
}

/// The writes of a plan.
#[track_caller]
pub(crate) fn writes(plan: Plan) -> Vec<Write> {
    match plan {
        Plan::Write(writes) => writes,
        other => panic!("{other:?} is no write"),
    }
}

/// The only write of a plan.
#[track_caller]
pub(crate) fn write(plan: Plan) -> Write {
    match plan {
        Plan::Write(mut writes) if writes.len() == 1 => writes.remove(0),
        other => panic!("{other:?} is not one write"),
    }
}

/// The operations of the writes of a plan, none where it has no writes.
pub(crate) fn operations(plan: &Plan) -> Vec<Operation> {
    match plan {
        Plan::Write(writes) => writes.iter().map(|write| write.operation).collect(),
        _ => Vec::new(),
    }
}
