//! Commands by annotation: restart, rollback, continue, stop, abort. Pure.
//!
//! Each value of an annotation is answered once: carried out, found done already, or refused in
//! words. The status remembers the value until the annotation goes or changes. Should that get lost
//! after the call, ECS itself shows for each of them that it was done.

use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{HandledCommand, Rollback, RolloutPhase};
use ecs_operator_crds::{
    ABORT_AT, COMMANDS, CONTINUE_AT, GROUP, RECONCILE_AT, RESTARTED_AT, ROLLBACK_TO, STOP_AT,
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::attempt::{asked_for, is_same_task_definition};
use super::deployment::ServiceDeployment;
use super::described::{Service, foreign_controller};
use super::observed::ObservedService;
use crate::aws::ecs;
use crate::aws::{name_in, time};
use crate::k8s::conditions::echo;
use crate::reconcile::plan::Write;
use crate::reconcile::references::Resolved;

/// A command that the status has not answered yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    /// The annotation.
    pub annotation: &'static str,
    /// Its value.
    pub value: String,
    /// What to do about it.
    pub answer: Answer,
}

impl Command {
    /// What is to be sent, if anything.
    pub(super) fn write(&self) -> Option<&Write> {
        match &self.answer {
            Answer::Send(write) => Some(write),
            Answer::Done | Answer::Refuse(_) => None,
        }
    }
}

/// What to do about a command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// Send this.
    Send(Write),
    /// Nothing: it was done.
    Done,
    /// Nothing: it cannot be done, and why.
    Refuse(String),
}

/// The commands that wait for an answer, in the order in which they are given one.
pub(super) fn pending(object: &EcsService, observed: &ObservedService) -> Vec<Command> {
    let mut commands = Vec::new();
    // Commands need a service.
    let Some(service) = &observed.service else {
        return commands;
    };
    for annotation in COMMANDS {
        let Some(value) = unanswered(object, annotation) else {
            continue;
        };
        // A rollback ends when the replaced revision changes, so that must be known.
        let too_early =
            annotation == ROLLBACK_TO && matches!(observed.task_definition, Resolved::NotYet(_));
        if !too_early {
            let done = observed
                .carried_out
                .get(annotation)
                .is_some_and(|carried_out| *carried_out == value);
            let answer = if done {
                Answer::Done
            } else {
                answer(object, observed, service, annotation, &value)
            };
            commands.push(Command {
                annotation,
                value,
                answer,
            });
        }
    }
    commands
}

/// Whether an annotation asks for something that the status has not answered: a look at AWS must be
/// fresh then, because an answer is final.
pub(super) fn is_asked(object: &EcsService) -> bool {
    COMMANDS
        .iter()
        .any(|annotation| unanswered(object, annotation).is_some())
}

/// The value of a command that the status has not answered, as the status repeats it.
pub(super) fn unanswered(object: &EcsService, annotation: &str) -> Option<String> {
    let handled = object
        .status
        .as_ref()
        .and_then(|status| status.handled_commands.as_deref())
        .unwrap_or_default();
    let value = echo(object.annotations().get(annotation)?);
    (!handled
        .iter()
        .any(|handled| handled.annotation == annotation && handled.value == value))
    .then_some(value)
}

/// Whether the status remembers a rollout of this revision.
pub(super) fn is_in_history(object: &EcsService, revision: &str) -> bool {
    let history = object
        .status
        .as_ref()
        .and_then(|status| status.rollout_history.as_deref())
        .unwrap_or_default();
    history.iter().any(|rollout| rollout.revision == revision)
}

/// Which commands the status remembers after a pass: those whose annotation still stands.
pub(super) fn handled(
    object: &EcsService,
    observed: Option<&ObservedService>,
) -> Option<Vec<HandledCommand>> {
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.handled_commands.clone())
        .unwrap_or_default();
    let stands = |handled: &HandledCommand| {
        object
            .annotations()
            .get(&handled.annotation)
            .is_some_and(|value| echo(value) == handled.value)
    };
    let mut handled: Vec<_> = known.into_iter().filter(stands).collect();
    for Command {
        annotation,
        value,
        answer,
    } in observed
        .map(|observed| pending(object, observed))
        .unwrap_or_default()
    {
        let refused = match answer {
            Answer::Send(_) => continue,
            Answer::Done => None,
            Answer::Refuse(why) => Some(why),
        };
        handled.push(HandledCommand {
            annotation: annotation.to_owned(),
            value,
            refused,
        });
    }
    let unknown = object
        .annotations()
        .iter()
        .filter(|(annotation, _)| is_unknown(annotation));
    for (annotation, value) in unknown.take(MAX_UNKNOWN) {
        if !handled
            .iter()
            .any(|handled| handled.annotation == *annotation)
        {
            let refused = Some(format!(
                "{annotation} is not a command of an EcsService; commands are {} and {RECONCILE_AT}",
                COMMANDS.join(", ")
            ));
            handled.push(HandledCommand {
                annotation: annotation.clone(),
                value: echo(value),
                refused,
            });
        }
    }
    handled.sort_by(|a, b| a.annotation.cmp(&b.annotation));
    Some(handled).filter(|handled| !handled.is_empty())
}

/// Maximum number of unknown annotations that are reported.
const MAX_UNKNOWN: usize = 8;

/// Whether an annotation looks like a command and is none: a mistyped one.
fn is_unknown(annotation: &str) -> bool {
    let is_ours = annotation
        .split_once('/')
        .is_some_and(|(group, _)| group == GROUP);
    is_ours && annotation != RECONCILE_AT && !COMMANDS.contains(&annotation)
}

/// The command that `write` carries out, if it is one.
pub(super) fn carried_out_by(
    object: &EcsService,
    observed: &ObservedService,
    write: &Write,
) -> Option<(&'static str, String)> {
    let mut commands = pending(object, observed).into_iter();
    // A restart is a part of the UpdateService that changes other members.
    let restarts = |command: &Command| {
        command.annotation == RESTARTED_AT && write.request["forceNewDeployment"] == true
    };
    commands
        .find(|command| matches!(&command.answer, Answer::Send(sent) if sent == write || restarts(command)))
        .map(|command| (command.annotation, command.value))
}

/// The rollback by command that is in force, given the task definition that the spec asks for.
pub(super) fn rollback(object: &EcsService, observed: &ObservedService) -> Option<Rollback> {
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.rollback.clone());
    let known = known.filter(|known| stands(object, observed, known));
    // What the spec asks for is not known for a moment: nothing has changed.
    let Resolved::To(wanted) = &observed.task_definition else {
        return known;
    };
    let hash = asked_for(object, wanted);
    let done =
        |command: &Command| command.annotation == ROLLBACK_TO && command.answer == Answer::Done;
    let carried_out = pending(object, observed)
        .into_iter()
        .find(done)
        .map(|command| command.value);
    let other = carried_out.filter(|revision| !is_same_task_definition(wanted, Some(revision)));
    let begun = other.map(|revision| Rollback {
        revision,
        instead_of: name_in(wanted).to_owned(),
        hash: hash.clone(),
    });
    begun.or_else(|| known.filter(|known| known.hash == hash))
}

/// Whether the annotation still asks for the rollback. A value that is refused changes nothing.
fn stands(object: &EcsService, observed: &ObservedService, rollback: &Rollback) -> bool {
    let is_refused = || {
        let mut answered = handled(object, Some(observed)).into_iter().flatten();
        answered.any(|command| command.annotation == ROLLBACK_TO && command.refused.is_some())
    };
    object
        .annotations()
        .get(ROLLBACK_TO)
        .is_some_and(|value| *value == rollback.revision || is_refused())
}

fn answer(
    object: &EcsService,
    observed: &ObservedService,
    service: &Service,
    annotation: &str,
    value: &str,
) -> Answer {
    if annotation == ROLLBACK_TO {
        return roll_back(object, observed, service, value);
    }
    let Ok(at) = value.parse::<Timestamp>() else {
        return Answer::Refuse(format!(
            "{annotation}: {value:?} is not a time; write one such as 2026-01-31T12:00:00Z"
        ));
    };
    match annotation {
        RESTARTED_AT => restart(observed, service, at, value),
        CONTINUE_AT => go_on(object, observed, at),
        STOP_AT => stop(
            observed,
            at,
            STOP_AT,
            "ROLLBACK",
            "Stopped the deployment of",
        ),
        ABORT_AT => stop(observed, at, ABORT_AT, "ABORT", "Aborted the deployment of"),
        _ => Answer::Refuse(format!("{annotation} is not a command")),
    }
}

fn restart(observed: &ObservedService, service: &Service, at: Timestamp, value: &str) -> Answer {
    let began = service
        .primary()
        .and_then(|primary| primary.created_at.as_ref())
        .and_then(time);
    if began.is_some_and(|began| began >= at) {
        return Answer::Done;
    }
    if let Some(controller) = foreign_controller(service) {
        return Answer::Refuse(format!(
            "{RESTARTED_AT}: deployments of this service are carried out by {controller}, not by ECS"
        ));
    }
    let key = &observed.key;
    let request = json!({"cluster": key.cluster, "service": key.name, "forceNewDeployment": true});
    let note = format!("Restarted {key}, as asked for at {value}");
    Answer::Send(Write {
        operation: ecs::UpdateService,
        request,
        note,
    })
}

fn roll_back(
    object: &EcsService,
    observed: &ObservedService,
    service: &Service,
    revision: &str,
) -> Answer {
    let refuse = |why: String| Answer::Refuse(format!("{ROLLBACK_TO}: {why}"));
    if service.task_definition.as_deref().map(name_in) == Some(revision) {
        return Answer::Done;
    }
    if !is_in_history(object, revision) {
        let history = object
            .status
            .as_ref()
            .and_then(|status| status.rollout_history.as_deref())
            .unwrap_or_default();
        let known: Vec<_> = history
            .iter()
            .map(|rollout| rollout.revision.as_str())
            .collect();
        return refuse(format!(
            "{revision:?} is not a revision of status.rolloutHistory, which has [{}]",
            known.join(", ")
        ));
    }
    match observed.rollback_target {
        Some(true) => {
            let key = &observed.key;
            let request =
                json!({"cluster": key.cluster, "service": key.name, "taskDefinition": revision});
            let note = format!("Rolled {key} back to {revision}, as asked for");
            Answer::Send(Write {
                operation: ecs::UpdateService,
                request,
                note,
            })
        }
        _ => refuse(format!(
            "{revision} is INACTIVE or gone in ECS; choose another revision"
        )),
    }
}

fn go_on(object: &EcsService, observed: &ObservedService, at: Timestamp) -> Answer {
    let rollout = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref());
    let known = rollout
        .and_then(|rollout| rollout.hook.as_ref())
        .map(|hook| &hook.id);
    let waiting = observed
        .deployment()
        .and_then(|deployment| Some((deployment, deployment.hook.as_ref()?)));
    let Some((deployment, hook)) = waiting else {
        // The hook is over: it was continued by another tool, or the reply to the operator's call
        // was lost.
        return known.map_or_else(
            || {
                Answer::Refuse(format!(
                    "{CONTINUE_AT}: no deployment waits at a pause hook"
                ))
            },
            |_| Answer::Done,
        );
    };
    // One word of approval opens one gate.
    if began_after(deployment, at) || known.is_some_and(|known| *known != hook.id) {
        return Answer::Done;
    }
    let request =
        json!({"serviceDeploymentArn": deployment.arn, "hookId": hook.id, "action": "CONTINUE"});
    let what = deployment.revision.as_deref().unwrap_or(&observed.key.name);
    let note = format!("Continued the deployment of {what} after its pause");
    Answer::Send(Write {
        operation: ecs::ContinueServiceDeployment,
        request,
        note,
    })
}

/// Whether a command was given before the deployment began, and so for another one.
fn began_after(deployment: &ServiceDeployment, at: Timestamp) -> bool {
    deployment
        .started_at
        .as_ref()
        .is_some_and(|began| began.0.as_second() > at.as_second())
}

fn stop(
    observed: &ObservedService,
    at: Timestamp,
    annotation: &str,
    stop_type: &str,
    what: &str,
) -> Answer {
    let Some(deployment) = observed.deployment() else {
        return Answer::Refuse(format!(
            "{annotation}: ECS shows no service deployment that could be stopped"
        ));
    };
    // The deployment is being rolled back already.
    let ended_since = deployment
        .finished_at
        .as_ref()
        .is_some_and(|finished| finished.0 >= at);
    if began_after(deployment, at)
        || deployment.phase == RolloutPhase::RollingBack
        || (deployment.phase.is_failure() && ended_since)
    {
        return Answer::Done;
    }
    if deployment.phase.is_final() {
        return Answer::Refuse(format!("{annotation}: no deployment is under way"));
    }
    let request = json!({"serviceDeploymentArn": deployment.arn, "stopType": stop_type});
    let note = format!(
        "{what} {}",
        deployment.revision.as_deref().unwrap_or(&observed.key.name)
    );
    Answer::Send(Write {
        operation: ecs::StopServiceDeployment,
        request,
        note,
    })
}
