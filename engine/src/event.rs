//! What happened, for whoever wants to watch. Events may be dropped; nothing depends on them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_proto::TopicName;

use crate::dial::DialError;
use crate::io::{CloseCause, CloseReason, Endpoint};

/// Something that happened to a producer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A broker failed or was slow and is passed over while others can do
    /// ([`FaultTolerance`](crate::FaultTolerance)).
    BrokerIsolated {
        /// Its name.
        broker: Arc<str>,
        /// For how long; zero when it is passed over until it shows that it can be reached.
        lasting: Duration,
    },
    /// A broker that was passed over gets messages again.
    BrokerReachable {
        /// Its name.
        broker: Arc<str>,
    },
    /// A broker asked what became of a half message, and nobody here will say.
    CheckDropped {
        /// The broker's address.
        address: Endpoint,
        /// The producer group that was asked for; empty when that cannot be read.
        group: String,
        /// Why.
        reason: CheckDropped,
    },
    /// A connection stands.
    Connected {
        /// To this address.
        address: Endpoint,
        /// Where it was dialled, when the [address map](crate::Config::address_map) said so.
        mapped: Option<Endpoint>,
    },
    /// A dial failed; the next one follows after a pause, when there is need.
    ConnectFailed {
        /// To this address.
        address: Endpoint,
        /// Where it was dialled, when the [address map](crate::Config::address_map) said so.
        mapped: Option<Endpoint>,
        /// How.
        error: DialError,
    },
    /// A connection is over.
    Disconnected {
        /// To this address.
        address: Endpoint,
        /// Where it was dialled, when the [address map](crate::Config::address_map) said so.
        mapped: Option<Endpoint>,
        /// Why.
        reason: DisconnectReason,
    },
    /// The addresses of the name servers were asked for in vain; what was known before stays in use.
    DiscoveryFailed {
        /// Who was asked.
        url: String,
        /// Why.
        error: String,
    },
    /// A server asked us to go away; what it refused is sent again on a new connection (E.13).
    GoAway {
        /// The server's address.
        address: Endpoint,
    },
    /// An answer came that nobody waits for (any more).
    LateReply {
        /// From this address.
        address: Endpoint,
        /// Its correlation number.
        opaque: i32,
    },
    /// The list of name servers was replaced.
    NameServersChanged {
        /// The new one, in the order of asking.
        servers: Arc<[Endpoint]>,
    },
    /// A reply came for a request that nobody waits for (any more) (PROTOCOL G.3).
    UnmatchedReply {
        /// Pushed by the broker at this address.
        address: Endpoint,
        /// What the reply names as its request.
        correlation_id: String,
    },
    /// A topic's queues changed, or became known.
    RouteChanged {
        /// The topic.
        topic: TopicName,
        /// Counts up with each change.
        epoch: u32,
        /// How many queues can be sent to.
        queues: usize,
    },
    /// A route question ended without a route; what was known before stays in use.
    RouteFailed {
        /// The topic.
        topic: TopicName,
        /// Why.
        error: String,
    },
    /// A half message stays open for now: the broker asks what became of it, or asks again.
    TransactionLeftOpen {
        /// The half message's unique id.
        message_id: String,
        /// Why.
        why: String,
    },
}

/// Why a check-back was dropped.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CheckDropped {
    /// As many wait as may ([`Config::max_waiting_checks`](crate::Config::max_waiting_checks)). The
    /// broker asks again.
    Full,
    /// This producer has no check-back listener, or is being shut down.
    NoListener,
    /// The group is not this producer's.
    OtherGroup,
    /// It cannot be read.
    Unreadable(String),
}

/// Which side ended a connection, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DisconnectReason {
    /// The other side, or the network.
    Theirs(CloseCause),
    /// We did.
    Ours(CloseReason),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrokerIsolated { broker, lasting } if lasting.is_zero() => {
                write!(f, "broker {broker} is passed over until it can be reached")
            }
            Self::BrokerIsolated { broker, lasting } => {
                write!(f, "broker {broker} is passed over for {lasting:?}")
            }
            Self::BrokerReachable { broker } => write!(f, "broker {broker} gets messages again"),
            Self::CheckDropped {
                address,
                group,
                reason,
            } => write!(
                f,
                "a check-back of {address} for group `{group}` was dropped: {reason}"
            ),
            Self::Connected { address, mapped } => {
                write!(f, "connected to {address}{}", dialled_as(mapped))
            }
            Self::ConnectFailed {
                address,
                mapped,
                error,
            } => {
                let mapped = dialled_as(mapped);
                write!(f, "connecting to {address}{mapped} failed: {error}")
            }
            Self::Disconnected {
                address,
                mapped,
                reason: DisconnectReason::Theirs(cause),
            } => {
                let mapped = dialled_as(mapped);
                write!(f, "disconnected from {address}{mapped}: {cause}")
            }
            Self::Disconnected {
                address,
                mapped,
                reason: DisconnectReason::Ours(why),
            } => {
                let mapped = dialled_as(mapped);
                write!(f, "closed the connection to {address}{mapped}: {why}")
            }
            Self::DiscoveryFailed { url, error } => {
                write!(f, "asking {url} for name servers failed: {error}")
            }
            Self::GoAway { address } => write!(f, "{address} asked us to go away"),
            Self::LateReply { address, opaque } => {
                write!(
                    f,
                    "{address} answered request {opaque}, for which nobody waits"
                )
            }
            Self::NameServersChanged { servers } => {
                let servers: Vec<_> = servers.iter().map(Endpoint::as_str).collect();
                write!(f, "the name servers are now {}", servers.join(", "))
            }
            Self::UnmatchedReply {
                address,
                correlation_id,
            } => write!(
                f,
                "{address} pushed a reply to request {correlation_id}, for which nobody waits"
            ),
            Self::RouteChanged {
                topic,
                epoch,
                queues,
            } => {
                write!(f, "topic {topic} has {queues} queues (change {epoch})")
            }
            Self::RouteFailed { topic, error } => write!(f, "no new route for {topic}: {error}"),
            Self::TransactionLeftOpen { message_id, why } => {
                write!(f, "the half message {message_id} stays open: {why}")
            }
        }
    }
}

impl fmt::Display for CheckDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many wait for the listener; the broker asks again"),
            Self::NoListener => f.write_str("nobody listens for check-backs"),
            Self::OtherGroup => f.write_str("the group is not this producer's"),
            Self::Unreadable(why) => write!(f, "it cannot be read: {why}"),
        }
    }
}

/// Where an address is reached, behind its name.
pub(crate) fn dialled_as(mapped: &Option<Endpoint>) -> String {
    mapped
        .as_ref()
        .map_or_else(String::new, |to| format!(" (dialled as {to})"))
}
