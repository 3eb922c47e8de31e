//! Freezes calls before they are forwarded, or after they were carried out and before the reply, so
//! that a test can kill the caller before it has the reply; refuses calls; or carries them out and
//! loses the reply.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It is frozen before it is forwarded.
    FrozenBefore,
    /// It is frozen after it was carried out, before the reply.
    FrozenAfter,
    /// It is refused for the moment, and not forwarded.
    Refused,
    /// It is carried out, and the reply is lost.
    Lost,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::FrozenBefore,
        Self::FrozenAfter,
        Self::Refused,
        Self::Lost,
    ];

    /// Whether it happens before the call is forwarded.
    fn is_before(self) -> bool {
        matches!(self, Self::FrozenBefore | Self::Refused)
    }
}

/// A boundary: trouble with the nth call of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boundary {
    /// Name of the call, such as `CreateService` or `PATCH ecsservices/web/status`.
    pub call: String,
    /// Which of them, from 1.
    pub nth: usize,
    /// What happens there.
    pub trouble: Trouble,
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, nth, trouble } = self;
        write!(f, "{trouble:?} {call} {nth}")
    }
}

/// The gate that all calls of one operator pass, to AWS and to the API server.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// What has happened at the armed boundary, while it is closed.
    reached: watch::Sender<Option<Trouble>>,
}

#[derive(Debug, Default)]
struct State {
    armed: Option<Boundary>,
    passed: BTreeMap<String, usize>,
}

/// A call that is not to be carried out, or not to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Whoever asks shall come back later.
    Refused,
    /// The connection is of no use any more.
    Broken,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            reached: watch::Sender::new(None),
        }))
    }
}

impl Gate {
    /// Has the first call that reaches this boundary meet its trouble.
    pub fn arm(&self, boundary: Boundary) {
        self.state().armed = Some(boundary);
    }

    /// Awaits that a call has reached the armed boundary, and answers what happened there.
    pub async fn reached(&self) -> Trouble {
        let mut reached = self.0.reached.subscribe();
        // The sender lives as long as we do.
        reached
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|reached| *reached)
            .unwrap_or(Trouble::Lost)
    }

    /// Lets everything pass from now on; what is frozen fails.
    pub fn open(&self) {
        self.state().armed = None;
        self.0.reached.send_replace(None);
    }

    /// How many calls of each name have passed.
    #[must_use]
    pub fn passed(&self) -> BTreeMap<String, usize> {
        self.state().passed.clone()
    }

    /// A call of this name comes: its number, once it may be forwarded.
    ///
    /// # Errors
    /// When it must not be forwarded.
    pub async fn before(&self, call: &str) -> Result<usize, Stopped> {
        let nth = {
            let mut state = self.state();
            let nth = state.passed.entry(call.to_owned()).or_default();
            *nth += 1;
            *nth
        };
        self.pass(call, nth, true).await.map(|()| nth)
    }

    /// A call was carried out; it may be answered when this returns.
    ///
    /// # Errors
    /// When it must not be answered.
    pub async fn after(&self, call: &str, nth: usize) -> Result<(), Stopped> {
        self.pass(call, nth, false).await
    }

    async fn pass(&self, call: &str, nth: usize, before: bool) -> Result<(), Stopped> {
        let is_here = |armed: &Boundary| {
            armed.call == call && armed.nth == nth && armed.trouble.is_before() == before
        };
        let Some(armed) = self.state().armed.clone().filter(is_here) else {
            return Ok(());
        };
        let mut reached = self.0.reached.subscribe();
        self.0.reached.send_replace(Some(armed.trouble));
        match armed.trouble {
            Trouble::Refused => Err(Stopped::Refused),
            Trouble::Lost => Err(Stopped::Broken),
            Trouble::FrozenBefore | Trouble::FrozenAfter => {
                let _ = reached.wait_for(Option::is_none).await;
                Err(Stopped::Broken)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
