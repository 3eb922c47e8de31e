//! What the operator needs before it can work, for `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the operator needs before it can work, by name, and what each still lacks; and what it can
/// do without.
#[derive(Debug, Default)]
pub struct Readiness {
    needs: Mutex<BTreeMap<String, Result<(), String>>>,
    notes: Mutex<BTreeMap<String, Result<(), String>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Readiness {
    /// Sets the state of one need. Answers whether that is news.
    pub fn set(&self, need: &str, state: Result<(), String>) -> bool {
        lock(&self.needs).insert(need.to_owned(), state.clone()) != Some(state)
    }

    /// Sets the state of something that the operator can do without. Answers whether that is news.
    pub fn note(&self, what: &str, state: Result<(), String>) -> bool {
        lock(&self.notes).insert(what.to_owned(), state.clone()) != Some(state)
    }

    /// Whether every need is met, and a line for each.
    #[must_use]
    pub fn report(&self) -> (bool, String) {
        let line = |bad: char, (what, state): (&String, &Result<(), String>)| match state {
            Ok(()) => format!("[+] {what}: ok\n"),
            Err(problem) => format!("[{bad}] {what}: {problem}\n"),
        };
        let (needs, notes) = (lock(&self.needs), lock(&self.notes));
        let lines = needs
            .iter()
            .map(|need| line('-', need))
            .chain(notes.iter().map(|note| line('!', note)));
        (needs.values().all(Result::is_ok), lines.collect())
    }
}
