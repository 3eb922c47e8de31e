//! The object that requests a permit.

/// The object that requests a permit.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// Namespace of the object; turns go around the namespaces.
    pub namespace: &'a str,
    /// UID of the object.
    pub uid: &'a str,
    /// What it is for.
    pub priority: Priority,
}

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A user changed something and waits for it.
    User,
    /// Drift, or something that has had its time: it waits for the others.
    Repair,
}
