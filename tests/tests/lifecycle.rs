//! Clusters as a whole: routes, restarts, and what ends when.

mod common;

use std::net::TcpStream;

use common::{Client, code, field, header, remark};
use rocketmq_proto::{
    ClusterInfo, RemotingCommand, RequestCode, ResponseCode, TopicList, TopicRoute,
    header::{GetKvConfigRequest, GetRouteInfoRequest, SendMessageRequest},
    perm,
};
use rocketmq_testkit::{Action, Cluster, Flavour, PeerId, ServerNow, TopicConfig};

fn route_request(topic: &str) -> GetRouteInfoRequest<'_> {
    GetRouteInfoRequest {
        topic: topic.into(),
        accept_standard_json_only: None,
    }
}

fn ask_route(client: &mut Client, topic: &str) -> RemotingCommand {
    client.call(
        RequestCode::GET_ROUTEINFO_BY_TOPIC,
        &route_request(topic),
        b"",
    )
}

#[test]
fn two_name_servers_agree() {
    let cluster = Cluster::builder()
        .name_servers(2)
        .brokers(3)
        .topic("T", 4)
        .start()
        .unwrap();
    let addresses = cluster.name_servers();
    assert_eq!(
        cluster.name_server_list(),
        format!("{};{}", addresses[0], addresses[1])
    );
    let routes: Vec<_> = addresses
        .iter()
        .map(|&addr| ask_route(&mut Client::connect(addr), "T").body)
        .collect();
    assert_eq!(routes[0], routes[1]);
    let route = TopicRoute::decode(&routes[0]).unwrap();
    let names: Vec<_> = route.brokers.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["broker-a", "broker-b", "broker-c"]);
    for (data, broker) in route.brokers.iter().zip(cluster.brokers()) {
        assert_eq!(data.addrs[&0], broker.addr().to_string());
        assert_eq!(data.cluster, "DefaultCluster");
        assert_eq!(data.enable_acting_master, Some(false));
    }
    for queues in &route.queues {
        assert_eq!(
            (queues.read_queues, queues.write_queues, queues.perm),
            (4, 4, 6)
        );
    }
}

#[test]
fn an_auto_created_topic_takes_the_smaller_number_of_queues_and_shows_in_every_route() {
    for flavour in [Flavour::V4_9, Flavour::V5_3] {
        let cluster = Cluster::builder()
            .name_servers(2)
            .flavour(flavour)
            .start()
            .unwrap();
        let mut name_servers: Vec<_> = cluster
            .name_servers()
            .into_iter()
            .map(Client::connect)
            .collect();
        let answer = ask_route(&mut name_servers[0], "New");
        assert_eq!(code(&answer), ResponseCode::TOPIC_NOT_EXIST);
        let text = "No topic route info in name server for the topic: New\nSee http";
        assert!(remark(&answer).starts_with(text), "{}", remark(&answer));
        let default = ask_route(&mut name_servers[0], "TBW102");
        let default = TopicRoute::decode(&default.body).unwrap();
        assert_eq!(
            (default.queues[0].write_queues, default.queues[0].perm),
            (8, 7)
        );

        let mut client = Client::connect(cluster.broker(0).addr());
        for (topic, asked, given) in [("New", 4, 4), ("Many", 64, 8)] {
            let sent = SendMessageRequest {
                default_topic_queue_nums: asked,
                ..header(topic)
            };
            assert_eq!(code(&client.send(&sent, b"x")), ResponseCode::SUCCESS);
            // Visible to all when the send is answered.
            for name_server in &mut name_servers {
                let route = TopicRoute::decode(&ask_route(name_server, topic).body).unwrap();
                assert_eq!(
                    (route.queues[0].write_queues, route.queues[0].perm),
                    (given, 6)
                );
            }
        }
    }
}

#[test]
fn without_auto_creation_unknown_topics_stay_unknown() {
    let cluster = Cluster::builder().auto_create(false).start().unwrap();
    let mut client = Client::connect(cluster.broker(0).addr());
    let answer = client.send(&header("New"), b"x");
    assert_eq!(code(&answer), ResponseCode::TOPIC_NOT_EXIST);
    let mut name_server = Client::connect(cluster.name_servers()[0]);
    assert_eq!(
        code(&ask_route(&mut name_server, "TBW102")),
        ResponseCode::TOPIC_NOT_EXIST
    );
}

#[test]
fn old_clients_get_bare_number_keys_and_new_ones_do_not() {
    let cluster = Cluster::builder()
        .flavour(Flavour::V4_9)
        .topic("T", 1)
        .start()
        .unwrap();
    let mut client = Client::connect(cluster.name_servers()[0]);
    let text = |answer: RemotingCommand| String::from_utf8(answer.body.to_vec()).unwrap();
    let quoted = text(ask_route(&mut client, "T"));
    assert!(quoted.contains("{\"0\":\"127.0.0.1:"), "{quoted}");
    assert!(
        !quoted.contains("enableActingMaster"),
        "4.x has no such field: {quoted}"
    );
    client.version = rocketmq_proto::version::V4_9_3;
    let bare = text(ask_route(&mut client, "T"));
    assert!(bare.contains("{0:\"127.0.0.1:"), "{bare}");
    let standard = GetRouteInfoRequest {
        accept_standard_json_only: Some(true),
        ..route_request("T")
    };
    let answer = client.call(RequestCode::GET_ROUTEINFO_BY_TOPIC, &standard, b"");
    assert_eq!(text(answer), quoted);
}

#[test]
fn a_name_server_lists_its_cluster_topics_and_values() {
    let cluster = Cluster::builder().brokers(2).topic("T", 1).start().unwrap();
    let mut client = Client::connect(cluster.name_servers()[0]);
    let answer = client.call(RequestCode::GET_BROKER_CLUSTER_INFO, &(), b"");
    let info = ClusterInfo::decode(&answer.body).unwrap();
    assert_eq!(info.clusters["DefaultCluster"], ["broker-a", "broker-b"]);
    assert_eq!(
        info.brokers["broker-b"].addrs[&0],
        cluster.broker(1).addr().to_string()
    );
    let answer = client.call(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &(), b"");
    let topics = TopicList::decode(&answer.body).unwrap().topics;
    assert!(topics.iter().any(|topic| topic == "T"));
    let ask = GetKvConfigRequest {
        namespace: "ORDER_TOPIC_CONFIG".into(),
        key: "T".into(),
    };
    let answer = client.call(RequestCode::GET_KV_CONFIG, &ask, b"");
    assert_eq!(code(&answer), ResponseCode::QUERY_NOT_FOUND);
    let text = "No config item, Namespace: ORDER_TOPIC_CONFIG Key: T";
    assert_eq!(remark(&answer), text);
    cluster.name_server(0).with(|server| {
        server.put_kv("ORDER_TOPIC_CONFIG", "T", "broker-a:4");
    });
    let answer = client.call(RequestCode::GET_KV_CONFIG, &ask, b"");
    assert_eq!(field(&answer, "value"), Some("broker-a:4"));
    let order = |client: &mut Client| {
        TopicRoute::decode(&ask_route(client, "T").body)
            .unwrap()
            .order_conf
    };
    assert_eq!(order(&mut client), None);
    cluster
        .name_server(0)
        .with(|server| server.order_messages(true));
    assert_eq!(order(&mut client).as_deref(), Some("broker-a:4"));
    assert_eq!(client.call(RequestCode(999), &(), b"").code, 3);
}

#[test]
fn routes_lose_brokers_and_permissions_on_command() {
    let cluster = Cluster::builder().brokers(2).topic("T", 1).start().unwrap();
    let name_server = cluster.name_server(0);
    let route = || name_server.with(|server| server.route("T")).unwrap();
    name_server.with(|server| server.wipe_write_perm("broker-a", true));
    assert_eq!(route().queues[0].perm, perm::READ);
    name_server.with(|server| server.wipe_write_perm("broker-a", false));
    cluster
        .broker(0)
        .with(|broker| broker.config_mut().writeable = false);
    assert_eq!(route().queues[0].perm, perm::READ);
    name_server.with(|server| server.unregister("broker-a"));
    assert_eq!(route().brokers.len(), 1);
    cluster.broker(1).with(|broker| broker.delete_topic("T"));
    assert!(name_server.with(|server| server.route("T")).is_none());
    cluster.broker(0).create_topic("U", TopicConfig::new(2));
    assert!(name_server.with(|server| server.route("U")).is_some());
}

#[test]
fn a_restart_keeps_what_was_stored_on_the_same_port() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let broker = cluster.broker(0);
    let addr = broker.addr();
    let mut client = Client::connect(addr);
    client.send(&header("T"), b"before");
    broker.stop();
    assert!(client.read_to_end().is_empty());
    assert!(TcpStream::connect(addr).is_err());
    assert!(
        cluster
            .name_server(0)
            .with(|server| server.route("T"))
            .is_some(),
        "as when killed"
    );
    broker.restart().unwrap();
    let mut client = Client::connect(addr);
    let answer = client.send(&header("T"), b"after");
    assert_eq!(field(&answer, "queueOffset"), Some("1"));
    assert_eq!(broker.stored("T").len(), 2);

    broker.restart_empty().unwrap();
    let mut client = Client::connect(addr);
    let answer = client.send(&header("T"), b"anew");
    assert_eq!(field(&answer, "queueOffset"), Some("0"));
    assert_eq!(broker.stored("T").len(), 1);
}

#[test]
fn a_name_server_that_lost_its_routes_gets_them_again() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let name_server = cluster.name_server(0);
    name_server.restart_empty().unwrap();
    let mut client = Client::connect(name_server.addr());
    assert_eq!(
        code(&ask_route(&mut client, "T")),
        ResponseCode::TOPIC_NOT_EXIST
    );
    cluster.register_all();
    assert_eq!(code(&ask_route(&mut client, "T")), ResponseCode::SUCCESS);
}

#[test]
fn dropping_a_cluster_ends_every_connection_and_listener() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (broker, name_server) = (cluster.broker(0).addr(), cluster.name_servers()[0]);
    let mut clients = [broker, name_server].map(Client::connect);
    clients[0].send(&header("T"), b"x");
    drop(cluster);
    for client in &mut clients {
        assert!(client.read_to_end().is_empty());
    }
    assert!(TcpStream::connect(broker).is_err());
    assert!(TcpStream::connect(name_server).is_err());
}

#[test]
fn connections_are_bounded() {
    let cluster = Cluster::builder()
        .max_connections(2)
        .topic("T", 1)
        .start()
        .unwrap();
    let addr = cluster.broker(0).addr();
    let mut first = Client::connect(addr);
    let mut second = Client::connect(addr);
    first.send(&header("T"), b"x");
    second.send(&header("T"), b"x");
    assert!(Client::connect(addr).read_to_end().is_empty());
    assert_eq!(code(&first.send(&header("T"), b"x")), ResponseCode::SUCCESS);
}

#[test]
fn bytes_that_are_no_frame_close_the_connection() {
    use std::io::Write as _;
    let cluster = Cluster::builder().start().unwrap();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 4, 0, 0, 0, 99],
        &[0, 0, 0, 6, 0, 0, 0, 2, b'{', b']'],
    ] {
        let mut client = Client::connect(cluster.broker(0).addr());
        client.raw().write_all(bytes).unwrap();
        assert!(client.read_to_end().is_empty());
    }
}

#[test]
fn requests_are_remembered_with_their_headers_and_without_their_bodies() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let broker = cluster.broker(0);
    let mut client = Client::connect(broker.addr());
    client.send(&header("T"), b"hello");
    let seen = broker.requests().remove(0);
    assert_eq!(seen.code(), RequestCode::SEND_MESSAGE_V2);
    assert_eq!(seen.field("b"), Some("T"));
    assert_eq!((seen.body_len, seen.command.body.len()), (5, 0));
    assert_eq!(seen.peer, client.local_addr());
    assert_eq!(broker.count(RequestCode::SEND_MESSAGE_V2), 1);
}

#[test]
fn the_same_servers_run_without_sockets() {
    use bytes::BytesMut;
    use rocketmq_proto::{FrameDecoder, SerializeType};

    let builder = Cluster::builder().name_servers(2).brokers(2);
    let mut state = builder.into_state();
    let now = ServerNow { unix_ms: 5 };
    let peer = "10.9.9.9:1".parse().unwrap();
    let mut give = |server, command: &RemotingCommand| {
        let mut bytes = BytesMut::new();
        command.encode(SerializeType::Json, &mut bytes).unwrap();
        let frame = FrameDecoder::default()
            .next_frame(&mut bytes)
            .unwrap()
            .unwrap();
        let mut out = Vec::new();
        state.on_frame(now, server, PeerId(1), peer, &frame, &mut out);
        let [Action::Write { bytes, after, .. }] = &out[..] else {
            panic!("one answer, and registrations done: {out:?}");
        };
        assert!(after.is_zero());
        let mut bytes = BytesMut::from(&bytes[..]);
        let frame = FrameDecoder::default()
            .next_frame(&mut bytes)
            .unwrap()
            .unwrap();
        RemotingCommand::from_frame(&frame).unwrap()
    };
    let broker = "10.0.1.2:10911".parse().unwrap();
    let send = RemotingCommand::request(RequestCode::SEND_MESSAGE_V2, 1, &header("New"));
    assert_eq!(give(broker, &send.with_body("x")).code, 0);
    let ask = RemotingCommand::request(
        RequestCode::GET_ROUTEINFO_BY_TOPIC,
        2,
        &route_request("New"),
    );
    for name_server in ["10.0.0.1:9876", "10.0.0.2:9876"] {
        let answer = give(name_server.parse().unwrap(), &ask);
        let route = TopicRoute::decode(&answer.body).unwrap();
        assert_eq!(route.brokers[0].addrs[&0], "10.0.1.2:10911");
    }
    assert_eq!(state.brokers()[1].stored("New")[0].store_timestamp, 5);
}
