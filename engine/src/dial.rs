//! Why a connection could not be made, or was ended by its encryption.

use std::fmt;
use std::io;

/// Why a dial failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DialError {
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
    /// It does not accept user and password.
    Credentials,
    /// It wants an identification that we do not have.
    NoMethod,
    /// It does not speak SOCKS5.
    NotSocks,
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
    /// The server does not speak TLS.
    NotTls,
    /// The server broke the rules of TLS, or we have no version or cipher in common.
    Protocol,
    /// The server's certificate was revoked.
    Revoked,
    /// The server's certificate comes from no root that we trust.
    UnknownRoot,
    /// The server's certificate is for another name.
    WrongName,
}

impl DialError {
    /// The nearest of the standard kinds.
    pub const fn kind(self) -> io::ErrorKind {
        match self {
            Self::Io(kind) => kind,
            Self::Proxy(_) => io::ErrorKind::ConnectionRefused,
            Self::Tls(_) => io::ErrorKind::InvalidData,
        }
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
            Self::Io(kind) => kind.fmt(f),
            Self::Proxy(failure) => failure.fmt(f),
            Self::Tls(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials => f.write_str("the proxy does not accept user and password"),
            Self::NoMethod => {
                f.write_str("the proxy wants an identification that is not configured")
            }
            Self::NotSocks => f.write_str("the proxy does not speak SOCKS5"),
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
            Self::Alert(code) => return write!(f, "TLS: the server sent alert {code}"),
            Self::BadCertificate => "TLS: the server's certificate cannot be used",
            Self::ClientCertificateRefused => "TLS: the server refuses the client certificate",
            Self::ClientCertificateRequired => "TLS: the server requires a client certificate",
            Self::Closed => "TLS: the server closed the connection in the handshake",
            Self::Expired => "TLS: the server's certificate has expired",
            Self::NotYetValid => "TLS: the server's certificate is not valid yet",
            Self::NotTls => "TLS: the server does not speak TLS",
            Self::Protocol => "TLS: the handshake failed",
            Self::Revoked => "TLS: the server's certificate was revoked",
            Self::UnknownRoot => {
                "TLS: the server's certificate comes from no root that is trusted here"
            }
            Self::WrongName => "TLS: the server's certificate is for another name",
        })
    }
}
