//! The world of a test run: one control plane and one AWS server for all, and for each scenario a
//! namespace, an account, a AWS proxy and an operator of its own.

mod scenario;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::assets;
use crate::aws_proxy::AwsProxy;
use crate::aws_server::{self, AwsServer};
use crate::chart::RELEASE;
use crate::control_plane::ControlPlane;
use crate::docker_engine::DockerEngine;
use crate::installation::Installation;
use crate::interruption::Interruption;
use crate::kubectl::Kubectl;
use crate::operator::Options;
use crate::recorder::Recorder;
pub use scenario::Scenario;

/// How long a scenario waits for one thing to happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What all scenarios share.
pub struct World {
    /// The control plane.
    pub control_plane: ControlPlane,
    /// The chart, installed as it is by default: operators have its rights.
    pub installation: Installation,
    /// The AWS server.
    pub aws: AwsServer,
    /// A client with all rights.
    pub client: Client,
    /// What judges the objects, where they are judged.
    pub judges: Option<Judges>,
    /// Where data and logs are.
    pub dir: PathBuf,
    /// Ends what runs in this world.
    pub interruption: Interruption,
    scenarios: AtomicU64,
    rolling: OnceCell<Rolling>,
    guarded: OnceCell<AwsServer>,
}

/// An AWS server on which tasks take time, and the engine that runs them; for all scenarios that
/// need it.
pub struct Rolling {
    /// The engine.
    pub engine: DockerEngine,
    /// The server.
    pub server: AwsServer,
}

impl World {
    /// Starts it, and installs the chart.
    ///
    /// # Errors
    /// When a part does not start, or it is interrupted.
    pub async fn start(kind: aws_server::Kind, dir: &Path) -> Result<Self> {
        let interruption = Interruption::listen()?;
        interruption
            .stops(Self::start_parts(kind, dir, interruption.clone(), true))
            .await
    }

    /// The same without what judges the objects, and without Helm: it takes minutes to build their
    /// code.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_unjudged(kind: aws_server::Kind, dir: &Path) -> Result<Self> {
        let interruption = Interruption::listen()?;
        interruption
            .stops(Self::start_parts(kind, dir, interruption.clone(), false))
            .await
    }

    async fn start_parts(
        kind: aws_server::Kind,
        dir: &Path,
        interruption: Interruption,
        is_judged: bool,
    ) -> Result<Self> {
        let aws = dir.join("aws");
        let (control_plane, aws) = tokio::try_join!(
            async { ControlPlane::start(&dir.join("control-plane")).await },
            AwsServer::start(kind, &aws)
        )?;
        let client = control_plane.client().await?;
        let admin = control_plane.kubectl(None);
        let (judges, installation) = if is_judged {
            let judges = Judges {
                kstatus: assets::kstatus().await?,
                gitops: assets::gitops().await?,
            };
            (
                Some(judges),
                Installation::new(&admin, RELEASE, &[], dir).await?,
            )
        } else {
            (None, Installation::plain(&admin, dir)?)
        };
        admin.until_established()?;
        Ok(Self {
            control_plane,
            installation,
            aws,
            client,
            judges,
            dir: dir.to_owned(),
            interruption,
            scenarios: AtomicU64::new(0),
            rolling: OnceCell::new(),
            guarded: OnceCell::new(),
        })
    }

    /// What judges the objects.
    ///
    /// # Errors
    /// When they are not judged in this world.
    pub fn judges(&self) -> Result<&Judges> {
        self.judges
            .as_ref()
            .context("objects are not judged in this world")
    }

    /// Stops it.
    ///
    /// # Errors
    /// When a part cannot be stopped.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut rolling) = self.rolling.take() {
            rolling.server.stop().await?;
        }
        if let Some(mut guarded) = self.guarded.take() {
            guarded.stop().await?;
        }
        self.aws.stop().await?;
        self.control_plane.stop().await
    }

    /// kubectl in a namespace.
    #[must_use]
    pub fn kubectl(&self, namespace: Option<&str>) -> Kubectl {
        self.control_plane.kubectl(namespace)
    }

    /// Makes a namespace with a name that no other has.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn namespace(&self, name: &str) -> Result<String> {
        let metadata = ObjectMeta {
            generate_name: Some(format!("{name}-")),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        let made = Api::<Namespace>::all(self.client.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        made.metadata.name.context("it was given a name")
    }

    /// A scenario with an operator that is ready.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn scenario(&self, name: &str) -> Result<Scenario<'_>> {
        let mut scenario = self.scenario_without_operator(name).await?;
        scenario.start_operator()?;
        scenario.operator()?.ready().await?;
        Ok(scenario)
    }

    /// The server on which tasks take time, started when it is asked for first.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn rolling(&self) -> Result<&Rolling> {
        let start = async || {
            let engine = DockerEngine::start().await?;
            let kind = aws_server::Kind::MinistackWithEngine(engine.host.clone());
            Ok(Rolling {
                server: AwsServer::start(kind, &self.dir.join("aws-rolling")).await?,
                engine,
            })
        };
        self.rolling.get_or_try_init(start).await
    }

    /// The server on which IAM policies count, started when it is asked for first.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn guarded(&self) -> Result<&AwsServer> {
        let dir = self.dir.join("aws-guarded");
        self.guarded
            .get_or_try_init(async || {
                AwsServer::start(aws_server::Kind::MinistackWithIam, &dir).await
            })
            .await
    }

    /// A scenario in which tasks take time, with an operator that is ready.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn rolling_scenario(&self, name: &str) -> Result<Scenario<'_>> {
        let mut scenario = self.scenario_without_operator(name).await?;
        scenario
            .use_server(&self.rolling().await?.server.url)
            .await?;
        scenario.start_operator()?;
        scenario.operator()?.ready().await?;
        Ok(scenario)
    }

    /// A scenario whose operator is not started yet.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn scenario_without_operator(&self, name: &str) -> Result<Scenario<'_>> {
        let namespace = self.namespace(name).await?;
        let account = format!("1{:011}", self.scenarios.fetch_add(1, Ordering::Relaxed));
        let aws_proxy = AwsProxy::start(&self.aws.url, 0, 0).await?;
        let recorder = Recorder::start(&self.client, &namespace).await?;
        let options = Options {
            // Short sweeps, so that nobody waits for long; everything else as users have it.
            flags: [
                "--sweep-active=500ms",
                "--sweep-steady=1s",
                "--sweep-task-definitions=2s",
                "--log-format=pretty",
            ]
            .map(str::to_owned)
            .into_iter()
            .chain([
                format!("--watch-namespaces={namespace}"),
                "--log-filter=info,ecs_operator=debug".to_owned(),
            ])
            .collect(),
            environment: aws_server::environment(&aws_proxy.aws_url, &account),
            kubeconfig: self.installation.kubeconfig.clone(),
        };
        Ok(Scenario {
            outsider: aws_server::outsider(&self.aws.url, &account).await,
            kubectl: self.kubectl(Some(&namespace)),
            client: self.client.clone(),
            dir: self.dir.join(&namespace),
            world: self,
            recorder,
            operator: None,
            namespace,
            account,
            aws_proxy,
            options,
        })
    }
}

/// Programs that judge what objects say of themselves.
#[derive(Clone, Debug)]
pub struct Judges {
    /// By the kstatus library.
    pub kstatus: PathBuf,
    /// By what Argo CD and Flux make of it.
    pub gitops: PathBuf,
}

/// The Ready condition of an object.
#[must_use]
pub fn ready(object: &Value) -> Option<&Value> {
    condition(object, "Ready")
}

/// A condition of an object.
#[must_use]
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == type_)
}

/// Whether an object is Ready, for what its spec says now.
#[must_use]
pub fn is_ready(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && ready(object).is_some_and(|ready| ready["status"] == "True")
}
