//! Settings that behave as a Java client's do.

use rocketmq_proto::{GroupName, ResponseCode};

use crate::config::{AttemptTimeout, Config, OnTimeout};

impl Config {
    /// The defaults of Java 4.9.8 wherever [`Config::new`] departs from them.
    ///
    /// | setting | `new` | here |
    /// |---|---|---|
    /// | `retry_codes` | 17, 14, 1, 2, 16, 204, 205 | the same without 2 (busy) |
    /// | `attempt_timeout` | `Split` | `Whole`: the first silence ends the call |
    /// | `on_timeout` | `CloseIfSilent` | `Close` |
    ///
    /// What Java gets wrong (PROTOCOL I) it does not get back.
    pub fn java_4_9(group: GroupName) -> Self {
        let mut config = Self::new(group);
        config.retry_codes.remove(&ResponseCode::SYSTEM_BUSY);
        config.attempt_timeout = AttemptTimeout::Whole;
        config.on_timeout = OnTimeout::Close;
        config
    }

    /// The defaults of Java 5.3.3 wherever [`Config::new`] departs from them.
    ///
    /// | setting | `new` | here |
    /// |---|---|---|
    /// | `retry_codes` | 17, 14, 1, 2, 16, 204, 205 | and 1500 (GO_AWAY), which is resent in any case |
    /// | `attempt_timeout` | `Split` | `Whole` (`sendMsgMaxTimeoutPerRequest` = -1) |
    /// | `on_timeout` | `CloseIfSilent` | `Close`; 5.1.4 spares it when hardly any time was left |
    ///
    /// Its back-pressure (10 000 messages, 100 MiB) is off by default there; here the limits of 4.9
    /// (65 535) and 100 MiB are on in any case.
    pub fn java_5_3(group: GroupName) -> Self {
        let mut config = Self::new(group);
        config.retry_codes.insert(ResponseCode::GO_AWAY);
        config.attempt_timeout = AttemptTimeout::Whole;
        config.on_timeout = OnTimeout::Close;
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_the_retry_codes_of_their_line() {
        let codes = |config: Config| config.retry_codes.iter().map(|c| c.0).collect::<Vec<_>>();
        let group = || GroupName::new("g").unwrap();
        assert_eq!(codes(Config::java_4_9(group())), [1, 14, 16, 17, 204, 205]);
        let newer = [1, 2, 14, 16, 17, 204, 205, 1500];
        assert_eq!(codes(Config::java_5_3(group())), newer);
    }
}
