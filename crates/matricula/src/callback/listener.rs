//! Accepts connections of the browser, with a limit on their number, size and duration.

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

/// The maximum request size in bytes. Browsers send their cookies for the loopback address.
const MAX_REQUEST_SIZE: usize = 16 << 10;
/// The maximum duration of a connection. Browsers connect in advance, and may send nothing.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_CONNECTIONS: usize = 32;
/// The maximum number of requests, more than any browser sends. Then the listener stops.
const MAX_REQUESTS: usize = 500;

pub(super) async fn serve(listener: TcpListener, routes: Arc<Mutex<CallbackRoutes>>) {
    let mut connections = JoinSet::new();
    for _ in 0..MAX_REQUESTS {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else {
            // The error may be temporary, such as too many open files.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let routes = Arc::clone(&routes);
        connections.spawn(async move {
            // A connection without a complete request needs no response.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, respond(&stream, &routes)).await;
        });
        while connections.try_join_next().is_some() {}
    }
    while connections.join_next().await.is_some() {}
    // Closes the channel of a pending callback: no answer will come.
    *lock(&routes) = CallbackRoutes::new(0);
}

async fn respond(stream: &TcpStream, routes: &Mutex<CallbackRoutes>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let (answer, delivery) = loop {
        match request::read(&bytes) {
            Read::Whole(request) => break lock(routes).answer(&request),
            Read::Broken => break (Answer::empty(400), None),
            Read::Part if bytes.len() >= MAX_REQUEST_SIZE => break (Answer::empty(431), None),
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
    // Only after the response, because the program may exit as soon as it has the answer.
    if let Some(delivery) = delivery {
        delivery.send();
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
