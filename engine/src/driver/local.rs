//! What a driver knows of its own machine and process (PROTOCOL D.5, E.3).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use rocketmq_proto::UniqueIdSeed;

use crate::io::Now;

/// Some bits that no other process has: the seed of an engine.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver supplies the seed that the engine is given"
)]
pub fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The address that this machine would use to reach others: IPv4 before IPv6, as Java. No packet
/// is sent to find it. The loopback address when there is no way out.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver tells servers where its client runs"
)]
pub fn local_ip() -> IpAddr {
    // Addresses reserved for documentation: nobody is asked anything, the kernel picks a source.
    let outwards: [(IpAddr, IpAddr); 2] = [
        (
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        ),
        (
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ),
    ];
    let source = |(from, to): (IpAddr, IpAddr)| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    outwards
        .into_iter()
        .find_map(source)
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// `ip@pid#nanoseconds`: the client id of a producer that was not given one (E.3).
#[expect(
    clippy::disallowed_methods,
    reason = "the process id is part of the client id"
)]
pub fn default_client_id(ip: IpAddr) -> String {
    let instance = Now::system().unix_ms ^ entropy().rotate_left(20);
    format!("{ip}@{}#{instance}", std::process::id())
}

/// What makes this process's unique ids its own (D.5).
#[expect(
    clippy::disallowed_methods,
    reason = "the process id is part of every unique id"
)]
pub fn unique_id_seed(ip: IpAddr, utc_offset_seconds: i32) -> UniqueIdSeed {
    UniqueIdSeed {
        ip,
        pid: std::process::id(),
        hash: entropy() as u32,
        utc_offset_seconds,
    }
}
