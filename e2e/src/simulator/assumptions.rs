//! What the simulator assumes because AWS does not document it. Nothing may be concluded from a
//! test that rests on one of these.

/// The assumptions: what, and the value that the simulator takes.
pub const ASSUMPTIONS: &[(&str, &str)] = &[
    (
        "time until a task runs",
        "5 seconds; 20 seconds for an image slow…",
    ),
    (
        "time until a task of an image job… ends by itself, and its exit code",
        "10 seconds, 0",
    ),
    (
        "what a call of RunTask answers with the client token of one that could start no task",
        "what that one has started: no task and no failure",
    ),
    (
        "time until a task has stopped",
        "2 seconds; stopTimeout for an image stubborn…, which ignores SIGTERM",
    ),
    (
        "time of a lifecycle stage without hook",
        "2 seconds, except SCALE_UP, the traffic shifts and BAKE_TIME",
    ),
    (
        "bake time of alarms in a ROLLING deployment",
        "300 seconds: ECS chooses it by the alarm's configuration",
    ),
    (
        "time until attached capacity providers take effect",
        "10 seconds",
    ),
    (
        "time until a capacity provider is created, changed or deleted",
        "5 seconds; it fails if a member has the text no-such",
    ),
    (
        "how PutClusterCapacityProviders refuses a Managed Instances provider in its list",
        "ClientException with words of our own",
    ),
    (
        "deployments[] during a deployment with traffic shift",
        "the new revision is PRIMARY, the old one ACTIVE, as in ROLLING",
    ),
    (
        "service.taskDefinition after a rollback",
        "that of the service revision that runs",
    ),
    (
        "what AWS refuses of a request by the model of its API, and how",
        "InvalidParameterException with the path, also for an unknown member; SerializationException for another type",
    ),
    (
        "what becomes of a scheduled action that is due once, when it is done",
        "it is deleted",
    ),
    (
        "a bound that a scheduled action moves past the other one",
        "the other bound has the same value then",
    ),
    (
        "schedules of scheduled actions",
        "cron with a minute and an hour, every day in UTC; no start and end times",
    ),
    (
        "how long DescribeServices shows a deleted service",
        "one hour as INACTIVE",
    ),
];
