//! Settings from a URL: `rocketmq://access:secret@ns1:9876,ns2:9876/?group=orders&send_timeout=5s`.

use rocketmq_proto::GroupName;

use crate::config::Config;
use crate::name_servers::parse_name_servers;
use crate::settings::{NOT_SHOWN, SettingError};

const HOSTS: &str = "must be host:port, separated by commas; keys stand before them and an @, with \
    what has a meaning in URLs written as %XX";

impl Config {
    /// Reads a URL: the name servers are its hosts, the query holds `group` and any other setting by
    /// its [name](Config::settings). User and password are the access and the secret key (feature
    /// `acl`). What has a meaning in URLs is written as `%XX`. No hosts, as in
    /// `rocketmq:///?group=g&discovery=..`, for discovery.
    ///
    /// ```
    /// # use rocketmq_engine::Config;
    /// let config = Config::from_url("rocketmq://ns1:9876,ns2:9876/?group=orders&retries=1")?;
    /// assert_eq!((config.name_servers.len(), config.retries), (2, 1));
    /// # Ok::<_, rocketmq_engine::SettingError>(())
    /// ```
    ///
    /// # Errors
    /// [`SettingError`] names the part or setting that is wrong and what it may be. Secrets are not
    /// shown.
    pub fn from_url(url: &str) -> Result<Self, SettingError> {
        // The URL itself may hold a secret, so it is never shown.
        let wrong = |allowed: &str| error("url", NOT_SHOWN, allowed);
        let rest = url
            .strip_prefix("rocketmq://")
            .ok_or_else(|| wrong("must begin with rocketmq://"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, path) = place.split_once('/').unwrap_or((place, ""));
        if !path.is_empty() {
            return Err(wrong(
                "must have no path: write rocketmq://ns1:9876/?group=g",
            ));
        }
        let (user, hosts) = match place.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, place),
        };
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded =
                |text| decode(text).ok_or_else(|| error(key, NOT_SHOWN, "is not well encoded"));
            pairs.push((decoded(key)?, decoded(value)?));
        }
        let group = pairs.iter().find(|(key, _)| is_group(key));
        let (_, group) = group.ok_or_else(|| error("group", "", "must be given: ?group=name"))?;
        let group = GroupName::new(group)
            .map_err(|why| error("group", group, &format!("must be a legal name: {why}")))?;
        let mut config = Self::new(group);
        config.name_servers = parse_name_servers(hosts.split(','))
            .map_err(|_| error("name_servers", NOT_SHOWN, HOSTS))?;
        // Whether there is auto-batching at all outlasts what is said of its details.
        let (switches, others): (Vec<_>, Vec<_>) =
            pairs.iter().partition(|(key, _)| is_switch(key));
        for (key, value) in others.into_iter().chain(switches) {
            if !is_group(key) {
                config.set(key, value)?;
            }
        }
        if let Some(user) = user {
            let (access, secret) = user
                .split_once(':')
                .ok_or_else(|| wrong("must hold access key and secret key: ak:sk@host"))?;
            let (Some(access), Some(secret)) = (decode(access), decode(secret)) else {
                return Err(wrong("must hold well encoded keys"));
            };
            config.set_credentials(&access, &secret, None)?;
        }
        Ok(config)
    }

    /// Signs with these keys; an error without the feature that can.
    #[cfg_attr(
        not(feature = "acl"),
        expect(
            clippy::needless_pass_by_ref_mut,
            reason = "it sets them with the feature"
        )
    )]
    pub(crate) fn set_credentials(
        &mut self,
        access: &str,
        secret: &str,
        token: Option<&str>,
    ) -> Result<(), SettingError> {
        #[cfg(feature = "acl")]
        {
            let credentials = rocketmq_proto::Credentials::new(access, secret);
            self.credentials = Some(credentials.with_security_token(token.unwrap_or_default()));
            Ok(())
        }
        #[cfg(not(feature = "acl"))]
        {
            let _ = (access, secret, token);
            let allowed = "needs the feature `acl`, without which nothing is signed";
            Err(error("credentials", "(not shown)", allowed))
        }
    }
}

/// Whether a setting switches something off whose details are settings as well.
fn is_switch(key: &str) -> bool {
    key == "auto_batch" || key == "autoBatch"
}

fn is_group(key: &str) -> bool {
    key == "group" || key == "producerGroup"
}

pub(crate) fn error(key: &str, value: &str, allowed: &str) -> SettingError {
    SettingError {
        key: key.to_owned(),
        value: value.to_owned(),
        allowed: allowed.to_owned(),
    }
}

/// `%XX` is the byte of that number; `None` when that is not so, or the bytes are no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_group_and_settings_are_read() {
        let url = "rocketmq://ns1:9876,[::1]:9876?group=%67rp&send_timeout=5s&topics=a,b";
        let config = Config::from_url(url).unwrap();
        let servers: Vec<_> = config.name_servers.iter().map(|s| s.as_str()).collect();
        assert_eq!(servers, ["ns1:9876", "[::1]:9876"]);
        assert_eq!(config.group.as_str(), "grp");
        assert_eq!(config.send_timeout.as_secs(), 5);
        assert_eq!(config.topics.len(), 2);
        let discovered = "rocketmq:///?group=g&discovery=http://h:8080/rocketmq/nsaddr";
        assert!(Config::from_url(discovered).unwrap().discovery.is_some());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_shown() {
        let rows = [
            ("http://ns:1/?group=g", "rocketmq://"),
            ("rocketmq://ns:1/", "?group="),
            ("rocketmq://ns:1/?group=a b", "group = a b"),
            (
                "rocketmq://ns/?group=g",
                "name_servers = (not shown): must be host:port",
            ),
            ("rocketmq://ak:gehe?im@ns:1/?x=1&group=g", "an @"),
            ("rocketmq://ak:1geheim/?group=g", "an @"),
            (
                "rocketmq://ns:1/?secret_key=geheim&group=g",
                "no such setting",
            ),
            ("rocketmq://ns:1/path?group=g", "no path"),
            ("rocketmq://ns:1/?group=g&retries=x", "retries = x"),
            ("rocketmq://ns:1/?group=g&retires=1", "no such setting"),
            ("rocketmq://ns:1/?group=%zz", "well encoded"),
            ("rocketmq://geheim@ns:1/?group=g", "secret key"),
            ("rocketmq://ak:gehe%im@ns:1/?group=g", "well encoded"),
        ];
        for (url, part) in rows {
            let error = Config::from_url(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("gehe"), "{error}");
        }
    }

    #[test]
    fn keys_are_decoded_or_the_feature_that_is_missing_is_named() {
        let config = Config::from_url("rocketmq://ak:s%3Ak%40@ns:1/?group=g");
        #[cfg(feature = "acl")]
        {
            let credentials = config.unwrap().credentials.unwrap();
            assert_eq!(credentials.access_key(), "ak");
        }
        #[cfg(not(feature = "acl"))]
        assert!(config.unwrap_err().to_string().contains("`acl`"));
    }
}
