//! Condition types and reasons: the words in which an object tells how it is.
//!
//! The reasons are one table, from which the page `docs/reasons.md` is made. Types follow kstatus
//! (`sigs.k8s.io/cli-utils/pkg/kstatus`): `Reconciling` and `Stalled` are present only while true,
//! never together, and `Ready=True` excludes both.

use std::fmt;

/// A condition type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// AWS holds and runs what the spec asks for.
    Ready,
    /// The operator is working towards the spec.
    Reconciling,
    /// The operator cannot continue until the user changes something.
    Stalled,
    /// `spec.suspend` keeps the operator from changing anything in AWS. Present only while true.
    Suspended,
    /// False while an annotation stands that asks for something that cannot be done. Absent else.
    CommandAccepted,
    /// Tasks that run have other settings than the service, which ECS gives to new tasks only.
    /// Present only while true; the object is as ready as without it.
    RestartRequired,
    /// Whether Application Auto Scaling has what the spec asks of it. Absent without
    /// `spec.autoscaling`.
    AutoscalingReady,
    /// The tasks of an EcsTask have ended without an error. Present only while true.
    Complete,
    /// The run of an EcsTask has failed and is not tried again. Present only while true.
    Failed,
}

impl ConditionType {
    /// The type as it stands in `status.conditions[].type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Suspended => "Suspended",
            Self::CommandAccepted => "CommandAccepted",
            Self::RestartRequired => "RestartRequired",
            Self::AutoscalingReady => "AutoscalingReady",
            Self::Complete => "Complete",
            Self::Failed => "Failed",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares the reasons: the name, what it means, and the way out.
macro_rules! reasons {
    ($($name:ident: $meaning:literal, $way_out:literal;)*) => {
        /// Why a condition has its status, or what an event reports. The list is finite, so reasons
        /// can be alerted on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] #[doc = concat!("Way out: ", $way_out)] $name,)*
        }

        impl Reason {
            /// Every reason, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The reason as it stands in conditions and events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }

            /// What the user can do about it.
            #[must_use]
            pub const fn way_out(self) -> &'static str {
                match self {
                    $(Self::$name => $way_out,)*
                }
            }
        }
    };
}

reasons! {
    Succeeded: "AWS matches the spec and runs it.", "No action needed.";
    Progressing: "A change is in progress.", "No action needed.";
    DependencyNotReady: "A referenced object is missing, not ready yet, or being deleted.", "Resolves when the object that the message names is ready.";
    InvalidSpec: "AWS or the operator refuses the spec as it is.", "Change the field that the message names.";
    ImageNotFound: "A container has an image in ECR that does not exist or is archived. No revision was registered.", "Push the image, or correct the image that the message names; it is looked up again within a minute. `spec.verifyImages: false` registers without this check.";
    NotOwned: "The AWS object exists and carries no ownership tag, or a former object of the same name retained it.", "Set `spec.adoptionPolicy: IfUnowned` to take it over, or delete the object and create it again with another name.";
    ScalableTargetNotOwned: "The service has a scalable target in Application Auto Scaling that the operator did not register. The service itself is the object's.", "Set `spec.adoptionPolicy: IfUnowned` to take the scalable target over, or drop `spec.autoscaling`.";
    LeftInAws: "The object was deleted, and what it had in AWS is left there: its owner tag was removed or names another object, or with `deletionPolicy: Retain` AWS did not take the tag that marks it as retained.", "Delete it in AWS, or take it over with a new object and `spec.adoptionPolicy: IfUnowned`.";
    ClusterNotAllowed: "The configuration of the operator does not let the namespace use the ECS cluster.", "Use a cluster that the message lists, or ask the administrator of the operator for a rule in `--allowed-clusters`.";
    Conflict: "The AWS object is owned by another custom resource.", "Delete the object and create it again with another name, or [hand it over](ownership.md#handing-over). If you only delete the other object, its AWS object is deleted, too.";
    AccessDenied: "AWS denies an action.", "Give the operator the IAM action that the message names.";
    CredentialsUnavailable: "No AWS credentials, or AWS no longer accepts them.", "Look at the identity of the operator's pod; the operator continues when there are credentials.";
    Throttled: "AWS throttles the account, or reads wait long for their turn in the operator's share of the API quota.", "The operator slows down and tries again.";
    QuotaExceeded: "An AWS quota is used up.", "Raise the quota or delete something; it is tried again every 10 to 30 minutes.";
    AwsUnavailable: "AWS answers with an error of its own, or does not answer.", "Resolves when AWS answers.";
    Busy: "The AWS object is busy with an earlier change.", "Resolves when the earlier change is complete.";
    Baking: "All tasks of the deployment run, and ECS watches them for the bake time; nothing is wrong.", "Wait, or stop it with the annotation `ecs-operator.dev/stopAt`.";
    AwaitingApproval: "A pause hook holds the deployment.", "Annotate `ecs-operator.dev/continueAt` with the present time to continue it, `ecs-operator.dev/stopAt` to roll it back.";
    DeploymentRolledBack: "ECS gave up a deployment and rolled back to the previous revision. The operator does not retry it.", "Change the spec, or restart by annotation to try the same again; the message and the events say why the tasks failed.";
    DeploymentStopped: "A deployment was stopped, by a user or by a failure without rollback. The operator does not retry it.", "Change the spec, or restart by annotation to try the same again.";
    RolledBackOnCommand: "The annotation `ecs-operator.dev/rollbackTo` replaced the revision of the spec by an earlier one.", "Change the spec or remove the annotation to resume.";
    LeftToDeploymentController: "The spec asks for a change that only the deployment controller of the service (CODE_DEPLOY, EXTERNAL) can deploy.", "Deploy with that controller; or leave the field to it with `spec.ignoreFields`.";
    ProgressDeadlineExceeded: "A rollout made no progress for `spec.rollout.progressDeadlineSeconds`. It continues in ECS.", "Look at the stopped tasks in the status and the events; change the spec.";
    Unavailable: "Tasks of a steady service are missing for longer than `spec.rollout.unavailableAfterSeconds`.", "ECS starts new ones; the events say why tasks stop and why none can be placed.";
    DeploymentFailed: "ECS gave up a deployment, and there was no revision to roll back to.", "Change the spec, or restart by annotation to try the same again; the message and the events say why the tasks failed.";
    DriftPersists: "AWS accepted a change and still shows the old value.", "The operator retries with growing delays; change the field that the message names if AWS cannot hold it.";
    ProvisioningFailed: "ECS accepted a change of a capacity provider and could not carry it out. The operator does not retry it.", "Do what the message says; annotate `ecs-operator.dev/reconcileAt` with the present time to try the same again.";
    Deleting: "Deletion in AWS is in progress.", "No action needed.";
    DeletionBlocked: "The object cannot be deleted yet.", "Remove what the message lists, and set `spec.deletionProtection: false` where it says so; `spec.deletionPolicy: Retain` leaves AWS as it is, but does not release an EcsCluster before the objects that refer to it.";
    Observing: "`managementPolicy: Observe` keeps the operator from changes that AWS needs to match the spec.", "Change the spec to what AWS has, or set `managementPolicy: Full`; `status.pendingChanges` lists the changes.";
    Suspended: "`spec.suspend` keeps the operator from changing anything in AWS.", "Set `spec.suspend: false`.";
    CommandRefused: "An annotation asks for something that cannot be done. Nothing was changed.", "Correct or remove the annotation that the message names.";
    SettingsChanged: "Settings of the service have changed that ECS gives to new tasks only; tasks that were started before have the old ones.", "Annotate `ecs-operator.dev/restartedAt` with the present time; with `spec.rollout.restartOnSettings: true` later changes replace the tasks.";
    DesiredCountNotSent: "`spec.desiredCount` has changed, and with `spec.autoscaling` it is the number of tasks at creation only.", "Change `spec.autoscaling.minCapacity` or `maxCapacity`.";
    ScalingActivity: "Application Auto Scaling changed the number of tasks, or could not; in AWS's words.", "If it failed, follow its text.";
    ServiceEvent: "An event of the service in ECS, in AWS's words.", "If it reports a problem, follow its text.";
    TaskImagePullFailed: "A task could not start because an image could not be pulled.", "Check the image name, the registry, and the rights of `executionRoleArn`.";
    TaskOutOfMemory: "A container used more memory than it may.", "Raise `memory` in the task definition.";
    TaskExited: "An essential container ended.", "Look at its logs and at the exit code in the message.";
    TaskUnhealthy: "A task failed its container or load balancer health checks.", "Check the health check, and `healthCheckGracePeriodSeconds` for a slow start.";
    TaskSpotInterrupted: "AWS took Spot capacity back.", "ECS replaces the task; use on-demand capacity for a base.";
    TaskNetworkFailed: "A task got no network interface.", "Check free addresses of the subnets, and limits of the account or instance.";
    TaskInitializationFailed: "ECS could not prepare a task: secrets, logs, volumes or routes.", "Do what the message says; often `executionRoleArn` lacks a permission or the task has no route to AWS endpoints.";
    TaskStartFailed: "A task failed to start.", "Do what the message says.";
    TaskHostFailed: "The host of a task failed.", "ECS replaces the task.";
    TaskStopped: "Something else than the operator stopped a task.", "Run it again if that was not meant: delete the object and create it again, or change it with `runPolicy: OnChange`.";
    AwaitingTask: "A new revision waits for an EcsTask of `spec.rollout.before`. The service runs the revision before.", "Wait for the task; the message says how it is.";
    PreDeployTaskFailed: "An EcsTask of `spec.rollout.before` failed for the new revision. The service runs the revision before.", "Correct the cause: a change of the task or of the EcsTaskDefinition runs the task again.";
    Completed: "The tasks of an EcsTask have ended without an error.", "No action needed.";
    CapacityUnavailable: "ECS has no capacity for a task now. The operator tries again.", "Resolves when there is capacity; the message has AWS's reason. `spec.activeDeadlineSeconds` limits the wait.";
    BackoffLimitExceeded: "The attempts of an EcsTask have failed as often as `spec.backoffLimit` allows.", "Remove the cause that the message names; run it again by deleting the object and creating it again, or by a change with `runPolicy: OnChange`.";
    FailurePolicy: "A container ended with an exit code of `spec.failurePolicy.failOnExitCodes`, so the run is not tried again.", "Remove the cause; run it again by deleting the object and creating it again, or by a change with `runPolicy: OnChange`.";
    DeadlineExceeded: "The run took longer than `spec.activeDeadlineSeconds`. The operator stopped its tasks.", "Raise the limit, and run it again by deleting the object and creating it again, or by a change with `runPolicy: OnChange`.";
    ResultUnknown: "ECS forgot a task before the operator saw how it ended, or may have started one that does not show. It is not run again by itself.", "Look at the logs of the task, and delete the object and create it again if it has to run again.";
    InternalError: "An error of the operator itself.", "Please report it.";
}

impl Reason {
    /// The reasons that report another owner of the AWS object.
    pub const ANOTHERS: [Self; 2] = [Self::NotOwned, Self::Conflict];

    /// The reason of this name, as [`as_str`](Self::as_str) gives it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The page about all reasons, in Markdown.
#[must_use]
pub fn page() -> String {
    let rows = Reason::ALL.iter().map(|reason| {
        format!(
            "| {reason} | {} | {} |\n",
            reason.meaning(),
            reason.way_out()
        )
    });
    let head = String::from(
        "# Reasons\n\nThe `reason` of conditions and events: what it means and what you can do. Made by \
         `make generate` from `crds/src/condition.rs`.\n\nConditions follow kstatus: `Ready` is always there; `Reconciling=True` while the \
         operator works towards the spec; `Stalled=True` while a user has to change something; `Suspended=True` while `spec.suspend` is set; \
         `CommandAccepted=False` while an annotation asks for something that cannot be done; \
         `RestartRequired=True` while tasks run with settings that the service no longer has; \
         `AutoscalingReady` says whether Application Auto Scaling has what `spec.autoscaling` asks for; \
         `Complete=True` or `Failed=True` when an EcsTask has ended. Events carry the reasons below, and for each \
         write to AWS the name of the call, such as `UpdateService`.\n\n| reason | meaning | way out |\n|---|---|---|\n",
    );
    rows.fold(head, |page, row| page + &row)
}
