//! What the blocking runner does with events besides the shared tests.

use matricula_core::scheduler::Event;
use matricula_http::blocking::EventOrLag;

use super::shared::runner;
use crate::{
    get,
    server::{Server, ok},
};

#[test]
fn slow_listener_learns_its_lag() {
    let server = Server::start((0..100).map(|_| ok()).collect::<Vec<_>>());
    let runner = runner();
    let mut events = runner.events();
    for _ in 0..100 {
        assert!(runner.run(get(&server.url)).success());
    }
    runner.stop();
    drop(runner);
    // Three events of each job, of which the newest 256 are left.
    let heard: Vec<_> = (&mut events).collect();
    assert_eq!(heard.len(), 257);
    assert_eq!(heard[0], EventOrLag::Lagged(300 - 256));
    assert!(matches!(heard[256], EventOrLag::Event(Event::Finished(..))));
    assert_eq!(events.next(), None, "it ends with the runner");
}
