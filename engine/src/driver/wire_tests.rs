//! The layers against a server that rustls plays in memory.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;
use crate::driver::TlsConfig;
use crate::io::{Endpoint, FrameSeq};

/// How many times it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn pair(version: &'static SupportedProtocolVersion) -> (Wire, ServerConnection) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["mq.test".to_owned()]).unwrap();
    params.is_ca = IsCa::ExplicitNoCa;
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(root, root_key);
    let chain = params.signed_by(&key, &issuer).unwrap().pem();

    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    config.send_half_rtt_data = true;
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    server.set_buffer_limit(None);

    let tls = TlsConfig::builder().roots_pem(root_pem).build().unwrap();
    let session = tls.connect(&Endpoint::new("mq.test:1").unwrap()).unwrap();
    (Wire::new(None, Some(session)), server)
}

fn pair_that_stands(version: &'static SupportedProtocolVersion) -> (Wire, ServerConnection) {
    let (wire, mut server) = pair(version);
    let mut plain = BytesMut::new();
    while !wire.is_established() || server.is_handshaking() {
        to_server(&wire, &mut server);
        from_server(&wire, &mut server, usize::MAX, &mut plain).unwrap();
    }
    from_server(&wire, &mut server, usize::MAX, &mut plain).unwrap();
    assert!(plain.is_empty());
    (wire, server)
}

fn to_server(wire: &Wire, server: &mut ServerConnection) {
    if let Out::Bytes(bytes) = wire.poll_out(Waker::noop()) {
        feed(server, &bytes);
    }
}

fn feed(server: &mut ServerConnection, bytes: &[u8]) {
    read(server, bytes, &mut Vec::new());
}

/// The same, with what the server finds in it.
fn read(server: &mut ServerConnection, mut bytes: &[u8], plain: &mut Vec<u8>) {
    while !bytes.is_empty() {
        server.read_tls(&mut bytes).unwrap();
        server.process_new_packets().unwrap();
        // An error stands for "nothing more now".
        let _ = server.reader().read_to_end(plain);
    }
}

fn out_of(server: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Hands over what the server writes, in pieces.
fn from_server(
    wire: &Wire,
    server: &mut ServerConnection,
    piece: usize,
    plain: &mut BytesMut,
) -> Result<Opened, DialError> {
    let mut arrived = BytesMut::new();
    let mut opened = Opened::More;
    for piece in out_of(server).chunks(piece) {
        arrived.extend_from_slice(piece);
        opened = wire.open(&mut arrived, plain)?;
    }
    Ok(opened)
}

fn frame(seq: u64, len: usize, report: bool) -> Frame {
    let fill = u8::try_from(seq % 251).unwrap();
    let head = Bytes::from(vec![fill; len.min(50)]);
    let body = Bytes::from(vec![fill; len - head.len()]);
    let seq = FrameSeq(seq);
    Frame {
        seq,
        head,
        body,
        report,
        seal: None,
    }
}

#[test]
fn a_handshake_in_single_bytes_is_one_and_what_follows_it_is_not_lost() {
    for version in [&TLS12, &TLS13] {
        let (wire, mut server) = pair(version);
        let mut plain = BytesMut::new();
        let mut answered = false;
        while !wire.is_established() || !answered {
            to_server(&wire, &mut server);
            if !answered && (version.version == TLS13.version || !server.is_handshaking()) {
                // In the same bytes as the end of the handshake.
                server.writer().write_all(b"an answer").unwrap();
                answered = true;
            }
            from_server(&wire, &mut server, 1, &mut plain).unwrap();
        }
        assert_eq!(&plain[..], b"an answer");
    }
}

#[test]
fn the_writing_end_is_woken_when_there_is_something_to_write_and_when_all_stands() {
    let (wire, mut server) = pair(&TLS13);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let Out::Bytes(hello) = wire.poll_out(&waker) else {
        panic!("no hello")
    };
    assert!(matches!(wire.poll_out(&waker), Out::Handshaking));
    feed(&mut server, &hello);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    from_server(&wire, &mut server, usize::MAX, &mut BytesMut::new()).unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(matches!(wire.poll_out(&waker), Out::Bytes(_)));
    assert!(matches!(wire.poll_out(&waker), Out::Sealed));
}

#[test]
fn no_frame_can_be_read_before_it_counts_as_written() {
    for version in [&TLS12, &TLS13] {
        let sizes = [
            100, 5000, 16_000, 300, 84, 16_384, 16_385, 70_000, 1, 1, 9000, 9000,
        ];
        let mut ends = vec![0];
        let frames = || {
            sizes
                .iter()
                .zip(1..)
                .map(|(len, seq)| frame(seq, *len, false))
        };
        for frame in frames() {
            ends.push(ends.last().unwrap() + frame.len());
        }
        let (wire, mut server) = pair_that_stands(version);
        let (mut waiting, mut sealed) = (frames().collect(), VecDeque::new());
        assert!(wire.seal(&mut waiting, &mut sealed));
        assert!(waiting.is_empty());
        assert!(sealed.len() < sizes.len(), "small frames share records");

        let (mut plain, mut written) = (Vec::new(), 0);
        for frame in sealed {
            let bytes = [frame.head, frame.body].concat();
            // All but its last byte: nothing that is not written may be readable whole.
            let (most, last) = bytes.split_at(bytes.len() - 1);
            read(&mut server, most, &mut plain);
            let count = plain.len();
            assert!(count < ends[written + 1], "{count} of {ends:?}");
            read(&mut server, last, &mut plain);
            written = usize::try_from(frame.seq.0).unwrap();
            assert_eq!(plain.len(), ends[written]);
        }
        let expected: Vec<u8> = frames().flat_map(|f| [f.head, f.body].concat()).collect();
        assert!(plain == expected);
    }
}

#[test]
fn a_report_that_is_wanted_is_not_lost_among_others() {
    let (wire, _server) = pair_that_stands(&TLS13);
    let mut frames = VecDeque::from([frame(1, 10, false), frame(2, 10, true), frame(3, 10, false)]);
    let mut sealed = VecDeque::new();
    assert!(wire.seal(&mut frames, &mut sealed));
    assert_eq!(sealed.len(), 1);
    assert!(sealed[0].report);
    assert_eq!(sealed[0].seq, FrameSeq(3));
}

#[test]
fn a_full_outbox_is_sealed_in_parts() {
    let (wire, mut server) = pair_that_stands(&TLS13);
    let mut frames: VecDeque<_> = (1..=1000).map(|seq| frame(seq, 2000, false)).collect();
    let mut plain = Vec::new();
    while !frames.is_empty() {
        let mut sealed = VecDeque::new();
        assert!(wire.seal(&mut frames, &mut sealed));
        let size: usize = sealed.iter().map(Frame::len).sum();
        assert!(size < 2 * SEAL_AT_ONCE, "{size}");
        for frame in sealed {
            read(&mut server, &frame.head, &mut plain);
        }
    }
    assert_eq!(plain.len(), 2_000_000);
}

#[test]
fn what_came_before_garbage_is_still_delivered() {
    for version in [&TLS12, &TLS13] {
        let (wire, mut server) = pair_that_stands(version);
        server.writer().write_all(b"an answer").unwrap();
        let mut arrived = BytesMut::from(&out_of(&mut server)[..]);
        arrived.extend_from_slice(b"\x17\x03\x03\x00\x20 these bytes are not encrypted !!");
        let mut plain = BytesMut::new();
        let error = wire.open(&mut arrived, &mut plain).unwrap_err();
        assert_eq!(error, DialError::Tls(TlsFailure::Protocol));
        assert_eq!(&plain[..], b"an answer");
        // The other side is told.
        assert!(wire.has_out());
    }
}

#[test]
fn after_its_goodbye_nothing_of_the_other_side_is_kept() {
    let (wire, mut server) = pair_that_stands(&TLS13);
    server.writer().write_all(b"last").unwrap();
    server.send_close_notify();
    let (mut plain, mut arrived) = (BytesMut::new(), BytesMut::from(&out_of(&mut server)[..]));
    for _ in 0..10 {
        arrived.extend_from_slice(&[0; 1000]);
        assert_eq!(wire.open(&mut arrived, &mut plain), Ok(Opened::PeerClosed));
        assert!(arrived.is_empty());
    }
    assert_eq!(&plain[..], b"last");
}

#[test]
fn we_say_goodbye_too() {
    let (wire, mut server) = pair_that_stands(&TLS13);
    let words = wire.last_words().unwrap();
    server.read_tls(&mut &words[..]).unwrap();
    assert!(server.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn new_keys_change_nothing_that_can_be_seen() {
    let (wire, mut server) = pair_that_stands(&TLS13);
    let (mut plain, mut theirs) = (BytesMut::new(), Vec::new());
    for seq in 1..=20 {
        server.refresh_traffic_keys().unwrap();
        server.writer().write_all(b"a").unwrap();
        from_server(&wire, &mut server, 7, &mut plain).unwrap();
        to_server(&wire, &mut server);
        let (mut frames, mut sealed) = (VecDeque::from([frame(seq, 100, false)]), VecDeque::new());
        assert!(wire.seal(&mut frames, &mut sealed));
        for frame in sealed {
            read(&mut server, &frame.head, &mut theirs);
        }
    }
    assert_eq!((plain.len(), theirs.len()), (20, 2000));
}

#[test]
fn a_flood_in_the_handshake_ends_it_and_is_not_kept() {
    // A handshake message of 16 MiB that never ends, and warnings without end.
    let huge = [&b"\x16\x03\x03\x40\x00\x02\xff\xff\xff"[..], &[0; 16_380]].concat();
    let rows = [
        huge,
        b"\x15\x03\x03\x00\x02\x01\x5a".to_vec(),
        vec![0x16; 4096],
    ];
    for flood in rows {
        let (wire, _server) = pair(&TLS13);
        let (mut plain, mut arrived, mut taken) = (BytesMut::new(), BytesMut::new(), 0);
        while wire.open(&mut arrived, &mut plain).is_ok() {
            arrived.extend_from_slice(&flood);
            taken += flood.len();
            assert!(taken < 256 * 1024, "still going on after {taken} bytes");
        }
        assert!(plain.is_empty());
    }
}
