//! A server in a directory.

use std::{
    cell::Cell,
    fs::{self, File},
    future::{Ready, ready},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use matricula_core::ServerUrl;
use matricula_homeserver::{Config, Error, ServerDir, ServerOptions};

use crate::http_client::{connect, login, register};

fn no_sleep(_: Duration) -> Ready<()> {
    ready(())
}

/// The future must be `Send`.
fn _is_send(path: &Path) -> impl Send {
    ServerDir::open(path, ServerOptions::new(Config::default()), no_sleep)
}

async fn open(path: &Path) -> Result<ServerDir, Error> {
    ServerDir::open(path, ServerOptions::new(Config::default()), no_sleep).await
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_keeps_accounts_and_name() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b/server");
    let named = Config::default().server_name("mine.localhost");
    let dir = ServerDir::open(&path, ServerOptions::new(named), no_sleep)
        .await
        .unwrap();
    assert!(dir.is_local());
    assert_eq!(dir.server_name(), "mine.localhost");
    assert_eq!(register(dir.url(), "alice").unwrap().status, 200);
    let url = dir.url().clone();
    dir.stop().await;
    assert!(connect(&url).is_err());

    let dir = open(&path).await.unwrap();
    assert_eq!(dir.server_name(), "mine.localhost");
    assert_eq!(
        login(dir.url(), "alice").unwrap().json()["user_id"],
        "@alice:mine.localhost"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn second_process_gets_the_address() {
    let home = tempfile::tempdir().unwrap();
    let first = open(home.path()).await.unwrap();
    let second = open(home.path()).await.unwrap();
    assert!(first.is_local() && !second.is_local());
    assert_eq!(first.url(), second.url());
    assert_eq!(second.server_name(), "private.localhost");
    assert_eq!(register(second.url(), "alice").unwrap().status, 200);
    second.stop().await;
    assert_eq!(login(first.url(), "alice").unwrap().status, 200);
    // Dropping stops the server, too, and releases the directory.
    drop(first);
    let third = open(home.path()).await.unwrap();
    assert!(third.is_local());
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_address_is_ignored() {
    let home = tempfile::tempdir().unwrap();
    open(home.path()).await.unwrap().stop().await;
    fs::write(home.path().join("address"), "http://127.0.0.1:1").unwrap();
    let dir = open(home.path()).await.unwrap();
    assert!(dir.is_local());
    assert_ne!(dir.url().as_str(), "http://127.0.0.1:1");
}

#[tokio::test]
async fn stale_address_removed_before_start() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("address"), "http://127.0.0.1:1").unwrap();
    fs::write(home.path().join("config.json"), "{").unwrap();
    open(home.path()).await.unwrap_err();
    assert!(!home.path().join("address").exists());
}

#[tokio::test]
async fn starting_holder_is_awaited() {
    let home = tempfile::tempdir().unwrap();
    open(home.path()).await.unwrap().stop().await;
    let lock = File::open(home.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let slept = Cell::new(Duration::ZERO);
    let sleep = |by| {
        slept.set(slept.get() + by);
        if slept.get() >= Duration::from_secs(1) {
            fs::write(home.path().join("address"), "http://127.0.0.1:1").unwrap();
        }
        ready(())
    };
    let dir = ServerDir::open(home.path(), ServerOptions::new(Config::default()), sleep)
        .await
        .unwrap();
    assert!(!dir.is_local());
    assert_eq!(
        dir.url(),
        &"http://127.0.0.1:1".parse::<ServerUrl>().unwrap()
    );
    assert_eq!(slept.get(), Duration::from_secs(1));
}

#[tokio::test]
async fn silent_holder_times_out() {
    let home = tempfile::tempdir().unwrap();
    let lock = File::create(home.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let slept = Cell::new(Duration::ZERO);
    let sleep = |by| {
        slept.set(slept.get() + by);
        ready(())
    };
    let result = ServerDir::open(home.path(), ServerOptions::new(Config::default()), sleep).await;
    assert!(matches!(result, Err(Error::Locked(_))));
    assert_eq!(slept.get(), Duration::from_secs(10));
}

/// The holder stops before the second process has waited ten times.
#[tokio::test(flavor = "multi_thread")]
async fn unpublished_server_is_awaited() {
    let home = tempfile::tempdir().unwrap();
    let options = || ServerOptions::new(Config::default());
    let first = ServerDir::open(home.path(), options().publish_address(false), no_sleep)
        .await
        .unwrap();
    let first = Mutex::new(Some(first));
    let waits = AtomicU32::new(0);
    let sleep = |_| {
        if waits.fetch_add(1, Ordering::SeqCst) == 9 {
            drop(first.lock().unwrap().take());
        }
        ready(())
    };
    let second = ServerDir::open(home.path(), options(), sleep)
        .await
        .unwrap();
    assert!(second.is_local());
    assert!(waits.load(Ordering::SeqCst) >= 10);
}

#[tokio::test]
async fn interrupted_creation_is_completed() {
    let whole = tempfile::tempdir().unwrap();
    open(whole.path()).await.unwrap().stop().await;
    let config = fs::read(whole.path().join("config.json")).unwrap();
    for left in [
        &[][..],
        &[("gate", &b""[..])],
        &[("lock", b"")],
        &[("config.json.new", b"")],
        &[("config.json.new", &config[..config.len() / 2])],
        &[("config.json", &config[..])],
        &[("config.json", &config[..]), ("homeserver.db", b"")],
        &[("config.json", &config[..]), ("address.new", b"htt")],
    ] {
        let home = tempfile::tempdir().unwrap();
        for (name, content) in left {
            fs::write(home.path().join(name), content).unwrap();
        }
        assert!(open(home.path()).await.unwrap().is_local(), "{left:?}");
    }
}

#[tokio::test]
async fn missing_configuration_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    open(home.path()).await.unwrap().stop().await;
    fs::remove_file(home.path().join("config.json")).unwrap();
    let error = open(home.path()).await.unwrap_err();
    assert!(matches!(error, Error::ConfigMissing(_)), "{error}");
}

#[tokio::test]
async fn unreadable_configuration_is_named() {
    let home = tempfile::tempdir().unwrap();
    open(home.path()).await.unwrap().stop().await;
    fs::write(home.path().join("config.json"), "{\"gusts\": true}").unwrap();
    let error = open(home.path()).await.unwrap_err().to_string();
    assert!(
        error.contains("config.json") && error.contains("gusts"),
        "{error}"
    );
}

#[tokio::test]
async fn invalid_configuration_leaves_nothing_broken() {
    let home = tempfile::tempdir().unwrap();
    let bad = ServerOptions::new(Config::default().server_name("no name"));
    let result = ServerDir::open(home.path(), bad, no_sleep).await;
    assert!(matches!(result, Err(Error::Config(_))));
    assert!(open(home.path()).await.unwrap().is_local());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("server");
    let dir = open(&path).await.unwrap();
    register(dir.url(), "alice").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let names: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert_eq!(mode(&name), 0o600, "{}", name.display());
    }
}
