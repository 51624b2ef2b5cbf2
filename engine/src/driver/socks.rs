//! The client's side of SOCKS5 with user and password (RFC 1928, RFC 1929; PROTOCOL H.4), without
//! I/O: bytes in, bytes out.

use std::io;
use std::net::IpAddr;

use bytes::{Buf, BytesMut};

use crate::dial::{DialError, ProxyFailure};
use crate::io::Endpoint;
use crate::proxy::ProxyRule;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// A conversation with a proxy that is to connect us.
#[derive(Debug)]
pub(super) struct Socks {
    target: Endpoint,
    rule: ProxyRule,
    expects: Expects,
}

/// The answer that comes next.
#[derive(Clone, Copy, Debug)]
enum Expects {
    Method,
    Authentication,
    Connected,
}

/// How far the conversation is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The proxy has connected us: what follows is the target's.
    Done,
    /// More has to arrive.
    More,
    /// This is to be written.
    Write(Vec<u8>),
}

impl Socks {
    /// # Errors
    /// A host name of more than 255 bytes cannot be said in SOCKS5.
    pub(super) fn new(target: Endpoint, rule: ProxyRule) -> Result<Self, DialError> {
        if target.host().len() > usize::from(u8::MAX) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self {
            target,
            rule,
            expects: Expects::Method,
        })
    }

    /// What is written first.
    pub(super) fn greeting(&self) -> Vec<u8> {
        match self.rule.credentials() {
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
            None => vec![VERSION, 1, NO_AUTHENTICATION],
        }
    }

    /// Takes an answer off the front of what has arrived, if it is there whole.
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> Result<Progress, ProxyFailure> {
        match self.expects {
            Expects::Method => {
                let Some([version, method]) = take(buffer) else {
                    return Ok(Progress::More);
                };
                match (version, method, self.rule.credentials()) {
                    (VERSION, NO_AUTHENTICATION, _) => Ok(self.ask_to_connect()),
                    (VERSION, USER_AND_PASSWORD, Some((user, password))) => {
                        self.expects = Expects::Authentication;
                        Ok(Progress::Write(authentication(user, password)))
                    }
                    (VERSION, ..) => Err(ProxyFailure::NoMethod),
                    _ => Err(ProxyFailure::NotSocks),
                }
            }
            Expects::Authentication => match take(buffer) {
                None => Ok(Progress::More),
                Some([_, 0]) => Ok(self.ask_to_connect()),
                Some(_) => Err(ProxyFailure::Credentials),
            },
            Expects::Connected => read_reply(buffer),
        }
    }

    fn ask_to_connect(&mut self) -> Progress {
        self.expects = Expects::Connected;
        let mut request = vec![VERSION, CONNECT, 0];
        // Names are resolved by the proxy (H.4).
        match self.target.host().parse() {
            Ok(IpAddr::V4(ip)) => {
                request.push(IPV4);
                request.extend(ip.octets());
            }
            Ok(IpAddr::V6(ip)) => {
                request.push(IPV6);
                request.extend(ip.octets());
            }
            Err(_) => {
                let name = self.target.host().as_bytes();
                // `new` saw to it that it fits.
                request.extend([NAME, name.len() as u8]);
                request.extend(name);
            }
        }
        request.extend(self.target.port().to_be_bytes());
        Progress::Write(request)
    }
}

fn authentication(user: &str, password: &str) -> Vec<u8> {
    let mut request = vec![1];
    for text in [user, password] {
        // `ProxyRule` saw to it that both fit.
        request.push(text.len().min(255) as u8);
        request.extend(&text.as_bytes()[..text.len().min(255)]);
    }
    request
}

fn read_reply(buffer: &mut BytesMut) -> Result<Progress, ProxyFailure> {
    let &[version, code, _, kind, first, ..] = &buffer[..] else {
        return Ok(Progress::More);
    };
    if version != VERSION {
        return Err(ProxyFailure::NotSocks);
    }
    if code != 0 {
        return Err(ProxyFailure::Refused(code));
    }
    let address = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => 1 + usize::from(first),
        _ => return Err(ProxyFailure::NotSocks),
    };
    let whole = 4 + address + 2;
    if buffer.len() < whole {
        return Ok(Progress::More);
    }
    buffer.advance(whole);
    Ok(Progress::Done)
}

fn take<const N: usize>(buffer: &mut BytesMut) -> Option<[u8; N]> {
    let bytes = *buffer.first_chunk::<N>()?;
    buffer.advance(N);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socks(target: &str, user: Option<(&str, &str)>) -> Socks {
        let proxy = Endpoint::new("10.0.0.1:1080").unwrap();
        let mut rule = ProxyRule::new("0.0.0.0/0", proxy).unwrap();
        if let Some((user, password)) = user {
            rule = rule.with_credentials(user, password).unwrap();
        }
        Socks::new(Endpoint::new(target).unwrap(), rule).unwrap()
    }

    /// Feeds the answers byte by byte; returns all that was written.
    fn talk(mut socks: Socks, answers: &[u8]) -> Result<(Vec<u8>, BytesMut), ProxyFailure> {
        let mut written = socks.greeting();
        let mut buffer = BytesMut::new();
        for (n, byte) in answers.iter().enumerate() {
            buffer.extend_from_slice(&[*byte]);
            match socks.read(&mut buffer)? {
                Progress::More => {}
                Progress::Write(bytes) => written.extend(bytes),
                Progress::Done => {
                    buffer.extend_from_slice(&answers[n + 1..]);
                    return Ok((written, buffer));
                }
            }
        }
        panic!("the conversation has no end");
    }

    #[test]
    fn a_proxy_without_passwords_is_asked_in_two_steps_and_the_rest_is_the_targets() {
        let answers = [5, 0, 5, 0, 0, 1, 9, 9, 9, 9, 0, 80, b'x'];
        let (written, rest) = talk(socks("10.1.2.3:9876", None), &answers).unwrap();
        assert_eq!(written, [5, 1, 0, 5, 1, 0, 1, 10, 1, 2, 3, 0x26, 0x94]);
        assert_eq!(&rest[..], b"x");
    }

    #[test]
    fn user_and_password_go_out_when_the_proxy_wants_them_and_names_stay_names() {
        let answers = [5, 2, 1, 0, 5, 0, 0, 3, 1, b'h', 0, 80];
        let (written, _) = talk(socks("mq.test:80", Some(("u", "pw"))), &answers).unwrap();
        let mut expected = vec![5, 2, 0, 2, 1, 1, b'u', 2, b'p', b'w', 5, 1, 0, 3, 7];
        expected.extend(b"mq.test\0\x50");
        assert_eq!(written, expected);
    }

    #[test]
    fn each_refusal_has_its_own_error() {
        let with_user = || socks("10.1.2.3:1", Some(("u", "p")));
        let rows: [(Socks, &[u8], ProxyFailure); 5] = [
            (
                socks("10.1.2.3:1", None),
                &[5, 0xFF],
                ProxyFailure::NoMethod,
            ),
            (socks("10.1.2.3:1", None), &[5, 2], ProxyFailure::NoMethod),
            (with_user(), &[5, 2, 1, 1], ProxyFailure::Credentials),
            (
                with_user(),
                &[5, 0, 5, 5, 0, 1, 0],
                ProxyFailure::Refused(5),
            ),
            (with_user(), b"HTTP/1.1 400", ProxyFailure::NotSocks),
        ];
        for (socks, answers, failure) in rows {
            assert_eq!(talk(socks, answers).unwrap_err(), failure);
        }
    }
}
