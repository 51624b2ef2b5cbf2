//! How often a send allocates, from the call to the receipt: exact, so that a new allocation fails a
//! test and not a bench. The servers run on other threads, which are not counted.

use allocation_counter::measure;
use bytes::Bytes;
use rocketmq_testkit::{Cluster, Flavour};
use rocketmq_tokio::{Message, Producer, TopicName};
use tokio::runtime::Builder;

const SENDS: u64 = 1_000;

/// Properties; the prepared message; where the caller waits; the receipt, whose ids are in place.
const EACH: u64 = 4;

#[test]
fn a_send_allocates_as_often_as_it_says_here() {
    assert_each(EACH, allocations(Flavour::V4_9));
}

#[test]
fn a_transaction_id_of_a_5_broker_allocates_nothing_more() {
    assert_each(EACH, allocations(Flavour::V5_3));
}

/// Exact but for buffers that are made anew now and then.
fn assert_each(each: u64, all: u64) {
    let expected = each * SENDS..each * SENDS + SENDS / 50;
    assert!(expected.contains(&all), "{all} for {SENDS} sends");
}

/// Of so many sends that come one after the other.
fn allocations(flavour: Flavour) -> u64 {
    let cluster = Cluster::builder()
        .flavour(flavour)
        .topic("orders", 4)
        .start()
        .unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let name_servers = cluster.name_server_list();
    let start = Producer::builder("order-service").name_servers([name_servers]);
    let producer = runtime.block_on(start.start()).unwrap();
    let topic = TopicName::new("orders").unwrap();
    let body = Bytes::from(vec![b'x'; 1024]);
    let send = |count: u64| {
        runtime.block_on(async {
            for _ in 0..count {
                let message = Message::new(&topic, body.clone())
                    .tag("created")
                    .key("o-42");
                producer.send(message).await.unwrap();
            }
        });
    };
    send(100);
    let counted = measure(|| send(SENDS));
    counted.count_total
}
