//! One scenario: what it has of its own, and what it can await.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::api::DeleteParams;
use kube::{Api, Client};
use serde_json::Value;

use super::{Judges, PATIENCE, World, ready};
use crate::aws_proxy::{AwsProxy, Counts};
use crate::aws_server;
use crate::kubectl::Kubectl;
use crate::operator::{Operator, Options};
use crate::recorder::Recorder;
use crate::wait;

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
    /// The AWS proxy between its operator and AWS.
    pub aws_proxy: AwsProxy,
    /// A client of AWS past the AWS proxy.
    pub outsider: aws_sdk_ecs::Client,
    /// How its operator is started.
    pub options: Options,
    /// Every version of its objects.
    pub recorder: Recorder,
    /// Its operator, while one runs.
    pub operator: Option<Operator>,
    pub(super) dir: PathBuf,
}

impl Drop for Scenario<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.explain();
        }
    }
}

/// The reads by which the operator polls the AWS objects of each kind. Others, such as those of
/// stopped tasks, come in bursts.
const POLLS: [&str; 4] = [
    "DescribeCapacityProviders",
    "DescribeClusters",
    "DescribeServices",
    "DescribeRepositories",
];

impl Scenario<'_> {
    /// Prints what helps to find out why it failed.
    pub fn explain(&self) {
        eprintln!(
            "--- {}: calls to AWS: {:?}",
            self.namespace,
            self.aws_proxy.counts().operations
        );
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
        self.options.environment = aws_server::environment(&self.aws_proxy.aws_url, account);
    }

    /// Has its operator and its outsider work on another server, behind a new AWS proxy.
    ///
    /// # Errors
    /// When the AWS proxy finds no port.
    pub async fn use_server(&mut self, url: &str) -> Result<()> {
        self.aws_proxy = AwsProxy::start(url, 0, 0).await?;
        self.outsider = aws_server::outsider(url, &self.account).await;
        self.options.environment = aws_server::environment(&self.aws_proxy.aws_url, &self.account);
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

    /// Awaits `Ready=True` for the present generation of objects such as `ecsservice/web`, as
    /// `kubectl wait` does it.
    ///
    /// # Errors
    /// With what they say of themselves, when they do not become ready.
    pub fn wait_ready(&self, objects: &[&str]) -> Result<()> {
        let arguments = ["wait", "--for=condition=Ready", "--timeout=60s"];
        self.kubectl
            .run(&[&arguments, objects].concat())
            .with_context(|| {
                self.kubectl
                    .run(&["get", "ecs", "-o", "wide"])
                    .unwrap_or_default()
            })
            .map(drop)
    }

    /// An object as JSON.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn get(&self, object: &str) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.kubectl.run(&["get", object, "-o", "json"])?,
        )?)
    }

    /// Awaits that an object fulfils `condition`, and answers it.
    ///
    /// # Errors
    /// With its status, when it does not.
    pub async fn until(&self, object: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(object, PATIENCE, async || {
            let value = self.get(object)?;
            if condition(&value) {
                Ok(value)
            } else {
                Err(anyhow::anyhow!("{}", value["status"]))
            }
        })
        .await
    }

    /// Awaits that the Ready condition of an object has this status and reason, and answers its
    /// message.
    ///
    /// # Errors
    /// With its status, when it does not get there.
    pub async fn until_ready_is(&self, object: &str, status: &str, reason: &str) -> Result<String> {
        let found = self
            .until(object, |value| {
                ready(value)
                    .is_some_and(|ready| ready["status"] == status && ready["reason"] == reason)
            })
            .await?;
        Ok(ready(&found)
            .and_then(|ready| ready["message"].as_str())
            .unwrap_or_default()
            .to_owned())
    }

    /// Awaits that none of our objects is left in the namespace.
    ///
    /// # Errors
    /// With those that are, when they stay.
    pub async fn until_empty(&self) -> Result<()> {
        wait::until("deletion", PATIENCE, async || {
            let left = self.kubectl.run(&["get", "ecs", "-o", "name"])?;
            ensure!(
                left.trim().is_empty(),
                self.kubectl.run(&["get", "ecs", "-o", "wide"])?
            );
            Ok(())
        })
        .await
    }

    /// Events about an object: reason and note.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn events(&self, name: &str) -> Result<Vec<(String, String)>> {
        let events = Api::<Event>::namespaced(self.client.clone(), &self.namespace)
            .list(&kube::api::ListParams::default())
            .await?;
        let about = events
            .items
            .into_iter()
            .filter(|event| event.involved_object.name.as_deref() == Some(name));
        Ok(about
            .map(|event| {
                (
                    event.reason.unwrap_or_default(),
                    event.message.unwrap_or_default(),
                )
            })
            .collect())
    }

    /// Awaits an event about an object of this reason, with these words. It comes a moment after the
    /// status.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn until_event(&self, name: &str, reason: &str, words: &[&str]) -> Result<()> {
        wait::until("the event", PATIENCE, async || {
            let events = self.events(name).await?;
            let is_it = |(of, note): &(String, String)| {
                of == reason && words.iter().all(|words| note.contains(words))
            };
            ensure!(events.iter().any(is_it), "{events:?}");
            Ok(())
        })
        .await
    }

    /// Awaits an event about an object, which comes a moment after the status, and answers its
    /// note. It must be told once.
    ///
    /// # Errors
    /// When it does not come, or more than once.
    pub async fn told_once(&self, name: &str, reason: &str) -> Result<String> {
        let mut notes = wait::until(reason, PATIENCE, async || {
            let told = self
                .events(name)
                .await?
                .into_iter()
                .filter(|(of, _)| of == reason);
            let notes: Vec<_> = told.map(|(_, note)| note).collect();
            ensure!(!notes.is_empty(), "no event tells of it");
            Ok(notes)
        })
        .await?;
        ensure!(
            notes.len() == 1,
            "{} events of reason {reason}, not one: {notes:?}",
            notes.len()
        );
        Ok(notes.remove(0))
    }

    /// Awaits that the operator has looked at AWS many times more, and checks that it changed
    /// nothing meanwhile: nothing in AWS at all, and none of its objects once the counts in their
    /// status have settled.
    ///
    /// # Errors
    /// With what it changed.
    pub async fn is_quiet(&self) -> Result<()> {
        let before = self.aws_proxy.counts();
        self.looks(4).await?;
        let versions = self.versions()?;
        self.looks(6).await?;
        let (after, now) = (self.aws_proxy.counts(), self.versions()?);
        ensure!(
            after.writes() == before.writes(),
            "AWS was written after Ready: {before:?} became {after:?}"
        );
        ensure!(
            now == versions,
            "objects were written after Ready: {versions} became {now}"
        );
        Ok(())
    }

    /// Awaits that a service in AWS has this number of tasks wanted.
    ///
    /// # Errors
    /// When it does not get it in time.
    pub async fn until_desired_count(
        &self,
        cluster: &str,
        service: &str,
        count: i32,
        limit: Duration,
    ) -> Result<()> {
        wait::until("the number of tasks", limit, async || {
            let service = aws_server::service(&self.outsider, cluster, service).await?;
            let desired = service.desired_count();
            ensure!(desired == count, "{desired}");
            Ok(())
        })
        .await
    }

    /// Awaits that the operator has looked at AWS so many times more.
    ///
    /// # Errors
    /// When it does not.
    pub async fn looks(&self, times: usize) -> Result<()> {
        let looks = |counts: &Counts| {
            POLLS
                .iter()
                .map(|operation| counts.of(operation))
                .sum::<usize>()
        };
        let before = looks(&self.aws_proxy.counts());
        wait::until("sweeps", PATIENCE, async || {
            let seen = looks(&self.aws_proxy.counts()) - before;
            ensure!(seen >= times, "{seen} of {times}");
            Ok(())
        })
        .await
    }

    /// Name and resource version of every object of ours.
    fn versions(&self) -> Result<String> {
        let columns =
            "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
        self.kubectl
            .run(&["get", "ecs", "--no-headers", "-o", columns])
    }

    /// Judges all that the objects ever said of themselves, stops the operator and removes the
    /// namespace. To be called at the end of a scenario that succeeded.
    ///
    /// # Errors
    /// When something said what is not so, or cannot be stopped.
    pub async fn end(mut self) -> Result<()> {
        if let Some(Judges { kstatus, gitops }) = &self.world.judges {
            self.recorder.check(kstatus, gitops)?;
        }
        if let Some(mut operator) = self.operator.take() {
            operator.process.stop().await?;
        }
        let namespaces = Api::<Namespace>::all(self.client.clone());
        // It may have gone already: that is what some scenarios are about.
        match namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await
        {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => deleted.map(drop).context("cannot delete the namespace"),
        }
    }
}
