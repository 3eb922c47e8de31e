//! Tasks that must succeed before a service gets a new revision. Pure.

use ecs_operator_crds::condition::{ConditionType, Reason};
use ecs_operator_crds::v1beta1::shared::Status;
use ecs_operator_crds::v1beta1::task::{RunPolicy, RunStatus};
use ecs_operator_crds::v1beta1::{EcsService, EcsTask, EcsTaskDefinition};
use kube::ResourceExt;

use crate::aws::name_in;
use crate::k8s::conditions;
use crate::kinds::ecs_task::run_hash;
use crate::reconcile::Stores;
use crate::reconcile::plan::{Obstacle, Plan};
use crate::reconcile::references::{Resolved, target};
use crate::trigger::ObjectId;

/// A task that keeps the service from its next revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Why.
    pub obstacle: Obstacle,
    /// Whether the task has failed, so that a user has to change something.
    pub has_failed: bool,
}

impl Gate {
    /// The plan of a service that has nothing else to do.
    pub(super) fn plan(&self) -> Plan {
        if self.has_failed {
            Plan::Stall(self.obstacle.clone())
        } else {
            Plan::Wait(self.obstacle.clone())
        }
    }

    fn new(reason: Reason, message: String, has_failed: bool) -> Self {
        let obstacle = Obstacle {
            reason,
            message,
            passing: !has_failed,
            all_else_sent: false,
        };
        Self {
            obstacle,
            has_failed,
        }
    }
}

/// The task of `rollout.before` that keeps the service from the revision `wanted`; `None` when all
/// have succeeded for it. One that has failed comes first.
pub(super) fn closed(object: &EcsService, wanted: &Resolved, stores: &Stores) -> Option<Gate> {
    let Resolved::To(wanted) = wanted else {
        return None;
    };
    let gates = object.spec.rollout.as_ref()?.before.as_ref()?;
    let mut closed: Vec<_> = gates
        .iter()
        .filter_map(|gate| of_task(object, &gate.task_ref.name, wanted, stores))
        .collect();
    closed.sort_by_key(|gate| !gate.has_failed);
    closed.into_iter().next()
}

fn of_task(object: &EcsService, name: &str, wanted: &str, stores: &Stores) -> Option<Gate> {
    let namespace = object.namespace().unwrap_or_default();
    let field = "spec.rollout.before";
    let task = match target::<EcsTask>(stores, &namespace, field, name, false) {
        Ok(task) => task,
        Err(obstacle) => {
            return Some(Gate {
                obstacle,
                has_failed: false,
            });
        }
    };
    let status = task.status.as_ref();
    let is_observed = status.and_then(Status::observed_generation) == task.metadata.generation;
    let run = status.and_then(|status| status.run.as_ref());
    let is_of_spec = |run: &RunStatus| run_hash(&task, &run.task_definition) == run.hash;
    let run = run.filter(|run| {
        is_observed && is_of_spec(run) && is_meant(object, &task, run, wanted, stores)
    });
    let revision = name_in(wanted);
    let conditions = status.map(Status::conditions).unwrap_or_default();
    let ready = conditions::ready(conditions);
    let words = ready.map_or("", |ready| ready.message.as_str());
    let is_stalled = conditions::of_type(ConditionType::Stalled, conditions).is_some();
    let Some(run) = run.filter(|run| !is_stalled || run.completion_time.is_some()) else {
        if is_observed && is_stalled {
            return Some(failed(revision, name, words));
        }
        let message = format!("{revision} waits for EcsTask {name}, which has not run for it yet");
        return Some(Gate::new(Reason::AwaitingTask, message, false));
    };
    match (&run.completion_time, &run.failure) {
        (Some(_), None) => None,
        (Some(_), Some(_)) => Some(failed(revision, name, words)),
        (None, _) => {
            let message = format!("{revision} waits for EcsTask {name}: {words}");
            Some(Gate::new(Reason::AwaitingTask, message, false))
        }
    }
}

fn failed(revision: &str, name: &str, words: &str) -> Gate {
    let words = words.trim_end_matches('.');
    let message = format!(
        "{revision} is not deployed, because EcsTask {name} failed: {words}. Correct the cause and run the task again"
    );
    Gate::new(Reason::PreDeployTaskFailed, message, true)
}

/// Whether the run of a task is the one that the revision waits for. A task of the same task
/// definition must have run with that revision, another one with the present revision of its own. A
/// task that runs once needs to have run once.
fn is_meant(
    object: &EcsService,
    task: &EcsTask,
    run: &RunStatus,
    wanted: &str,
    stores: &Stores,
) -> bool {
    if task.spec.run_policy != Some(RunPolicy::OnChange) {
        return true;
    }
    let Some(reference) = &task.spec.task_definition_ref else {
        return task.spec.task_definition.as_deref() == Some(run.task_definition.as_str());
    };
    if object.spec.task_definition_ref.as_ref() == Some(reference) {
        return run.task_definition == wanted;
    }
    let definition =
        ObjectId::new::<EcsTaskDefinition>(object.namespace().as_deref(), &reference.name);
    let definition = stores
        .of::<EcsTaskDefinition>()
        .get(&definition.object_ref());
    definition.is_some_and(|definition| {
        let status = definition.status.as_ref();
        let is_observed =
            status.and_then(Status::observed_generation) == definition.metadata.generation;
        let current = status.and_then(|status| status.task_definition_arn.as_deref());
        is_observed && current == Some(run.task_definition.as_str())
    })
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::stores::Builder;
    use crate::testkit::Fixture;

    const WEB: &str = "arn:aws:ecs:e:1:task-definition/web:2";

    /// What keeps the service from `web:2`, where the task has this spec and status.
    fn gate(spec: &Value, status: &Value) -> Option<Gate> {
        let (tasks, mut writer) = reflector::store::<EcsTask>();
        let task = EcsTask::test("migrate", spec).with(&json!({"status": status}));
        writer.apply_watcher_event(&Event::Apply(task));
        let (definitions, mut writer) = reflector::store::<EcsTaskDefinition>();
        let definition = EcsTaskDefinition::test("tools", &json!({"containerDefinitions": []}));
        let status = json!({"observedGeneration": 1, "taskDefinitionArn": "tools:5"});
        writer.apply_watcher_event(&Event::Apply(definition.with(&json!({"status": status}))));
        let mut stores = Builder::default();
        stores.add(tasks, &[]);
        stores.add(definitions, &[]);
        let service = json!({"taskDefinitionRef": {"name": "web"}, "rollout": {"before": [{"taskRef": {"name": "migrate"}}]}});
        let service = EcsService::test("web", &service);
        closed(&service, &Resolved::To(WEB.to_owned()), &stores.build())
    }

    /// The status of a task of this spec that has run with this definition.
    fn run(spec: &Value, definition: &str, changes: &Value) -> Value {
        let hash = run_hash(&EcsTask::test("migrate", spec), definition);
        let mut run = json!({"number": 1, "hash": hash, "count": 1, "taskDefinition": definition});
        for (name, value) in changes.as_object().into_iter().flatten() {
            run[name] = value.clone();
        }
        let ready = json!({"type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "Task a is RUNNING",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        json!({"observedGeneration": 1, "run": run, "conditions": [ready]})
    }

    #[test]
    fn a_revision_waits_for_the_task_that_ran_with_it() {
        let spec = json!({"taskDefinitionRef": {"name": "web"}, "runPolicy": "OnChange"});
        let done = json!({"completionTime": "2026-01-01T00:00:00Z"});
        assert_eq!(gate(&spec, &run(&spec, WEB, &done)), None);
        let earlier = gate(
            &spec,
            &run(&spec, "arn:aws:ecs:e:1:task-definition/web:1", &done),
        );
        let earlier = earlier.expect("it waits");
        assert_eq!(
            (earlier.obstacle.reason, earlier.obstacle.passing),
            (Reason::AwaitingTask, true)
        );
        let running = gate(&spec, &run(&spec, WEB, &json!({}))).expect("it waits");
        assert_eq!(
            running.obstacle.message,
            "web:2 waits for EcsTask migrate: Task a is RUNNING"
        );
        let mut failed = done.clone();
        failed["failure"] = json!("BackoffLimitExceeded");
        let failed = gate(&spec, &run(&spec, WEB, &failed)).expect("it stalls");
        assert!(failed.has_failed && matches!(failed.plan(), Plan::Stall(_)));
        let mut edited = run(&spec, WEB, &done);
        edited["observedGeneration"] = json!(0);
        assert!(gate(&spec, &edited).is_some(), "it has another spec since");
        // The operator has seen the other spec, and not begun to run it.
        let other =
            json!({"taskDefinitionRef": {"name": "web"}, "runPolicy": "OnChange", "count": 2});
        let reason = gate(&other, &run(&spec, WEB, &done)).map(|gate| gate.obstacle.reason);
        assert_eq!(reason, Some(Reason::AwaitingTask));
        let mut refused = run(&spec, WEB, &json!({}));
        let stalled = json!({"type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "refused",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        refused["conditions"]
            .as_array_mut()
            .expect("a list")
            .push(stalled);
        assert!(gate(&spec, &refused).is_some_and(|gate| gate.has_failed));
    }

    #[test]
    fn a_task_of_another_definition_must_have_run_with_its_present_revision() {
        let spec = json!({"taskDefinitionRef": {"name": "tools"}, "runPolicy": "OnChange"});
        let done = json!({"completionTime": "2026-01-01T00:00:00Z"});
        assert_eq!(gate(&spec, &run(&spec, "tools:5", &done)), None);
        assert!(gate(&spec, &run(&spec, "tools:4", &done)).is_some());
        // One that runs once has run.
        let once = json!({"taskDefinitionRef": {"name": "tools"}});
        assert_eq!(gate(&once, &run(&once, "tools:4", &done)), None);
        assert!(gate(&once, &json!({})).is_some());
    }
}
