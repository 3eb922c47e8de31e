//! Waiting for conditions, never for times.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until `look` answers something, and fails with its last excuse after `limit`.
///
/// # Errors
/// When the time is up.
pub async fn until<T, E: Display>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T> {
    let give_up = Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(excuse) if Instant::now() >= give_up => {
                bail!("{what}: not within {} s: {excuse}", limit.as_secs())
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}
