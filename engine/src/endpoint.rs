//! Addresses of servers.

use std::fmt;
use std::sync::Arc;

/// An address to connect to, as `host:port`, `[ipv6]:port` or `ipv6:port` (split at the last colon,
/// PROTOCOL E.7). Host names are resolved by the runtime, anew at each connect.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint(Arc<str>);

/// An address that is not `host:port`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not an address: write host:port with a port from 1 to 65535, like 10.0.0.1:9876")]
pub struct InvalidEndpoint(pub String);

impl Endpoint {
    /// Checks the form `host:port` and keeps it.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] when there is no host, no port, or a port outside 1 - 65535.
    pub fn new(address: impl AsRef<str>) -> Result<Self, InvalidEndpoint> {
        let address = address.as_ref().trim();
        let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(char::is_whitespace)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !valid {
            return Err(InvalidEndpoint(address.to_owned()));
        }
        Ok(Self(address.into()))
    }

    /// For hosts and ports that are known to be sound.
    pub(crate) fn from_parts(host: &str, port: u16) -> Self {
        match host.contains(':') {
            true => Self(format!("[{host}]:{port}").into()),
            false => Self(format!("{host}:{port}").into()),
        }
    }

    /// An address whose parts are known to be sound.
    pub(crate) fn of(address: std::net::SocketAddr) -> Self {
        Self(address.to_string().into())
    }

    /// Two ports below: the port that brokers keep for sends and admin calls (PROTOCOL C.6). `None`
    /// for ports up to 2, below which there is none.
    pub(crate) fn vip(&self) -> Option<Self> {
        let port = self.port().checked_sub(2).filter(|port| *port > 0)?;
        let (host, _) = self.0.rsplit_once(':')?;
        Some(Self(format!("{host}:{port}").into()))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without the brackets of an IPv6 literal.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(&*self.0, |(host, _)| host);
        host.strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_splits_at_the_last_colon() {
        let row = |text: &str| {
            let endpoint = Endpoint::new(text).unwrap();
            (endpoint.host().to_owned(), endpoint.port())
        };
        assert_eq!(row("10.0.0.1:9876"), ("10.0.0.1".into(), 9876));
        assert_eq!(row("mq.example:80"), ("mq.example".into(), 80));
        assert_eq!(row("[::1]:10911"), ("::1".into(), 10911));
        assert_eq!(row("::1:10911"), ("::1".into(), 10911));
    }

    #[test]
    fn the_vip_port_is_two_below_and_never_less_than_one() {
        let vip = |text: &str| Endpoint::new(text).unwrap().vip();
        let row = |text: &str| Some(Endpoint::new(text).unwrap());
        assert_eq!(vip("b.example:10911"), row("b.example:10909"));
        assert_eq!(vip("[::1]:10911"), row("[::1]:10909"));
        assert_eq!(vip("::1:10911"), row("::1:10909"));
        assert_eq!(vip("b:3"), row("b:1"));
        assert_eq!(vip("b:2"), None);
        assert_eq!(vip("b:1"), None);
    }

    #[test]
    fn an_address_without_host_or_port_is_refused_by_name() {
        for text in ["", "host", ":1", "host:", "host:0", "host:65536", "a b:1"] {
            let error = Endpoint::new(text).unwrap_err();
            assert_eq!(error.0, text);
        }
    }
}
