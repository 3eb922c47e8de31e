//! Serves the model by HTTP, as the clients of AWS speak to it.
//!
//! The account is the access key, and the Region is a part of the signature, which is not checked.
//! `PUT /alarms/ACCOUNT` with a list of names sets the CloudWatch alarms that are in state ALARM.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api_model;

use super::account::Account;
use super::clock::{Clock, Moment};
use super::refusal::Refusal;

/// A simulator that serves until it is dropped.
#[derive(Debug)]
pub struct Simulator {
    /// Address for clients of AWS.
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// Whether calls are counted.
    has_quotas: bool,
    /// AWS's models of the APIs of ECS and Application Auto Scaling.
    models: [Arc<Value>; 2],
    /// By account and Region.
    accounts: Mutex<BTreeMap<(String, String), Account>>,
}

impl Simulator {
    /// Starts a simulator on a free port of 127.0.0.1. A stopped clock would never fill the buckets
    /// of an operator that counts real time, so such a simulator has no request quotas.
    ///
    /// # Errors
    /// When there is no port, or no model of the API.
    pub async fn start(clock: Clock) -> Result<Self> {
        let has_quotas = !clock.is_stopped();
        Self::start_on(0, clock, has_quotas).await
    }

    /// Starts a simulator on this port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port is in use, or there is no model of the API.
    pub async fn start_on(port: u16, clock: Clock, has_quotas: bool) -> Result<Self> {
        let models = [
            Arc::new(api_model::load("ecs").await?),
            Arc::new(api_model::load("application-autoscaling").await?),
        ];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let accounts = Mutex::default();
        let shared = Arc::new(Shared {
            clock,
            has_quotas,
            models,
            accounts,
        });
        let router = Router::new()
            .route("/alarms/{account}", put(set_alarms))
            .route("/health", get(async || "ok"))
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            shared,
            server,
        })
    }

    /// Moves a stopped clock, and the state machines of all accounts with it.
    pub fn advance(&self, time: Duration) {
        self.shared.clock.advance(time);
        let now = self.shared.clock.now();
        for account in self.shared.accounts().values_mut() {
            account.advance(now);
        }
    }

    /// Sets the CloudWatch alarms of an account that are in state ALARM.
    pub fn set_alarms(&self, account: &str, alarms: &[&str]) {
        let alarms: Vec<_> = alarms.iter().map(|alarm| (*alarm).to_owned()).collect();
        self.shared.set_alarms(account, &alarms);
    }

    /// Limits the tasks that RunTask can start at once in an account; `None` means that there is
    /// room for all.
    pub fn set_room(&self, account: &str, room: Option<usize>) {
        for ((id, _), model) in self.shared.accounts().iter_mut() {
            if id == account {
                model.set_room(room);
            }
        }
    }

    /// Serves until the task ends.
    pub async fn serve(mut self) {
        // It ends with the process.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn accounts(&self) -> MutexGuard<'_, BTreeMap<(String, String), Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, account: &str, region: &str, now: Moment) -> Account {
        let account = Account::new(account, region, now).with_models(self.models.clone());
        if self.has_quotas {
            account.with_quotas()
        } else {
            account
        }
    }

    fn set_alarms(&self, account: &str, alarms: &[String]) {
        for ((id, _), model) in self.accounts().iter_mut() {
            if id == account {
                model.set_alarms(alarms.iter().cloned());
            }
        }
    }

    fn call(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let operation = header("x-amz-target").and_then(|target| target.rsplit('.').next());
        // Credential=KEY/DATE/REGION/SERVICE/aws4_request
        let signature = header("authorization").unwrap_or_default();
        let scope = signature.split("Credential=").nth(1).unwrap_or_default();
        let parts: Vec<_> = scope.split('/').collect();
        let (Some(operation), [account, _, region, ..]) = (operation, &parts[..]) else {
            let message = "The request has no signature or no target.";
            return Err(Refusal::new("MissingAuthenticationTokenException", message));
        };
        let request = serde_json::from_slice(body)
            .map_err(|error| Refusal::new("SerializationException", error.to_string()))?;
        let now = self.clock.now();
        let mut accounts = self.accounts();
        let account = accounts
            .entry(((*account).to_owned(), (*region).to_owned()))
            .or_insert_with(|| self.account(account, region, now));
        account.call(operation, &request, now)
    }
}

async fn set_alarms(
    State(shared): State<Arc<Shared>>,
    Path(account): Path<String>,
    Json(alarms): Json<Vec<String>>,
) {
    shared.set_alarms(&account, &alarms);
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    match shared.call(&headers, &body) {
        Ok(reply) => (StatusCode::OK, Json(reply)),
        // Errors of ECS have the status 400, also throttling.
        Err(refusal) => (StatusCode::BAD_REQUEST, Json(refusal.json())),
    }
}
