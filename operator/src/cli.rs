//! The command line. Every flag is an environment variable too.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::Targets;

use crate::reconcile::ClusterRule;

/// A Kubernetes operator for Amazon ECS.
#[derive(Debug, Parser)]
#[command(name = "ecs-operator", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "it exists once")]
pub enum Command {
    /// Run the operator
    Run(RunArgs),
    /// Print the custom resource definitions as YAML
    Crd,
    /// Print the IAM policy that the operator needs
    IamPolicy(IamPolicyArgs),
}

/// Flags of `ecs-operator run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Region of the ECS objects; default: what the AWS SDK finds, such as AWS_REGION
    #[arg(long, env = "ECS_OPERATOR_AWS_REGION", help_heading = "AWS")]
    pub aws_region: Option<String>,

    /// Share of the published ECS quotas that the operator may use, in percent (1 to 100), or `off`
    /// for no limit
    #[arg(long, env = "ECS_OPERATOR_AWS_QUOTA_SHARE", default_value = "50", value_parser = quota_share, help_heading = "AWS")]
    pub aws_quota_share: QuotaShare,

    /// URL of an SQS queue that receives ECS events from EventBridge, so that changes are found in
    /// seconds; default: none
    #[arg(long, env = "ECS_OPERATOR_AWS_EVENT_QUEUE_URL", value_parser = queue_url, help_heading = "AWS")]
    pub aws_event_queue_url: Option<String>,

    /// Polling interval of a service while a deployment or deletion is in progress
    #[arg(long, env = "ECS_OPERATOR_SWEEP_ACTIVE", default_value = "10s", value_parser = interval, help_heading = "AWS")]
    pub sweep_active: Duration,

    /// Polling interval of clusters and services at rest
    #[arg(long, env = "ECS_OPERATOR_SWEEP_STEADY", default_value = "60s", value_parser = interval, help_heading = "AWS")]
    pub sweep_steady: Duration,

    /// Polling interval of task definition revisions, which cannot change
    #[arg(long, env = "ECS_OPERATOR_SWEEP_TASK_DEFINITIONS", default_value = "1h", value_parser = interval, help_heading = "AWS")]
    pub sweep_task_definitions: Duration,

    /// Watch only these namespaces, with rights in each of them; default: all
    #[arg(long, env = "ECS_OPERATOR_WATCH_NAMESPACES", value_parser = namespace, value_delimiter = ',', help_heading = "Kubernetes")]
    pub watch_namespaces: Vec<String>,

    /// Watch only objects with these labels, as in `kubectl get -l`
    #[arg(
        long,
        env = "ECS_OPERATOR_WATCH_LABEL_SELECTOR",
        help_heading = "Kubernetes"
    )]
    pub watch_label_selector: Option<String>,

    /// Identity of this Kubernetes cluster in the ownership tags; default: UID of namespace
    /// kube-system
    #[arg(long, env = "ECS_OPERATOR_CLUSTER_ID", value_parser = cluster_id, help_heading = "Kubernetes")]
    pub cluster_id: Option<String>,

    /// Former cluster IDs; AWS objects tagged with them are owned by the object of the same
    /// namespace and name in this cluster
    #[arg(long, env = "ECS_OPERATOR_FORMER_CLUSTER_IDS", value_parser = cluster_id, value_delimiter = ',', help_heading = "Kubernetes")]
    pub former_cluster_ids: Vec<String>,

    /// Which namespaces may use which ECS clusters, as NAMESPACE=[REGION/]CLUSTER with `*` for any
    /// text; default: no restriction
    #[arg(
        long,
        env = "ECS_OPERATOR_ALLOWED_CLUSTERS",
        value_delimiter = ',',
        help_heading = "Kubernetes"
    )]
    pub allowed_clusters: Vec<ClusterRule>,

    /// Number of objects of a kind that are reconciled at the same time
    #[arg(long, env = "ECS_OPERATOR_CONCURRENCY", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Kubernetes")]
    pub concurrency: u16,

    /// Reconcile only while holding a Lease that all replicas share; without it, run one replica
    #[arg(
        long,
        env = "ECS_OPERATOR_LEADER_ELECTION",
        help_heading = "Leader election"
    )]
    pub leader_election: bool,

    /// Namespace of the Lease; default: the operator's own
    #[arg(
        long,
        env = "ECS_OPERATOR_LEADER_ELECTION_NAMESPACE",
        help_heading = "Leader election"
    )]
    pub leader_election_namespace: Option<String>,

    /// Name of the Lease
    #[arg(
        long,
        env = "ECS_OPERATOR_LEADER_ELECTION_LEASE",
        default_value = "ecs-operator",
        help_heading = "Leader election"
    )]
    pub leader_election_lease: String,

    /// Duration of the Lease without a renewal; whole seconds
    #[arg(long, env = "ECS_OPERATOR_LEADER_ELECTION_DURATION", default_value = "15s", value_parser = lease_duration, help_heading = "Leader election")]
    pub leader_election_duration: Duration,

    /// Address of metrics and probes
    #[arg(
        long,
        env = "ECS_OPERATOR_HTTP_ADDRESS",
        default_value = "0.0.0.0:8080",
        help_heading = "Observability"
    )]
    pub http_address: SocketAddr,

    /// Format of the log lines
    #[arg(
        long,
        env = "ECS_OPERATOR_LOG_FORMAT",
        default_value = "json",
        help_heading = "Observability"
    )]
    pub log_format: LogFormat,

    /// What is logged, such as `info` or `info,ecs_operator=debug`
    #[arg(long, env = "ECS_OPERATOR_LOG_FILTER", default_value = "info", value_parser = crate::telemetry::filter, help_heading = "Observability")]
    pub log_filter: Targets,
}

/// Flags of `ecs-operator iam-policy`.
#[derive(Clone, Debug, Default, Args)]
pub struct IamPolicyArgs {
    /// ARNs of the roles that task definitions and services may name; wildcards as in IAM, best by
    /// a path of their own
    #[arg(long, value_delimiter = ',', value_parser = role_arn, default_value = crate::iam::ROLES)]
    pub pass_role: Vec<String>,

    /// ARN of the SQS queue of `--aws-event-queue-url`, where there is one
    #[arg(long, value_parser = queue_arn)]
    pub event_queue_arn: Option<String>,
}

/// Format of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Pretty,
}

/// Share of the published quotas; `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaShare(pub Option<f64>);

fn quota_share(text: &str) -> Result<QuotaShare, String> {
    if text == "off" {
        return Ok(QuotaShare(None));
    }
    match text.parse::<u8>() {
        Ok(percent @ 1..=100) => Ok(QuotaShare(Some(f64::from(percent) / 100.0))),
        _ => Err("give a number from 1 to 100, or `off`".to_owned()),
    }
}

fn queue_url(text: &str) -> Result<String, String> {
    let path = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .and_then(|rest| rest.split_once('/'));
    match path {
        Some((host, path)) if !host.is_empty() && path.split('/').count() >= 2 => Ok(text.to_owned()),
        _ => Err("give the URL of a queue, such as https://sqs.eu-central-1.amazonaws.com/111122223333/ecs-events".to_owned()),
    }
}

fn role_arn(text: &str) -> Result<String, String> {
    match text.split_once(":iam::") {
        Some((partition, rest)) if partition.starts_with("arn:aws") && rest.contains(":role/") => {
            Ok(text.to_owned())
        }
        _ => Err("give the ARN of a role, such as arn:aws:iam::111122223333:role/ecs/*".to_owned()),
    }
}

fn queue_arn(text: &str) -> Result<String, String> {
    if text.starts_with("arn:aws") && text.contains(":sqs:") {
        return Ok(text.to_owned());
    }
    Err(
        "give the ARN of a queue, such as arn:aws:sqs:eu-central-1:111122223333:ecs-events"
            .to_owned(),
    )
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; give a time such as 30s or 5m"))?;
    if interval < Duration::from_millis(100) {
        return Err("give at least 100ms".to_owned());
    }
    Ok(interval)
}

fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = interval(text)?;
    if duration.subsec_nanos() != 0 || !(3..=3600).contains(&duration.as_secs()) {
        return Err("give whole seconds, from 3s to 1h".to_owned());
    }
    Ok(duration)
}

fn namespace(text: &str) -> Result<String, String> {
    let allowed = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
    };
    if text.is_empty() || text.len() > 63 || !text.chars().all(allowed) {
        return Err("give names of namespaces, such as shop,checkout".to_owned());
    }
    Ok(text.to_owned())
}

/// The identity is part of a tag value of at most 256 characters.
fn cluster_id(text: &str) -> Result<String, String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err("give 1 to 64 letters, digits, dots, hyphens or underscores".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (flag, words) in [
            ("--pass-role=ecs", "ARN of a role"),
            ("--event-queue-arn=https://sqs", "ARN of a queue"),
        ] {
            let error = Cli::try_parse_from(["ecs-operator", "iam-policy", flag])
                .expect_err(flag)
                .to_string();
            assert!(error.contains(words), "{error}");
        }
        let rows = [
            ("--aws-quota-share=0", "from 1 to 100"),
            ("--aws-quota-share=200", "from 1 to 100"),
            ("--aws-event-queue-url=ecs-events", "such as https://sqs."),
            (
                "--aws-event-queue-url=https://sqs.eu-central-1.amazonaws.com",
                "such as https://sqs.",
            ),
            ("--sweep-steady=soon", "such as 30s"),
            ("--sweep-active=1ms", "at least 100ms"),
            ("--http-address=here", "--http-address"),
            ("--watch-namespaces=shop,", "names of namespaces"),
            ("--allowed-clusters=shop", "a namespace and a cluster"),
            ("--cluster-id=a b", "letters, digits"),
            ("--former-cluster-ids=a,b/c", "letters, digits"),
            ("--concurrency=0", "--concurrency"),
            (
                "--log-filter=info,ecs_operator=loud",
                "`loud` is not a level",
            ),
            ("--leader-election-duration=1s", "from 3s to 1h"),
            ("--leader-election-duration=3500ms", "whole seconds"),
        ];
        for (flag, words) in rows {
            let error = Cli::try_parse_from(["ecs-operator", "run", flag])
                .expect_err(flag)
                .to_string();
            let name = flag.split('=').next().expect("a flag");
            assert!(error.contains(name) && error.contains(words), "{error}");
        }
    }
}
