//! Observes an EcsTask: the tasks of its current attempt, and what its references resolve to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ecs_operator_crds::v1beta1::task::{AttemptStatus, TaskStatus};
use ecs_operator_crds::v1beta1::{EcsCluster, EcsTask};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use serde_json::Value;

use super::ended::{has_stopped, is_final};
use super::names::started_by;
use super::observed::ObservedTask;
use super::progress::count;
use crate::aws::ecs::{self, ContainersKey, RunKey, TaskKey};
use crate::aws::observer::{Answer, LAG};
use crate::aws::{AwsError, Freshness};
use crate::clock;
use crate::k8s::object::Object;
use crate::kinds::cluster_reference::{ClusterReference, is_readable};
use crate::kinds::task_definition_reference::TaskDefinitionReference;
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::obstacle;
use crate::reconcile::{Pass, Stores};

pub(super) async fn observe(
    object: &EcsTask,
    pass: &Pass<'_, ObservedTask>,
    freshness: Freshness,
) -> Result<ObservedTask, AwsError> {
    let stores = &pass.context.stores;
    let mut observed = ObservedTask {
        at: None,
        now: clock::now(),
        cluster: cluster_of_run(object).or_else(|| known_cluster(object, stores)),
        cluster_obstacle: cluster_obstacle(object, stores),
        task_definition: task_definition(object).resolve(stores),
        is_registering: is_registering(object, stores),
        tasks: BTreeMap::new(),
        forgotten: Vec::new(),
        containers: BTreeMap::new(),
        may_be_there: false,
        is_inherited: is_inherited(object, pass),
        is_recorded: pass.state(|state| !state.is_status_unknown()),
        refusal: None,
    };
    if observed.cluster.is_none() && !object.is_deleting() {
        is_readable(stores, pass.namespace(), ecs::ListTasks)?;
    }
    let Some(key) = run_key(object, observed.cluster.as_deref()) else {
        return Ok(observed);
    };
    read(object, pass, &mut observed, &key, freshness).await?;
    containers(pass, &mut observed).await;
    Ok(observed)
}

/// The attempt that is under way.
fn current(object: &EcsTask) -> Option<&AttemptStatus> {
    let status = object.status.as_ref()?;
    let has_ended = status.run.as_ref()?.completion_time.is_some();
    let attempt = status.attempts.as_ref()?.first()?;
    (!has_ended && attempt.result.is_none()).then_some(attempt)
}

/// The key of the tasks of the attempt that is under way.
pub(super) fn run_key(object: &EcsTask, cluster: Option<&str>) -> Option<RunKey> {
    Some(RunKey {
        started_by: started_by(object, current(object)?),
        cluster: cluster?.to_owned(),
    })
}

/// The tasks of the attempt that the status knows.
fn known(object: &EcsTask) -> &[TaskStatus] {
    let tasks = current(object).and_then(|attempt| attempt.tasks.as_deref());
    tasks.unwrap_or_default()
}

/// Reads the tasks that the status does not know as stopped: by their ARNs, many in one call, and
/// while it does not know as many as there shall be, also what was started in the name of the
/// attempt.
async fn read(
    object: &EcsTask,
    pass: &Pass<'_, ObservedTask>,
    observed: &mut ObservedTask,
    key: &RunKey,
    freshness: Freshness,
) -> Result<(), AwsError> {
    let namespace = pass.namespace();
    let is_full = is_full(object);
    if !is_full || object.is_deleting() {
        pass.polls(key.clone());
        let runs = pass.aws.observer.cache::<RunKey>();
        let seen = runs.get(key.clone(), freshness, namespace).await?;
        observed.at = Some(seen.at);
        if let Answer::Found(tasks) = &seen.answer {
            for task in tasks.as_array().into_iter().flatten() {
                let arn = task["taskArn"].as_str().unwrap_or_default().to_owned();
                observed.tasks.insert(arn, Arc::new(task.clone()));
            }
        }
        observed.may_be_there = !is_full && may_be_there(object, pass, observed, key);
    }
    for task in known(object).iter().filter(|task| !is_final(task)) {
        let arn = &task.task_arn;
        let key = task_key(&key.cluster, arn);
        pass.polls(key.clone());
        let tasks = pass.aws.observer.cache::<TaskKey>();
        let seen = tasks.get(key, freshness, namespace).await?;
        observed.at = observed.at.max(Some(seen.at));
        match seen.answer {
            Answer::Found(task) => drop(observed.tasks.insert(arn.clone(), task)),
            _ if observed.tasks.contains_key(arn) => {}
            _ if has_stopped(task) || is_new(task, observed) => {}
            _ => observed.forgotten.push(arn.clone()),
        }
    }
    Ok(())
}

/// Whether the status knows all tasks of the attempt.
fn is_full(object: &EcsTask) -> bool {
    let run = object
        .status
        .as_ref()
        .and_then(|status| status.run.as_ref());
    run.is_some_and(|run| known(object).len() >= count(run))
}

/// What was under way when this process first saw the object: calls of another process may have had
/// no reply.
#[derive(Clone, Copy, Default, PartialEq)]
enum FirstSeen {
    /// It has not seen it yet.
    #[default]
    Not,
    /// Nothing.
    AtRest,
    /// The attempt of this run and number.
    During(i64, i32),
}

/// Whether tasks may have been started that ECS does not show yet.
fn may_be_there(
    object: &EcsTask,
    pass: &Pass<'_, ObservedTask>,
    observed: &ObservedTask,
    key: &RunKey,
) -> bool {
    let unanswered = current(object).and_then(|attempt| attempt.unanswered_at.as_ref());
    pass.aws.observer.cache::<RunKey>().may_be_there(key)
        || unanswered.is_some_and(|at| is_recent(at, observed))
        || observed.is_inherited && pass.state(|state| state.age()) < LAG
}

/// Whether another process began the attempt that is under way.
fn is_inherited(object: &EcsTask, pass: &Pass<'_, ObservedTask>) -> bool {
    let now = current(object).map_or(FirstSeen::AtRest, |attempt| {
        FirstSeen::During(attempt.run, attempt.number)
    });
    let first = pass.state(|state| {
        let first = state.of_kind::<FirstSeen>();
        if *first == FirstSeen::Not {
            *first = now;
        }
        *first
    });
    now != FirstSeen::AtRest && now == first
}

/// The cluster of the run that is under way.
fn cluster_of_run(object: &EcsTask) -> Option<String> {
    current(object)?;
    object.status.as_ref()?.cluster.clone()
}

/// Whether the task was started so short a time ago that AWS may not show it yet.
fn is_new(task: &TaskStatus, observed: &ObservedTask) -> bool {
    let created = task.created_at.as_ref();
    created.is_some_and(|created| is_recent(created, observed))
}

/// Whether AWS may not show yet what was done then.
fn is_recent(at: &Time, observed: &ObservedTask) -> bool {
    let lag = SignedDuration::try_from(LAG).unwrap_or_default();
    observed.now.duration_since(at.0) < lag
}

pub(super) fn task_key(cluster: &str, arn: &str) -> TaskKey {
    TaskKey {
        cluster: cluster.to_owned(),
        arn: arn.to_owned(),
    }
}

/// Reads the containers of the definitions of the tasks. Without them, tasks can be watched and
/// stopped all the same, so no error ends the pass.
pub(super) async fn containers(pass: &Pass<'_, ObservedTask>, observed: &mut ObservedTask) {
    let definitions: BTreeSet<_> = observed
        .tasks
        .values()
        .filter_map(|task| Some(task["taskDefinitionArn"].as_str()?.to_owned()))
        .collect();
    let cache = pass.aws.observer.cache::<ContainersKey>();
    for definition in definitions {
        if observed.containers.contains_key(&definition) {
            continue;
        }
        let key = ContainersKey(definition.clone());
        let containers = match cache.get(key, Freshness::Any, pass.namespace()).await {
            Ok(seen) => match seen.answer {
                Answer::Found(containers) => containers,
                Answer::Missing | Answer::Inactive => Arc::new(Value::Null),
            },
            Err(error) if error.kind.passes() => continue,
            Err(_) => Arc::new(Value::Null),
        };
        observed.containers.insert(definition, containers);
    }
}

/// The name in ECS of the cluster of the run; `None` while the EcsCluster, which may give any name,
/// was never seen.
pub(super) fn known_cluster(object: &EcsTask, stores: &Stores) -> Option<String> {
    let status = object.status.as_ref();
    let reference = ClusterReference {
        namespace: object.metadata.namespace.as_deref(),
        reference: object.spec.cluster_ref.as_ref(),
        literal: object.spec.cluster.as_deref().unwrap_or("default"),
        seen: status.and_then(|status| status.cluster.as_deref()),
    };
    reference.known(stores)
}

/// Why a run must wait for its EcsCluster.
fn cluster_obstacle(object: &EcsTask, stores: &Stores) -> Option<Obstacle> {
    let name = &object.spec.cluster_ref.as_ref()?.name;
    let namespace = object.namespace().unwrap_or_default();
    obstacle::<EcsCluster>(stores, &namespace, "spec.clusterRef", name, false)
}

fn task_definition(object: &EcsTask) -> TaskDefinitionReference<'_> {
    TaskDefinitionReference {
        namespace: object.metadata.namespace.as_deref(),
        reference: object.spec.task_definition_ref.as_ref(),
        literal: object.spec.task_definition.as_deref(),
        is_served: false,
    }
}

/// Whether the EcsTaskDefinition has a spec that was not reconciled yet.
fn is_registering(object: &EcsTask, stores: &Stores) -> bool {
    let definition = task_definition(object).object(stores);
    definition.is_some_and(|definition| {
        let status = definition.status.as_ref();
        let observed = status.and_then(|status| status.common.observed_generation);
        !definition.is_deleting() && observed != definition.metadata.generation
    })
}
