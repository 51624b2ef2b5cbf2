//! A route that is read, written in either form and read again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rocketmq_proto::header::HeartbeatData;
use rocketmq_proto::{ClusterInfo, TopicList, TopicRoute};

fuzz_target!(|body: &[u8]| {
    let _ = HeartbeatData::decode(body);
    if let Ok(list) = TopicList::decode(body) {
        assert_eq!(TopicList::decode(&list.encode_json()).unwrap(), list);
    }
    if let Ok(info) = ClusterInfo::decode(body) {
        assert_eq!(ClusterInfo::decode(&info.encode_json()).unwrap(), info);
        assert_eq!(ClusterInfo::decode(&info.encode_fastjson()).unwrap(), info);
    }
    if let Ok(route) = TopicRoute::decode(body) {
        assert_eq!(TopicRoute::decode(&route.encode_json()).unwrap(), route);
        assert_eq!(TopicRoute::decode(&route.encode_fastjson()).unwrap(), route);
    }
});
