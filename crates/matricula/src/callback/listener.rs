//! Accepts the browser's connections, a bounded number of them, each for a bounded time.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    lock,
    request::{self, Read},
    response::Answer,
    routes::CallbackRoutes,
};

/// The longest request: a browser's cookies for the loopback address come along.
const LONGEST: usize = 16 << 10;
/// Browsers connect ahead of need, and may then send nothing.
const SLOWEST: Duration = Duration::from_secs(10);
const MOST_AT_ONCE: usize = 32;
/// More than any browser sends: then nobody is listened to any more.
const MOST_IN_ALL: usize = 500;

pub(super) async fn serve(listener: TcpListener, routes: Arc<Mutex<CallbackRoutes>>) {
    let mut connections = JoinSet::new();
    for _ in 0..MOST_IN_ALL {
        while connections.len() >= MOST_AT_ONCE {
            connections.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else {
            // Such as too many open files: that may pass.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let routes = Arc::clone(&routes);
        connections.spawn(async move {
            // A browser that hangs up or says nothing has no question to be answered.
            let _ = tokio::time::timeout(SLOWEST, talk(&stream, &routes)).await;
        });
        while connections.try_join_next().is_some() {}
    }
    while connections.join_next().await.is_some() {}
    // So that whoever waits for an answer is told that none will come.
    *lock(&routes) = CallbackRoutes::new(0);
}

async fn talk(stream: &TcpStream, routes: &Mutex<CallbackRoutes>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let (answer, told) = loop {
        match request::read(&bytes) {
            Read::Whole(request) => break lock(routes).answer(&request),
            Read::Broken => break (Answer::empty(400), None),
            Read::Part if bytes.len() >= LONGEST => break (Answer::empty(431), None),
            Read::Part => {}
        }
        stream.readable().await?;
        match stream.try_read_buf(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    };
    let written = write(stream, &answer.bytes()).await;
    // Only now: the program may end as soon as it knows the answer.
    if let Some(told) = told {
        told.tell();
    }
    written
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
