//! Settings from the environment, for whoever asks for that (DESIGN 6, no surprises).

use rocketmq_proto::GroupName;

use crate::config::Config;
use crate::name_servers::parse_name_servers;
use crate::settings::SettingError;
use crate::settings_url::error;

/// The variable that Java reads.
const NAME_SERVERS: &str = "NAMESRV_ADDR";
const PREFIX: &str = "ROCKETMQ_";

impl Config {
    /// Reads the environment variables of this process; nothing else in this library does.
    ///
    /// | variable | what |
    /// |---|---|
    /// | `NAMESRV_ADDR` | the name servers, separated by `;`, as Java |
    /// | `ROCKETMQ_GROUP` | the producer group; required |
    /// | `ROCKETMQ_<SETTING>` | any other setting by its [name](Config::settings) in capitals: `ROCKETMQ_SEND_TIMEOUT=5s`; `ROCKETMQ_NAME_SERVERS` wins over `NAMESRV_ADDR` |
    /// | `ROCKETMQ_ACCESS_KEY`, `ROCKETMQ_SECRET_KEY`, `ROCKETMQ_SECURITY_TOKEN` | credentials (feature `acl`) |
    ///
    /// Other variables are left alone, `ROCKETMQ_HOME` for one. Java's own settings are system
    /// properties with dots in their names, which a shell cannot export.
    ///
    /// # Errors
    /// [`SettingError`] names the variable that is wrong and what it may be. Secrets are not shown.
    #[expect(
        clippy::disallowed_methods,
        reason = "reading the environment is what was asked for"
    )]
    pub fn from_env() -> Result<Self, SettingError> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let prefixed = |name: &str| {
            let name = format!("{PREFIX}{}", name.to_uppercase());
            var(&name).map(|value| (name, value))
        };
        let (name, group) = prefixed("group")
            .ok_or_else(|| error("ROCKETMQ_GROUP", "", "must name the producer group"))?;
        let group = GroupName::new(&group)
            .map_err(|why| error(&name, &group, &format!("must be a legal name: {why}")))?;
        let mut config = Self::new(group);
        if let Some(list) = var(NAME_SERVERS) {
            config.name_servers = parse_name_servers([&list])
                .map_err(|invalid| error(NAME_SERVERS, &invalid.0, "must be host:port"))?;
        }
        for setting in Self::settings().iter().filter(|s| s.name != "group") {
            if let Some((name, value)) = prefixed(setting.name) {
                let set = config.set(setting.name, &value);
                set.map_err(|wrong| SettingError { key: name, ..wrong })?;
            }
        }
        let secret = |name| prefixed(name).map(|(_, value)| value);
        match (secret("access_key"), secret("secret_key")) {
            (Some(access), Some(key)) => {
                let token = secret("security_token");
                config.set_credentials(&access, &key, token.as_deref())?;
            }
            (None, None) => {}
            _ => {
                let both = "must be set together with the other of the two keys";
                return Err(error("ROCKETMQ_ACCESS_KEY", "(not shown)", both));
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<Config, SettingError> {
        Config::from_vars(|name| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_read_by_their_names() {
        let config = from(&[
            ("NAMESRV_ADDR", "a:1;b:2"),
            ("ROCKETMQ_GROUP", "g"),
            ("ROCKETMQ_SEND_TIMEOUT", "5s"),
            ("ROCKETMQ_HOME", "/opt"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.name_servers.len(), 2);
        assert_eq!(config.send_timeout.as_secs(), 5);
        let both = [
            ("NAMESRV_ADDR", "a:1"),
            ("ROCKETMQ_NAME_SERVERS", "b:2"),
            ("ROCKETMQ_GROUP", "g"),
        ];
        assert_eq!(from(&both).unwrap().name_servers[0].as_str(), "b:2");
    }

    #[test]
    fn the_variable_that_is_wrong_is_named() {
        let group = ("ROCKETMQ_GROUP", "g");
        let rows: [(&[_], &str); 4] = [
            (&[], "ROCKETMQ_GROUP"),
            (
                &[group, ("NAMESRV_ADDR", "nonsense")],
                "NAMESRV_ADDR = nonsense",
            ),
            (&[group, ("ROCKETMQ_RETRIES", "x")], "ROCKETMQ_RETRIES = x"),
            (
                &[group, ("ROCKETMQ_SECRET_KEY", "geheim")],
                "ROCKETMQ_ACCESS_KEY",
            ),
        ];
        for (vars, part) in rows {
            let error = from(vars).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("geheim"), "{error}");
        }
    }
}
