//! A header that is read, written and read again is the same; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rocketmq_fuzz::check_header;
use rocketmq_proto::SerializeType;

fuzz_target!(|header: &[u8]| check_header(SerializeType::Json, header));
