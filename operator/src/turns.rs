//! A queue that serves the namespaces in turn: a thousand items of one namespace delay an item of
//! another by one item.

use std::collections::{HashMap, VecDeque};

/// Items that wait. Namespaces take turns; items of one namespace leave in the order of their
/// arrival.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    queues: HashMap<String, VecDeque<T>>,
    /// Namespaces with items, the next one first.
    order: VecDeque<String>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Turns<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Number of items of `namespace`.
    pub(crate) fn len_of(&self, namespace: &str) -> usize {
        self.queues.get(namespace).map_or(0, VecDeque::len)
    }

    pub(crate) fn push(&mut self, namespace: &str, item: T) {
        if let Some(queue) = self.queues.get_mut(namespace) {
            queue.push_back(item);
        } else {
            self.queues
                .insert(namespace.to_owned(), VecDeque::from([item]));
            self.order.push_back(namespace.to_owned());
        }
    }

    /// Removes the next item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.pop_of(|_| true)
    }

    /// Removes the next item of a namespace that matches.
    pub(crate) fn pop_of(&mut self, matches: impl Fn(&str) -> bool) -> Option<T> {
        let place = self.order.iter().position(|namespace| matches(namespace))?;
        let namespace = self.order.remove(place)?;
        let queue = self.queues.get_mut(&namespace)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&namespace);
        } else {
            self.order.push_back(namespace);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_around_the_namespaces() {
        let mut turns = Turns::default();
        for (namespace, item) in [
            ("crowd", 1),
            ("crowd", 2),
            ("crowd", 3),
            ("alone", 4),
            ("other", 5),
            ("other", 6),
        ] {
            turns.push(namespace, item);
        }
        assert_eq!((turns.len_of("crowd"), turns.len_of("nobody")), (3, 0));
        assert_eq!(turns.pop_of(|namespace| namespace == "other"), Some(5));
        turns.push("late", 7);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(order, [1, 4, 6, 7, 2, 3]);
        assert!(turns.is_empty() && turns.queues.is_empty());
    }
}
