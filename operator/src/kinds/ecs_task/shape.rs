//! The members of an EcsTask that are special: data, no code.

use std::time::Duration;

/// Members of the spec that RunTask does not have.
pub(super) const OWN_MEMBERS: &[&str] = &[
    "activeDeadlineSeconds",
    "backoffLimit",
    "clusterRef",
    "failurePolicy",
    "runPolicy",
    "taskDefinitionRef",
];

/// Wait before the second attempt; each further one waits twice as long, up to [`LONGEST_BACKOFF`].
/// The numbers are those of a Job.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_secs(10);

/// Longest wait before an attempt.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(360);

/// Most failures that do not count for `backoffLimit`.
pub(super) const NOT_COUNTED: i32 = 10;

/// How long a call without a reply can be repeated with its token. ECS keeps tokens for a day.
/// Source: ECS API, RunTask, "Ensuring idempotency".
pub(super) const TOKEN_LIVES: Duration = Duration::from_secs(23 * 3600);

/// Attempts that the status keeps.
pub(super) const ATTEMPTS: usize = 10;
