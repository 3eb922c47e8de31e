//! `make simulate`: random worlds, in which the whole operator runs in virtual time between an API
//! server and the simulator of AWS, both in the same process.
//!
//! A seed decides what users, outsiders and trouble do, and when processes crash. When that is
//! over, oracles judge the world: see [`oracles`]. The same seed makes the same world; what the
//! operator does in it may differ in the order of its hash maps.

mod api_server;
mod aws;
mod chance;
mod oracles;
mod script;
mod tasks;
mod time;
mod wishes;

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser as _;
use ecs_operator::aws::client;
use ecs_operator::cli::{Cli, Command};
use ecs_operator::clock;
use ecs_operator::k8s::events::Events;
use ecs_operator::leadership::Leadership;
use ecs_operator::settings::Settings;
use ecs_operator::work::{Process, work};
use tokio_util::sync::CancellationToken;

use crate::simulator::Account;
use api_server::{ApiServer, Judge};
use aws::Aws;
use chance::Chance;
use script::Step;
use wishes::Wishes;

/// Account and Region of all worlds, as in ARNs.
const PLACE: &str = "eu-central-1:111122223333";

/// Longest time from the last change until all is as wanted. The longest back-off of the operator
/// is five minutes.
const CONVERGES: Duration = Duration::from_secs(1200);

/// How long statuses may change after that, such as the number of services of a cluster.
const SETTLES: Duration = Duration::from_secs(180);

/// How long nothing may be written after that.
const QUIET: Duration = Duration::from_secs(1800);

/// What is wrong with a world, and what happened in it.
#[derive(Debug)]
pub struct Failure {
    /// The seed of the world.
    pub seed: u64,
    /// The steps that are needed for it.
    pub steps: Vec<String>,
    /// What an oracle found.
    pub problem: String,
    /// What was written, in order.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.problem)?;
        writeln!(f, "\nsteps:\n{}", self.steps.join("\n"))?;
        writeln!(f, "\nwhat happened:\n{}", self.trace.join("\n"))
    }
}

/// A world between two steps.
struct World {
    server: ApiServer,
    aws: Aws,
    wishes: Wishes,
    chance: Chance,
    /// What is left to come, with the pause before it.
    steps: VecDeque<(Duration, Step)>,
    trace: Vec<String>,
}

/// How a process ended.
enum End {
    /// It crashed, and the next one starts after this time.
    Crash(Duration),
    /// All steps are done, and the world was judged.
    Judged(Result<(), String>),
}

/// Runs the worlds of these seeds with so many steps, as many at a time as there are processors.
/// Returns the first that fails, without the steps that it fails without.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_all(seeds: Range<u64>, length: usize) -> Option<Failure> {
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(None::<Failure>);
    let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || lock().is_some() {
                        return;
                    }
                    if let Err(failure) = run(seed, length) {
                        lock().get_or_insert(failure);
                    }
                }
            });
        }
    });
    let failure = failed
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)?;
    // On a thread without a runtime.
    let shrunk = std::thread::scope(|scope| scope.spawn(|| shrink(failure, length)).join());
    Some(shrunk.unwrap_or_else(|broken| std::panic::resume_unwind(broken)))
}

/// Runs the world of `seed` with so many steps.
///
/// # Errors
/// When an oracle finds something wrong.
///
/// # Panics
/// When the process has no runtime.
pub fn run(seed: u64, length: usize) -> Result<(), Failure> {
    let steps = script::steps(&mut Chance::new(seed, 1), length);
    run_steps(seed, &steps).map_err(|(problem, trace)| Failure {
        seed,
        steps: steps
            .iter()
            .map(|(pause, step)| format!("after {pause:?}: {step:?}"))
            .collect(),
        problem,
        trace,
    })
}

/// Leaves out the steps of a failing world that it fails without.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn shrink(failure: Failure, length: usize) -> Failure {
    let seed = failure.seed;
    let mut steps = script::steps(&mut Chance::new(seed, 1), length);
    let (mut failure, mut index) = (failure, 0);
    while index < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(index);
        match run_steps(seed, &fewer) {
            Err((problem, trace)) => {
                steps = fewer;
                failure = Failure {
                    seed,
                    steps: Vec::new(),
                    problem,
                    trace,
                };
            }
            Ok(()) => index += 1,
        }
    }
    failure.steps = steps
        .iter()
        .map(|(pause, step)| format!("after {pause:?}: {step:?}"))
        .collect();
    failure
}

/// Runs a world with these steps. The error is the problem and the trace.
fn run_steps(seed: u64, steps: &[(Duration, Step)]) -> Result<(), (String, Vec<String>)> {
    // The first simulation of the process sets it for all.
    clock::set(time::time_of_day);
    time::reset();
    fastrand::seed(seed);
    let account = Account::new("111122223333", "eu-central-1", time::now()).with_quotas();
    let aws = Aws::new(account, Chance::new(seed, 2));
    let judge = {
        let aws = aws.clone();
        Judge(Arc::new(move |object, is_gone| {
            if is_gone {
                oracles::left(object, &aws)
            } else {
                oracles::ready(object, &aws)
            }
        }))
    };
    let mut world = World {
        server: ApiServer::new(Chance::new(seed, 3), judge),
        aws,
        wishes: Wishes::default(),
        chance: Chance::new(seed, 4),
        steps: steps.iter().copied().collect(),
        trace: Vec::new(),
    };
    oracles::found_foreign(&world.aws);
    let foreign = oracles::foreign(&world.aws);
    wishes::intrude(&world.server);
    let judged = loop {
        match world.process() {
            End::Crash(pause) => {
                world
                    .trace
                    .push(format!("{} the operator crashes", api_server::stamp()));
                // The watches of the process end with it.
                world.server.end_watches(false);
                time::pass(pause);
            }
            End::Judged(result) => break result,
        }
    };
    world.collect();
    let mut violations = world.server.violations();
    violations.extend(world.aws.violations());
    let judged = judged.and_then(|()| match violations.first() {
        Some(violation) => Err(violation.clone()),
        None if oracles::foreign(&world.aws) != foreign => {
            Err("what others own in AWS has changed".to_owned())
        }
        None => Ok(()),
    });
    judged.map_err(|problem| (problem, world.trace))
}

impl World {
    /// Runs one process of the operator until it crashes or all is done.
    fn process(&mut self) -> End {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            time::resume();
            let mut operator = tokio::spawn(operate(self.server.clone(), self.aws.clone()));
            let crash = Arc::clone(&self.aws.crash);
            let end = tokio::select! {
                end = self.live() => end,
                () = crash.notified() => End::Crash(Duration::from_secs(2)),
                ended = &mut operator => End::Judged(Err(format!("the operator ends: {ended:?}"))),
            };
            self.collect();
            time::pause();
            end
        })
    }

    /// Does what the script says, and judges the end.
    async fn live(&mut self) -> End {
        while let Some((pause, step)) = self.steps.front().copied() {
            tokio::time::sleep(pause).await;
            self.steps.pop_front();
            self.collect();
            self.trace
                .push(format!("{} step: {step:?}", api_server::stamp()));
            if let Some(pause) = self.act(step) {
                return End::Crash(pause);
            }
        }
        End::Judged(self.judge().await)
    }

    /// Does one step. Returns how long no operator runs, if this one crashes.
    fn act(&mut self, step: Step) -> Option<Duration> {
        match step {
            Step::Edit(draw) => self.wishes.edit(draw, &self.server),
            Step::Command(draw) => self.wishes.command(draw, &self.server),
            Step::Delete(draw) => self.wishes.delete(draw, &self.server),
            Step::Outsider(draw) => script::outsider(draw, &self.aws, &self.wishes),
            Step::Aws(trouble, percent) => self.aws.set_trouble(Some((trouble, percent))),
            Step::ApiServer(trouble, percent) => self.server.set_trouble(Some((trouble, percent))),
            Step::Well => self.end_trouble(),
            Step::EndWatches(forgets) => self.server.end_watches(forgets),
            Step::Crash(seconds) => return Some(Duration::from_secs(seconds)),
            Step::CrashAt(writes, after) => self.aws.set_crash(Some((writes, after))),
        }
        None
    }

    fn end_trouble(&mut self) {
        self.aws.set_trouble(None);
        self.aws.set_crash(None);
        self.server.set_trouble(None);
    }

    /// Ends all trouble, has users want what is possible, and judges whether it comes to be, stays,
    /// and goes when it is deleted.
    async fn judge(&mut self) -> Result<(), String> {
        self.end_trouble();
        self.trace
            .push(format!("{} all is mended", api_server::stamp()));
        self.wishes.mend(&mut self.chance);
        self.converge(|world| {
            wishes::unblock(&world.server);
            world.wishes.apply(&world.server);
            oracles::converged(&world.wishes, &world.server, &world.aws)
        })
        .await?;
        self.trace
            .push(format!("{} all is as wanted", api_server::stamp()));
        // Steady looks find the last changes.
        tokio::time::sleep(SETTLES).await;
        let (before, aws) = (self.server.writes(), self.aws.writes().len());
        tokio::time::sleep(QUIET).await;
        if let Some(write) = self.aws.writes().get(aws) {
            return Err(format!("a write to AWS after all is as wanted: {write}"));
        }
        if self.server.writes() > before {
            return Err("a write to the API server after all is as wanted".to_owned());
        }
        oracles::converged(&self.wishes, &self.server, &self.aws)?;
        for id in self.server.objects().keys() {
            self.server.delete(id);
        }
        self.trace
            .push(format!("{} all is deleted", api_server::stamp()));
        self.converge(|world| oracles::gone(&world.server, &world.aws))
            .await
    }

    /// Waits until an oracle is content.
    async fn converge(
        &mut self,
        mut oracle: impl FnMut(&Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let begin = time::now();
        loop {
            match oracle(self) {
                Err(problem) if time::now().since(begin) > CONVERGES => {
                    let mut report = format!("after {} s: {problem}", CONVERGES.as_secs());
                    for ((plural, _, name), object) in self.server.objects() {
                        // Writing to a string cannot fail.
                        let _ = write!(
                            report,
                            "\n{plural}/{name}: {}",
                            api_server::summary(&object)
                        );
                    }
                    return Err(report);
                }
                Err(_) => tokio::time::sleep(Duration::from_secs(5)).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    fn collect(&mut self) {
        let mut new = self.server.take_trace();
        new.extend(self.aws.take_trace());
        new.sort();
        self.trace.extend(new);
    }
}

/// One process of the operator.
async fn operate(server: ApiServer, aws: Aws) -> Result<(), ecs_operator::Error> {
    let flags = [
        "ecs-operator",
        "run",
        "--cluster-id=k8s",
        "--aws-region=eu-central-1",
        // Else a revision that somebody deregisters is missed for an hour.
        "--sweep-task-definitions=2m",
    ];
    let settings = match Cli::parse_from(flags).command {
        Command::Run(arguments) => Settings::from(arguments),
        other => unreachable!("{other:?} is not what the flags say"),
    };
    let credentials = aws_credential_types::Credentials::new("test", "test", None, None, "test");
    let config = client::loader(settings.region.as_deref())
        .http_client(aws.http_client())
        .credentials_provider(credentials)
        .load()
        .await;
    let kube = server.client();
    let process = Process {
        events: Events::start(&kube),
        kube,
        aws: config,
        leadership: Leadership::always_leader(),
        metrics: Arc::default(),
        readiness: Arc::default(),
        stop: CancellationToken::new(),
    };
    work(settings, process).await
}
