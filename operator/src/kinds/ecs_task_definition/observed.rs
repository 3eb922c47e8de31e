//! What is known of a family.

use std::borrow::Cow;
use std::time::Duration;

use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use ecs_operator_crds::v1beta1::task_definition::ImageStatus;
use tokio::time::Instant;

use super::definition::resolved;
use super::image::ImageProblem;
use super::revision::{Revision, number};
use super::shape::deletes;
use crate::aws::ecr::ImageKey;
use crate::aws::tags::{Ownership, RETAINED, Tags};
use crate::reconcile::references::Dependants;

/// What is known of a family.
#[derive(Clone, Debug, Default)]
pub struct ObservedTaskDefinition {
    /// When the family was looked through; `None` where the revision was taken as known.
    pub at: Option<Instant>,
    /// Whether the newest revisions of the family were looked at, if only in the cache.
    pub looked: bool,
    /// Our newest ACTIVE revision; for an object that only observes, the newest of all.
    pub current: Option<Revision>,
    /// The newest ACTIVE revision and whose it is, where it is not ours.
    pub foreign: Option<(Revision, Ownership)>,
    /// The newest ACTIVE revision that carries the tag of another custom resource, where it is newer
    /// than ours and the family was not handed over since.
    pub rival: Option<(Revision, Ownership)>,
    /// Our revisions that have had their time. At the end, that is all of them.
    pub surplus: Surplus,
    /// EcsServices that refer to it; none unless it is being deleted.
    pub dependants: Dependants,
    /// The images of the containers that have a tag, with the digests that the tags name; `None`
    /// unless tags are resolved.
    pub images: Option<Vec<ImageStatus>>,
    /// The keys by which they were read.
    pub image_keys: Vec<ImageKey>,
    /// The first tag that is to be resolved and names no image.
    pub unresolved: Option<ImageProblem>,
    /// The first image that cannot be pulled, where a revision is to be registered.
    pub image_problem: Option<ImageProblem>,
    /// How long ago a registration was sent that got no reply and that no list shows yet.
    pub unanswered: Option<Duration>,
}

impl ObservedTaskDefinition {
    /// The object with the digests in the place of the tags of its images.
    pub(super) fn resolve<'a>(&self, object: &'a EcsTaskDefinition) -> Cow<'a, EcsTaskDefinition> {
        resolved(object, self.images.as_deref().unwrap_or_default())
    }

    /// Takes the next revision of the family, from the newest to the oldest. Returns whether those
    /// before it matter, too.
    pub(super) fn take(
        &mut self,
        revision: Revision,
        ownership: Ownership,
        observes: bool,
    ) -> bool {
        if ownership == Ownership::Ours || observes {
            self.current = Some(revision);
            return false;
        }
        // Those before it are of the same object: they go with it, or were handed over with it.
        let was_retained = |tags: &Tags| tags.0.contains_key(RETAINED);
        let is_last = ownership == Ownership::Retained
            || ownership == Ownership::Nobody && revision.tags.as_ref().is_some_and(was_retained);
        if let Ownership::Other(_) = &ownership {
            let other = || (revision.clone(), ownership.clone());
            self.rival.get_or_insert_with(other);
        }
        self.foreign.get_or_insert((revision, ownership));
        !is_last
    }
}

/// Revisions that may go, and those that must stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surplus {
    /// Numbers of all our revisions that may still be registered, the newest first; `None` if they
    /// were not read.
    pub revisions: Option<Vec<i32>>,
    /// ARNs of revisions to deregister.
    pub active: Vec<String>,
    /// ARNs of revisions that are deregistered already, and are to be deleted.
    pub inactive: Vec<String>,
    /// The revisions that are kept because they are used, and their users.
    pub used: Vec<String>,
    /// The revision of the status, if it is registered and has another owner now, and its owner.
    pub lost: Option<(String, Ownership)>,
    /// Why the objects that may use revisions beyond the limit cannot be read, so that these stay.
    pub unreadable: Option<String>,
    /// How many more wait for a later pass.
    pub left: usize,
    /// How long that one waits at least, after trouble.
    pub pause: Duration,
}

impl Surplus {
    /// What is to be deleted is deregistered only when the status knows of it: an INACTIVE revision
    /// is listed nowhere, and would stay if the status were never written.
    pub(super) fn wait_for_status(&mut self, object: &EcsTaskDefinition) {
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.revisions.as_deref())
            .unwrap_or_default();
        let is_known = self
            .revisions
            .iter()
            .flatten()
            .all(|revision| known.contains(revision));
        if deletes(object) && !is_known {
            self.left += self.active.len();
            self.active.clear();
        }
    }

    /// Forgets a revision that needs no further action.
    pub(super) fn forget(&mut self, arn: &str) {
        if let Some(revisions) = &mut self.revisions {
            revisions.retain(|revision| *revision != number(arn));
        }
    }
}
