//! The simulator of AWS without HTTP: it answers the requests of the operator's own SDK clients,
//! and misbehaves as AWS and the network do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use tokio::sync::Notify;

use super::api_server::stamp;
use super::chance::Chance;
use super::{oracles, tasks, time};
use crate::simulator::{Account, Moment, Refusal};

/// How long former states are kept: as long as the operator may keep a read.
const KEPT: Duration = Duration::from_secs(70);

/// For how long reads may be stale.
const LAG: Duration = Duration::from_secs(5);

/// How AWS misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A call is refused with ThrottlingException.
    Throttles,
    /// A call fails with 500 before it is carried out.
    Fails,
    /// A call is carried out, and its reply gets lost.
    ReplyLost,
    /// A call is carried out after longer than the operator waits for a reply.
    Slow,
    /// A read shows the state of up to five seconds ago.
    Stale,
}

/// AWS as the operator reaches it. A clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Aws {
    state: Arc<Mutex<State>>,
    /// The process that calls ends at this moment.
    pub(super) crash: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    account: Account,
    /// How it was before each of the last writes.
    former: VecDeque<(Moment, Account)>,
    /// What goes wrong, and how often of a hundred.
    trouble: Option<(Trouble, u64)>,
    /// The process crashes at the write that this many others precede: before or after it.
    crash: Option<(u64, bool)>,
    chance: Chance,
    /// When a read was last made to show a former state.
    stale: Option<Moment>,
    /// The operator's writes.
    writes: Vec<String>,
    /// What no operator may do.
    violations: Vec<String>,
    trace: Vec<String>,
}

impl Aws {
    /// AWS with one account, without objects.
    pub(super) fn new(account: Account, chance: Chance) -> Self {
        let state = State {
            account,
            former: VecDeque::new(),
            trouble: None,
            crash: None,
            chance,
            stale: None,
            writes: Vec::new(),
            violations: Vec::new(),
            trace: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            crash: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of the SDK that reaches it.
    pub(super) fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// A call of somebody else.
    pub(super) fn call(&self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        let now = time::now();
        let before = state.account.clone();
        let result = state.account.call(operation, request, now);
        if is_write(operation) {
            let outcome = result
                .as_ref()
                .map_or_else(|refusal| format!("{refusal:?}"), |_| "ok".to_owned());
            state.former.push_back((now, before));
            state.trace.push(format!(
                "{} somebody else: {operation} {request}: {outcome}",
                stamp()
            ));
        }
        result
    }

    /// Has no read show what was before now.
    pub(super) fn settle(&self) {
        self.state().former.clear();
    }

    /// What AWS would answer, without a trace of the question.
    pub(super) fn look(&self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        self.state()
            .account
            .clone()
            .call(operation, request, time::now())
    }

    /// What AWS answers now, and what it has answered within the last minute.
    pub(super) fn look_back(&self, operation: &str, request: &Value) -> Vec<Value> {
        let state = self.state();
        let now = time::now();
        let answer = |account: &Account| {
            account
                .clone()
                .call(operation, request, now)
                .unwrap_or_default()
        };
        let recent = state
            .former
            .iter()
            .filter(|(until, _)| now.since(*until) < KEPT);
        let former = recent.map(|(until, account)| {
            account
                .clone()
                .call(operation, request, *until)
                .unwrap_or_default()
        });
        std::iter::once(answer(&state.account))
            .chain(former)
            .collect()
    }

    /// Sets what goes wrong from now on, and how often of a hundred.
    pub(super) fn set_trouble(&self, trouble: Option<(Trouble, u64)>) {
        self.state().trouble = trouble;
    }

    /// Has the process crash before or after a write that so many others precede.
    pub(super) fn set_crash(&self, crash: Option<(u64, bool)>) {
        self.state().crash = crash;
    }

    /// The operator's writes so far.
    pub(super) fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    /// Whether a read has shown a former state.
    pub(super) fn was_stale(&self) -> bool {
        self.state().stale.is_some()
    }

    /// What the operator did that no operator may do.
    pub(super) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// What happened since the last call.
    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.state().trace)
    }

    /// Answers one request of the operator.
    async fn answer(
        &self,
        operation: &str,
        request: &Value,
    ) -> Result<Result<Value, Refusal>, ConnectorError> {
        let writes = is_write(operation);
        let (latency, trouble) = {
            let mut state = self.state();
            let latency = 10 + state.chance.below(190);
            let trouble = state
                .trouble
                .filter(|(_, percent)| state.chance.below(100) < *percent);
            (latency, trouble.map(|(trouble, _)| trouble))
        };
        tokio::time::sleep(Duration::from_millis(latency)).await;
        match trouble {
            Some(Trouble::Throttles) => {
                return Ok(Err(Refusal::new("ThrottlingException", "Rate exceeded")));
            }
            Some(Trouble::Fails) => {
                return Ok(Err(Refusal::new("ServerException", "Service Unavailable.")));
            }
            Some(Trouble::Slow) => tokio::time::sleep(Duration::from_secs(12)).await,
            _ => {}
        }
        self.reach_crash(writes, false).await;
        let result = self.state().carry_out(operation, request, trouble);
        self.reach_crash(writes, true).await;
        if trouble == Some(Trouble::ReplyLost) {
            return Err(ConnectorError::io("connection reset by peer".into()));
        }
        Ok(result)
    }

    /// Ends the process when its time has come.
    async fn reach_crash(&self, writes: bool, after: bool) {
        let is_due = {
            let mut state = self.state();
            match &mut state.crash {
                Some((0, at)) if writes && *at == after => {
                    state.crash = None;
                    true
                }
                Some((left, _)) if writes && after => {
                    *left = left.saturating_sub(1);
                    false
                }
                _ => false,
            }
        };
        if is_due {
            self.crash.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl State {
    fn carry_out(
        &mut self,
        operation: &str,
        request: &Value,
        trouble: Option<Trouble>,
    ) -> Result<Value, Refusal> {
        let now = time::now();
        if !is_write(operation) {
            if trouble == Some(Trouble::Stale) {
                let mut former = self
                    .former
                    .iter()
                    .filter(|(until, _)| now.since(*until) < LAG);
                if let Some((_, account)) = former.next() {
                    self.stale = Some(now);
                    return account.clone().call(operation, request, now);
                }
            }
            return self.account.call(operation, request, now);
        }
        self.former.retain(|(until, _)| now.since(*until) < KEPT);
        self.former.push_back((now, self.account.clone()));
        // ECS has no token for registrations, so a stale read may hide the revision.
        let is_stale = self.stale.is_some_and(|at| now.since(at) < KEPT);
        if operation == "RegisterTaskDefinition" && !is_stale {
            let known = oracles::registered(request, &self.account, now);
            self.violations.extend(known);
        }
        let result = self.account.call(operation, request, now);
        if operation == "RunTask" && result.is_ok() {
            let known = tasks::started(request, &self.account, now);
            self.violations.extend(known);
        }
        let outcome = result
            .as_ref()
            .map_or_else(|refusal| format!("{refusal:?}"), |_| "ok".to_owned());
        self.trace.push(format!(
            "{} operator: {operation} {request}: {outcome}",
            stamp()
        ));
        self.writes.push(format!("{operation} {request}"));
        result
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let aws = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let body = request.body().bytes().unwrap_or_default();
            let body = serde_json::from_slice(body).unwrap_or_default();
            let (status, body) = match aws.answer(&operation, &body).await? {
                Ok(reply) => (200, reply),
                Err(refusal) => (400, refusal.json()),
            };
            let status = StatusCode::try_from(status)
                .map_err(|error| ConnectorError::other(error.into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
        })
    }
}

fn is_write(operation: &str) -> bool {
    !operation.starts_with("Describe") && !operation.starts_with("List")
}
