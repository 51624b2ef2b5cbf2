//! A stored message that is read, written and read again is the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rocketmq_proto::{StoredMessage, StoredMessages};

fuzz_target!(|bytes: &[u8]| {
    for message in StoredMessages::new(bytes.to_vec()) {
        let Ok(message) = message else { return };
        let _ = message.message_id();
        let _ = message.decompressed_body(1 << 20);
        let mut again = BytesMut::new();
        if message.encode(&mut again).is_ok() {
            let (read, len) = StoredMessage::decode(&again).unwrap();
            assert_eq!((read, len), (message, again.len()));
        }
    }
});
