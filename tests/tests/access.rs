//! Who may ask: signatures are checked as servers do (PROTOCOL G.5), in both flavours.

use std::{fs, net::SocketAddr};

use bytes::BytesMut;
use rocketmq_proto::{
    Credentials, FrameDecoder, RemotingCommand, RequestCode, ResponseCode, SerializeType,
};
use rocketmq_testkit::{
    Accounts, Action, Broker, BrokerConfig, Flavour, NameServer, PeerId, Server, ServerNow,
    TopicConfig,
};

const NOW: ServerNow = ServerNow {
    unix_ms: 1_700_000_000_000,
};
const BOTH: [Flavour; 2] = [Flavour::V4_9, Flavour::V5_3];
const TYPES: [SerializeType; 2] = [SerializeType::Json, SerializeType::Binary];

fn address() -> SocketAddr {
    "10.0.1.1:10911".parse().unwrap()
}

fn accounts() -> Accounts {
    Accounts::from([("AK-golden".to_owned(), "SK-golden-12345678".to_owned())])
}

fn broker(flavour: Flavour) -> Broker {
    let mut config = BrokerConfig::new("broker-a", address());
    config.flavour = flavour;
    config.accounts = accounts();
    let mut broker = Broker::new(config);
    broker.create_topic("TopicTest", TopicConfig::new(4));
    broker
}

/// The answer to the bytes of one frame, if there is one.
fn give(server: &mut impl Server, bytes: &[u8]) -> Option<RemotingCommand> {
    let read = |bytes: &[u8]| {
        let mut bytes = BytesMut::from(bytes);
        FrameDecoder::default()
            .next_frame(&mut bytes)
            .unwrap()
            .unwrap()
    };
    let mut out = Vec::new();
    let peer = "10.0.0.9:40000".parse().unwrap();
    server.on_frame(NOW, PeerId(1), peer, &read(bytes), &mut out);
    out.into_iter().find_map(|action| match action {
        Action::Write { bytes, .. } => Some(RemotingCommand::from_frame(&read(&bytes)).unwrap()),
        _ => None,
    })
}

fn bytes_of(command: &RemotingCommand, ty: SerializeType) -> BytesMut {
    let mut bytes = BytesMut::new();
    command.encode(ty, &mut bytes).unwrap();
    bytes
}

/// Signs by the codec's own function: here only the checking is under test.
fn signed(command: RemotingCommand, key: &str, secret: &str, leave_out: &str) -> RemotingCommand {
    let fields = command.ext_fields.clone().unwrap_or_default();
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| *key != leave_out)
        .collect();
    let signature = Credentials::new(key, secret).sign(&(), &fields, &[&command.body]);
    command
        .with_field("AccessKey", key)
        .with_field("Signature", signature)
}

fn heartbeat() -> RemotingCommand {
    let body = r#"{"clientID":"c","consumerDataSet":[],"producerDataSet":[{"groupName":"g"}]}"#;
    RemotingCommand::request(RequestCode::HEART_BEAT, 7, &()).with_body(body)
}

#[test]
fn what_java_has_signed_is_accepted() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/");
    for flavour in BOTH {
        let mut broker = broker(flavour);
        for name in ["json", "rocketmq", "rocketmq.fast"] {
            let frame = fs::read(format!("{folder}acl-send-v2.{name}.bin")).unwrap();
            let answer = give(&mut broker, &frame).unwrap();
            assert_eq!(answer.code, ResponseCode::SUCCESS.0, "{name}: {answer:?}");
        }
        let mut server = NameServer::new(address(), flavour, 10);
        server.set_accounts(accounts());
        for name in ["json", "rocketmq"] {
            let frame = fs::read(format!("{folder}acl-get-route.{name}.bin")).unwrap();
            let answer = give(&mut server, &frame).unwrap();
            assert_eq!(answer.code, ResponseCode::TOPIC_NOT_EXIST.0, "{answer:?}");
        }
    }
}

#[test]
fn each_way_of_being_wrong_is_refused_in_the_words_of_its_release() {
    let nobody = heartbeat();
    let unknown = signed(heartbeat(), "AK-other", "SK-golden-12345678", "");
    let wrong = signed(heartbeat(), "AK-golden", "SK-other", "");
    let changed = signed(heartbeat(), "AK-golden", "SK-golden-12345678", "").with_field("x", "y");
    let rows = [
        (
            &nobody,
            "No accessKey is configured",
            "username cannot be null.",
        ),
        (
            &unknown,
            "No acl config for AK-other",
            "User:AK-other is not found.",
        ),
        (
            &wrong,
            "Check signature failed for accessKey=AK-golden",
            "check signature failed.",
        ),
        (
            &changed,
            "Check signature failed for accessKey=AK-golden",
            "check signature failed.",
        ),
    ];
    for ty in TYPES {
        for (request, old, new) in rows {
            let answer = give(&mut broker(Flavour::V4_9), &bytes_of(request, ty)).unwrap();
            assert_eq!(answer.code, ResponseCode::SYSTEM_ERROR.0);
            let expected = format!("org.apache.rocketmq.acl.common.AclException: {old}, ");
            assert!(answer.remark.unwrap().starts_with(&expected));
            let answer = give(&mut broker(Flavour::V5_3), &bytes_of(request, ty)).unwrap();
            assert_eq!(answer.code, ResponseCode::NO_PERMISSION.0);
            assert_eq!(answer.remark.unwrap(), new);
        }
    }
}

#[test]
fn who_is_refused_is_not_known_and_stores_nothing() {
    for flavour in BOTH {
        let mut broker = broker(flavour);
        let mut request = heartbeat();
        give(&mut broker, &bytes_of(&request, SerializeType::Json)).unwrap();
        assert!(broker.clients(NOW).is_empty());
        request.flags = rocketmq_proto::Flags::ONEWAY;
        let answer = give(&mut broker, &bytes_of(&request, SerializeType::Json));
        assert!(answer.is_none(), "oneway: {answer:?}");
        let good = signed(heartbeat(), "AK-golden", "SK-golden-12345678", "");
        give(&mut broker, &bytes_of(&good, SerializeType::Binary)).unwrap();
        assert_eq!(broker.clients(NOW).len(), 1);
    }
}

#[test]
fn an_empty_value_of_a_binary_header_counts_as_the_word_null() {
    for flavour in BOTH {
        let request = heartbeat().with_field("empty", "");
        let request = signed(request, "AK-golden", "SK-golden-12345678", "");
        for (ty, ok) in TYPES.into_iter().zip([true, false]) {
            let answer = give(&mut broker(flavour), &bytes_of(&request, ty)).unwrap();
            assert_eq!(answer.code == 0, ok, "{flavour:?} {ty:?}: {answer:?}");
        }
    }
}

/// One row: the broker, the client's version, whether it signs the flag, whether that is right.
#[test]
fn the_flag_of_a_query_by_unique_key_is_signed_for_newer_brokers_only() {
    let rows = [
        (Flavour::V4_9, 479, false, true),
        (Flavour::V4_9, 479, true, false),
        (Flavour::V5_3, 479, true, true),
        (Flavour::V5_3, 479, false, false),
        (Flavour::V5_3, 399, false, true),
        (Flavour::V5_3, 399, true, false),
    ];
    for (flavour, version, signs, right) in rows {
        let mut query = heartbeat().with_field("_UNIQUE_KEY_QUERY", "true");
        query.version = version;
        let leave_out = if signs { "" } else { "_UNIQUE_KEY_QUERY" };
        let query = signed(query, "AK-golden", "SK-golden-12345678", leave_out);
        let answer = give(&mut broker(flavour), &bytes_of(&query, SerializeType::Json)).unwrap();
        assert_eq!(answer.code == 0, right, "{flavour:?} {version} {signs}");
    }
}
