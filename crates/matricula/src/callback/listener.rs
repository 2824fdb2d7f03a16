//! Accepts connections of the browser, with a limit on their number, size and duration.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
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
/// The maximum number of connections. Then the oldest is closed for a new one, so that none is waited
/// for.
const MAX_CONNECTIONS: usize = 32;

/// Serves requests until it is dropped. Every program and web page on this machine can send any number
/// of them, so their number ends nothing.
pub(super) async fn serve(listener: TcpListener, routes: Arc<Mutex<CallbackRoutes>>) {
    let mut connections = JoinSet::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The error may be temporary, such as too many open files.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MAX_CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let routes = Arc::clone(&routes);
        open.push_back(connections.spawn(async move {
            // A connection without a complete request needs no response.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, respond(&stream, &routes)).await;
        }));
    }
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
    drop(delivery);
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
