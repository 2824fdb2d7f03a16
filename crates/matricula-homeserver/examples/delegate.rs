//! An authorization server for a Synapse on this machine to delegate to.
//!
//!     delegate CONFIG ADDRESS
//!
//! CONFIG is a file with a `Config` as JSON, ADDRESS is where to listen. It keeps nothing, and ends
//! when its standard input does: with whoever started it.

use std::{error::Error, fs, io};

use matricula_homeserver::{Server, ServerOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(config), Some(address), None) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: delegate CONFIG ADDRESS".into());
    };
    let config = serde_json::from_slice(&fs::read(config)?)?;
    let options = ServerOptions::new(config).listen(address.parse()?);
    let server = Server::start(options).await?;
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    server.stop().await;
    Ok(())
}
