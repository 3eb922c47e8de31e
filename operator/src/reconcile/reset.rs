//! Members that the spec set once and now leaves out. To leave a member out of an update means "as it is" to ECS, so each has
//! to be set back to what it was before anybody set it. Source of the values: the UpdateService and UpdateCluster pages of
//! the ECS API reference.
//!
//! The status remembers which of these members the spec had when AWS was last in sync.

use serde_json::{Map, Value, json};

/// A member, by path, and the JSON that takes it back.
pub type Reset = (&'static str, &'static str);

/// The members of `table` that `spec` has, for the status; `None` when there are none.
#[must_use]
pub fn applied(spec: &Map<String, Value>, table: &[Reset]) -> Option<Vec<String>> {
    let set = table.iter().filter(|(path, _)| find(spec, path).is_some());
    let paths: Vec<_> = set.map(|(path, _)| (*path).to_owned()).collect();
    Some(paths).filter(|paths| !paths.is_empty())
}

/// `spec` with the members that it had when `applied` was written, and has no more, set back.
#[must_use]
pub fn with_resets(spec: &Map<String, Value>, applied: Option<&[String]>, table: &[Reset]) -> Map<String, Value> {
    let mut desired = spec.clone();
    for (path, value) in table {
        let dropped = applied.unwrap_or_default().iter().any(|applied| applied == path) && find(spec, path).is_none();
        if dropped {
            insert(&mut desired, path, value);
        }
    }
    desired
}

fn find<'a>(spec: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut members = path.split('.');
    let first = spec.get(members.next()?)?;
    members.try_fold(first, |value, member| value.get(member))
}

fn insert(spec: &mut Map<String, Value>, path: &str, value: &str) {
    let (parent, member) = path.rsplit_once('.').unwrap_or(("", path));
    let target = parent.split('.').filter(|member| !member.is_empty()).fold(spec, |members, member| {
        let child = members.entry(member).or_insert_with(|| json!({}));
        child.as_object_mut().expect("a member above others is an object")
    });
    target.insert(member.to_owned(), serde_json::from_str(value).expect("the tables hold JSON"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Reset] = &[("list", "[]"), ("outer.inner", r#"{"enable":false}"#), ("outer.number", "7")];

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn what_the_spec_drops_is_set_back_and_nothing_else() {
        let before = map(&json!({"list": ["a"], "outer": {"inner": {"enable": true}}, "other": 1}));
        let applied = applied(&before, TABLE);
        assert_eq!(applied.as_deref(), Some(&["list".to_owned(), "outer.inner".to_owned()][..]));
        let rows = [
            (json!({}), json!({"list": [], "outer": {"inner": {"enable": false}}})),
            (
                json!({"list": ["b"], "outer": {"number": 1}}),
                json!({"list": ["b"], "outer": {"number": 1, "inner": {"enable": false}}}),
            ),
            (
                json!({"list": [], "outer": {"inner": {"enable": true}}}),
                json!({"list": [], "outer": {"inner": {"enable": true}}}),
            ),
        ];
        for (spec, expected) in rows {
            assert_eq!(Value::from(with_resets(&map(&spec), applied.as_deref(), TABLE)), expected);
        }
        assert_eq!(Value::from(with_resets(&map(&json!({})), None, TABLE)), json!({}));
    }

    #[test]
    fn nothing_set_is_nothing_to_remember() {
        assert_eq!(applied(&map(&json!({"other": 1})), TABLE), None);
    }
}
