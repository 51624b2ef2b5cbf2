//! Why a connection could not be made, or was ended by its encryption.

use std::fmt;
use std::io;

/// Why a dial failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DialError {
    /// The closure of the [address map](crate::Config::address_map) panicked.
    AddressMap,
    /// The operating system, or the name resolution, said no.
    Io(io::ErrorKind),
    /// The SOCKS5 proxy said no (PROTOCOL H.4).
    Proxy(ProxyFailure),
    /// The TLS handshake failed (PROTOCOL H.3).
    Tls(TlsFailure),
}

/// What a SOCKS5 proxy objected to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// It closed the connection before it had connected us.
    Closed,
    /// It does not accept user and password.
    Credentials,
    /// It wants an identification that we do not have.
    NoMethod,
    /// It does not speak SOCKS5.
    NotSocks,
    /// It did not connect us in time.
    TimedOut,
    /// It cannot be reached itself.
    Unreachable(io::ErrorKind),
    /// It could not connect to the target; the code is that of RFC 1928.
    Refused(u8),
}

/// Where TLS failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The server sent an alert with this code.
    Alert(u8),
    /// The server's certificate cannot be used for another reason.
    BadCertificate,
    /// The server refuses the client certificate.
    ClientCertificateRefused,
    /// The server wants a client certificate.
    ClientCertificateRequired,
    /// The server closed the connection in the handshake.
    Closed,
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not valid yet.
    NotYetValid,
    /// We have no version or cipher in common.
    Incompatible,
    /// The server does not speak TLS.
    NotTls,
    /// The server broke the rules of TLS.
    Protocol,
    /// The server's certificate was revoked.
    Revoked,
    /// The handshake was not over in time.
    TimedOut,
    /// The server's certificate comes from no root that we trust.
    UnknownRoot,
    /// The server's certificate is for another name.
    WrongName,
}

impl DialError {
    /// The nearest of the standard kinds.
    pub const fn kind(self) -> io::ErrorKind {
        match self {
            Self::AddressMap => io::ErrorKind::Other,
            Self::Io(kind) => kind,
            Self::Proxy(ProxyFailure::TimedOut) | Self::Tls(TlsFailure::TimedOut) => {
                io::ErrorKind::TimedOut
            }
            Self::Proxy(ProxyFailure::Unreachable(kind)) => kind,
            Self::Proxy(_) => io::ErrorKind::ConnectionRefused,
            Self::Tls(_) => io::ErrorKind::InvalidData,
        }
    }
}

impl TlsFailure {
    /// Whether it proves that the server read nothing of what we sent: it says no to us in the
    /// handshake, the last part of which TLS 1.3 tells us only after we may have begun to write.
    pub(crate) const fn precedes_data(self) -> bool {
        matches!(
            self,
            Self::ClientCertificateRefused | Self::ClientCertificateRequired
        )
    }
}

impl From<io::ErrorKind> for DialError {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Io(kind)
    }
}

impl From<&io::Error> for DialError {
    fn from(error: &io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressMap => f.write_str("the closure of the address map panicked"),
            Self::Io(kind) => kind.fmt(f),
            Self::Proxy(failure) => failure.fmt(f),
            Self::Tls(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => {
                f.write_str("the proxy closed the connection before it had connected us")
            }
            Self::Credentials => f.write_str("the proxy does not accept user and password"),
            Self::NoMethod => {
                f.write_str("the proxy wants an identification that is not configured")
            }
            Self::NotSocks => f.write_str("the proxy does not speak SOCKS5"),
            Self::TimedOut => f.write_str("the proxy did not connect us in time"),
            Self::Unreachable(kind) => write!(f, "the proxy cannot be reached: {kind}"),
            Self::Refused(code) => {
                let why = match code {
                    2 => "its rules forbid it",
                    3 => "network unreachable",
                    4 => "host unreachable",
                    5 => "connection refused",
                    6 => "it took too long",
                    _ => "general failure",
                };
                write!(f, "the proxy could not connect: {why} (SOCKS5 code {code})")
            }
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert(code) => return write!(f, "TLS: the server sent {}", alert(*code)),
            Self::BadCertificate => "TLS: the server's certificate cannot be used",
            Self::ClientCertificateRefused => "TLS: the server refuses the client certificate",
            Self::ClientCertificateRequired => "TLS: the server requires a client certificate",
            Self::Closed => {
                "TLS: the server closed the connection in the handshake; perhaps it does not speak \
                 TLS"
            }
            Self::Expired => "TLS: the server's certificate has expired",
            Self::Incompatible => "TLS: the server has no version or cipher in common with us",
            Self::NotYetValid => "TLS: the server's certificate is not valid yet",
            Self::NotTls => "TLS: the server does not speak TLS",
            Self::Protocol => "TLS: the server broke the rules",
            Self::Revoked => "TLS: the server's certificate was revoked",
            Self::TimedOut => "TLS: the server did not finish the handshake in time",
            Self::UnknownRoot => {
                "TLS: the server's certificate comes from no root that is trusted here"
            }
            Self::WrongName => {
                "TLS: the server's certificate is for another name than the one expected, which is \
                 the host of its address or the server_name given"
            }
        })
    }
}

/// The alerts that a server's setup may lead to (RFC 8446, 6.2).
fn alert(code: u8) -> String {
    let name = match code {
        40 => "handshake failure",
        49 => "access denied",
        80 => "internal error",
        112 => "unrecognized name",
        120 => "no application protocol",
        code => return format!("alert {code}"),
    };
    format!("alert {code} ({name})")
}
