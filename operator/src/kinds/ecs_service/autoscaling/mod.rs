//! Service auto scaling: the scalable target of a service, its scaling policies and scheduled
//! actions. AWS deletes them with the service, so they are parts of the EcsService.

mod apply;
mod condition;
mod elements;
mod observe;
mod observed;
mod plan;
mod status;
mod target;
mod wanted;

pub(super) use apply::{apply, enter_missing};
pub(super) use condition::condition;
#[cfg(test)]
pub(super) use elements::POLICY;
pub(super) use observe::{Before, observe};
#[cfg(test)]
pub(super) use observed::ScalableTarget;
pub(super) use observed::{ObservedAutoscaling, is_managed};
pub(super) use plan::{deregistration, plan};
pub(super) use status::status;
