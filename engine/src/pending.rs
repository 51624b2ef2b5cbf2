//! The response table: which request waits for which correlation number (PROTOCOL A.6, E.9).

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::io::{ConnId, Endpoint, OpId, ProducerId};
use crate::route::LookupId;

/// Requests that wait for an answer. A number is used for one request at a time, on one connection;
/// an answer counts only when both fit.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    requests: FxHashMap<i32, Request>,
    last: i32,
}

/// A request that waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) conn: ConnId,
    pub(crate) waiter: Waiter,
    /// What was asked.
    pub(crate) code: i32,
}

/// Who waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Waiter {
    /// A server of an admin request, by its place there.
    Admin(OpId, u32),
    /// Nobody in particular: a heartbeat only shows that the broker is alive.
    Heartbeat,
    /// A send that has gone on to another try.
    Earlier(OpId),
    Lookup(LookupId, Endpoint),
    Op(OpId),
    /// A question that only wants an answer from this broker.
    Probe(Arc<str>),
    /// The shutdown: a broker confirms that it forgot us.
    Unregister(ProducerId),
}

impl Pending {
    /// The next number that no live request uses.
    pub(crate) fn next_opaque(&mut self) -> i32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.requests.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    pub(crate) fn insert(&mut self, opaque: i32, conn: ConnId, waiter: Waiter, code: i32) {
        let request = Request { conn, waiter, code };
        self.requests.insert(opaque, request);
    }

    /// Somebody else waits for the answer from now on.
    pub(crate) fn hand_on(&mut self, conn: ConnId, opaque: i32, waiter: Waiter) {
        let request = self.requests.get_mut(&opaque);
        if let Some(request) = request.filter(|request| request.conn == conn) {
            request.waiter = waiter;
        }
    }

    /// What the request was that waits for this number on this connection.
    pub(crate) fn code_of(&self, conn: ConnId, opaque: i32) -> Option<i32> {
        let request = self.requests.get(&opaque)?;
        (request.conn == conn).then_some(request.code)
    }

    /// Whether a request on this connection waits for this number.
    pub(crate) fn waits(&self, conn: ConnId, opaque: i32) -> bool {
        let request = self.requests.get(&opaque);
        request.is_some_and(|request| request.conn == conn)
    }

    /// Takes the request that an answer on this connection belongs to.
    pub(crate) fn take(&mut self, conn: ConnId, opaque: i32) -> Option<Waiter> {
        if self.requests.get(&opaque)?.conn != conn {
            return None;
        }
        self.requests.remove(&opaque).map(|request| request.waiter)
    }

    /// Takes all requests of a connection, in the order in which they were numbered.
    pub(crate) fn take_all(&mut self, conn: ConnId) -> Vec<Waiter> {
        let last = self.last;
        let of_conn = self
            .requests
            .iter()
            .filter(|(_, request)| request.conn == conn);
        let mut gone: Vec<i32> = of_conn.map(|(opaque, _)| *opaque).collect();
        // Numbers wrap: the oldest is the one furthest behind the last.
        gone.sort_unstable_by_key(|opaque| std::cmp::Reverse(last.wrapping_sub(*opaque)));
        gone.iter()
            .filter_map(|opaque| self.take(conn, *opaque))
            .collect()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&i32, &Request)> {
        self.requests.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Key;

    fn op(n: u32) -> Waiter {
        Waiter::Op(OpId::new(n, 0))
    }

    #[test]
    fn numbers_wrap_and_skip_those_in_use() {
        let conn = ConnId::new(0, 0);
        let mut pending = Pending {
            last: i32::MAX - 1,
            ..Pending::default()
        };
        pending.insert(i32::MIN, conn, op(0), 0);
        assert_eq!(pending.next_opaque(), i32::MAX);
        assert_eq!(pending.next_opaque(), i32::MIN + 1);
    }

    #[test]
    fn an_answer_on_another_connection_is_nobodys() {
        let (first, second) = (ConnId::new(0, 0), ConnId::new(0, 1));
        let mut pending = Pending::default();
        let opaque = pending.next_opaque();
        pending.insert(opaque, first, op(7), 0);
        assert_eq!(pending.take(second, opaque), None);
        assert_eq!(pending.take(first, opaque), Some(op(7)));
        assert_eq!(pending.take(first, opaque), None);
    }

    #[test]
    fn a_lost_connection_gives_up_its_requests_in_their_order_across_a_wrap() {
        let conn = ConnId::new(0, 0);
        let mut pending = Pending {
            last: i32::MAX - 2,
            ..Pending::default()
        };
        for n in 0..5 {
            let opaque = pending.next_opaque();
            pending.insert(opaque, conn, op(n), 0);
        }
        assert_eq!(pending.take_all(conn), (0..5).map(op).collect::<Vec<_>>());
        assert_eq!(pending.len(), 0);
    }
}
