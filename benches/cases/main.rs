//! What the same work costs on each side, in processor time of the thread.
#![allow(missing_docs, reason = "criterion's macros write functions")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use matricula_api::RoomId;
use matricula_benches::{
    inputs::{LIMITED, REGISTERED, ROOM, SERVER, TOKEN, UNAUTHENTICATED},
    ours, plain, rumas,
    same::{assert_small, assert_sync},
    sync_body::sync_body,
    thread_time::ThreadTime,
};
use matricula_core::{Secret, ServerUrl};
use ruma::OwnedRoomId;

type Bench = Criterion<ThreadTime>;

/// Each side ends in the only form of a request that it has. For ruma that is the wire's.
fn values(c: &mut Bench) {
    let server: ServerUrl = SERVER.parse().expect("an address");
    let (room, their_room) = rooms();
    let versions = rumas::versions();
    let mut group = c.benchmark_group("register, value");
    group.bench_function("matricula", |b| {
        b.iter(|| ours::register(black_box(&server)))
    });
    group.bench_function("ruma", |b| b.iter(|| rumas::register(black_box(&versions))));
    group.bench_function("plain", |b| b.iter(plain::register));
    group.finish();
    let mut group = c.benchmark_group("send, value");
    group.bench_function("matricula", |b| {
        b.iter(|| ours::send(black_box(&server), &room))
    });
    group.bench_function("ruma", |b| {
        b.iter(|| rumas::send(black_box(&versions), &their_room))
    });
    group.bench_function("plain", |b| b.iter(|| plain::send(black_box(ROOM))));
    group.finish();
}

/// All end in an `http::Request<Vec<u8>>`.
fn wire_forms(c: &mut Bench) {
    let server: ServerUrl = SERVER.parse().expect("an address");
    let (room, their_room) = rooms();
    let versions = rumas::versions();
    let token = Secret::from(TOKEN);
    let mut group = c.benchmark_group("register, wire");
    group.bench_function("matricula", |b| {
        b.iter(|| ours::wire(ours::register(black_box(&server)), None));
    });
    group.bench_function("matricula, address checked", |b| {
        b.iter(|| ours::wire_checked(ours::register(black_box(&server)), None));
    });
    group.bench_function("ruma", |b| b.iter(|| rumas::register(black_box(&versions))));
    group.bench_function("plain", |b| {
        b.iter(|| plain::wire(plain::register(), false))
    });
    group.finish();
    let mut group = c.benchmark_group("send, wire");
    group.bench_function("matricula", |b| {
        b.iter(|| ours::wire(ours::send(black_box(&server), &room), Some(&token)));
    });
    group.bench_function("matricula, address checked", |b| {
        b.iter(|| ours::wire_checked(ours::send(black_box(&server), &room), Some(&token)));
    });
    group.bench_function("ruma", |b| {
        b.iter(|| rumas::send(black_box(&versions), &their_room))
    });
    group.bench_function("plain", |b| {
        b.iter(|| plain::wire(plain::send(black_box(ROOM)), true))
    });
    group.finish();
}

/// What was read is dropped within the time, as a program does.
fn answers(c: &mut Bench) {
    let cases = [
        ("read register", 200, REGISTERED),
        ("read 429", 429, LIMITED),
        ("read 401", 401, UNAUTHENTICATED),
    ];
    for (name, status, body) in cases {
        let answer = ours::answer(status, body);
        let mut group = c.benchmark_group(name);
        group.bench_function("matricula", |b| {
            b.iter(|| ours::read_register(black_box(&answer)))
        });
        group.bench_function("ruma", |b| {
            b.iter(|| rumas::read_register(rumas::answer(status, black_box(body))));
        });
        group.bench_function("plain", |b| match status {
            200 => b.iter(|| plain::read::<plain::Registered>(black_box(body))),
            429 => b.iter(|| plain::read::<plain::Failure>(black_box(body))),
            _ => b.iter(|| plain::read::<plain::Unauthenticated>(black_box(body))),
        });
        group.finish();
    }
}

/// What was read is dropped after the time is taken.
fn sync(c: &mut Bench) {
    let body = sync_body(1);
    let answer = ours::answer(200, &body);
    let held = assert_sync(&answer, &body);
    println!(
        "/sync: {} bytes, {held:?}, {} events",
        body.len(),
        held.events()
    );
    let mut group = c.benchmark_group("read sync");
    group.sample_size(40);
    let each = BatchSize::PerIteration;
    group.bench_function("matricula", |b| {
        b.iter_batched(|| (), |()| ours::read_sync(black_box(&answer)), each);
    });
    group.bench_function("ruma", |b| {
        b.iter_batched(
            || (),
            |()| rumas::read_sync(rumas::answer(200, black_box(&body))),
            each,
        );
    });
    group.bench_function("plain", |b| {
        b.iter_batched(
            || (),
            |()| plain::read::<plain::Sync>(black_box(&body)),
            each,
        );
    });
    group.finish();
}

fn rooms() -> (RoomId, OwnedRoomId) {
    (
        ROOM.parse().expect("a room"),
        ROOM.try_into().expect("a room"),
    )
}

fn on_the_thread() -> Bench {
    assert_small();
    Criterion::default().with_measurement(ThreadTime)
}

criterion_group! {
    name = speed;
    config = on_the_thread();
    targets = values, wire_forms, answers, sync
}
criterion_main!(speed);
