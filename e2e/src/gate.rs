//! Where calls can be frozen: before they are forwarded, or when they were carried out and before the reply. Whoever made the
//! call is killed meanwhile, and never learns what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// A moment in the life of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// It has not been forwarded.
    Before,
    /// It has been carried out, and nobody knows.
    After,
}

/// A boundary: a moment of the nth call of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boundary {
    /// Name of the call, such as `CreateService` or `PATCH ecsservices/web/status`.
    pub call: String,
    /// Which of them, from 1.
    pub nth: usize,
    /// When.
    pub moment: Moment,
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, nth, moment } = self;
        let moment = if *moment == Moment::Before { "before" } else { "after" };
        write!(f, "{moment} {call} {nth}")
    }
}

/// The gate that all calls of one operator pass, to AWS and to the API server.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Whether the armed boundary has been reached.
    reached: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    armed: Option<Boundary>,
    passed: BTreeMap<String, usize>,
}

/// A call that was frozen and is not to be carried out or answered any more.
#[derive(Debug)]
pub struct Frozen;

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), reached: watch::Sender::new(false) }))
    }
}

impl Gate {
    /// Freezes the first call that reaches this boundary.
    pub fn arm(&self, boundary: Boundary) {
        self.state().armed = Some(boundary);
    }

    /// Awaits that a call has reached the armed boundary.
    pub async fn reached(&self) {
        // The sender lives as long as we do.
        let _ = self.0.reached.subscribe().wait_for(|reached| *reached).await;
    }

    /// Lets everything pass from now on; what is frozen fails.
    pub fn open(&self) {
        self.state().armed = None;
        self.0.reached.send_replace(false);
    }

    /// How many calls of each name have passed.
    #[must_use]
    pub fn passed(&self) -> BTreeMap<String, usize> {
        self.state().passed.clone()
    }

    /// A call of this name comes: its number, once it may be forwarded.
    ///
    /// # Errors
    /// When it was frozen and must not be forwarded.
    pub async fn before(&self, call: &str) -> Result<usize, Frozen> {
        let nth = {
            let mut state = self.state();
            let nth = state.passed.entry(call.to_owned()).or_default();
            *nth += 1;
            *nth
        };
        self.pass(&Boundary { call: call.to_owned(), nth, moment: Moment::Before }).await.map(|()| nth)
    }

    /// A call was carried out; it may be answered when this returns.
    ///
    /// # Errors
    /// When it was frozen and must not be answered.
    pub async fn after(&self, call: &str, nth: usize) -> Result<(), Frozen> {
        self.pass(&Boundary { call: call.to_owned(), nth, moment: Moment::After }).await
    }

    async fn pass(&self, boundary: &Boundary) -> Result<(), Frozen> {
        if self.state().armed.as_ref() != Some(boundary) {
            return Ok(());
        }
        let mut reached = self.0.reached.subscribe();
        self.0.reached.send_replace(true);
        let _ = reached.wait_for(|reached| !*reached).await;
        Err(Frozen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
