//! RocketMQ name servers and brokers inside your own process, for tests: no Java, no disk, no waiting.
//!
//! They keep what they get in memory, answer as Apache RocketMQ 4.9.8 or 5.3.3 does, rejections and their texts
//! included, and go wrong on command. Any client can use them: they speak the remoting protocol over TCP.
//!
//! # In a test
//!
//! Start a [`Cluster`], give [`Cluster::name_server_list`] to the client under test, then look at what arrived. Each
//! test starts its own: it takes a few milliseconds, and everything ends when the cluster is dropped.
//!
//! ```
//! use rocketmq_testkit::Cluster;
//! # use std::{io::{Read, Write}, net::TcpStream};
//! # use bytes::BytesMut;
//! # use rocketmq_proto::{FrameDecoder, RemotingCommand, RequestCode, SerializeType, header::SendMessageRequest};
//! # fn send_with_your_client(addr: std::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
//! #     let header = SendMessageRequest {
//! #         producer_group: "shop".into(), topic: "orders".into(), default_topic: "TBW102".into(),
//! #         default_topic_queue_nums: 4, queue_id: 0, sys_flag: 0, born_timestamp: 0, flag: 0,
//! #         properties: Some("TAGS\u{1}created".into()), reconsume_times: None, unit_mode: None,
//! #         max_reconsume_times: None, batch: None, broker_name: None,
//! #     };
//! #     let request = RemotingCommand::request(RequestCode::SEND_MESSAGE_V2, 1, &header).with_body("hello");
//! #     let mut bytes = BytesMut::new();
//! #     request.encode(SerializeType::Json, &mut bytes)?;
//! #     let mut stream = TcpStream::connect(addr)?;
//! #     stream.write_all(&bytes)?;
//! #     let (mut decoder, mut read) = (FrameDecoder::default(), BytesMut::new());
//! #     while decoder.next_frame(&mut read)?.is_none() {
//! #         let mut part = [0; 4096];
//! #         let count = stream.read(&mut part)?;
//! #         read.extend_from_slice(&part[..count]);
//! #     }
//! #     Ok(())
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::builder().name_servers(2).brokers(1).topic("orders", 4).start()?;
//!
//! // let producer = Producer::builder("shop").name_servers(cluster.name_server_list()) ...
//! # send_with_your_client(cluster.broker(0).addr())?;
//!
//! let stored = cluster.broker(0).stored("orders");
//! assert_eq!(stored.len(), 1);
//! assert_eq!(stored[0].body.as_ref(), b"hello");
//! assert_eq!(stored[0].properties.get("TAGS"), Some("created"));
//! # Ok(())
//! # }
//! ```
//!
//! # When things go wrong
//!
//! * One request: [`Handle::inject`] a [`FaultRule`]. Delay, silence, two answers, any code, GO_AWAY, garbage, a frame
//!   that claims 2 GiB, a reset before, after or in the middle of an answer; for the n-th request, every n-th, or by a
//!   seeded chance.
//! * A whole server: [`Handle::stop`], [`Handle::restart`], [`Handle::pause`] (half-open), [`Handle::listen`]
//!   (refuse, or accept in silence).
//! * A broker that is unwell: [`BrokerConfig::health`] and the other settings, changed through
//!   [`Broker::config_mut`].
//!
//! ```
//! use rocketmq_testkit::{Cluster, Fault, FaultRule, Health};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::builder().brokers(2).start()?;
//! cluster.broker(0).inject(FaultRule::new(Fault::NeverAnswer).sends().every(10))?;
//! cluster.broker(1).with(|broker| broker.config_mut().health = Health::PageCacheBusy);
//! # Ok(())
//! # }
//! ```
//!
//! # TLS and proxies
//!
//! With the feature `tls`, `ClusterBuilder::tls` makes the servers speak TLS, permissive or enforcing, with or without
//! client certificates, and `Handle::set_tls` changes that later. [`SocksProxy`] is a SOCKS5 proxy to reach them through.
//!
//! # Discovery
//!
//! [`AddressServer`] is the HTTP server that clients ask for the name servers, in good and bad moods.
//!
//! # Without sockets
//!
//! [`NameServer`] and [`Broker`] are plain state machines behind the trait [`Server`]: frames and the time go in,
//! [`Action`]s come out. [`ClusterState`] holds several of them, for a simulation with a clock and a network of its own.
//!
//! # As a process
//!
//! `cargo run --release -p rocketmq-testkit --example serve -- --port 9876 --brokers 2` is a throw-away RocketMQ.
//!
//! # What it is not
//!
//! There are no consumers: pulling, viewing and querying work, so that a test can read back what was stored, but a pull
//! is answered at once and not filtered, and no consumer offset is kept. There is no replication, permission by topic
//! or inner batch. Everything is bounded: connections, stored bytes, remembered
//! requests, topics and fault rules; each limit is named where it is set.

#![forbid(unsafe_code)]

mod access;
mod addresses;
mod broker;
mod cluster;
mod config;
mod desk;
mod fault;
mod flavour;
mod io;
mod name_server;
mod properties;
mod request;
mod rng;
mod server;
mod socks;
mod state;
mod store;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod topic;

pub use access::Accounts;
pub use addresses::{AddressAnswer, AddressServer};
pub use broker::{Broker, ClientSeen, Half, HalfState, Heartbeat};
pub use cluster::{Cluster, ClusterBuilder, Handle, Listening};
pub use config::{BrokerConfig, Health};
pub use fault::{Fault, FaultRule, FaultScript, MAX_RULES, ScriptFull};
pub use flavour::Flavour;
pub use io::{Action, PeerId, ServerNow};
pub use name_server::NameServer;
pub use request::{RequestLog, RequestSeen};
pub use server::Server;
pub use socks::{SocksProxy, SocksProxyBuilder};
pub use state::ClusterState;
pub use store::Keep;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError, TlsMode, TlsVersion};
pub use topic::{LogicalQueues, Registration, TopicConfig};
