//! Answers every producer at once and stores nothing; `rocketmq_load::server` says how.
//!
//! The first line it prints is the address of its name server. It runs until it is killed.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::{fs, io, thread};

use clap::Parser;
use rocketmq_load::server::{Answers, ServerTls, self_signed, serve};

/// A name server and brokers that answer at once and store nothing, for measuring clients.
#[derive(Parser)]
struct Arguments {
    /// How many brokers, each with a port of its own; every topic has four queues on each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    brokers: u16,
    /// Take messages and never answer them.
    #[arg(long)]
    hold: bool,
    /// Serve TLS as well, and write the certificate that clients have to trust to this file.
    #[arg(long, value_name = "PEM")]
    tls: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let tls = match &arguments.tls {
        Some(file) => {
            let (tls, root) = self_signed()?;
            fs::write(file, root)?;
            Some(tls)
        }
        None => None,
    };
    let listen = || TcpListener::bind("127.0.0.1:0");
    let listeners = (0..arguments.brokers)
        .map(|_| listen())
        .collect::<io::Result<Vec<_>>>()?;
    let brokers = listeners
        .iter()
        .map(|broker| Ok(broker.local_addr()?.to_string()))
        .collect::<io::Result<Vec<_>>>()?;
    let answers = Answers::new(&brokers, arguments.hold);
    for broker in listeners {
        let (answers, tls) = (answers.clone(), tls.clone());
        thread::spawn(move || accept_all(&broker, &answers, tls.as_ref()));
    }
    let name_server = listen()?;
    println!("{}", name_server.local_addr()?);
    accept_all(&name_server, &answers, tls.as_ref());
    Ok(())
}

/// Name server and brokers answer alike.
fn accept_all(listener: &TcpListener, answers: &Answers, tls: Option<&ServerTls>) {
    for stream in listener.incoming() {
        let (mut answers, tls) = (answers.clone(), tls.cloned());
        thread::spawn(move || {
            // A client that goes away is nothing to be told.
            let _ended = stream.and_then(|stream| converse(stream, &mut answers, tls));
        });
    }
}

fn converse(
    mut stream: TcpStream,
    answers: &mut Answers,
    tls: Option<ServerTls>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) if ServerTls::is_spoken(&stream)? => serve(&mut tls.accept(stream)?, answers),
        _ => serve(&mut stream, answers),
    }
}
