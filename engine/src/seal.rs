//! What happens to a request last of all: the application's RPC hooks, then the signature, over all
//! that is sent (PROTOCOL G.5). It costs time with the size of the body, so it is done where the
//! frame is written, outside any lock ([`Frame::seal`]).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
#[cfg(feature = "acl")]
use rocketmq_proto::version;
use rocketmq_proto::{
    CommandView, EncodeError, FieldSink, Fields, Head, RequestCode, SerializeType, encode_head,
};

use crate::config::Config;
use crate::error::SendError;
use crate::guard::{Panicked, guarded};
use crate::hooks::RpcRequest;
use crate::io::{Endpoint, Frame};

/// Both length words of a frame (PROTOCOL A.1).
const PREFIX: usize = 8;

/// What is still to be done to the requests of one connection.
pub(crate) struct Seal {
    config: Arc<Config>,
    to: Endpoint,
    /// Whether the server leaves `_UNIQUE_KEY_QUERY` out of what it checks (PROTOCOL G.5).
    #[cfg(feature = "acl")]
    skips_unique_key_query: bool,
}

/// A frame could not be sealed: it must not be written. Tell the engine
/// ([`Input::Unsealed`](crate::Input::Unsealed)); the connection is as good as before.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct SealError {
    /// The request's correlation number.
    pub(crate) opaque: i32,
    pub(crate) why: Why,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Why {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("an RPC hook panicked before the request was written")]
    Hook,
    #[error("the frame holds no request")]
    Unreadable,
}

impl Frame {
    /// Finishes the frame: runs the RPC hooks and signs it. Call it before writing, where no lock is
    /// held: signing reads the whole body (some ms for 4 MiB). Does nothing unless credentials or
    /// RPC hooks are set, and nothing the second time.
    ///
    /// # Errors
    /// [`SealError`]: do not write the frame, and report [`Input::Unsealed`](crate::Input::Unsealed).
    pub fn seal(&mut self) -> Result<(), SealError> {
        match self.seal.take() {
            Some(seal) => self.seal_with(&seal),
            None => Ok(()),
        }
    }

    /// Whether [`seal`](Self::seal) has something to do.
    pub fn is_sealed(&self) -> bool {
        self.seal.is_none()
    }

    fn seal_with(&mut self, seal: &Seal) -> Result<(), SealError> {
        let failed = |opaque: i32| move |why: Why| SealError { opaque, why };
        let (ty, view) = read(&self.head).ok_or(Why::Unreadable).map_err(failed(0))?;
        let failed = failed(view.opaque);
        // The engine writes no key twice; a binary header must hold no empty value, which servers
        // read as null and sign as "null" (PROTOCOL G.5).
        let is_kept = |value: &str| ty == SerializeType::Json || !value.is_empty();
        let mut request = RpcRequest {
            to: &seal.to,
            code: RequestCode(view.code),
            opaque: view.opaque,
            oneway: view.flags.is_oneway(),
            body: &self.body,
            fields: view.ext.iter().collect(),
        };
        for hook in &seal.config.hooks.rpc {
            guarded(|| hook.before(&mut request)).map_err(|Panicked| failed(Why::Hook))?;
        }
        let mut fields = Texts(request.fields);
        fields.0.retain(|(_, value)| is_kept(value));
        #[cfg(feature = "acl")]
        seal.sign(&mut fields, &self.body);
        let head = Head {
            code: view.code,
            language: seal.config.language,
            version: view.version,
            opaque: view.opaque,
            flags: view.flags,
            remark: view.remark.as_deref(),
        };
        let mut out = BytesMut::new();
        let (limits, body_len) = (seal.config.frame_limits, self.body.len());
        encode_head(&mut out, ty, &head, &fields, &[], body_len, limits)
            .map_err(|error| failed(Why::Encode(error)))?;
        self.head = out.freeze();
        Ok(())
    }
}

impl SealError {
    pub(crate) fn is_panic(&self) -> bool {
        self.why == Why::Hook
    }
}

impl Seal {
    /// What requests to a server need; `None` when they need nothing.
    pub(crate) fn new(config: &Arc<Config>, to: &Endpoint) -> Option<Arc<Self>> {
        needs_seal(config).then(|| {
            Arc::new(Self {
                config: config.clone(),
                to: to.clone(),
                #[cfg(feature = "acl")]
                skips_unique_key_query: skips_unique_key_query(None, config.version),
            })
        })
    }

    /// The same once the server's version is known; `None` when that changes nothing.
    pub(crate) fn of_version(&self, server: i32) -> Option<Arc<Self>> {
        #[cfg(feature = "acl")]
        {
            let skips = skips_unique_key_query(Some(server), self.config.version);
            if skips != self.skips_unique_key_query {
                return Some(Arc::new(Self {
                    config: self.config.clone(),
                    to: self.to.clone(),
                    skips_unique_key_query: skips,
                }));
            }
        }
        let _ = server;
        None
    }

    /// Signs last, over all that is sent, and adds the signature to it.
    #[cfg(feature = "acl")]
    fn sign(&self, fields: &mut Texts<'_>, body: &Bytes) {
        use rocketmq_proto::acl::{ACCESS_KEY, SECURITY_TOKEN, SIGNATURE};
        let Some(credentials) = &self.config.credentials else {
            return;
        };
        let own = [ACCESS_KEY, SECURITY_TOKEN, SIGNATURE];
        fields.0.retain(|(key, _)| !own.contains(&&**key));
        let signed = Signed {
            fields,
            skips_unique_key_query: self.skips_unique_key_query,
        };
        let signature = credentials.sign(&signed, &[], &[body]);
        let mut add = |key: &'static str, value: String| {
            fields.0.push((Cow::Borrowed(key), Cow::Owned(value)));
        };
        add(ACCESS_KEY, credentials.access_key().to_owned());
        if let Some(token) = credentials.security_token() {
            add(SECURITY_TOKEN, token.to_owned());
        }
        add(SIGNATURE, signature);
    }
}

impl From<&SealError> for SendError {
    fn from(error: &SealError) -> Self {
        match &error.why {
            Why::Encode(error) => error.clone().into(),
            why => Self::hook(why.to_string()),
        }
    }
}

/// Whether frames need anything before they are written.
pub(crate) fn needs_seal(config: &Config) -> bool {
    #[cfg(feature = "acl")]
    if config.credentials.is_some() {
        return true;
    }
    !config.hooks.rpc.is_empty()
}

/// How many bytes signing adds to a header at most: kept free when a frame's size is judged.
pub(crate) fn room(config: &Config) -> usize {
    #[cfg(feature = "acl")]
    if let Some(credentials) = &config.credentials {
        use rocketmq_proto::acl::{ACCESS_KEY, SECURITY_TOKEN, SIGNATURE};
        // Base64 of 20 bytes.
        const SIGNATURE_LEN: usize = 28;
        // `"key":"value",` with every character of the value escaped.
        let field = |key: &str, len: usize| key.len() + 6 * len + 6;
        let token = credentials.security_token();
        return r#""extFields":{},"#.len()
            + field(ACCESS_KEY, credentials.access_key().len())
            + token.map_or(0, |token| field(SECURITY_TOKEN, token.len()))
            + field(SIGNATURE, SIGNATURE_LEN);
    }
    let _ = config;
    0
}

/// A 4.9 broker never signs `_UNIQUE_KEY_QUERY`; a 5.x one leaves it out for clients up to 4.9.3. A
/// server whose version is not known yet is taken for a 5.x one (PROTOCOL G.5).
#[cfg(feature = "acl")]
fn skips_unique_key_query(server: Option<i32>, own: i32) -> bool {
    own <= version::V4_9_3 || server.is_some_and(|server| server < version::V5_0_0)
}

/// The parts of a head that the engine has written.
fn read(head: &Bytes) -> Option<(SerializeType, CommandView<'_>)> {
    let ty = match head.get(4)? {
        0 => SerializeType::Json,
        _ => SerializeType::Binary,
    };
    let view = CommandView::decode(ty, head.get(PREFIX..)?).ok()?;
    Some((ty, view))
}

/// Ext fields as they are sent.
struct Texts<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Fields for Texts<'_> {
    fn write(&self, sink: &mut impl FieldSink) {
        for (key, value) in &self.0 {
            sink.entry(key, value);
        }
    }
}

/// Ext fields as they are signed.
#[cfg(feature = "acl")]
struct Signed<'t, 'a> {
    fields: &'t Texts<'a>,
    skips_unique_key_query: bool,
}

#[cfg(feature = "acl")]
impl Fields for Signed<'_, '_> {
    fn write(&self, sink: &mut impl FieldSink) {
        for (key, value) in &self.fields.0 {
            if !self.skips_unique_key_query || key != UNIQUE_KEY_QUERY {
                sink.entry(key, value);
            }
        }
    }
}

#[cfg(feature = "acl")]
const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal(to {})", self.to)
    }
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
