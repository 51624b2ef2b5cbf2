//! What lies between the socket and the frames of one connection: nothing, or TLS.

use std::{
    io::{self, Write},
    net::TcpStream,
    sync::Mutex,
};

use bytes::BytesMut;

use super::lock;

#[cfg(feature = "tls")]
use {
    crate::{Tls, TlsMode},
    rustls::ServerConnection,
    std::io::BufRead,
};

/// How a server answers who speaks TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

#[derive(Debug, Default)]
pub(super) enum Layer {
    /// Nothing has arrived.
    #[default]
    Undecided,
    Plain,
    #[cfg(feature = "tls")]
    Tls(Box<ServerConnection>),
}

/// How every TLS conversation begins, and no frame: it would be 352 MB long.
#[cfg(feature = "tls")]
const HANDSHAKE: u8 = 0x16;

impl Layer {
    /// Takes in what arrived, answers what TLS asks, and adds the rest to `plain`. An error ends the connection.
    pub(super) fn open(
        &mut self,
        arrived: &[u8],
        plain: &mut BytesMut,
        security: &Mutex<Security>,
        stream: &TcpStream,
    ) -> io::Result<()> {
        if let (Self::Undecided, Some(first)) = (&*self, arrived.first()) {
            *self = lock(security).decide(*first)?;
        }
        match self {
            Self::Undecided | Self::Plain => plain.extend_from_slice(arrived),
            #[cfg(feature = "tls")]
            Self::Tls(connection) => {
                let result = decrypt(connection, arrived, plain);
                // Also the alert that says what was wrong.
                write_out(connection, stream)?;
                result?;
            }
        }
        // Named for the plain build, which answers nothing here.
        let _ = stream;
        Ok(())
    }

    #[cfg_attr(
        not(feature = "tls"),
        expect(
            clippy::needless_pass_by_ref_mut,
            reason = "only TLS changes with writing"
        )
    )]
    pub(super) fn write(&mut self, bytes: &[u8], mut stream: &TcpStream) -> io::Result<()> {
        match self {
            Self::Undecided | Self::Plain => stream.write_all(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(connection) => {
                connection.writer().write_all(bytes)?;
                write_out(connection, stream)
            }
        }
    }
}

impl Security {
    #[cfg(feature = "tls")]
    fn decide(&self, first: u8) -> io::Result<Layer> {
        let mode = self.tls.as_ref().map_or(TlsMode::Disabled, Tls::serves);
        let refused = || io::ErrorKind::PermissionDenied.into();
        match (&self.tls, first == HANDSHAKE, mode) {
            (_, false, TlsMode::Enforcing) | (_, true, TlsMode::Disabled) => Err(refused()),
            (Some(tls), true, _) => {
                let connection = tls.accept().ok_or_else(refused)?;
                Ok(Layer::Tls(Box::new(connection)))
            }
            _ => Ok(Layer::Plain),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn decide(&self, _first: u8) -> io::Result<Layer> {
        Ok(Layer::Plain)
    }
}

#[cfg(feature = "tls")]
fn decrypt(
    connection: &mut ServerConnection,
    mut arrived: &[u8],
    plain: &mut BytesMut,
) -> io::Result<()> {
    while !arrived.is_empty() {
        if connection.read_tls(&mut arrived)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let processed = connection.process_new_packets();
        let mut reader = connection.reader();
        // An error stands for "nothing more now".
        while let Ok(part) = reader.fill_buf() {
            let count = part.len();
            if count == 0 {
                break;
            }
            plain.extend_from_slice(part);
            reader.consume(count);
        }
        processed.map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(feature = "tls")]
fn write_out(connection: &mut ServerConnection, mut stream: &TcpStream) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(&mut stream)?;
    }
    Ok(())
}
