//! Which revisions of task definitions an EcsService uses.

use std::collections::BTreeSet;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsService;
use kube::ResourceExt;

use crate::aws::ecs::user;
use crate::aws::name_in;
use crate::k8s::conditions;
use crate::reconcile::Stores;
use crate::reconcile::ignore::ignores;

/// `SERVICE in cluster CLUSTER`, as reads of all services name it; `None` before the service was in
/// ECS.
pub(super) fn label(object: &EcsService) -> Option<String> {
    let cluster = object
        .status
        .as_ref()?
        .cluster_arn
        .as_deref()
        .map(name_in)?;
    Some(user(&object.service_name(), cluster))
}

/// The revisions that the service runs, as `family:revision`.
pub(super) fn running(object: &EcsService) -> BTreeSet<String> {
    let status = object.status.as_ref();
    let deployments = status
        .into_iter()
        .flat_map(|status| status.deployments.iter().flatten());
    let of_deployments = deployments.filter_map(|deployment| deployment.revision.clone());
    of_deployments
        .chain(status.and_then(|status| status.revision.clone()))
        .collect()
}

/// The revisions that the service can be rolled back to, as `family:revision`.
pub(super) fn rollback_targets(object: &EcsService) -> BTreeSet<String> {
    let rollouts = object
        .status
        .iter()
        .flat_map(|status| status.rollout_history.iter().flatten());
    rollouts.map(|rollout| rollout.revision.clone()).collect()
}

/// Whether the EcsService decides what the service runs, so that its status is more recent than a
/// read of a while ago.
fn sets_revision(object: &EcsService) -> bool {
    let stalled = object
        .status
        .as_ref()
        .and_then(|status| conditions::ready(&status.common.conditions));
    let stalled = stalled.map(|ready| ready.reason.as_str());
    let mut unfollowed = Reason::ANOTHERS
        .iter()
        .chain([&Reason::ClusterNotAllowed, &Reason::InvalidSpec]);
    let is_followed =
        !running(object).is_empty() && !unfollowed.any(|reason| Some(reason.as_str()) == stalled);
    let policies = &object.spec.policies;
    let by_ecs = object
        .spec
        .deployment_controller
        .as_ref()
        .is_none_or(|controller| controller.type_ == "ECS");
    let is_left = ["taskDefinition", "taskDefinitionRef"]
        .iter()
        .any(|member| ignores(policies, member));
    is_followed && by_ecs && !policies.observes() && !policies.suspends() && !is_left
}

/// What keeps a revision, `family:revision`, in words: an EcsService that runs it or can be rolled
/// back to it, or an EcsTask that has not ended. With `running_only` a rollback does not count.
pub(crate) fn user_of(revision: &str, running_only: bool, stores: &Stores) -> Option<String> {
    let services = stores.of::<EcsService>();
    let users = stores.references.users("EcsTaskDefinition", revision);
    let of_kind = |kind: &'static str| users.iter().filter(move |user| user.kind == kind);
    let tasks = of_kind("EcsTask").map(|task| &task.name);
    if let Some(task) = tasks.min() {
        return Some(format!(
            "{revision} is that of EcsTask {task}, which has not ended"
        ));
    }
    let users: Vec<_> = of_kind("EcsService")
        .filter_map(|user| services.get(&user.object_ref()))
        .collect();
    let runs = users.iter().filter(|user| running(user).contains(revision));
    if let Some(label) = runs.filter_map(|user| label(user)).min() {
        return Some(format!("{revision} runs in service {label}"));
    }
    let target = users
        .iter()
        .map(|user| user.name_any())
        .min()
        .filter(|_| !running_only)?;
    Some(format!(
        "EcsService {target} can be rolled back to {revision}"
    ))
}

/// Whether an EcsService decides what this service, `SERVICE in cluster CLUSTER`, runs.
pub(crate) fn is_set_here(label: &str, stores: &Stores) -> bool {
    let services = stores.of::<EcsService>();
    let named = stores.references.named("EcsService", label);
    named
        .iter()
        .filter_map(|object| services.get(&object.object_ref()))
        .any(|object| sets_revision(&object))
}

#[cfg(test)]
mod tests {
    use ecs_operator_crds::v1beta1::EcsTask;
    use kube::runtime::reflector;

    use super::*;
    use crate::reconcile::Reference;
    use crate::reconcile::stores::Builder;
    use crate::trigger::ObjectId;

    #[test]
    fn a_task_that_has_not_ended_keeps_its_revision() {
        let (services, _) = reflector::store::<EcsService>();
        let mut stores = Builder::default();
        stores.add(services, &[]);
        let stores = stores.build();
        let part = Reference::Part {
            kind: "EcsTaskDefinition",
            aws_name: "web".to_owned(),
            part: "web:1".to_owned(),
        };
        let task = ObjectId::new::<EcsTask>(Some("default"), "migrate");
        stores.references.apply(&task, None, vec![part]);
        assert_eq!(
            user_of("web:1", true, &stores).as_deref(),
            Some("web:1 is that of EcsTask migrate, which has not ended")
        );
        assert_eq!(user_of("web:2", true, &stores), None);
    }
}
