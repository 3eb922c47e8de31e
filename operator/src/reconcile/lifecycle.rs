//! Sends the writes of an AWS object that has one call to create it and one to delete it.

use serde_json::Value;

use super::context::Pass;
use super::plan::Write;
use crate::aws::observer::Key;
use crate::aws::{AwsError, ErrorKind, Operation, Permit};

/// The calls that create and delete the AWS object of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    /// Creates it.
    pub create: Operation,
    /// Deletes it.
    pub delete: Operation,
    /// Error codes of the deletion which say that the object is deleted, beside errors of kind
    /// `Missing` and codes that end in `NotFoundException`.
    pub deleted: &'static [&'static str],
}

impl Lifecycle {
    /// Sends one write about the object of `key`, and returns the reply; `None` when AWS says that
    /// the object is deleted already.
    ///
    /// The cache notes a creation before it is sent, so that a lost reply does not lead to a second
    /// one.
    ///
    /// # Errors
    /// When AWS refuses the write or does not reply. A deletion fails as Busy if AWS does not show
    /// the object yet.
    pub async fn send<K: Key, O>(
        &self,
        pass: &Pass<'_, O>,
        key: &K,
        write: &Write,
        permit: Permit,
    ) -> Result<Option<Value>, AwsError> {
        let cache = pass.aws.observer.cache::<K>();
        let is_creation = write.operation == self.create;
        let before = if is_creation {
            cache.creating(key.clone())
        } else {
            None
        };
        match pass.aws.writer.send(permit, &write.request).await {
            Ok(reply) => Ok(Some(reply)),
            Err(error) if is_creation && error.made_nothing() => {
                cache.not_created(key, before);
                Err(error)
            }
            // AWS does not show yet what the operator has just created.
            Err(error)
                if write.operation == self.delete
                    && is_missing(&error)
                    && cache.is_written_lately(key) =>
            {
                Err(error.not_yet())
            }
            Err(error) if write.operation == self.delete && self.is_deleted(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_deleted(&self, error: &AwsError) -> bool {
        is_missing(error)
            || error
                .code
                .as_deref()
                .is_some_and(|code| self.deleted.contains(&code))
    }
}

/// Whether AWS says that the object is not there.
fn is_missing(error: &AwsError) -> bool {
    error.says_missing() || error.kind == ErrorKind::Missing
}
