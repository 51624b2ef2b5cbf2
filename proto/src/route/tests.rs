use super::*;

fn golden() -> TopicRoute {
    TopicRoute {
        brokers: vec![BrokerData {
            cluster: "DefaultCluster".into(),
            name: "broker-a".into(),
            addrs: [(0, "127.0.0.1:10911".into()), (1, "127.0.0.1:10921".into())].into(),
            zone: None,
            enable_acting_master: None,
        }],
        queues: vec![QueueData {
            broker: "broker-a".into(),
            read_queues: 4,
            write_queues: 4,
            perm: perm::READ | perm::WRITE,
            topic_sys_flag: 0,
        }],
        ..TopicRoute::default()
    }
}

const FASTJSON: &str = r#"{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster"}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;

#[test]
fn both_forms_are_those_of_java() {
    let standard = FASTJSON
        .replace("0:\"127", "\"0\":\"127")
        .replace("1:\"127", "\"1\":\"127");
    for text in [FASTJSON, &standard] {
        assert_eq!(TopicRoute::decode(text.as_bytes()).unwrap(), golden());
    }
    assert_eq!(golden().encode_fastjson(), FASTJSON);
    assert_eq!(golden().encode_json(), standard);
}

#[test]
fn missing_and_null_parts_are_empty() {
    for text in [
        "{}",
        r#"{"brokerDatas":null,"queueDatas":null,"orderTopicConf":null,"filterServerTable":null,"topicQueueMappingByBroker":null}"#,
        r#"{"brokerDatas":[],"queueDatas":[],"topicQueueMappingInfo":null,"topicQueueMappingByBroker":{}}"#,
        r#"{"brokerDatas":[null,{}],"queueDatas":[null,{}],"filterServerTable":{"x":null}}"#,
    ] {
        let route = TopicRoute::decode(text.as_bytes()).unwrap();
        assert!(
            route.brokers.is_empty() && route.queues.is_empty() && route.mapping.is_empty(),
            "{text}"
        );
        assert_eq!(route.order_conf, None);
    }
}

#[test]
fn names_that_look_like_bare_keys_are_left_alone() {
    let text = r#"{"brokerDatas":[{"brokerAddrs":{0:"h:1",x:"y",2:null},"brokerName":"b{0:1,2:","cluster":"c,3:"}]}"#;
    let route = TopicRoute::decode(text.as_bytes()).unwrap();
    let broker = &route.brokers[0];
    assert_eq!(
        (broker.name.as_str(), broker.cluster.as_str()),
        ("b{0:1,2:", "c,3:")
    );
    assert_eq!(broker.addrs, [(0, "h:1".to_owned())].into());
}

#[test]
fn everything_that_5_x_adds_comes_back_in_both_forms() {
    let mut route = golden();
    route.brokers[0].zone = Some("zone \"1\"".into());
    route.brokers[0].enable_acting_master = Some(true);
    route.brokers.push(route.brokers[0].clone());
    route.order_conf = Some("broker-a:4;".into());
    route
        .filter_servers
        .insert("h:1".into(), vec!["f:1".into(), "f:2".into()]);
    route.mapping.insert(
        "broker-a".into(),
        TopicQueueMapping {
            topic: "T".into(),
            total_queues: 3,
            broker: "broker-a".into(),
            epoch: 1 << 40,
            dirty: true,
            current_ids: [(0, 0), (1, 2), (-1, 7)].into(),
            ..TopicQueueMapping::default()
        },
    );
    for text in [route.encode_json(), route.encode_fastjson()] {
        assert_eq!(TopicRoute::decode(&text).unwrap(), route);
    }
    serde_json::from_slice::<serde_json::Value>(&route.encode_json()).unwrap();
}

#[test]
fn cluster_and_topic_lists_come_back() {
    let mut info = ClusterInfo::default();
    info.brokers
        .insert("broker-a".into(), golden().brokers.remove(0));
    info.clusters.insert("c".into(), vec!["broker-a".into()]);
    for text in [info.encode_json(), info.encode_fastjson()] {
        assert_eq!(ClusterInfo::decode(&text).unwrap(), info);
    }
    let text = br#"{"brokerAddrTable":{"bn":{"brokerAddrs":{0:"ip:port"},"brokerName":"bn","cluster":"c"}},"clusterAddrTable":{"c":["bn"]}}"#;
    assert_eq!(
        ClusterInfo::decode(text).unwrap().encode_fastjson(),
        &text[..]
    );

    let list = TopicList {
        topics: vec!["A".into(), "B".into()],
        broker_addr: Some("h:1".into()),
    };
    assert_eq!(TopicList::decode(&list.encode_json()).unwrap(), list);
    assert_eq!(
        TopicList::default().encode_json(),
        &br#"{"topicList":[]}"#[..]
    );
}

#[test]
fn nonsense_is_an_error_that_names_the_place() {
    for (text, what) in [
        ("", "JSON at byte 0"),
        ("null", "`the body`"),
        ("[]", "`the body`"),
        (r#"{"brokerDatas":{}}"#, "`brokerDatas` at byte"),
        (r#"{"brokerDatas":[7]}"#, "`a broker` at byte"),
        (r#"{"queueDatas":[{"perm":99999999999}]}"#, "`perm` at byte"),
        (r#"{"queueDatas":[{"perm":"x"}]}"#, "`perm` at byte"),
        (
            r#"{"brokerDatas":[{"brokerAddrs":{0:[]}}]}"#,
            "`brokerAddrs` at byte",
        ),
        (r#"{"brokerDatas":[]"#, "JSON at byte"),
        (r#"{} {}"#, "JSON at byte 3"),
    ] {
        let error = TopicRoute::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(what), "{text}: {error}");
    }
    let many = format!("{{\"brokerDatas\":[{}]}}", "{},".repeat(300_000));
    assert!(matches!(
        TopicRoute::decode(many.as_bytes()),
        Err(RouteError::TooMany { .. })
    ));
}
