//! TLS settings, and what its failures mean (PROTOCOL H.3). The handshake and the records
//! themselves are rustls, driven by `wire`.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    Error, RootCertStore, SignatureScheme,
};

use super::session::Session;
use crate::dial::TlsFailure;
use crate::io::Endpoint;

/// How connections are encrypted. Servers are verified, unless that is switched off by name.
#[derive(Clone)]
pub struct TlsConfig {
    client: Arc<ClientConfig>,
    /// Whether there is a client certificate.
    identified: bool,
    server_name: Option<ServerName<'static>>,
}

/// Settings of TLS that are to be put together.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct TlsBuilder {
    platform_roots: bool,
    verify: bool,
    client: Option<(Vec<u8>, Vec<u8>)>,
    roots_pem: Vec<Vec<u8>>,
    server_name: Option<String>,
}

/// TLS settings that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// Certificates or a key cannot be read.
    #[error("{what} cannot be read as PEM: {why}")]
    Pem {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// There is nothing to verify servers against.
    #[error("there is no root certificate: give some with roots_pem, or use platform_roots")]
    NoRoots,
    /// rustls cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Provider(String),
    /// A root certificate cannot be used.
    #[error("a root certificate cannot be used: {0}")]
    Root(String),
    /// The server name is neither a DNS name nor an address.
    #[error("`{0}` is neither a DNS name nor an IP address")]
    ServerName(String),
    /// rustls refuses certificate and key.
    #[error("the client certificate cannot be used: {0}")]
    ClientCertificate(String),
}

impl TlsConfig {
    /// Whether both come from one [`TlsBuilder::build`].
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client, &other.client) && self.server_name == other.server_name
    }

    /// Begins: servers are verified, against the roots that are given next.
    pub fn builder() -> TlsBuilder {
        TlsBuilder {
            platform_roots: false,
            verify: true,
            client: None,
            roots_pem: Vec::new(),
            server_name: None,
        }
    }

    /// The beginning of a TLS connection to this server, by its advertised name or the override.
    pub(super) fn connect(&self, to: &Endpoint) -> Result<Session, TlsFailure> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => {
                ServerName::try_from(to.host().to_owned()).map_err(|_| TlsFailure::WrongName)?
            }
        };
        let connection = ClientConnection::new(self.client.clone(), name)
            .map_err(|error| failure_of(&error, self.identified, true))?;
        Ok(Session::new(connection, self.identified))
    }
}

impl TlsBuilder {
    /// Trusts these root certificates (PEM, one or more).
    pub fn roots_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots_pem.push(pem.into());
        self
    }

    /// Trusts what this machine trusts. Reads its certificate store (and `SSL_CERT_FILE`,
    /// `SSL_CERT_DIR`) when built.
    pub fn platform_roots(mut self) -> Self {
        self.platform_roots = true;
        self
    }

    /// Shows this certificate chain when a server asks for one, with its private key (PEM both).
    pub fn client_certificate_pem(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.client = Some((chain.into(), key.into()));
        self
    }

    /// Expects this name in every server's certificate, instead of the host of its address.
    /// Brokers register IP addresses, and certificates often hold names.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Does not verify servers at all: whoever is on the way can read and change everything. Java's
    /// default (`tls.test.mode.enable`); for tests.
    pub fn dangerously_accept_any_server(mut self) -> Self {
        self.verify = false;
        self
    }

    /// Puts it together.
    ///
    /// # Errors
    /// What cannot be read, or is missing.
    pub fn build(self) -> Result<TlsConfig, TlsConfigError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsConfigError::Provider(error.to_string()))?;
        let builder = if self.verify {
            builder.with_root_certificates(self.root_store()?)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        };
        let client = match &self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates("the client certificate", chain)?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| pem_error("the client's private key", &error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| TlsConfigError::ClientCertificate(error.to_string()))?
            }
        };
        let server_name = match self.server_name {
            None => None,
            Some(name) => Some(
                ServerName::try_from(name.clone()).map_err(|_| TlsConfigError::ServerName(name))?,
            ),
        };
        let identified = self.client.is_some();
        Ok(TlsConfig {
            client: Arc::new(client),
            identified,
            server_name,
        })
    }

    fn root_store(&self) -> Result<RootCertStore, TlsConfigError> {
        let mut store = RootCertStore::empty();
        for pem in &self.roots_pem {
            for root in certificates("a root certificate", pem)? {
                store
                    .add(root)
                    .map_err(|error| TlsConfigError::Root(error.to_string()))?;
            }
        }
        if self.platform_roots {
            // A machine's store may hold what rustls cannot use, and nobody asked for that one.
            let found = rustls_native_certs::load_native_certs().certs;
            store.add_parsable_certificates(found);
        }
        if store.is_empty() {
            Err(TlsConfigError::NoRoots)
        } else {
            Ok(store)
        }
    }
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(read) if read.is_empty() => Err(TlsConfigError::Pem {
            what,
            why: "there is no certificate in it".to_owned(),
        }),
        Ok(read) => Ok(read),
        Err(error) => Err(pem_error(what, &error)),
    }
}

fn pem_error(what: &'static str, error: &rustls::pki_types::pem::Error) -> TlsConfigError {
    TlsConfigError::Pem {
        what,
        why: error.to_string(),
    }
}

/// What an error of rustls means to whoever has to mend it.
pub(super) fn failure_of(error: &Error, identified: bool, handshaking: bool) -> TlsFailure {
    match error {
        Error::InvalidCertificate(error) => certificate_failure(error),
        Error::AlertReceived(alert) => alert_failure(*alert, identified),
        Error::InvalidMessage(_) if handshaking => TlsFailure::NotTls,
        Error::PeerIncompatible(_) => TlsFailure::Incompatible,
        _ => TlsFailure::Protocol,
    }
}

fn certificate_failure(error: &CertificateError) -> TlsFailure {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => TlsFailure::Expired,
        E::NotValidForName | E::NotValidForNameContext { .. } => TlsFailure::WrongName,
        E::NotValidYet | E::NotValidYetContext { .. } => TlsFailure::NotYetValid,
        E::Revoked => TlsFailure::Revoked,
        E::UnknownIssuer => TlsFailure::UnknownRoot,
        _ => TlsFailure::BadCertificate,
    }
}

fn alert_failure(alert: AlertDescription, identified: bool) -> TlsFailure {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => TlsFailure::ClientCertificateRequired,
        A::BadCertificate
        | A::CertificateExpired
        | A::CertificateRevoked
        | A::CertificateUnknown
        | A::UnknownCA
        | A::UnsupportedCertificate => match identified {
            true => TlsFailure::ClientCertificateRefused,
            // How Java says that it got none.
            false => TlsFailure::ClientCertificateRequired,
        },
        A::ProtocolVersion | A::InsufficientSecurity => TlsFailure::Incompatible,
        alert => TlsFailure::Alert(u8::from(alert)),
    }
}

/// Accepts every certificate; signatures are checked all the same.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for TlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder")
            .field("platform_roots", &self.platform_roots)
            .field("verify", &self.verify)
            .field("client", &self.client.as_ref().map(|_| "redacted"))
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration holds a private key.
        f.debug_struct("TlsConfig")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_a_reason() {
        let key = rcgen::KeyPair::generate().unwrap();
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let pem = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap()
            .pem();
        let with_root = || TlsConfig::builder().roots_pem(pem.clone());
        let rows = [
            (TlsConfig::builder(), "there is no root certificate"),
            (TlsConfig::builder().roots_pem("text"), "a root certificate"),
            (with_root().server_name("no name!"), "`no name!` is neither"),
            (
                with_root().client_certificate_pem("text", other.clone()),
                "the client certificate cannot be read",
            ),
            (
                with_root().client_certificate_pem(pem.clone(), "text"),
                "private key cannot be read",
            ),
            (
                with_root().client_certificate_pem(pem.clone(), other),
                "the client certificate cannot be used",
            ),
        ];
        for (builder, words) in rows {
            let text = builder.build().unwrap_err().to_string();
            assert!(text.contains(words), "no {words:?} in {text:?}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let builder = TlsConfig::builder().client_certificate_pem("chain", "geheim");
        let bytes = format!("{:?}", b"geheim");
        let text = format!("{builder:?}");
        assert!(!text.contains("geheim") && !text.contains(&bytes));
    }
}
