//! A usual message and a broker's answer to it.

use bytes::BytesMut;
use rocketmq_proto::header::{Fields, SendMessageRequest, SendMessageResponse, SendResponseExtras};
use rocketmq_proto::{
    Flags, FrameLimits, Head, LanguageCode, RequestCode, ResponseCode, SerializeType, UniqueIdSeed,
    UniqueIds, encode_head, version,
};

/// As a message with tag and keys has them.
pub const PROPERTIES: &str = "UNIQ_KEY\u{1}7F000001000112345678010203040506\u{2}WAIT\u{1}true\
    \u{2}TAGS\u{1}TagA\u{2}KEYS\u{1}k1 k2";
/// Of 32 digits, as brokers make them.
pub const OFFSET_ID: &str = "7F00000100002A9F0000000000000F3D";

/// The head of the request that sends a usual message, V2.
pub fn request_head(opaque: i32) -> Head<'static> {
    Head {
        code: RequestCode::SEND_MESSAGE_V2.0,
        language: LanguageCode::RUST,
        version: version::V5_3_3,
        opaque,
        flags: Flags::REQUEST,
        remark: None,
    }
}

/// Its fields.
pub fn request() -> SendMessageRequest<'static> {
    SendMessageRequest {
        producer_group: "order-service".into(),
        topic: "orders".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: 3,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_123,
        flag: 0,
        properties: Some(PROPERTIES.into()),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: None,
        batch: Some(false),
        broker_name: Some("broker-a".into()),
    }
}

/// The fields of the answer to it.
pub fn sent() -> (SendMessageResponse<'static>, SendResponseExtras<'static>) {
    (
        SendMessageResponse {
            msg_id: OFFSET_ID.into(),
            queue_id: 3,
            queue_offset: 4711,
            ..SendMessageResponse::default()
        },
        SendResponseExtras {
            region: Some("DefaultRegion".into()),
            trace_on: true,
        },
    )
}

/// Writes an answer to the end of `out`.
pub fn answer(
    out: &mut BytesMut,
    ty: SerializeType,
    opaque: i32,
    fields: &impl Fields,
    body: &[u8],
) {
    let head = Head {
        code: ResponseCode::SUCCESS.0,
        language: LanguageCode::JAVA,
        version: version::V4_9_8,
        opaque,
        flags: Flags::RESPONSE,
        remark: None,
    };
    let limits = FrameLimits::default();
    encode_head(out, ty, &head, fields, &[], body.len(), limits).expect("it fits a frame");
    out.extend_from_slice(body);
}

/// Unique ids, the same in every run.
pub fn ids() -> UniqueIds {
    UniqueIds::new(UniqueIdSeed {
        ip: [10, 0, 0, 1].into(),
        pid: 1,
        hash: 1,
        utc_offset_seconds: 0,
    })
}
