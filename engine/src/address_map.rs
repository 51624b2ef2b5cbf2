//! Where a server is reached that advertises an address which cannot be reached from here: behind
//! NAT, in a container, through a tunnel.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::guard::{Panicked, guarded};
use crate::io::Endpoint;

/// From the address that is advertised to the one that is dialled. Asked at each dial, of name
/// servers and brokers alike, on the task or thread that serves the producer, outside its lock; a
/// closure should answer at once. Everything else goes by the advertised address: events and
/// errors name it, and the other one beside it; TLS expects its host in the certificate, unless a
/// server name was given. Proxy rules go by the address that is dialled.
#[derive(Clone)]
pub struct AddressMap(Map);

type Closure = dyn Fn(&Endpoint) -> Option<Endpoint> + Send + Sync;

#[derive(Clone)]
enum Map {
    By(Arc<Closure>),
    Table(Arc<BTreeMap<Endpoint, Endpoint>>),
}

impl AddressMap {
    /// Addresses in the table are replaced, others stay.
    pub fn table(entries: impl IntoIterator<Item = (Endpoint, Endpoint)>) -> Self {
        Self(Map::Table(Arc::new(entries.into_iter().collect())))
    }

    /// The closure says where an address is reached; `None` leaves it as it is. A panic in it fails
    /// that dial and no more.
    pub fn by(map: impl Fn(&Endpoint) -> Option<Endpoint> + Send + Sync + 'static) -> Self {
        Self(Map::By(Arc::new(map)))
    }

    /// Where to dial, when that is not the address itself.
    pub(crate) fn map(&self, advertised: &Endpoint) -> Result<Option<Endpoint>, Panicked> {
        let mapped = match &self.0 {
            Map::By(map) => guarded(|| map(advertised))?,
            Map::Table(table) => table.get(advertised).cloned(),
        };
        Ok(mapped.filter(|mapped| mapped != advertised))
    }
}

/// Equal tables are equal; a closure is equal to itself alone.
impl PartialEq for AddressMap {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Map::By(a), Map::By(b)) => Arc::ptr_eq(a, b),
            (Map::Table(a), Map::Table(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Debug for AddressMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Map::By(_) => f.write_str("AddressMap(closure)"),
            Map::Table(table) => f.debug_tuple("AddressMap").field(table).finish(),
        }
    }
}
