//! Which services use which task definition revisions, across all clusters of the account and
//! Region: what others run counts as much as what we run.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::errors::lacks_cluster;
use super::keys::ServiceKey;
use super::operations as ecs;
use crate::aws::call::Reads;
use crate::aws::observer::Observer;
use crate::aws::read_budget::Turn;
use crate::aws::replies::{arns, pages};
use crate::aws::{AwsError, Calls, ErrorKind, name_in};

/// How long a service that is gone is remembered: longer than a read of all services may take.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Services, as `SERVICE in cluster CLUSTER`, by the revision, as `family:revision`, that one of
/// their deployments runs.
pub type Usage = BTreeMap<String, Vec<String>>;

/// Which services of the account and Region use which revisions, of others too; at most `age` old.
/// Concurrent calls share one read.
///
/// # Errors
/// When a read fails, or when it takes longer than `patience`. It continues then, for later calls.
pub async fn usage(
    observer: &Observer,
    age: Duration,
    patience: Duration,
) -> Result<Arc<Usage>, AwsError> {
    observer
        .extension::<Cache>()
        .get(observer.calls(), age, patience)
        .await
}

/// The services that use a revision, `family:revision`, by the last answer of [`usage`], however
/// old.
#[must_use]
pub fn last_users(observer: &Observer, revision: &str) -> Vec<String> {
    observer.extension::<Cache>().last_users(revision)
}

/// Notes that a service is missing or INACTIVE: it uses no revision, whatever was read before `at`.
pub fn note_gone(observer: &Observer, service: &ServiceKey, at: Instant) {
    observer.extension::<Cache>().note_gone(service, at);
}

/// The last answer, and the read that is under way, which all callers share. In a large account it
/// takes minutes.
#[derive(Clone, Debug, Default)]
struct Cache(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: Option<Read>,
    pending: Option<Pending>,
    /// Services that were seen to be gone, and when: a read that began before may still show them.
    gone: HashMap<String, Instant>,
}

/// A read that is under way, on the side.
type Pending = Shared<BoxFuture<'static, Result<Arc<Usage>, AwsError>>>;

/// What was read, and when.
#[derive(Debug)]
struct Read {
    began: Instant,
    ended: Instant,
    usage: Result<Arc<Usage>, AwsError>,
}

impl Read {
    /// Until when the read satisfies a caller that accepts this age. A read that took long is valid
    /// for longer, or it would expire before any caller uses it.
    fn is_good_until(&self, age: Duration) -> Instant {
        self.began + age.max((self.ended - self.began) * 2)
    }
}

impl Cache {
    async fn get(
        &self,
        calls: &Arc<Calls>,
        age: Duration,
        patience: Duration,
    ) -> Result<Arc<Usage>, AwsError> {
        let calls = Arc::clone(calls);
        // This read takes turns with the namespaces as if it were one of them.
        let read = async move { read(&calls.later_reads(Turn::Of(Vec::new()))).await };
        self.get_by(age, patience, read).await
    }

    async fn get_by(
        &self,
        age: Duration,
        patience: Duration,
        read: impl Future<Output = Result<Usage, AwsError>> + Send + 'static,
    ) -> Result<Arc<Usage>, AwsError> {
        let pending = {
            let mut state = self.state();
            // A failure is returned only to the callers that waited for it; later callers start a
            // new read.
            let is_good =
                |last: &&Read| last.usage.is_ok() && Instant::now() < last.is_good_until(age);
            if let Some(last) = state.last.as_ref().filter(is_good) {
                return last.usage.clone();
            }
            // One that broke off is still there.
            match state
                .pending
                .as_ref()
                .filter(|pending| pending.peek().is_none())
            {
                Some(pending) => pending.clone(),
                None => state.pending.insert(self.clone().begin(read)).clone(),
            }
        };
        tokio::time::timeout(patience, pending)
            .await
            .unwrap_or_else(|_| {
                let message = "the services that use each revision are still being read";
                Err(AwsError::new(
                    ecs::DescribeServices,
                    ErrorKind::Busy,
                    message,
                ))
            })
    }

    /// Runs `read` in a task of its own, independent of the callers.
    fn begin(
        self,
        read: impl Future<Output = Result<Usage, AwsError>> + Send + 'static,
    ) -> Pending {
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let mut read = read.await.map(Arc::new);
            let mut state = self.state();
            if let Ok(usage) = &mut read {
                for (gone, _) in state.gone.iter().filter(|(_, at)| **at > began) {
                    strike_out(usage, gone);
                }
            }
            state.gone.retain(|_, at| at.elapsed() < REMEMBERED);
            (state.last, state.pending) = (
                Some(Read {
                    began,
                    usage: read.clone(),
                    ended: Instant::now(),
                }),
                None,
            );
            read
        });
        let broken = |_| {
            Err(AwsError::new(
                ecs::DescribeServices,
                ErrorKind::Server,
                "reading all services failed",
            ))
        };
        task.map(move |done| done.unwrap_or_else(broken))
            .boxed()
            .shared()
    }

    fn last_users(&self, revision: &str) -> Vec<String> {
        let state = self.state();
        let usage = state
            .last
            .as_ref()
            .and_then(|last| last.usage.as_ref().ok());
        usage
            .and_then(|usage| usage.get(revision))
            .cloned()
            .unwrap_or_default()
    }

    fn note_gone(&self, service: &ServiceKey, at: Instant) {
        let (mut state, user) = (self.state(), user(&service.name, &service.cluster));
        if let Some(Read {
            began,
            usage: Ok(usage),
            ..
        }) = &mut state.last
            && at > *began
        {
            strike_out(usage, &user);
        }
        state.gone.insert(user, at);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Strikes a service that has gone out of what was read.
fn strike_out(usage: &mut Arc<Usage>, gone: &String) {
    if usage.values().any(|users| users.contains(gone)) {
        for users in Arc::make_mut(usage).values_mut() {
            users.retain(|user| user != gone);
        }
    }
}

/// A service as [`Usage`] names it. What compares its own services with those of AWS names them by
/// this, too.
pub(crate) fn user(service: &str, cluster: &str) -> String {
    format!("{service}{IN_CLUSTER}{cluster}")
}

/// The service that [`Usage`] names.
pub(crate) fn key_of(user: &str) -> Option<ServiceKey> {
    let (name, cluster) = user.split_once(IN_CLUSTER)?;
    Some(ServiceKey {
        cluster: cluster.to_owned(),
        name: name.to_owned(),
    })
}

const IN_CLUSTER: &str = " in cluster ";

/// Whether a service, as ECS describes it, uses a revision, `family:revision`.
pub(crate) fn is_user(service: &Value, revision: &str) -> bool {
    revisions(service).any(|arn| name_in(arn) == revision)
}

/// ARNs of the revisions that a service uses. Services of CodeDeploy and of external controllers
/// run task sets.
fn revisions(service: &Value) -> impl Iterator<Item = &str> {
    let running = ["deployments", "taskSets"]
        .into_iter()
        .flat_map(|list| service[list].as_array().into_iter().flatten());
    running
        .chain([service])
        .filter_map(|running| running["taskDefinition"].as_str())
}

async fn read(reads: &Reads<'_>) -> Result<Usage, AwsError> {
    let mut usage = Usage::new();
    for clusters in pages(reads, ecs::ListClusters, json!({"maxResults": 100})).await? {
        for cluster in arns(&clusters, "clusterArns") {
            let request = json!({"cluster": cluster, "maxResults": 100});
            let services = match pages(reads, ecs::ListServices, request).await {
                // Deleted meanwhile.
                Err(error) if lacks_cluster(&error) => continue,
                listed => listed?,
            };
            for services in services {
                let services: Vec<_> = arns(&services, "serviceArns").collect();
                for batch in services.chunks(10) {
                    let request = json!({"cluster": cluster, "services": batch});
                    note(
                        &reads.insist(ecs::DescribeServices, &request).await?,
                        &mut usage,
                    );
                }
            }
        }
    }
    Ok(usage)
}

fn note(reply: &Value, usage: &mut Usage) {
    for service in reply["services"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|service| service["status"] != "INACTIVE")
    {
        let [name, cluster] = ["serviceName", "clusterArn"]
            .map(|member| service[member].as_str().map(name_in).unwrap_or_default());
        for revision in revisions(service) {
            let users = usage.entry(name_in(revision).to_owned()).or_default();
            let user = user(name, cluster);
            if !users.contains(&user) {
                users.push(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn used_by(services: &[&str]) -> Usage {
        Usage::from([(
            "web:1".to_owned(),
            services.iter().map(|name| user(name, "shop")).collect(),
        )])
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_has_gone_since_counts_no_more() {
        let (cache, before) = (Cache::default(), Instant::now());
        let key = |name: &str| ServiceKey {
            cluster: "shop".to_owned(),
            name: name.to_owned(),
        };
        cache
            .get_by(HOUR, HOUR, async { Ok(used_by(&["web", "api", "old"])) })
            .await
            .expect("it is read");
        cache.note_gone(&key("old"), before);
        cache.note_gone(&key("web"), Instant::now() + Duration::from_millis(1));
        let usage = cache
            .get_by(HOUR, HOUR, async { unreachable!("it is known") })
            .await
            .expect("it is known");
        assert_eq!(
            usage["web:1"],
            ["api in cluster shop", "old in cluster shop"],
            "old has come back since"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_goes_while_all_are_read_counts_no_more() {
        let cache = Cache::default();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let slow = async move { Ok(is_done.await.expect("the test ends it")) };
        cache
            .get_by(HOUR, Duration::from_millis(10), slow)
            .await
            .expect_err("it takes longer than anybody waits");
        let key = ServiceKey {
            cluster: "shop".to_owned(),
            name: "web".to_owned(),
        };
        cache.note_gone(&key, Instant::now());
        done.send(used_by(&["web", "api"])).expect("somebody reads");
        let usage = cache
            .get_by(HOUR, HOUR, async { unreachable!("it is under way") })
            .await
            .expect("it is read");
        assert_eq!(usage["web:1"], ["api in cluster shop"]);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_slow_read() {
        let cache = Cache::default();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let nobody = || async { unreachable!("it is under way or known") };
        let moment = Duration::from_millis(10);
        let slow = async move { Ok(is_done.await.expect("the test ends it")) };
        let error = cache
            .get_by(HOUR, moment, slow)
            .await
            .expect_err("it takes longer than anybody waits");
        assert_eq!(
            (error.kind, &*error.message),
            (
                ErrorKind::Busy,
                "the services that use each revision are still being read"
            )
        );
        let (first, second) = tokio::join!(
            cache.get_by(HOUR, moment, nobody()),
            cache.get_by(HOUR, moment, nobody())
        );
        assert!(first.is_err() && second.is_err(), "it goes on");
        done.send(used_by(&["web"])).expect("somebody reads");
        assert_eq!(
            *cache
                .get_by(HOUR, HOUR, nobody())
                .await
                .expect("it has come to its end"),
            used_by(&["web"])
        );
        assert_eq!(
            *cache
                .get_by(HOUR, HOUR, nobody())
                .await
                .expect("it is known"),
            used_by(&["web"])
        );
    }

    #[test]
    fn a_slow_read_stays_valid_for_twice_its_time() {
        let began = Instant::now();
        let good_for = |took: u64, age: u64| {
            let read = Read {
                began,
                ended: began + Duration::from_secs(took),
                usage: Ok(Arc::default()),
            };
            (read.is_good_until(Duration::from_secs(age)) - began).as_secs()
        };
        assert_eq!(
            (good_for(1, 60), good_for(1, 5), good_for(100, 5)),
            (60, 5, 200)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_fails_is_tried_again_by_who_asks_later() {
        let cache = Cache::default();
        let denied = || AwsError::new(ecs::ListServices, ErrorKind::AccessDenied, "not authorized");
        assert_eq!(
            cache
                .get_by(HOUR, HOUR, async move { Err(denied()) })
                .await
                .expect_err("it is denied"),
            denied()
        );
        cache
            .get_by(Duration::ZERO, HOUR, async { panic!("a bug") })
            .await
            .expect_err("it breaks off");
        cache
            .get_by(Duration::ZERO, HOUR, async { Ok(used_by(&[])) })
            .await
            .expect("it is read");
    }

    #[test]
    fn every_deployment_of_every_living_service_counts() {
        let revision =
            |number: i32| format!("arn:aws:ecs:eu-central-1:1:task-definition/web:{number}");
        let reply = json!({"services": [
            {"serviceName": "web", "clusterArn": "arn:aws:ecs:eu-central-1:1:cluster/shop", "status": "ACTIVE",
             "taskDefinition": revision(4), "deployments": [{"taskDefinition": revision(4)}, {"taskDefinition": revision(3)}],
             "taskSets": [{"taskDefinition": revision(2)}]},
            {"serviceName": "old", "clusterArn": "c", "status": "INACTIVE", "taskDefinition": revision(1)},
        ]});
        let mut usage = Usage::new();
        note(&reply, &mut usage);
        assert_eq!(
            usage.keys().collect::<Vec<_>>(),
            ["web:2", "web:3", "web:4"]
        );
        assert_eq!(usage["web:4"], ["web in cluster shop"]);
    }
}
