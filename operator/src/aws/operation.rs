//! Operations of AWS APIs as data: which quota each draws on, and which IAM action allows it.
//!
//! Each service has a table of its operations, such as [`ecs`](super::ecs). One line of it is all that an operation needs: dispatch,
//! budgets, metrics and the IAM policy are made from the tables.

use std::fmt;

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// Prefix of its IAM actions, such as `ecs`.
    pub iam_prefix: &'static str,
}

/// An operation of an AWS API. The constants have the names of the API reference.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation(pub(super) &'static Details);

/// What is known of an operation.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Details {
    pub(super) service: Service,
    pub(super) name: &'static str,
    pub(super) family: ActionFamily,
    pub(super) is_cleanup: bool,
}

/// A group of operations that share one token bucket of the account and Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionFamily {
    pub(super) name: &'static str,
    pub(super) is_read: bool,
    /// The statement of the IAM policy that allows its operations.
    pub(super) statement: &'static str,
    /// Calls at once.
    pub(super) burst: u32,
    /// Calls per second after that.
    pub(super) per_second: u32,
}

impl Operation {
    /// The name, as in the API reference and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// The IAM action that allows it, such as `ecs:CreateService`.
    #[must_use]
    pub fn iam_action(self) -> String {
        format!("{}:{}", self.0.service.iam_prefix, self.0.name)
    }

    /// Whether it only removes what is no longer used, which waits for all other writes.
    #[must_use]
    pub const fn is_cleanup(self) -> bool {
        self.0.is_cleanup
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !self.0.family.is_read
    }

    /// The quota that it draws on.
    #[must_use]
    pub const fn family(self) -> ActionFamily {
        self.0.family
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ActionFamily {
    /// The name, as in the AWS documentation and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The statement of the IAM policy that allows its operations.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        self.statement
    }

    /// The published token bucket: calls at once, and calls per second after that.
    #[must_use]
    pub fn bucket(self) -> (f64, f64) {
        (self.burst.into(), self.per_second.into())
    }
}

/// Makes the operations of a service: a constant for each, the list of all, and their dispatch to the client of the SDK.
macro_rules! operations {
    (
        $service:expr, $client:ty;
        $($family:ident: $operation:ident $method:ident $($is_cleanup:ident)?;)+
    ) => {
        #[allow(non_upper_case_globals, reason = "the names are those of the API reference")]
        impl $crate::aws::operation::Operation {
            $(
                #[doc = concat!("`", stringify!($operation), "` of the API reference.")]
                pub const $operation: Self = Self(&$crate::aws::operation::Details {
                    service: $service,
                    name: stringify!($operation),
                    family: $crate::aws::operation::ActionFamily::$family,
                    is_cleanup: $crate::aws::operation::operations!(@is_cleanup $($is_cleanup)?),
                });
            )+
        }

        /// All operations that the operator uses.
        pub const OPERATIONS: &[$crate::aws::operation::Operation] = &[$($crate::aws::operation::Operation::$operation),+];

        /// Sends `request` as the body of `operation` and returns the body of the reply; `None` for an operation of another service.
        pub(in crate::aws) async fn dispatch(
            client: &$client,
            operation: $crate::aws::operation::Operation,
            request: &serde_json::Value,
        ) -> Option<Result<serde_json::Value, $crate::aws::error::AwsError>> {
            match operation {
                $($crate::aws::operation::Operation::$operation => {
                    let send = async |json| client.$method().customize().interceptor(json).send().await;
                    Some($crate::aws::json::send(operation, request, send).await)
                })+
                _ => None,
            }
        }
    };
    (@is_cleanup cleanup) => { true };
    (@is_cleanup) => { false };
}
pub(crate) use operations;
