//! The world of a test run: one control plane and one AWS server for all, and for each scenario a namespace, an account, a
//! ledger and an operator of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::assets;
use crate::aws_server::{self, AwsServer};
use crate::chart::RELEASE;
use crate::control_plane::ControlPlane;
use crate::docker_engine::DockerEngine;
use crate::installation::Installation;
use crate::kubectl::Kubectl;
use crate::ledger::{Counts, Ledger};
use crate::operator::{Operator, Options};
use crate::recorder::Recorder;
use crate::wait;

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
    /// The judge of statuses.
    pub kstatus: PathBuf,
    /// The judge of what Argo CD and Flux make of them.
    pub gitops: PathBuf,
    /// Where data and logs are.
    pub dir: PathBuf,
    scenarios: AtomicU64,
    rolling: OnceCell<Rolling>,
    guarded: OnceCell<AwsServer>,
}

/// An AWS server on which tasks take time, and the engine that runs them; for all scenarios that need it.
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
    /// When a part does not start.
    pub async fn start(kind: aws_server::Kind, dir: &Path) -> Result<Self> {
        let aws = dir.join("aws");
        let (control_plane, aws) =
            tokio::try_join!(async { ControlPlane::start(&dir.join("control-plane")).await }, AwsServer::start(kind, &aws))?;
        let client = control_plane.client().await?;
        let (kstatus, gitops) = (assets::kstatus().await?, assets::gitops().await?);
        let admin =
            Kubectl { program: control_plane.kubectl.clone(), kubeconfig: control_plane.kubeconfig.clone(), namespace: None };
        let installation = Installation::new(&admin, RELEASE, &[], dir).await?;
        let world = Self {
            control_plane,
            installation,
            aws,
            client,
            kstatus,
            gitops,
            dir: dir.to_owned(),
            scenarios: AtomicU64::new(0),
            rolling: OnceCell::new(),
            guarded: OnceCell::new(),
        };
        let crds = ["ecsclusters", "ecstaskdefinitions", "ecsservices"].map(|plural| format!("crd/{plural}.ecs-operator.dev"));
        world.kubectl(None).run(&["wait", "--for=condition=Established", "--timeout=60s", &crds[0], &crds[1], &crds[2]])?;
        Ok(world)
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
        Kubectl {
            program: self.control_plane.kubectl.clone(),
            kubeconfig: self.control_plane.kubeconfig.clone(),
            namespace: namespace.map(str::to_owned),
        }
    }

    /// Makes a namespace with a name that no other has.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn namespace(&self, name: &str) -> Result<String> {
        let metadata = ObjectMeta { generate_name: Some(format!("{name}-")), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let made = Api::<Namespace>::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
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
            Ok(Rolling { server: AwsServer::start(kind, &self.dir.join("aws-rolling")).await?, engine })
        };
        self.rolling.get_or_try_init(start).await
    }

    /// The server on which IAM policies count, started when it is asked for first.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn guarded(&self) -> Result<&AwsServer> {
        let dir = self.dir.join("aws-guarded");
        self.guarded.get_or_try_init(async || AwsServer::start(aws_server::Kind::MinistackWithIam, &dir).await).await
    }

    /// A scenario in which tasks take time, with an operator that is ready.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn rolling_scenario(&self, name: &str) -> Result<Scenario<'_>> {
        let mut scenario = self.scenario_without_operator(name).await?;
        scenario.use_server(&self.rolling().await?.server.url).await?;
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
        let ledger = Ledger::start(&self.aws.url, 0, 0).await?;
        let recorder = Recorder::start(&self.client, &namespace);
        let options = Options {
            // Short sweeps, so that nobody waits for long; everything else as users have it.
            flags: ["--sweep-active=500ms", "--sweep-steady=1s", "--sweep-task-definitions=2s", "--log-format=pretty"]
                .map(str::to_owned)
                .into_iter()
                .chain([format!("--watch-namespaces={namespace}"), "--log-filter=info,ecs_operator=debug".to_owned()])
                .collect(),
            environment: aws_server::environment(&ledger.aws_url, &account),
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
            ledger,
            options,
        })
    }
}

/// One scenario.
pub struct Scenario<'a> {
    /// What it shares with others.
    pub world: &'a World,
    /// Its namespace.
    pub namespace: String,
    /// Its AWS account.
    pub account: String,
    /// kubectl in its namespace.
    pub kubectl: Kubectl,
    /// A client with all rights.
    pub client: Client,
    /// The ledger between its operator and AWS.
    pub ledger: Ledger,
    /// A client of AWS past the ledger.
    pub outsider: aws_sdk_ecs::Client,
    /// How its operator is started.
    pub options: Options,
    /// Every version of its objects.
    pub recorder: Recorder,
    /// Its operator, while one runs.
    pub operator: Option<Operator>,
    dir: PathBuf,
}

impl Drop for Scenario<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.explain();
        }
    }
}

impl Scenario<'_> {
    /// Prints what helps to find out why it failed.
    pub fn explain(&self) {
        eprintln!("--- {}: calls to AWS: {:?}", self.namespace, self.ledger.counts().operations);
        if let Some(operator) = &self.operator {
            let log = operator.process.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "--- {}: end of the operator's log\n{}",
                self.namespace,
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
    }

    /// Has its operator and its outsider work in this account.
    pub async fn use_account(&mut self, account: &str) {
        account.clone_into(&mut self.account);
        self.outsider = aws_server::outsider(&self.world.aws.url, account).await;
        self.options.environment = aws_server::environment(&self.ledger.aws_url, account);
    }

    /// Has its operator and its outsider work on another server, behind a new ledger.
    ///
    /// # Errors
    /// When the ledger finds no port.
    pub async fn use_server(&mut self, url: &str) -> Result<()> {
        self.ledger = Ledger::start(url, 0, 0).await?;
        self.outsider = aws_server::outsider(url, &self.account).await;
        self.options.environment = aws_server::environment(&self.ledger.aws_url, &self.account);
        Ok(())
    }

    /// Starts the operator, again if it ran before.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_operator(&mut self) -> Result<()> {
        self.operator = Some(self.spawn_operator()?);
        Ok(())
    }

    /// An operator that the caller keeps.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_operator(&self) -> Result<Operator> {
        Operator::start(&self.dir, &self.options)
    }

    /// The running operator.
    ///
    /// # Errors
    /// When none runs.
    pub fn operator(&mut self) -> Result<&mut Operator> {
        self.operator.as_mut().context("no operator runs")
    }

    /// Awaits `Ready=True` for the present generation of objects such as `ecsservice/web`, as `kubectl wait` does it.
    ///
    /// # Errors
    /// With what they say of themselves, when they do not become ready.
    pub fn wait_ready(&self, objects: &[&str]) -> Result<()> {
        let arguments = ["wait", "--for=condition=Ready", "--timeout=60s"];
        self.kubectl
            .run(&[&arguments, objects].concat())
            .with_context(|| self.kubectl.run(&["get", "ecs", "-o", "wide"]).unwrap_or_default())
            .map(drop)
    }

    /// An object as JSON.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn get(&self, object: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl.run(&["get", object, "-o", "json"])?)?)
    }

    /// Awaits that an object fulfils `condition`, and answers it.
    ///
    /// # Errors
    /// With its status, when it does not.
    pub async fn until(&self, object: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(object, PATIENCE, async || {
            let value = self.get(object)?;
            if condition(&value) { Ok(value) } else { Err(anyhow::anyhow!("{}", value["status"])) }
        })
        .await
    }

    /// Awaits that the Ready condition of an object has this status and reason, and answers its message.
    ///
    /// # Errors
    /// With its status, when it does not get there.
    pub async fn until_ready_is(&self, object: &str, status: &str, reason: &str) -> Result<String> {
        let found = self
            .until(object, |value| ready(value).is_some_and(|ready| ready["status"] == status && ready["reason"] == reason))
            .await?;
        Ok(ready(&found).and_then(|ready| ready["message"].as_str()).unwrap_or_default().to_owned())
    }

    /// Awaits that none of our objects is left in the namespace.
    ///
    /// # Errors
    /// With those that are, when they stay.
    pub async fn until_empty(&self) -> Result<()> {
        wait::until("deletion", PATIENCE, async || {
            let left = self.kubectl.run(&["get", "ecs", "-o", "name"])?;
            ensure!(left.trim().is_empty(), self.kubectl.run(&["get", "ecs", "-o", "wide"])?);
            Ok(())
        })
        .await
    }

    /// Events about an object: reason and note.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn events(&self, name: &str) -> Result<Vec<(String, String)>> {
        let events =
            Api::<Event>::namespaced(self.client.clone(), &self.namespace).list(&kube::api::ListParams::default()).await?;
        let about = events.items.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(name));
        Ok(about.map(|event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default())).collect())
    }

    /// Awaits that the operator has looked at AWS many times more, and checks that it changed nothing meanwhile: nothing in
    /// AWS at all, and none of its objects once the counts in their status have settled.
    ///
    /// # Errors
    /// With what it changed.
    pub async fn is_quiet(&self) -> Result<()> {
        let before = self.ledger.counts();
        self.looks(4).await?;
        let versions = self.versions()?;
        self.looks(6).await?;
        let (after, now) = (self.ledger.counts(), self.versions()?);
        ensure!(after.writes() == before.writes(), "AWS was written after Ready: {before:?} became {after:?}");
        ensure!(now == versions, "objects were written after Ready: {versions} became {now}");
        Ok(())
    }

    /// Awaits that a service in AWS has this number of tasks wanted.
    ///
    /// # Errors
    /// When it does not get it in time.
    pub async fn until_desired_count(&self, cluster: &str, service: &str, count: i32, limit: Duration) -> Result<()> {
        wait::until("the number of tasks", limit, async || {
            let found = self.outsider.describe_services().cluster(cluster).services(service).send().await?;
            let desired = found.services().first().map(aws_sdk_ecs::types::Service::desired_count);
            ensure!(desired == Some(count), "{desired:?}");
            Ok(())
        })
        .await
    }

    /// Awaits that the operator has looked at AWS so many times more.
    ///
    /// # Errors
    /// When it does not.
    pub async fn looks(&self, times: usize) -> Result<()> {
        let looks = |counts: &Counts| counts.of("DescribeServices") + counts.of("DescribeClusters");
        let before = looks(&self.ledger.counts());
        wait::until("sweeps", PATIENCE, async || {
            let seen = looks(&self.ledger.counts()) - before;
            ensure!(seen >= times, "{seen} of {times}");
            Ok(())
        })
        .await
    }

    /// Name and resource version of every object of ours.
    fn versions(&self) -> Result<String> {
        let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
        self.kubectl.run(&["get", "ecs", "--no-headers", "-o", columns])
    }

    /// Judges all that the objects ever said of themselves, stops the operator and removes the namespace. To be called at the
    /// end of a scenario that succeeded.
    ///
    /// # Errors
    /// When something said what is not so, or cannot be stopped.
    pub async fn end(mut self) -> Result<()> {
        self.recorder.check(&self.world.kstatus, &self.world.gitops)?;
        if let Some(mut operator) = self.operator.take() {
            operator.process.stop().await?;
        }
        let namespaces = Api::<Namespace>::all(self.client.clone());
        // It may have gone already: that is what some scenarios are about.
        match namespaces.delete(&self.namespace, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => deleted.map(drop).context("cannot delete the namespace"),
        }
    }
}

/// The Ready condition of an object.
#[must_use]
pub fn ready(object: &Value) -> Option<&Value> {
    condition(object, "Ready")
}

/// A condition of an object.
#[must_use]
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}
