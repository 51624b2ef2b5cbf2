//! The same, encrypted.

use std::error::Error;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How a server speaks TLS.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<ServerConfig>);

/// For `127.0.0.1`; and the certificate as PEM, which clients have to trust.
///
/// # Errors
/// None is to be expected.
pub fn self_signed() -> Result<(ServerTls, String), Box<dyn Error>> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    Ok((ServerTls(Arc::new(config)), cert.pem()))
}

impl ServerTls {
    /// Whether the client begins with TLS: one port serves both, as with real servers.
    pub fn is_spoken(stream: &TcpStream) -> io::Result<bool> {
        let mut first = [0];
        let read = stream.peek(&mut first)?;
        Ok(read == 1 && first[0] == 0x16)
    }

    /// Speaks it.
    pub fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
        let connection = ServerConnection::new(self.0.clone()).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }
}
