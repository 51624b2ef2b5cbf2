use rocketmq_proto::GroupName;

use super::*;

fn config() -> Config {
    Config::new(GroupName::new("g").unwrap())
}

fn as_text(value: Value) -> String {
    match value {
        Value::Bool(on) => on.to_string(),
        Value::List(items) => items.join(","),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text,
    }
}

#[test]
fn every_setting_reads_what_it_writes() {
    let mut filled = config();
    for (key, value) in [
        ("auto_batch", "true"),
        ("client_id", "c"),
        ("discovery", "http://h:1/p"),
        ("fault_tolerance", "5.1"),
        ("name_servers", "a:1,b:2"),
        ("namespace", "n"),
        ("namespace_v2", "m"),
        ("topics", "T,U"),
        ("unit_name", "u"),
        ("zone_name", "z"),
    ] {
        filled.set(key, value).unwrap();
    }
    for setting in Config::settings() {
        let value = setting.value(&filled);
        let value = value.unwrap_or_else(|| panic!("{} is not written", setting.name));
        let mut read = filled.clone();
        read.set(setting.name, &as_text(value.clone())).unwrap();
        assert_eq!(setting.value(&read), Some(value), "{}", setting.name);
    }
}

#[test]
fn every_field_is_a_setting_or_is_known_to_be_code_or_secret() {
    let code = [
        "address_map",
        "check_listener",
        "credentials",
        "frame_limits",
        "hooks",
        "proxies",
        "tls",
    ];
    let shown = format!("{:#?}", config());
    for line in shown.lines() {
        let Some(field) = line.strip_prefix("    ").filter(|l| !l.starts_with(' ')) else {
            continue;
        };
        let Some((field, _)) = field.split_once(": ") else {
            continue;
        };
        let is_setting = Config::settings().iter().any(|s| s.name == field);
        assert!(
            is_setting || code.contains(&field),
            "`{field}` has no row in engine/src/settings.rs: add one, or name it here if it is code"
        );
    }
}

#[test]
fn wrong_values_are_refused_with_what_is_allowed() {
    let rows = [
        ("send_timeout", "3 days"),
        ("send_timeout", "-1"),
        ("send_timeout", "99999999999999999999s"),
        ("retries", "many"),
        ("vip_channel", "yes"),
        ("name_servers", "ns-without-port"),
        ("discovery", "https://h/p"),
        ("compression", "BROTLI"),
        ("topics", "a b"),
        ("retry_codes", "14,x"),
    ];
    for (key, value) in rows {
        let error = config().set(key, value).unwrap_err();
        assert_eq!((&*error.key, &*error.value), (key, value));
        assert!(error.allowed.starts_with("must be"), "{error}");
    }
    let error = config().set("send_timeot", "1").unwrap_err();
    assert!(error.to_string().contains("send_timeout"), "{error}");
}

#[test]
fn java_names_and_units_are_understood() {
    let mut config = config();
    for (key, value) in [
        ("sendMsgTimeout", "5000"),
        ("api_timeout", "2m"),
        ("connect_timeout", "500ms"),
        ("sendMsgMaxTimeoutPerRequest", "-1"),
        ("compress_over", "off"),
    ] {
        config.set(key, value).unwrap();
    }
    assert_eq!(config.send_timeout, Duration::from_secs(5));
    assert_eq!(config.api_timeout, Duration::from_secs(120));
    assert_eq!(config.connect_timeout, Duration::from_millis(500));
    assert_eq!(config.attempt_timeout, AttemptTimeout::Whole);
    assert_eq!(config.compress_over, None);
}
