//! Labels of a metric.

/// Names and values, in the order in which they are written.
pub type Labels = Vec<(&'static str, String)>;
