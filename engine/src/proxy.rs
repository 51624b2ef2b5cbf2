//! Which connections go through which SOCKS5 proxy (PROTOCOL H.4).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::io::Endpoint;

/// Connections to addresses in a range go through a proxy (`socksProxyConfig`, 5.x). Of several
/// rules the first that matches counts.
#[derive(Clone, Eq, PartialEq)]
pub struct ProxyRule {
    range: Range,
    proxy: Endpoint,
    credentials: Option<Arc<(String, String)>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Range {
    /// `0.0.0.0/0` and `::/0`: every target, host names included.
    All,
    Of(IpAddr, u8),
}

/// A proxy rule that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// User or password cannot be said in SOCKS5.
    #[error("a SOCKS5 user or password has 1 to 255 bytes, this one has {0}")]
    Credentials(usize),
    /// The range is not `address/bits`.
    #[error("`{0}` is no range of addresses: write address/bits, like 10.0.0.0/8 or 0.0.0.0/0")]
    Range(String),
}

impl ProxyRule {
    /// Targets in `range` (`address/bits`; `0.0.0.0/0` for all, host names included) are reached
    /// through `proxy`.
    ///
    /// # Errors
    /// The range cannot be read.
    pub fn new(range: &str, proxy: Endpoint) -> Result<Self, InvalidProxy> {
        let invalid = || InvalidProxy::Range(range.to_owned());
        let (address, bits) = range.split_once('/').ok_or_else(invalid)?;
        let address: IpAddr = address.trim().parse().map_err(|_| invalid())?;
        let bits: u8 = bits.trim().parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let range = match bits {
            0 if address.is_unspecified() => Range::All,
            bits if bits <= most => Range::Of(address, bits),
            _ => return Err(invalid()),
        };
        Ok(Self {
            range,
            proxy,
            credentials: None,
        })
    }

    /// Identifies us to the proxy.
    ///
    /// # Errors
    /// A user or password of 0 or more than 255 bytes.
    pub fn with_credentials(mut self, user: &str, password: &str) -> Result<Self, InvalidProxy> {
        for text in [user, password] {
            if !(1..=255).contains(&text.len()) {
                return Err(InvalidProxy::Credentials(text.len()));
            }
        }
        self.credentials = Some(Arc::new((user.to_owned(), password.to_owned())));
        Ok(self)
    }

    /// Where the proxy is.
    pub fn proxy(&self) -> &Endpoint {
        &self.proxy
    }

    pub(crate) fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials
            .as_deref()
            .map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Whether connections to this target go through the proxy. A host name is in no range but
    /// that of all.
    pub fn matches(&self, target: &Endpoint) -> bool {
        match (self.range, target.host().parse()) {
            (Range::All, _) => true,
            (Range::Of(IpAddr::V4(range), bits), Ok(IpAddr::V4(host))) => {
                same_prefix(range.to_bits().into(), host.to_bits().into(), 32 - bits)
            }
            (Range::Of(IpAddr::V6(range), bits), Ok(IpAddr::V6(host))) => {
                same_prefix(range.to_bits(), host.to_bits(), 128 - bits)
            }
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, rest: u8) -> bool {
    (a ^ b).checked_shr(rest.into()).unwrap_or(0) == 0
}

impl fmt::Debug for ProxyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyRule")
            .field("range", &self.range)
            .field("proxy", &self.proxy)
            .field(
                "credentials",
                &self.credentials.as_ref().map(|_| "redacted"),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(range: &str) -> Result<ProxyRule, InvalidProxy> {
        ProxyRule::new(range, Endpoint::new("proxy:1080").unwrap())
    }

    #[test]
    fn a_range_matches_by_its_bits_and_names_only_match_all() {
        let rows = [
            ("10.0.0.0/8", "10.255.1.1:1", true),
            ("10.0.0.0/8", "11.0.0.1:1", false),
            ("10.1.2.3/32", "10.1.2.3:1", true),
            ("10.1.2.3/32", "10.1.2.4:1", false),
            ("10.0.0.0/8", "host:1", false),
            ("10.0.0.0/8", "[::1]:1", false),
            ("0.0.0.0/0", "host:1", true),
            ("0.0.0.0/0", "[::1]:1", true),
            ("fd00::/8", "[fd12::1]:1", true),
            ("fd00::/8", "[fe80::1]:1", false),
        ];
        for (range, target, matches) in rows {
            let target = Endpoint::new(target).unwrap();
            assert_eq!(
                rule(range).unwrap().matches(&target),
                matches,
                "{range} {target}"
            );
        }
    }

    #[test]
    fn what_is_no_range_is_refused_by_name() {
        for range in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "x/8",
            "fd00::/129",
            "10.0.0.0/-1",
        ] {
            assert_eq!(
                rule(range).unwrap_err(),
                InvalidProxy::Range(range.to_owned())
            );
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let rule = rule("0.0.0.0/0")
            .unwrap()
            .with_credentials("user", "geheim")
            .unwrap();
        assert!(!format!("{rule:?}").contains("geheim"));
    }
}
