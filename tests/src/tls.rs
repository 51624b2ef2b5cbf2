//! TLS, as servers speak it (PROTOCOL H.3).

use std::{fmt, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

/// How servers speak TLS (feature `tls`); see [`ClusterBuilder::tls`](crate::ClusterBuilder::tls).
///
/// As with real servers there is one port for both: the first byte that a client sends tells whether it speaks TLS.
#[derive(Clone)]
pub struct Tls {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    client_roots: Option<Arc<RootCertStore>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    mode: TlsMode,
    config: Arc<ServerConfig>,
}

/// Which clients a server serves (Java `tls.server.mode`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TlsMode {
    /// Only those who speak plainly; TLS is closed.
    Disabled,
    /// Those who speak TLS, and those who speak plainly. The default.
    #[default]
    Permissive,
    /// Only those who speak TLS; others are closed.
    Enforcing,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TlsVersion {
    /// 1.2
    V1_2,
    /// 1.3
    V1_3,
}

/// TLS settings that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Certificates or a key cannot be read.
    #[error("{what} cannot be read as PEM: {why}")]
    Pem {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// Certificates or key are readable, but of no use.
    #[error("certificates or key cannot be used: {0}")]
    Unusable(String),
}

impl Tls {
    /// Servers show this certificate chain, with its private key (PEM both). They speak 1.2 and 1.3, are permissive,
    /// and ask clients for no certificate.
    ///
    /// # Errors
    ///
    /// Chain or key cannot be read, or do not belong together.
    pub fn new(chain_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let chain = certificates("the certificate chain", chain_pem.as_ref())?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_ref())
            .map_err(|error| pem("the private key", &error))?;
        let versions = vec![&TLS13, &TLS12];
        let config = config(&chain, &key, None, &versions)?;
        Ok(Self {
            chain,
            key: Arc::new(key),
            client_roots: None,
            versions,
            mode: TlsMode::default(),
            config: Arc::new(config),
        })
    }

    /// Requires of every TLS client a certificate that comes from one of these authorities (PEM).
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn client_ca(mut self, ca_pem: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates("a client authority", ca_pem.as_ref())? {
            roots.add(root).map_err(|error| unusable(&error))?;
        }
        self.client_roots = Some(Arc::new(roots));
        self.rebuilt()
    }

    /// Speaks this version only.
    ///
    /// # Errors
    ///
    /// Never with the versions there are.
    pub fn only(mut self, version: TlsVersion) -> Result<Self, TlsError> {
        self.versions = match version {
            TlsVersion::V1_2 => vec![&TLS12],
            TlsVersion::V1_3 => vec![&TLS13],
        };
        self.rebuilt()
    }

    /// Which clients are served.
    pub fn mode(mut self, mode: TlsMode) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) fn serves(&self) -> TlsMode {
        self.mode
    }

    pub(crate) fn accept(&self) -> Option<ServerConnection> {
        let mut connection = ServerConnection::new(Arc::clone(&self.config)).ok()?;
        // What is written in is written out at once.
        connection.set_buffer_limit(None);
        Some(connection)
    }

    fn rebuilt(mut self) -> Result<Self, TlsError> {
        let client_roots = self.client_roots.clone();
        self.config = Arc::new(config(
            &self.chain,
            &self.key,
            client_roots,
            &self.versions,
        )?);
        Ok(self)
    }
}

fn config(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    client_roots: Option<Arc<RootCertStore>>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unusable(&error))?;
    let builder = match client_roots {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| unusable(&error))?,
        ),
    };
    builder
        .with_single_cert(chain.to_vec(), key.clone_key())
        .map_err(|error| unusable(&error))
}

fn certificates(what: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let read = read.map_err(|error| pem(what, &error))?;
    if read.is_empty() {
        let why = "there is no certificate in it".to_owned();
        return Err(TlsError::Pem { what, why });
    }
    Ok(read)
}

fn pem(what: &'static str, error: &rustls::pki_types::pem::Error) -> TlsError {
    let why = error.to_string();
    TlsError::Pem { what, why }
}

fn unusable(error: &impl fmt::Display) -> TlsError {
    TlsError::Unusable(error.to_string())
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest holds the private key.
        f.debug_struct("Tls")
            .field("mode", &self.mode)
            .field("client_ca", &self.client_roots.is_some())
            .finish_non_exhaustive()
    }
}
