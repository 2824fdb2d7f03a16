//! One request over reqwest: what the HTTP client alone costs.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_default();
    let url = format!("{server}/_matrix/client/versions");
    println!("{}", reqwest::get(url).await?.text().await?);
    Ok(())
}
