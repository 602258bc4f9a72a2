//! Calls that wait for a server.

use std::collections::VecDeque;

use crate::event::CallId;
use crate::model::Order;

/// Calls that wait, in the order of their priorities where that counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog {
    /// One row a priority, the greatest first; where priorities do not count there is one.
    rows: Vec<(u8, VecDeque<CallId>)>,
    len: usize,
}

impl Backlog {
    /// How many wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Whether none does.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one.
    pub(super) fn push(&mut self, call: CallId, priority: u8, order: Order) {
        let priority = if order == Order::Priority { priority } else { 0 };
        let place = self.rows.partition_point(|(other, _)| *other > priority);
        if self.rows.get(place).is_none_or(|(other, _)| *other != priority) {
            self.rows.insert(place, (priority, VecDeque::new()));
        }
        self.rows[place].1.push_back(call);
        self.len += 1;
    }

    /// Takes the next one.
    pub(super) fn pop(&mut self, order: Order) -> Option<CallId> {
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        self.rows.iter_mut().find_map(|(_, row)| match order {
            Order::Lifo => row.pop_back(),
            Order::Fifo | Order::Priority => row.pop_front(),
        })
    }

    /// Forgets all; the room stays.
    pub(super) fn clear(&mut self) {
        self.rows.iter_mut().for_each(|(_, row)| row.clear());
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(order: Order, expected: &[u32]) {
        let mut backlog = Backlog::default();
        for (call, priority) in [(0, 1), (1, 0), (2, 2), (3, 1), (4, 2)] {
            backlog.push(CallId::new(call), priority, order);
        }
        assert_eq!(backlog.len(), 5);
        let found: Vec<u32> =
            std::iter::from_fn(|| backlog.pop(order)).map(|call| call.number()).collect();
        assert_eq!(found, expected, "{order:?}");
        assert!(backlog.is_empty());
    }

    #[test]
    fn orders() {
        check(Order::Fifo, &[0, 1, 2, 3, 4]);
        check(Order::Lifo, &[4, 3, 2, 1, 0]);
        check(Order::Priority, &[2, 4, 0, 3, 1]);
    }
}
