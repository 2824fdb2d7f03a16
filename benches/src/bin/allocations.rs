//! Counts what each side allocates for the same work.

use std::hint::black_box;

use matricula_api::RoomId;
use matricula_benches::{
    counting::{self, Counting},
    inputs::{LIMITED, REGISTERED, ROOM, SERVER, TOKEN, UNAUTHENTICATED},
    ours, plain, rumas,
    same::{assert_small, assert_sync},
    sync_body::sync_body,
};
use matricula_core::{Secret, ServerUrl};
use ruma::OwnedRoomId;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Prints the calls, and the most bytes that were held at once. A buffer that grows counts each time.
fn count<T>(case: &str, side: &str, work: impl Fn() -> T) {
    // What is made once and kept is not counted.
    drop(black_box(work()));
    let (calls, live) = (counting::calls(), counting::live());
    counting::begin_peak();
    let result = black_box(work());
    let calls = counting::calls() - calls;
    let peak = counting::peak() - live;
    drop(result);
    println!("{case}\t{side}\t{calls}\t{peak}");
}

fn main() {
    assert_small();
    requests();
    answers();
    let body = sync_body(1);
    let answer = ours::answer(200, &body);
    assert_sync(&answer, &body);
    count("read sync", "matricula", || ours::read_sync(&answer));
    count("read sync", "ruma", || {
        rumas::read_sync(rumas::answer(200, &body))
    });
    count("read sync", "plain", || plain::read::<plain::Sync>(&body));
}

fn requests() {
    let token = Secret::from(TOKEN);
    let server: ServerUrl = SERVER.parse().expect("an address");
    let room: RoomId = ROOM.parse().expect("a room");
    let their_room: OwnedRoomId = ROOM.try_into().expect("a room");
    let versions = rumas::versions();
    count("register, value", "matricula", || ours::register(&server));
    count("register, value", "ruma", || rumas::register(&versions));
    count("register, value", "plain", plain::register);
    count("send, value", "matricula", || ours::send(&server, &room));
    count("send, value", "ruma", || {
        rumas::send(&versions, &their_room)
    });
    count("send, value", "plain", || plain::send(ROOM));
    count("register, wire", "matricula", || {
        ours::wire(ours::register(&server), None)
    });
    count("register, wire", "matricula, address checked", || {
        ours::wire_checked(ours::register(&server), None)
    });
    count("register, wire", "ruma", || rumas::register(&versions));
    count("register, wire", "plain", || {
        plain::wire(plain::register(), false)
    });
    count("send, wire", "matricula", || {
        ours::wire(ours::send(&server, &room), Some(&token))
    });
    count("send, wire", "matricula, address checked", || {
        ours::wire_checked(ours::send(&server, &room), Some(&token))
    });
    count("send, wire", "ruma", || rumas::send(&versions, &their_room));
    count("send, wire", "plain", || {
        plain::wire(plain::send(ROOM), true)
    });
}

fn answers() {
    let registered = ours::answer(200, REGISTERED);
    let limited = ours::answer(429, LIMITED);
    let unauthenticated = ours::answer(401, UNAUTHENTICATED);
    count("read register", "matricula", || {
        ours::read_register(&registered)
    });
    count("read register", "ruma", || {
        rumas::read_register(rumas::answer(200, REGISTERED))
    });
    count("read register", "plain", || {
        plain::read::<plain::Registered>(REGISTERED)
    });
    count("read 429", "matricula", || ours::read_register(&limited));
    count("read 429", "ruma", || {
        rumas::read_register(rumas::answer(429, LIMITED))
    });
    count("read 429", "plain", || {
        plain::read::<plain::Failure>(LIMITED)
    });
    count("read 401", "matricula", || {
        ours::read_register(&unauthenticated)
    });
    count("read 401", "ruma", || {
        rumas::read_register(rumas::answer(401, UNAUTHENTICATED))
    });
    count("read 401", "plain", || {
        plain::read::<plain::Unauthenticated>(UNAUTHENTICATED)
    });
}
