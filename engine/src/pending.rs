//! The response table: which request waits for which correlation number (PROTOCOL A.6, E.9).

use rustc_hash::FxHashMap;

use crate::brokers::BrokerId;
use crate::io::{ConnId, Endpoint, OpId, ProducerId};
use crate::route::LookupId;

/// The table begins with so many places.
const PLACES: usize = 64;

/// Requests that wait for an answer. A number is used for one request at a time, on one connection;
/// an answer counts only when both fit.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Each request at the place that its number says, modulo their count, which is a power of two:
    /// numbers count up, so those that wait at one time have places of their own.
    places: Vec<Option<Request>>,
    /// Those whose place is taken by one that waits much longer than others.
    displaced: FxHashMap<i32, Request>,
    len: usize,
    last: i32,
}

/// A request that waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) opaque: i32,
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
    Lookup(Box<(LookupId, Endpoint)>),
    Op(OpId),
    /// A question that only wants an answer from this broker.
    Probe(BrokerId),
    /// The shutdown: a broker confirms that it forgot us.
    Unregister(ProducerId),
}

impl Pending {
    /// The next number that no live request uses.
    pub(crate) fn next_opaque(&mut self) -> i32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if self.get(self.last).is_none() {
                return self.last;
            }
        }
    }

    pub(crate) fn insert(&mut self, opaque: i32, conn: ConnId, waiter: Waiter, code: i32) {
        self.len += 1;
        self.put(Request {
            opaque,
            conn,
            waiter,
            code,
        });
    }

    /// Somebody else waits for the answer from now on.
    pub(crate) fn hand_on(&mut self, conn: ConnId, opaque: i32, waiter: Waiter) {
        if let Some(request) = self.take_request(conn, opaque) {
            self.insert(opaque, conn, waiter, request.code);
        }
    }

    /// What the request was that waits for this number on this connection.
    pub(crate) fn code_of(&self, conn: ConnId, opaque: i32) -> Option<i32> {
        let request = self.get(opaque)?;
        (request.conn == conn).then_some(request.code)
    }

    /// Whether a request on this connection waits for this number.
    pub(crate) fn waits(&self, conn: ConnId, opaque: i32) -> bool {
        self.code_of(conn, opaque).is_some()
    }

    /// Takes the request that an answer on this connection belongs to.
    pub(crate) fn take(&mut self, conn: ConnId, opaque: i32) -> Option<Waiter> {
        let request = self.take_request(conn, opaque);
        request.map(|request| request.waiter)
    }

    /// Takes all requests of a connection, in the order in which they were numbered.
    pub(crate) fn take_all(&mut self, conn: ConnId) -> Vec<Waiter> {
        let last = self.last;
        let of_conn = self.iter().filter(|request| request.conn == conn);
        let mut gone: Vec<i32> = of_conn.map(|request| request.opaque).collect();
        // Numbers wrap: the oldest is the one furthest behind the last.
        gone.sort_unstable_by_key(|opaque| std::cmp::Reverse(last.wrapping_sub(*opaque)));
        gone.iter()
            .filter_map(|opaque| self.take(conn, *opaque))
            .collect()
    }

    /// All requests, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.places.iter().flatten().chain(self.displaced.values())
    }

    fn put(&mut self, request: Request) {
        let (place, places) = (self.place_of(request.opaque), self.places.len());
        match self.places.get_mut(place) {
            Some(place @ None) => *place = Some(request),
            // Half full or more: there will hardly be room for the next ones either.
            _ if self.len * 2 > places => {
                self.grow();
                self.put(request);
            }
            _ => {
                self.displaced.insert(request.opaque, request);
            }
        }
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(PLACES);
        let mut wider = Vec::with_capacity(size);
        wider.resize_with(size, || None);
        let before = std::mem::replace(&mut self.places, wider);
        let displaced = std::mem::take(&mut self.displaced);
        for request in before.into_iter().flatten().chain(displaced.into_values()) {
            self.put(request);
        }
    }

    fn take_request(&mut self, conn: ConnId, opaque: i32) -> Option<Request> {
        let place = self.place_of(opaque);
        let is_it = |request: &mut Request| request.opaque == opaque && request.conn == conn;
        let found = match self.places.get_mut(place)?.take_if(is_it) {
            None if self.displaced.get(&opaque)?.conn == conn => self.displaced.remove(&opaque),
            found => found,
        };
        self.len -= usize::from(found.is_some());
        found
    }

    fn get(&self, opaque: i32) -> Option<&Request> {
        let place = self.places.get(self.place_of(opaque))?.as_ref();
        place
            .filter(|request| request.opaque == opaque)
            .or_else(|| self.displaced.get(&opaque))
    }

    fn place_of(&self, opaque: i32) -> usize {
        opaque as usize & self.places.len().wrapping_sub(1)
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
        assert_eq!((pending.len, pending.iter().count()), (0, 0));
    }

    /// One of a thousand waits for ever.
    #[test]
    fn those_that_wait_long_are_found_and_the_table_stays_as_small_as_what_waits() {
        let conn = ConnId::new(0, 0);
        let mut pending = Pending::default();
        let mut slow = Vec::new();
        for n in 0..100_000 {
            let opaque = pending.next_opaque();
            pending.insert(opaque, conn, op(n), 0);
            match n % 1_000 {
                0 => slow.push((opaque, n)),
                _ => assert_eq!(pending.take(conn, opaque), Some(op(n))),
            }
        }
        assert_eq!((pending.len, pending.iter().count()), (100, 100));
        assert!(pending.places.len() <= 256, "{}", pending.places.len());
        for (opaque, n) in slow {
            assert!(pending.waits(conn, opaque));
            assert_eq!(pending.take(conn, opaque), Some(op(n)));
        }
        assert_eq!((pending.len, pending.iter().count()), (0, 0));
    }

    #[test]
    fn as_many_as_wait_have_places_of_their_own() {
        let conn = ConnId::new(0, 0);
        let mut pending = Pending::default();
        let numbers: Vec<_> = (0..4_096)
            .map(|n| {
                let opaque = pending.next_opaque();
                pending.insert(opaque, conn, op(n), 7);
                opaque
            })
            .collect();
        assert_eq!((pending.places.len(), pending.displaced.len()), (4_096, 0));
        assert!(numbers.iter().all(|n| pending.code_of(conn, *n) == Some(7)));
    }
}
