//! One message over plain blocking sockets: the whole of a driver.

use std::{
    collections::BTreeMap, error::Error, io::Read, io::Write, net::TcpStream, time::Duration,
};

use bytes::BytesMut;
use rocketmq_engine::driver::{default_client_id, entropy, local_ip, unique_id_seed};
use rocketmq_engine::proto::{GroupName, Message, UniqueIds};
use rocketmq_engine::{Config, Endpoint, Engine, Input, Now, Operation, Outcome, Output, Prepared};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::new(GroupName::new("run-loop")?);
    config.name_servers = vec![Endpoint::new(
        std::env::args().nth(1).ok_or("name server?")?,
    )?];
    config.client_id = default_client_id(local_ip());
    let mut ids = UniqueIds::new(unique_id_seed(local_ip(), 0));
    let (message, now) = (Message::new("orders", "one message"), Now::system());
    let prepared = Prepared::message(&config, message, || ids.next(now.unix_ms))?;
    let config = std::sync::Arc::new(config);
    let mut engine = Engine::new(config.clone(), entropy())?;
    let producer = engine.join(now, config)?;
    engine.submit(now, producer, Operation::Send(Box::new(prepared)))?;
    println!("{:?}", run(&mut engine)?);
    Ok(())
}

fn run(engine: &mut Engine) -> Result<Outcome, Box<dyn Error>> {
    let (now, mut streams) = (Now::system, BTreeMap::new());
    loop {
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Connect { conn, to, .. } => {
                    match TcpStream::connect((to.host(), to.port())) {
                        Ok(stream) => {
                            stream.set_read_timeout(Some(Duration::from_millis(1)))?;
                            streams.insert(conn, (stream, BytesMut::new()));
                            engine.handle(now(), Input::Connected(conn));
                        }
                        Err(error) => {
                            engine.handle(now(), Input::ConnectFailed(conn, (&error).into()))
                        }
                    }
                }
                Output::Transmit { conn, mut frame } => {
                    let Some((stream, _)) = streams.get_mut(&conn) else {
                        continue;
                    };
                    frame.seal()?;
                    stream.write_all(&frame.head)?;
                    stream.write_all(&frame.body)?;
                    engine.handle(now(), Input::Flushed(conn, frame.seq));
                }
                Output::Disconnect { conn, .. } => drop(streams.remove(&conn)),
                Output::Complete { outcome, .. } => return Ok(outcome),
                Output::Hook(call) => {
                    call.run();
                }
                Output::Admitted { .. } | Output::Ask { .. } => {}
                Output::CheckBack | Output::Event(_) => {}
            }
        }
        for (conn, (stream, buffer)) in &mut streams {
            let mut bytes = [0; 4096];
            if let Ok(count) = stream.read(&mut bytes) {
                buffer.extend_from_slice(&bytes[..count]);
                engine.handle(now(), Input::Received(*conn, buffer));
            }
        }
        engine.handle(now(), Input::Tick);
    }
}
