use std::sync::Arc;

use bytes::BytesMut;
use rocketmq_proto::{
    FrameDecoder, FrameLimits, GroupName, RemotingCommand, RequestCode, SerializeType,
};

use super::*;
use crate::hooks::RpcHook;
use crate::io::FrameSeq;

fn config() -> Config {
    Config::new(GroupName::new("g").unwrap())
}

/// The frame of a request, as the engine gives it out.
fn frame(config: Config, ty: SerializeType, command: &RemotingCommand) -> Frame {
    let to = Endpoint::new("broker:1").unwrap();
    let seal = Seal::new(&Arc::new(config), &to);
    let mut head = BytesMut::new();
    let whole_len = {
        command.encode(ty, &mut head).unwrap();
        head.len()
    };
    head.truncate(whole_len - command.body.len());
    Frame {
        seq: FrameSeq(1),
        head: head.freeze(),
        body: command.body.clone(),
        report: false,
        seal,
    }
}

fn read_back(frame: &Frame) -> RemotingCommand {
    let mut bytes = BytesMut::from(&frame.head[..]);
    bytes.extend_from_slice(&frame.body);
    let read = FrameDecoder::default().next_frame(&mut bytes).unwrap();
    RemotingCommand::from_frame(&read.unwrap()).unwrap()
}

fn request() -> RemotingCommand {
    RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 7, &())
        .with_field("topic", "T")
        .with_body("body")
}

struct Adds(&'static str, String);

impl RpcHook for Adds {
    fn before(&self, request: &mut RpcRequest<'_>) {
        assert_eq!(request.to().as_str(), "broker:1");
        assert_eq!(request.opaque(), 7);
        request.set_field(self.0, self.1.clone());
    }
}

struct Panics;

impl RpcHook for Panics {
    fn before(&self, _: &mut RpcRequest<'_>) {
        panic!("a hook of the test")
    }
}

#[test]
fn without_credentials_and_hooks_there_is_nothing_to_do() {
    let mut frame = frame(config(), SerializeType::Json, &request());
    assert!(frame.is_sealed());
    let before = frame.head.clone();
    frame.seal().unwrap();
    assert_eq!(frame.head, before);
}

#[test]
fn a_hook_adds_fields_and_the_rest_stays_as_it_was() {
    for ty in [SerializeType::Json, SerializeType::Binary] {
        let mut config = config();
        config.hooks.rpc = vec![
            Arc::new(Adds("added", "\"quoted\"".into())),
            Arc::new(Adds("topic", "U".into())),
        ];
        let mut frame = frame(config, ty, &request());
        frame.seal().unwrap();
        assert!(frame.is_sealed());
        let expected = request()
            .with_field("topic", "U")
            .with_field("added", "\"quoted\"");
        assert_eq!(read_back(&frame), expected);
        let once = frame.head.clone();
        frame.seal().unwrap();
        assert_eq!(frame.head, once, "sealed a second time");
    }
}

#[test]
fn a_binary_header_holds_no_empty_value() {
    for (ty, kept) in [(SerializeType::Json, true), (SerializeType::Binary, false)] {
        let mut config = config();
        config.hooks.rpc = vec![Arc::new(Adds("empty", String::new()))];
        let mut frame = frame(config, ty, &request());
        frame.seal().unwrap();
        let fields = read_back(&frame).ext_fields.unwrap();
        assert_eq!(fields.contains_key("empty"), kept);
    }
}

#[test]
fn a_hook_that_panics_or_adds_too_much_is_an_error_that_says_which_request() {
    let mut panicking = config();
    panicking.hooks.rpc = vec![Arc::new(Panics)];
    let error = frame(panicking.clone(), SerializeType::Json, &request())
        .seal()
        .unwrap_err();
    assert_eq!((error.opaque, &error.why), (7, &Why::Hook));
    assert_eq!(SendError::from(&error).kind(), crate::SendErrorKind::Hook);

    let mut large = config();
    large.frame_limits = FrameLimits {
        max_frame_len: 2048,
    };
    large.hooks.rpc = vec![Arc::new(Adds("large", "x".repeat(2048)))];
    let error = frame(large, SerializeType::Json, &request())
        .seal()
        .unwrap_err();
    assert!(matches!(
        error.why,
        Why::Encode(EncodeError::FrameTooLarge { .. })
    ));
    let error = SendError::from(&error);
    assert_eq!(error.kind(), crate::SendErrorKind::InvalidMessage);
}

#[cfg(feature = "acl")]
mod acl {
    use bytes::Bytes;
    use rocketmq_proto::Credentials;

    use super::*;

    fn signing(credentials: Credentials) -> Config {
        let mut config = config();
        config.credentials = Some(credentials);
        config
    }

    /// A frame that Apache RocketMQ signed, without what signing added: sealing adds the same.
    #[test]
    fn the_signatures_of_the_golden_frames_are_reproduced() {
        macro_rules! golden {
            ($name:literal) => {
                &include_bytes!(concat!("../../tests/golden/", $name, ".bin"))[..]
            };
        }
        let (json, binary) = (SerializeType::Json, SerializeType::Binary);
        let rows = [
            (golden!("acl-send-v2.json"), json, None),
            (golden!("acl-send-v2.rocketmq"), binary, None),
            (golden!("acl-get-route.json"), json, Some("tok")),
            (golden!("acl-get-route.rocketmq"), binary, Some("tok")),
            (golden!("acl-end-transaction.json"), json, None),
            (golden!("acl-end-transaction.rocketmq"), binary, None),
        ];
        for (bytes, ty, token) in rows {
            let golden = FrameDecoder::default()
                .next_frame(&mut BytesMut::from(bytes))
                .unwrap()
                .unwrap();
            let golden = RemotingCommand::from_frame(&golden).unwrap();
            let mut unsigned = golden.clone();
            if let Some(fields) = &mut unsigned.ext_fields {
                fields.retain(|key, _| {
                    !["AccessKey", "SecurityToken", "Signature"].contains(&key.as_str())
                });
            }
            let mut credentials = Credentials::new("AK-golden", "SK-golden-12345678");
            if let Some(token) = token {
                credentials = credentials.with_security_token(token);
            }
            let mut config = signing(credentials);
            config.language = unsigned.language.unwrap();
            let mut frame = frame(config, ty, &unsigned);
            frame.seal().unwrap();
            assert_eq!(read_back(&frame), golden);
        }
    }

    #[test]
    fn the_signature_covers_what_hooks_added_and_what_a_header_never_had() {
        let credentials = Credentials::new("AK", "secret");
        let mut config = signing(credentials.clone());
        config.hooks.rpc = vec![Arc::new(Adds("added", "x".into()))];
        let heartbeat = RemotingCommand::request(RequestCode::HEART_BEAT, 7, &()).with_body("{}");
        for ty in [SerializeType::Json, SerializeType::Binary] {
            let mut frame = frame(config.clone(), ty, &heartbeat);
            frame.seal().unwrap();
            let sent = read_back(&frame).ext_fields.unwrap();
            let body = Bytes::from_static(b"{}");
            let expected = credentials.sign(&(), &[("added", "x")], &[&body]);
            assert_eq!(sent["Signature"], expected);
            assert_eq!(sent["AccessKey"], "AK");
        }
    }

    /// One row a kind of server: its version, ours, whether it reads `_UNIQUE_KEY_QUERY`.
    #[test]
    fn the_key_query_flag_is_signed_as_the_server_checks_it() {
        let rows = [
            (None, 479, true),
            (Some(413), 479, true),
            (Some(479), 400, true),
            (Some(479), 399, false),
            (Some(411), 479, false),
            (Some(399), 479, false),
            (None, 399, false),
        ];
        let credentials = Credentials::new("AK", "secret");
        for (server, own, signed) in rows {
            let mut config = signing(credentials.clone());
            config.version = own;
            let query = RemotingCommand::request(RequestCode::QUERY_MESSAGE, 7, &())
                .with_field("_UNIQUE_KEY_QUERY", "true")
                .with_field("topic", "T");
            let mut frame = frame(config, SerializeType::Json, &query);
            let seal = frame.seal.clone().unwrap();
            if let Some(seal) = server.and_then(|server| seal.of_version(server)) {
                frame.seal = Some(seal);
            }
            frame.seal().unwrap();
            let sent = read_back(&frame).ext_fields.unwrap();
            assert_eq!(sent["_UNIQUE_KEY_QUERY"], "true", "sent in any case");
            let mut fields = vec![("topic", "T")];
            if signed {
                fields.push(("_UNIQUE_KEY_QUERY", "true"));
            }
            let expected = credentials.sign(&(), &fields, &[]);
            assert_eq!(sent["Signature"], expected, "{server:?} {own}");
        }
    }

    #[test]
    fn what_signing_adds_fits_the_room_that_is_kept() {
        let rows = [
            ("AK", None),
            ("\"\\\u{1}", None),
            ("AK", Some("\u{1}\"tok\"")),
        ];
        for ty in [SerializeType::Json, SerializeType::Binary] {
            for (key, token) in rows {
                let mut credentials = Credentials::new(key, "secret");
                if let Some(token) = token {
                    credentials = credentials.with_security_token(token);
                }
                let config = signing(credentials);
                let room = room(&config);
                let bare = RemotingCommand::request(RequestCode::HEART_BEAT, 7, &());
                let mut frame = frame(config, ty, &bare);
                let before = frame.len();
                frame.seal().unwrap();
                let added = frame.len() - before;
                assert!(added <= room, "{added} bytes were added, {room} kept");
            }
        }
    }

    #[test]
    fn neither_secret_nor_token_shows_in_what_is_printed() {
        let credentials = Credentials::new("AK", "my-secret").with_security_token("my-token");
        let config = signing(credentials);
        let shown = format!("{config:?}");
        assert!(!shown.contains("my-secret") && !shown.contains("my-token"));
        let frame = frame(config, SerializeType::Json, &request());
        let shown = format!("{frame:?}");
        assert!(!shown.contains("my-secret") && !shown.contains("my-token"));
    }
}
