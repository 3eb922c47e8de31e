//! Which object of this process is making which AWS object. ECS takes two creations of one cluster
//! for the same one, and two registrations in one family for two revisions, so two objects that
//! begin at once could both take the AWS object for their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::aws::observer::LAG;
use crate::aws::{AwsError, ErrorKind, Operation};

/// Names in AWS, each with the UID of the object that has begun to create the AWS object of that
/// name, as long as reads of AWS may not show it yet.
#[derive(Debug, Default)]
pub struct Claims(Mutex<HashMap<String, (String, Instant)>>);

impl Claims {
    /// The object with this UID is about to make `what` by `operation`.
    ///
    /// # Errors
    /// When another object has done so a moment ago: the next look tells whose it is.
    pub(crate) fn claim(
        &self,
        operation: Operation,
        what: &str,
        uid: &str,
    ) -> Result<(), AwsError> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, (_, at)| at.elapsed() < LAG);
        match claims.get(what) {
            Some((other, _)) if other != uid => {
                let message = format!(
                    "another object is creating {what}; which of them owns it is known within a minute"
                );
                Err(AwsError::new(operation, ErrorKind::Busy, message))
            }
            _ => {
                claims.insert(what.to_owned(), (uid.to_owned(), Instant::now()));
                Ok(())
            }
        }
    }

    /// Nothing came of the creation, so that another object may try.
    pub(crate) fn release(&self, what: &str, uid: &str) {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.get(what).is_some_and(|(by, _)| by == uid) {
            claims.remove(what);
        }
    }

    /// The object with this UID is gone, and what it had claimed is free.
    pub(super) fn forget(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, (by, _)| by != uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ecs;

    #[test]
    fn one_object_at_a_time_creates_a_name() {
        let (claims, claim) = (Claims::default(), |claims: &Claims, uid| {
            claims.claim(ecs::CreateCluster, "cluster shop", uid)
        });
        assert!(claim(&claims, "a").is_ok());
        assert!(claim(&claims, "a").is_ok(), "again, after a lost reply");
        let error = claim(&claims, "b").expect_err("it is being made");
        assert_eq!(
            (error.kind, &*error.message),
            (
                ErrorKind::Busy,
                "another object is creating cluster shop; which of them owns it is known within a minute"
            )
        );
        claims.release("cluster shop", "b");
        assert!(claim(&claims, "b").is_err(), "it is not b's to release");
        claims.release("cluster shop", "a");
        assert!(claim(&claims, "b").is_ok());
        claims.forget("b");
        assert!(claim(&claims, "a").is_ok());
    }
}
