//! What callers that lead leave to others, and what they have to see through by themselves. Where
//! nothing else is said, the I/O thread is patient for an hour: only what it is called for has it lead.

use std::sync::mpsc;
use std::time::Instant;

use rocketmq_engine::driver::threads::Producer;
use rocketmq_engine::driver::{Setup, Supervisor};
use rocketmq_engine::proto::Message;
use rocketmq_engine::{Config, Endpoint, ProxyRule, SendErrorKind, SendHook, SentMessage};
use rocketmq_testkit::{Cluster, Fault, FaultRule, SocksProxy};

use super::*;
use crate::builder::{Spawner, serve};

const TOPIC: &str = "orders";
const LIMIT: Duration = Duration::from_secs(30);
const AN_HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Led {
    producer: Producer,
    lead: Arc<Lead>,
}

#[test]
fn a_lone_caller_leads_from_its_third_message_on() {
    let (_cluster, led) = start(AN_HOUR);
    led.until_free();
    let before = led.leads();
    for _ in 0..100 {
        led.producer.send(message()).unwrap();
    }
    let leads = led.leads() - before;
    assert!(leads > 50, "{leads}: the rest was in the way of an alarm");
}

#[test]
fn without_callers_the_io_thread_leads_again() {
    let (_cluster, led) = start(Duration::from_millis(20));
    led.send_until("a caller leads", || led.leads() > 0);
    eventually("the I/O thread has it", || led.lead.lock().driver.is_none());
}

#[test]
fn what_a_server_does_is_noticed_soon_after_the_last_caller() {
    let (cluster, led) = start(Duration::from_millis(20));
    led.send_until("a caller leads", || led.leads() > 0);
    let before = led.producer.stats().connections;
    cluster.broker(0).stop();
    eventually("the broker's connection is closed", || {
        led.producer.stats().connections < before
    });
}

#[test]
fn the_io_thread_is_called_for_whoever_does_not_wait() {
    let (_cluster, led) = start(AN_HOUR);
    led.until_free();
    led.producer.enqueue(message()).unwrap().wait().unwrap();
    led.until_free();
    let (tell, told) = mpsc::channel();
    let delivery = led.producer.enqueue(message()).unwrap();
    delivery.on_done(move |outcome| tell.send(outcome.is_ok()).unwrap());
    assert!(told.recv_timeout(LIMIT).unwrap());
    led.until_free();
    led.producer.flush();
    led.producer.ready("orders").unwrap();
}

#[test]
fn who_leads_serves_the_others_and_ends_with_a_shutdown() {
    let (_cluster, led) = start(AN_HOUR);
    // Nobody replies to it.
    let asks = led.leading(|producer| producer.request(message(), LIMIT));
    for _ in 0..20 {
        led.producer.send(message()).unwrap();
        led.producer.enqueue(message()).unwrap().wait().unwrap();
    }
    assert!(!asks.is_finished());
    assert!(led.lead.lock().driver.is_none());
    led.producer.shutdown(Duration::ZERO);
    let error = asks.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    assert!(led.lead.lock().over);
}

#[test]
fn what_is_under_way_when_the_caller_leaves_is_not_forgotten() {
    let (cluster, led) = start(AN_HOUR);
    let broker = cluster.broker(0);
    let late = |millis| {
        let delay = Fault::Delay(Duration::from_millis(millis));
        broker.inject(FaultRule::new(delay).sends().times(1))
    };
    led.until_free();
    late(200).unwrap();
    let sends = led.leading(|producer| producer.send(message()));
    eventually("its answer is held back", || broker.faults_fired() == 1);
    late(600).unwrap();
    let delivery = led.producer.enqueue(message()).unwrap();
    sends.join().unwrap().unwrap();
    delivery.wait_timeout(LIMIT).unwrap().unwrap();
}

#[test]
fn who_leads_meets_its_own_deadline() {
    let (cluster, led) = start(AN_HOUR);
    let begun = Instant::now();
    let error = led.led(|producer| {
        cluster.broker(0).pause();
        let outcome = producer.send(message().timeout(Duration::from_millis(200)));
        cluster.broker(0).resume();
        outcome.unwrap_err()
    });
    assert_eq!(error.kind(), SendErrorKind::Timeout);
    assert!(begun.elapsed() < LIMIT);
}

#[test]
fn who_leads_sees_its_retries_through() {
    let cluster = Cluster::builder().brokers(2).topic(TOPIC, 4);
    let (cluster, led) = start_with(cluster, AN_HOUR, |_| {});
    let receipt = led.led(|producer| {
        for broker in cluster.brokers() {
            let resets = FaultRule::new(Fault::ResetBeforeProcessing);
            broker.inject(resets.sends().times(1)).unwrap();
        }
        let receipt = producer.send(message().timeout(LIMIT)).unwrap();
        cluster.brokers().iter().for_each(|b| b.clear_faults());
        receipt
    });
    assert!(receipt.attempts > 1, "{receipt:?}");
}

#[test]
fn who_leads_shakes_hands_with_a_proxy() {
    let proxy = SocksProxy::start().unwrap();
    let cluster = Cluster::builder().topic(TOPIC, 4);
    let (cluster, led) = start_with(cluster, AN_HOUR, through(&proxy));
    led.led(|producer| {
        cluster.broker(0).restart().unwrap();
        producer.send(message().timeout(LIMIT)).unwrap();
    });
    assert!(proxy.targets().len() > 2, "the broker was dialled again");
}

#[cfg(feature = "tls")]
#[test]
fn who_leads_shakes_hands_for_an_encrypted_connection() {
    use rocketmq_testkit::{Tls, TlsMode};

    let server = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = server.cert.pem();
    let tls = Tls::new(&certificate, server.signing_key.serialize_pem()).unwrap();
    let cluster = Cluster::builder()
        .topic(TOPIC, 4)
        .tls(tls.mode(TlsMode::Enforcing));
    let client = crate::TlsConfig::builder().roots_pem(certificate).build();
    let (cluster, led) = start_with(cluster, AN_HOUR, |config| {
        config.tls = Some(client.unwrap());
    });
    led.led(|producer| {
        cluster.broker(0).restart().unwrap();
        producer.send(message().timeout(LIMIT)).unwrap();
    });
}

#[test]
fn a_shutdown_and_the_last_handle_call_the_io_thread() {
    let (_cluster, led) = start(AN_HOUR);
    led.until_free();
    led.producer.shutdown(LIMIT);
    assert!(led.lead.lock().over);

    let (_cluster, led) = start(AN_HOUR);
    led.until_free();
    let Led { producer, lead } = led;
    drop(producer);
    eventually("it ends by itself", || lead.lock().over);
}

#[test]
fn when_a_turn_panics_everything_completes_and_the_io_thread_ends() {
    let (_cluster, led) = start(AN_HOUR);
    led.until_free();
    let mut leading = led.lead.take().unwrap();
    let delivery = led.producer.enqueue(message()).unwrap();
    // What a panic of `Driver::turn` leaves behind.
    drop(leading.driver.take());
    drop(leading);
    let error = delivery.wait().unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    let error = led.producer.send(message()).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    led.producer.shutdown(LIMIT);
}

#[test]
fn callers_that_come_and_go_lose_nothing() {
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let client = crate::Client::builder().name_servers([cluster.name_server_list()]);
    let client = client.start().unwrap();
    let group = |at| client.producer(format!("group-{at}")).start().unwrap();
    let producers = [group(0), group(1)];
    let callers: Vec<_> = (0..4_u64)
        .map(|at| {
            let producer = producers[at as usize % 2].clone();
            thread::spawn(move || {
                for round in 0..200 {
                    producer.send(message()).unwrap();
                    if round % 7 == 0 {
                        drop(producer.enqueue(message()).unwrap());
                    }
                    if (round + at) % 40 == 0 {
                        thread::park_timeout(PATIENCE * (at as u32 + 1));
                    }
                }
            })
        })
        .collect();
    callers
        .into_iter()
        .for_each(|caller| caller.join().unwrap());
    producers.iter().for_each(|producer| producer.flush());
    let stored = cluster.broker(0).stored(TOPIC).len();
    assert_eq!(stored, 800 + (0..200).filter(|n| n % 7 == 0).count() * 4);
}

/// It counts under a lock that its application also holds while it sends.
struct Counts(Arc<Mutex<u32>>, mpsc::Sender<()>);

impl SendHook for Counts {
    fn after(&self, _: &SentMessage) {
        *self.0.lock().unwrap() += 1;
        self.1.send(()).unwrap();
    }
}

#[test]
fn a_hook_may_take_a_lock_that_its_caller_holds_while_it_sends() {
    let (tell, counted) = mpsc::channel();
    let count = Arc::new(Mutex::new(0));
    let hook = Arc::new(Counts(count.clone(), tell));
    let cluster = Cluster::builder().topic(TOPIC, 4);
    let (_cluster, led) = start_with(cluster, PATIENCE, |config| config.hooks.send.push(hook));
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..200 {
            let held = count.lock().unwrap();
            led.producer.send(message()).unwrap();
            drop(held);
            counted.recv().unwrap();
        }
        tell.send(led.leads()).unwrap();
    });
    assert_eq!(told.recv_timeout(LIMIT), Ok(0));
}

#[test]
fn when_a_producer_with_hooks_joins_the_callers_of_others_lead_no_more() {
    let (_cluster, led) = start(AN_HOUR);
    led.until_free();
    threads::Lead::leave_to_io_thread(&*led.lead);
    let before = led.leads();
    for _ in 0..100 {
        led.producer.send(message()).unwrap();
    }
    assert_eq!(led.leads(), before);
}

impl Led {
    fn leads(&self) -> u64 {
        self.lead.lock().leads
    }

    fn send_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            if holds() {
                return;
            }
            self.producer.send(message()).unwrap();
        }
        panic!("did not come about: {what}");
    }

    /// The next caller leads.
    fn until_free(&self) {
        self.send_until("nobody leads", || {
            let place = self.lead.lock();
            place.driver.is_some() && !place.reserved
        });
    }

    /// The outcome of a call that led. Another try when an alarm was in the way.
    fn led<R>(&self, call: impl Fn(&Producer) -> R) -> R {
        for _ in 0..100 {
            self.until_free();
            let before = self.leads();
            let outcome = call(&self.producer);
            if self.leads() > before {
                return outcome;
            }
        }
        panic!("no caller led");
    }

    /// A call that leads now and is not over soon.
    fn leading<R: Send + 'static>(
        &self,
        call: impl FnOnce(&Producer) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        self.until_free();
        let before = self.leads();
        let producer = self.producer.clone();
        let caller = thread::spawn(move || call(&producer));
        eventually("it leads", || self.leads() > before);
        caller
    }
}

fn start(patience: Duration) -> (Cluster, Led) {
    start_with(Cluster::builder().topic(TOPIC, 4), patience, |_| {})
}

fn start_with(
    cluster: rocketmq_testkit::ClusterBuilder,
    patience: Duration,
    change: impl FnOnce(&mut Config),
) -> (Cluster, Led) {
    let cluster = cluster.start().unwrap();
    let mut setup = Setup::new("led");
    setup.name_servers([cluster.name_server_list()]);
    // So that the alarm which is set at first is not in anybody's way.
    setup.config(|config| config.send_timeout = LIMIT);
    setup.config(change);
    let (handle, supervisor) = setup.start().unwrap();
    let supervisor: Supervisor = supervisor.unwrap();
    let mut lead = Lead::new(Driver::new(supervisor, "resolve".into()).unwrap());
    lead.patience = patience;
    let lead = Arc::new(lead);
    let (serve, leads) = (serve(lead.clone()), lead.clone());
    let producer = Producer::start(handle, 1, None, Spawner, Some(serve), Some(leads)).unwrap();
    (cluster, Led { producer, lead })
}

fn through(proxy: &SocksProxy) -> impl FnOnce(&mut Config) + use<> {
    let proxy = Endpoint::new(proxy.addr().to_string()).unwrap();
    let rule = ProxyRule::new("0.0.0.0/0", proxy).unwrap();
    |config| config.proxies = vec![rule]
}

fn message() -> Message {
    Message::new(TOPIC, "x")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < until, "did not come about: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}
