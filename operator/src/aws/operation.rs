//! Operations of AWS APIs as data: which quota each draws on, and which IAM action allows it.
//!
//! Each service has a table of its operations, such as [`ecs`](super::ecs). One line of it is all
//! that an operation needs: dispatch, budgets, metrics and the IAM policy are made from the tables.

use std::fmt;

use super::tags::TagShape;

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Its name in metrics, and the prefix of its IAM actions, such as `ecs`.
    pub name: &'static str,
    /// How it takes tags.
    pub tag_shape: TagShape,
    /// How the names of members begin in its JSON.
    pub member_names: MemberNames,
}

/// How the names of members begin in the JSON of a service. Everywhere in the operator they begin
/// with a lower-case letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberNames {
    /// With a lower-case letter, as in ECS.
    Lowercase,
    /// With a capital letter, as in Application Auto Scaling.
    Uppercase,
}

/// The operations of a service that tag. Each service has its own, of the same names.
#[derive(Clone, Copy, Debug)]
pub struct Tagging {
    /// TagResource.
    pub tag: Operation,
    /// UntagResource.
    pub untag: Operation,
}

/// An operation of an AWS API. The constants have the names of the API reference.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation(pub(super) &'static Details);

/// What is known of an operation.
///
/// Operations are patterns of `match`, and the compiler compares all that a pattern reaches, so no
/// tables belong here.
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
        format!("{}:{}", self.0.service.name, self.0.name)
    }

    /// The service that it belongs to.
    #[must_use]
    pub const fn service(self) -> &'static Service {
        &self.0.service
    }

    /// Whether it is the TagResource of its service.
    #[must_use]
    pub fn is_tag_resource(self) -> bool {
        self.0.name == "TagResource"
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

/// Makes the operations of a service: a constant for each quota and for each operation, and the
/// entry of the service with their list and their dispatch to the client of the SDK.
macro_rules! operations {
    (
        $service:expr, $errors:expr, $client:ty;
        reads { $($read:ident $read_burst:literal $read_rate:literal;)+ }
        writes { $($write:ident $statement:literal $write_burst:literal $write_rate:literal;)+ }
        operations { $($family:ident: $operation:ident $method:ident $($is_cleanup:ident)?;)+ }
    ) => {
        $(
            #[doc = concat!("`", stringify!($read), "` of the AWS documentation.")]
            pub const $read: $crate::aws::operation::ActionFamily = $crate::aws::operation::ActionFamily {
                name: stringify!($read),
                is_read: true,
                statement: "Read",
                burst: $read_burst,
                per_second: $read_rate,
            };
        )+
        $(
            #[doc = concat!("`", stringify!($write), "` of the AWS documentation.")]
            pub const $write: $crate::aws::operation::ActionFamily = $crate::aws::operation::ActionFamily {
                name: stringify!($write),
                is_read: false,
                statement: $statement,
                burst: $write_burst,
                per_second: $write_rate,
            };
        )+
        $(
            #[doc = concat!("`", stringify!($operation), "` of the API reference.")]
            pub const $operation: $crate::aws::Operation = $crate::aws::Operation(&$crate::aws::operation::Details {
                service: $service,
                name: stringify!($operation),
                family: $family,
                is_cleanup: $crate::aws::operation::operations!(@is_cleanup $($is_cleanup)?),
            });
        )+

        /// The service as [`services`]($crate::aws::services) lists it.
        pub const ENTRY: $crate::aws::dispatch::Entry = $crate::aws::dispatch::Entry {
            service: $service,
            operations: &[$($operation),+],
            connect: |config| Box::new(<$client>::new(config)),
        };

        impl $crate::aws::dispatch::ServiceClient for $client {
            fn send<'a>(
                &'a self,
                operation: $crate::aws::Operation,
                request: &'a serde_json::Value,
            ) -> futures::future::BoxFuture<'a, Result<serde_json::Value, $crate::aws::AwsError>> {
                match operation {
                    $($operation => {
                        let send = async |json| self.$method().customize().interceptor(json).send().await;
                        Box::pin($crate::aws::json::send(operation, request, &$errors, send))
                    })+
                    _ => unreachable!("an operation is sent by the client of its service"),
                }
            }
        }
    };
    (@is_cleanup cleanup) => { true };
    (@is_cleanup) => { false };
}
pub(crate) use operations;
