//! A server for the tests of this workspace, with a configuration of their choice.
//!
//!     serve CONFIG ADDRESS
//!
//! CONFIG is a file with a `Config` as JSON, ADDRESS is where to listen. The server prints its URL. It stores
//! nothing, and stops at the end of its standard input, that is when its parent process exits.

use std::{
    error::Error,
    fs,
    io::{self, Write},
};

use matricula_homeserver::{Server, ServerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(config), Some(address), None) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: serve CONFIG ADDRESS".into());
    };
    let config = serde_json::from_slice(&fs::read(config)?)?;
    let options = ServerOptions::new(config).listen(address.parse()?);
    let server = Server::start(options).await?;
    writeln!(io::stdout(), "{}", server.url())?;
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    server.stop().await;
    Ok(())
}
