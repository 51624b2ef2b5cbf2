use std::fmt;
use std::sync::Arc;

use super::Message;
use crate::names::MessageQueue;

/// Which queue of its topic a message is for (PROTOCOL F).
#[derive(Clone, Debug, Default)]
pub enum Placement {
    /// Whichever comes next; retries go to other brokers.
    #[default]
    Any,
    /// This queue and no other.
    Queue(MessageQueue),
    /// The queue at `|hash % number of queues|` of the topic's list.
    Hash(i32),
    /// One queue at random, the same for every try (Java: `SelectMessageQueueByRandom`).
    Random,
    /// The queue that the caller's function chooses.
    Select(Selector),
}

/// A caller's function that chooses among the queues of a topic (PROTOCOL F.3).
#[derive(Clone)]
pub struct Selector(Arc<Choose>);

type Choose = dyn Fn(&[MessageQueue], &Message) -> Option<usize> + Send + Sync;

/// What a message can be placed by: its hash is that of Java's `hashCode` (PROTOCOL F.3), so that
/// Java and Rust producers agree about the queue of a key.
pub trait ShardKey {
    /// Java's `hashCode` of the key.
    fn shard_hash(&self) -> i32;
}

/// Java's `String.hashCode`: `s[0]·31^(n-1) + … + s[n-1]` over UTF-16 units, in 32 bits.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

impl Placement {
    /// Whether both mean the same queue; two selectors do when one is a clone of the other.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) | (Self::Random, Self::Random) => true,
            (Self::Queue(a), Self::Queue(b)) => a == b,
            (Self::Hash(a), Self::Hash(b)) => a == b,
            (Self::Select(a), Self::Select(b)) => Arc::ptr_eq(&a.0, &b.0),
            _ => false,
        }
    }
}

impl Selector {
    /// Wraps `choose`; see [`Message::select`].
    pub fn new(
        choose: impl Fn(&[MessageQueue], &Message) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(choose))
    }

    /// Asks the caller's function. The index is as the function gave it: check it against `queues`.
    pub fn choose(&self, queues: &[MessageQueue], message: &Message) -> Option<usize> {
        (self.0)(queues, message)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Selector(..)")
    }
}

impl ShardKey for str {
    fn shard_hash(&self) -> i32 {
        java_hash(self)
    }
}

impl ShardKey for String {
    fn shard_hash(&self) -> i32 {
        java_hash(self)
    }
}

/// Java's `Integer`: the value itself.
impl ShardKey for i32 {
    fn shard_hash(&self) -> i32 {
        *self
    }
}

/// Java's `Long`: the low half xor the high half.
impl ShardKey for i64 {
    fn shard_hash(&self) -> i32 {
        (*self ^ (*self >> 32)) as i32
    }
}

impl<K: ShardKey + ?Sized> ShardKey for &K {
    fn shard_hash(&self) -> i32 {
        (**self).shard_hash()
    }
}
