//! AWS-compatible servers that we did not write: ministack, and moto as a second opinion.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_types::region::Region;
use serde_json::Value;
use tokio::process::Command;

use crate::assets;
use crate::process::{Process, free_ports};

/// Region of all tests.
pub const REGION: &str = "eu-central-1";

/// How long a server may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ministack: tasks run at once; the access key is the account.
    Ministack,
    /// ministack with a Docker engine at this address: tasks start, fail and end over time.
    MinistackWithEngine(String),
    /// ministack that enforces IAM policies; access keys that are an account number may do
    /// everything.
    MinistackWithIam,
    /// moto: tasks never run.
    Moto,
    /// The simulator in real time, with or without the quotas that AWS publishes.
    Simulator {
        /// Whether calls beyond them are throttled.
        has_quotas: bool,
    },
}

/// A running server.
#[derive(Debug)]
pub struct AwsServer {
    /// Its address, as `AWS_ENDPOINT_URL`.
    pub url: String,
    process: Process,
}

impl AwsServer {
    /// Starts one with its logs in `dir`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(kind: Kind, dir: &Path) -> Result<Self> {
        let [port] = free_ports()?;
        Self::start_at(kind, dir, port).await
    }

    /// Starts one on a port that is known already.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_at(kind: Kind, dir: &Path, port: u16) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let url = format!("http://127.0.0.1:{port}");
        let (name, mut command, health) = match kind {
            Kind::Ministack | Kind::MinistackWithEngine(_) | Kind::MinistackWithIam => {
                let guarded = kind == Kind::MinistackWithIam;
                // Without the Docker client it cannot find an engine of the user's.
                let (environment, engine) = match kind {
                    Kind::MinistackWithEngine(host) => ("ministack-engine", host),
                    _ => ("ministack", String::new()),
                };
                let mut command = Command::new(
                    assets::python_environment(environment)
                        .await?
                        .join("ministack"),
                );
                command
                    .env("BIND_HOST", "127.0.0.1")
                    .env("GATEWAY_PORT", port.to_string())
                    .env("LOG_LEVEL", "WARNING");
                command
                    .env("DOCKER_HOST", engine)
                    .env("AUTH", guarded.to_string());
                ("ministack", command, format!("{url}/_ministack/health"))
            }
            Kind::Simulator { has_quotas } => {
                let mut command = Command::new(assets::e2e()?);
                command.args(["simulator", "--port", &port.to_string()]);
                command.args(["--quotas", &has_quotas.to_string()]);
                ("simulator", command, format!("{url}/health"))
            }
            Kind::Moto => {
                let mut command = Command::new(
                    assets::python_environment("moto")
                        .await?
                        .join("moto_server"),
                );
                command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
                ("moto", command, format!("{url}/moto-api/data.json"))
            }
        };
        let mut process = Process::start(name, dir, command.process_group(0))?;
        process
            .until_ready(PATIENCE, async || {
                Ok(reqwest::get(&health).await?.error_for_status().map(drop)?)
            })
            .await?;
        Ok(Self { url, process })
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await.map(drop)
    }

    /// Its process.
    #[must_use]
    pub fn into_process(self) -> Process {
        self.process
    }
}

/// Puts a secret into Secrets Manager under the name that the ARN of the samples ends in, so that
/// their tasks find it.
///
/// # Errors
/// When the server refuses.
pub async fn put_sample_secret(url: &str, account: &str) -> Result<()> {
    let secret = serde_json::json!({"Name": "shop/database-AbCdEf", "SecretString": "postgres://shop@db/shop"});
    send(
        url,
        account,
        "secretsmanager",
        "secretsmanager.CreateSecret",
        &secret,
    )
    .await
    .map(drop)
}

/// Sends a request document as it is, as `aws … --cli-input-json` would; the signature is left out,
/// which the servers do not mind.
///
/// # Errors
/// With the body of the reply, when the server refuses.
pub async fn send(
    url: &str,
    account: &str,
    service: &str,
    target: &str,
    document: &Value,
) -> Result<Value> {
    let request = reqwest::Client::new()
        .post(url)
        .header("x-amz-target", target);
    let request = request
        .header("content-type", "application/x-amz-json-1.1")
        .body(document.to_string());
    Ok(serde_json::from_str(
        &reply(request, account, service, target).await?,
    )?)
}

/// Calls the IAM API as the root of an account.
///
/// # Errors
/// With the body of the reply, when the server refuses.
pub async fn iam(
    url: &str,
    account: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> Result<String> {
    let common = [("Action", action), ("Version", "2010-05-08")];
    let url = reqwest::Url::parse_with_params(url, common.iter().chain(parameters))?;
    let request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded");
    reply(request, account, "iam", action).await
}

/// What the server answers to a request of the root of an account.
async fn reply(
    request: reqwest::RequestBuilder,
    account: &str,
    service: &str,
    what: &str,
) -> Result<String> {
    let credential = format!("Credential={account}/20260101/{REGION}/{service}/aws4_request");
    let signature = format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0");
    let reply = request.header("authorization", signature).send().await?;
    let (refused, text) = (!reply.status().is_success(), reply.text().await?);
    anyhow::ensure!(!refused, "{what}: {text}");
    Ok(text)
}

/// A service, with its tags, as DescribeServices returns it.
///
/// # Errors
///
/// Fails if the call fails or AWS has no such service.
pub async fn service(
    outsider: &aws_sdk_ecs::Client,
    cluster: &str,
    service: &str,
) -> Result<aws_sdk_ecs::types::Service> {
    let described = outsider
        .describe_services()
        .cluster(cluster)
        .services(service)
        .include(aws_sdk_ecs::types::ServiceField::Tags)
        .send()
        .await?;
    let failures = format!("{:?}", described.failures());
    described
        .services
        .and_then(|services| services.into_iter().next())
        .with_context(|| format!("{cluster}/{service} is not in AWS: {failures}"))
}

/// A client of an outsider: it speaks to the server directly, past the AWS proxy.
pub async fn outsider(url: &str, account: &str) -> aws_sdk_ecs::Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(account, "test", None, None, "test"))
        .load()
        .await;
    aws_sdk_ecs::Client::new(&config)
}

/// The environment with which a process reaches a server at `url` as `account`, and nothing of the
/// user's own AWS.
#[must_use]
pub fn environment(url: &str, account: &str) -> Vec<(&'static str, String)> {
    let fixed = [
        ("AWS_REGION", REGION),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ];
    let mut environment: Vec<_> = fixed
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    environment.push(("AWS_ENDPOINT_URL", url.to_owned()));
    environment.push(("AWS_ACCESS_KEY_ID", account.to_owned()));
    environment
}
