//! Files go to the server and come back, in pieces if need be.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    command::{Ended, Home},
    prompts::on_a_terminal,
    server::{Reply, Request, Server, VERSIONS, answer, bytes, error, matrix, object, silence},
    servers::Site,
};

const UPLOAD: &str = "/_matrix/media/v3/upload";
const CONFIG: &str = "/_matrix/client/v1/media/config";
const DOWNLOAD: &str = "/_matrix/client/v1/media/download/b.test/AbCdEf";
const OLD_DOWNLOAD: &str = "/_matrix/media/v3/download/b.test/AbCdEf";
const GET: &str = "media get mxc://b.test/AbCdEf";

fn content() -> Vec<u8> {
    (0..200_003_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// How much of it comes before a download is cut off: 60 %.
const BEFORE: usize = 120_002;

/// The first of the whole answer, and no more.
fn half() -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: image/png\r\netag: \"one\"\r\n\r\n",
        content().len()
    );
    [head.as_bytes(), &content()[..BEFORE]].concat()
}

/// The first of the answer, after which nothing comes and the connection stays.
fn half_and_silence() -> Reply {
    Box::new(|to| {
        to.write_all(&half())?;
        loop {
            thread::park();
        }
    })
}

fn rest() -> Reply {
    let content = content();
    let (last, length) = (content.len() - 1, content.len());
    let range = format!("content-range: bytes {BEFORE}-{last}/{length}");
    let header = ["content-type: image/png", "etag: \"one\"", &range];
    answer(206, &header, &content[BEFORE..])
}

/// A server with an account on it that answers whom asks for the rest, and otherwise by `first`.
fn going_on(first: impl Fn() -> Reply + Send + Sync + 'static) -> (Server, Home) {
    with_account(
        move |request| match request.headers.get("range").map(String::as_str) {
            Some("bytes=120002-") => rest(),
            _ => first(),
        },
    )
}

/// A server that answers what is asked of files by a script, and a home with an account on it.
fn with_account(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Server, Home) {
    let server = Server::start(move |request| match request.path.contains("/media/") {
        true => script(request),
        false => matrix(request),
    });
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    (server, home)
}

fn asked(server: &Server) -> Vec<Request> {
    let requests = server.requests();
    let media = requests
        .into_iter()
        .filter(|it| it.path.contains("/media/"));
    media.collect()
}

fn put(home: &Home, line: &str) -> Value {
    home.run(&format!("media put {line} --json")).exit(0).json()
}

/// What the server says that the name and type of a file are.
fn kept(home: &Home, put: &Value) -> (Value, Value) {
    let content_uri = put["content_uri"].as_str().unwrap();
    let (server, id) = content_uri["mxc://".len()..].split_once('/').unwrap();
    let line = format!(
        "api call getContentAuthed serverName={server} mediaId={id} --output kept --overwrite --json"
    );
    let mut json = home.run(&line).exit(0).json();
    (
        json["content_disposition"].take(),
        json["content_type"].take(),
    )
}

#[test]
fn download_equals_upload() {
    let (site, home) = (Site::embedded("open"), Home::new());
    home.run(&format!("register {}", site.url)).exit(0);
    for content in [content(), Vec::new()] {
        fs::write(home.files().join("cat.png"), &content).unwrap();
        let ended = home.run("media put cat.png").exit(0);
        assert_eq!(ended.stderr, "");
        let content_uri = ended.stdout.trim_end();
        fs::remove_file(home.files().join("cat.png")).unwrap();
        let ended = home.run(&format!("media get {content_uri}")).exit(0);
        assert_eq!((&*ended.stdout, &*ended.stderr), ("cat.png\n", ""));
        assert!(fs::read(home.files().join("cat.png")).unwrap() == content);
    }
    let left = fs::read_dir(home.files()).unwrap().count();
    assert_eq!(left, 1, "nothing is left beside it");
}

#[test]
fn name_and_type_options_are_sent() {
    let (site, home) = (Site::embedded("open"), Home::new());
    home.run(&format!("register {}", site.url)).exit(0);
    home.file("cat.PNG", "meow");
    home.file("cat", "meow");
    for (line, name, media_type) in [
        ("cat.PNG", Some("cat.PNG"), "image/png"),
        ("cat", Some("cat"), "application/octet-stream"),
        ("cat --type text/x-cat", Some("cat"), "text/x-cat"),
        ("cat.PNG --name Tom.webp", Some("Tom.webp"), "image/png"),
        ("cat.PNG --no-name", None, "image/png"),
    ] {
        let json = put(&home, line);
        assert_eq!(json["content_type"], media_type, "{line}");
        let (disposition, kept_type) = kept(&home, &json);
        assert_eq!(kept_type, media_type, "{line}");
        let shown = disposition.as_str().unwrap_or_default();
        match name {
            Some(name) => assert!(shown.contains(name), "{line}: {shown}"),
            None => assert!(!shown.contains("filename"), "{line}: {shown}"),
        }
    }
}

#[test]
fn what_programs_are_told() {
    let (site, home) = (Site::embedded("open"), Home::new());
    home.run(&format!("register {} --username alice", site.url))
        .exit(0);
    home.file("cat.png", "meow");
    let json = put(&home, "cat.png");
    let content_uri = json["content_uri"].as_str().unwrap().to_owned();
    let mut shapes = String::new();
    let mut add = |line: &str, ended: &Ended| {
        let json = format!("{:#}", ended.json()).replace(&content_uri, "CONTENT_URI");
        let code = ended.code().unwrap();
        shapes += &format!("{line}\nexit {code} {json}\n\n");
    };
    let mut put = json.clone();
    assert!(content_uri.starts_with("mxc://open.test/"), "{put}");
    put["content_uri"] = "CONTENT_URI".into();
    for line in [
        "media get CONTENT_URI tom.png",
        "media get CONTENT_URI tom.png",
        "media get CONTENT_URI tom.png --overwrite",
        "media get mxc://open.test/missing",
        "media put missing",
    ] {
        let typed = line.replace("CONTENT_URI", &content_uri);
        add(line, &home.run(&format!("{typed} --json")));
    }
    let shapes = format!("media put cat.png\nexit 0 {put:#}\n\n{shapes}");
    insta::assert_snapshot!(shapes);
}

#[test]
fn the_private_homeserver_keeps_files_too() {
    let home = Home::new();
    home.run("register").exit(0);
    home.file("cat.png", "meow");
    let json = put(&home, "cat.png");
    let content_uri = json["content_uri"].as_str().unwrap();
    home.run(&format!("media get {content_uri} tom.png"))
        .exit(0);
    assert_eq!(fs::read(home.files().join("tom.png")).unwrap(), b"meow");
}

#[test]
fn unreadable_limit_is_none() {
    let limit = |size: &str| format!(r#"{{"m.upload.size":{size}}}"#);
    let odd = [
        "-1",
        "null",
        r#""many""#,
        "5.5",
        "1e400",
        "-1e30",
        "{}",
        "[3]",
        "true",
    ];
    let mut answers: Vec<(u16, String)> = odd.into_iter().map(|size| (200, limit(size))).collect();
    answers.extend([
        (200, "[]".to_owned()),
        (200, "<html>".to_owned()),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#.to_owned()),
        (404, String::new()),
        (405, "no".to_owned()),
    ]);
    for (status, body) in answers {
        let shown = body.clone();
        let (server, home) = with_account(move |request| match request.path.as_str() {
            CONFIG => answer(status, &[], &body),
            _ => object(200, json!({ "content_uri": "mxc://b.test/AbCdEf" })),
        });
        home.file("cat.png", "meow");
        home.run("media put cat.png").exit(0);
        let paths: Vec<String> = asked(&server).into_iter().map(|one| one.path).collect();
        assert_eq!(paths, [CONFIG, UPLOAD], "{shown}");
    }
    // A whole number is one however it is written.
    let (_server, home) = with_account(move |_| answer(200, &[], limit("3.0")));
    home.file("cat.png", "meow");
    let ended = home.run("media put cat.png").exit(7);
    assert!(ended.stderr.contains("takes at most 3 B"), "{ended}");
}

#[test]
fn too_large_file_is_not_sent() {
    let (server, home) = with_account(|_| object(200, json!({ "m.upload.size": 2048 })));
    fs::write(home.files().join("cat.png"), [0; 3072]).unwrap();
    let ended = home.run("media put cat.png").exit(7);
    let message = "cat.png has 3.00 KiB, and the server takes at most 2.00 KiB: nothing was sent";
    assert!(ended.stderr.contains(message), "{ended}");
    let [config] = &asked(&server)[..] else {
        panic!("{:#?}", server.requests());
    };
    assert_eq!(config.path, CONFIG);
}

#[test]
fn server_without_limit_gets_the_file() {
    let (server, home) = with_account(|request| match request.path.as_str() {
        UPLOAD => object(200, json!({ "content_uri": "mxc://b.test/AbCdEf" })),
        _ => error(404, "M_UNRECOGNIZED", "no such path"),
    });
    home.file("cat.png", "meow");
    let ended = home.run("media put cat.png").exit(0);
    assert_eq!(ended.stdout, "mxc://b.test/AbCdEf\n");
    let [_, upload] = &asked(&server)[..] else {
        panic!("{:#?}", server.requests());
    };
    assert_eq!(upload.query, "filename=cat.png");
    assert_eq!(upload.headers["content-type"], "image/png");
    assert_eq!(upload.headers["content-length"], "4");
}

#[test]
fn refused_upload_is_explained() {
    for (reply, code, words) in [
        (
            (413, "M_TOO_LARGE"),
            7,
            "the server takes no file as large as cat.png, which has 4 B (M_TOO_LARGE: no)",
        ),
        (
            (403, "M_FORBIDDEN"),
            7,
            "the server lets @a:b.test upload no file (M_FORBIDDEN: no)",
        ),
        ((401, "M_UNKNOWN_TOKEN"), 4, "sign in again\nnext: "),
    ] {
        let (_server, home) = with_account(move |request| match request.path.as_str() {
            UPLOAD => error(reply.0, reply.1, "no"),
            _ => object(200, json!({})),
        });
        home.file("cat.png", "meow");
        let ended = home.run("media put cat.png").exit(code);
        assert!(ended.stderr.contains(words), "{ended}");
        assert_eq!(ended.stdout, "");
    }
    // A proxy speaks no Matrix.
    let (_server, home) = with_account(|request| match request.path.as_str() {
        UPLOAD => answer(413, &[], "<html>"),
        _ => object(200, json!({})),
    });
    home.file("cat.png", "meow");
    let ended = home.run("media put cat.png").exit(7);
    assert!(ended.stderr.contains("no file as large as"), "{ended}");
}

#[test]
fn refused_download_leaves_no_file() {
    for (reply, code, words) in [
        (
            (404, "M_NOT_FOUND"),
            1,
            "the server has no file mxc://b.test/AbCdEf (M_NOT_FOUND: no)",
        ),
        (
            (403, "M_FORBIDDEN"),
            7,
            "the server does not give mxc://b.test/AbCdEf to @a:b.test (M_FORBIDDEN: no)",
        ),
        (
            (413, "M_TOO_LARGE"),
            7,
            "the server does not send files as large as mxc://b.test/AbCdEf",
        ),
        ((401, "M_UNKNOWN_TOKEN"), 4, "sign in again\nnext: "),
    ] {
        let (_server, home) = with_account(move |_| error(reply.0, reply.1, "no"));
        let ended = home.run(GET).exit(code);
        assert!(ended.stderr.contains(words), "{ended}");
        assert_eq!(fs::read_dir(home.files()).unwrap().count(), 0);
    }
}

/// Downloads from a server that has only the paths of before Matrix 1.11. What it answers on the newer one, and
/// what it answers about its versions.
fn download_from_older(
    new_path: (u16, &'static str),
    versions: (u16, &'static str),
) -> (Ended, Vec<Request>) {
    // The account is registered before the server becomes an older one.
    let is_older = Arc::new(AtomicBool::new(false));
    let answers_as_older = Arc::clone(&is_older);
    let server = Server::start(move |request| match request.path.as_str() {
        _ if !answers_as_older.load(Ordering::Relaxed) => matrix(request),
        OLD_DOWNLOAD => answer(200, &["content-type: image/png"], content()),
        VERSIONS => answer(versions.0, &[], versions.1),
        _ => answer(new_path.0, &[], new_path.1),
    });
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    is_older.store(true, Ordering::Relaxed);
    let ended = home.run(&format!("{GET} cat.png --json"));
    if ended.code() == Some(0) {
        assert!(fs::read(home.files().join("cat.png")).unwrap() == content());
    }
    (ended, asked(&server))
}

const UNRECOGNIZED: (u16, &str) = (404, r#"{"errcode":"M_UNRECOGNIZED","error":"no"}"#);

#[test]
fn old_server_gets_unauthenticated_download() {
    let old = (200, r#"{"versions":["r0.6.1","v1.1","v1.10"]}"#);
    for (new_path, versions) in [
        (UNRECOGNIZED, old),
        // As Synapse did for long.
        ((400, r#"{"errcode":"M_UNRECOGNIZED"}"#), old),
        ((405, r#"{"errcode":"M_UNRECOGNIZED"}"#), old),
        ((404, r#"{"errcode":"M_UNKNOWN","error":"Not Found"}"#), old),
        ((404, r#"{"errcode":"M_MISSING_PARAM"}"#), old),
        ((404, "404 page not found"), old),
        ((404, "<h1>nginx</h1>"), old),
        ((404, ""), old),
        ((404, "{}"), old),
        (UNRECOGNIZED, (200, r#"{"versions":["r0.5.0"]}"#)),
        (UNRECOGNIZED, (200, r#"{"versions":["v1.5","v2","x"]}"#)),
        (UNRECOGNIZED, (200, r#"{"versions":[]}"#)),
        (UNRECOGNIZED, (200, "no JSON")),
        (UNRECOGNIZED, UNRECOGNIZED),
    ] {
        let (ended, asked) = download_from_older(new_path, versions);
        let json = ended.exit(0).json();
        assert_eq!(json["content_type"], "image/png");
        let (now, then) = (asked.first().unwrap(), asked.last().unwrap());
        assert_eq!((&*now.path, &*then.path), (DOWNLOAD, OLD_DOWNLOAD));
        assert_eq!(now.headers["authorization"], "Bearer syt_token");
        assert_eq!(then.headers.get("authorization"), None);
    }
}

#[test]
fn other_answers_lead_to_no_unauthenticated_download() {
    let old = (200, r#"{"versions":["v1.10"]}"#);
    for (new_path, versions) in [
        // The file is missing.
        ((404, r#"{"errcode":"M_NOT_FOUND"}"#), old),
        ((403, r#"{"errcode":"M_FORBIDDEN"}"#), old),
        ((403, "<h1>nginx</h1>"), old),
        // The server has the newer path, so that the older one is closed.
        (UNRECOGNIZED, (200, r#"{"versions":["v1.10","v1.11"]}"#)),
        ((404, ""), (200, r#"{"versions":["v1.19"]}"#)),
        ((404, ""), (200, r#"{"versions":["v2.0"]}"#)),
    ] {
        let (ended, asked) = download_from_older(new_path, versions);
        assert_ne!(ended.code(), Some(0), "{new_path:?} {versions:?}: {ended}");
        assert!(
            asked.iter().all(|request| request.path != OLD_DOWNLOAD),
            "{new_path:?} {versions:?}"
        );
    }
}

#[test]
fn existing_file_is_not_replaced() {
    let (server, home) = with_account(|_| answer(200, &[], "new"));
    home.file("cat.png", "old");
    let read = || fs::read_to_string(home.files().join("cat.png")).unwrap();
    let ended = home.run(&format!("{GET} cat.png")).exit(2);
    assert!(ended.stderr.contains("--overwrite"), "{ended}");
    assert_eq!(read(), "old");
    assert!(asked(&server).is_empty(), "{:#?}", server.requests());
    home.run(&format!("{GET} cat.png --overwrite")).exit(0);
    assert_eq!(read(), "new");
}

/// Waits until so much of a file has come.
fn wait_for_the_first(home: &Home) {
    let start = Instant::now();
    let length = || fs::metadata(home.files().join("AbCdEf.part")).map_or(0, |it| it.len());
    while length() < BEFORE as u64 {
        assert!(start.elapsed() < Duration::from_secs(30), "{} B", length());
        thread::sleep(Duration::from_millis(2));
    }
}

/// The same command again has the whole file, and has asked for the rest alone.
#[track_caller]
fn assert_goes_on(home: &Home, server: &Server) {
    let ended = home.run(GET).exit(0);
    assert_eq!(ended.stderr, "goes on at 60 %\n");
    assert!(fs::read(home.files().join("AbCdEf")).unwrap() == content());
    assert_eq!(fs::read_dir(home.files()).unwrap().count(), 1);
    let last = asked(server).pop().unwrap();
    assert_eq!(last.headers["if-range"], "\"one\"");
}

#[test]
fn killed_download_is_resumed() {
    let (server, home) = going_on(half_and_silence);
    let running = home.command(GET).start();
    wait_for_the_first(&home);
    running.kill();
    assert_goes_on(&home, &server);
}

#[cfg(unix)]
#[test]
fn ctrl_c_prints_resume_command() {
    let (server, home) = going_on(half_and_silence);
    let running = home.command(GET).start();
    wait_for_the_first(&home);
    let ended = running.interrupt().exit(130);
    let expected = format!(
        "error: interrupted; 117.19 KiB of the file are saved for the next time\nnext: {} {GET}\n",
        env!("CARGO_BIN_EXE_matricula")
    );
    assert_eq!(ended.stderr, expected);
    assert_goes_on(&home, &server);
}

#[cfg(unix)]
#[test]
fn an_interrupted_upload_ends_as_one() {
    let (server, home) = with_account(|request| match request.path.as_str() {
        UPLOAD => silence(),
        _ => object(200, json!({})),
    });
    home.file("cat.png", "meow");
    let running = home.command("media put cat.png").start();
    let start = Instant::now();
    while !asked(&server).iter().any(|it| it.path == UPLOAD) {
        assert!(start.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(2));
    }
    let ended = running.interrupt().exit(130);
    assert_eq!(ended.stderr, "error: interrupted\n");
}

#[test]
fn interrupted_download_resumes_by_itself() {
    let (_server, home) = going_on(|| bytes(half()));
    let ended = home.run(GET).exit(0);
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert!(lines[0].contains("trying again in"), "{ended}");
    assert_eq!(lines[1..], ["goes on at 60 %"], "{ended}");
    assert!(fs::read(home.files().join("AbCdEf")).unwrap() == content());
}

#[test]
fn failed_download_names_resume_command() {
    let (server, home) = with_account(|_| bytes(half()));
    let ended = home.run(&format!("{GET} --json")).exit(3);
    let json = ended.json();
    assert_eq!(json["error"]["kind"], "network");
    assert_eq!(json["error"]["kept"], BEFORE);
    let next = json["next"].as_str().unwrap();
    assert!(next.ends_with(GET), "{next}");
    assert_eq!(asked(&server).len(), 4);
}

#[test]
fn rate_limit_wait_is_printed() {
    let first = AtomicBool::new(true);
    let (_server, home) = with_account(move |_| match first.swap(false, Ordering::Relaxed) {
        true => object(
            429,
            json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow down", "retry_after_ms": 100 }),
        ),
        false => answer(200, &[], "meow"),
    });
    let ended = home.run(GET).exit(0);
    assert!(
        ended
            .stderr
            .contains("the server accepts no more requests for now: waiting 0.1 s"),
        "{ended}"
    );
}

/// A limit on the size of files stands for a full disk.
#[cfg(unix)]
#[test]
fn full_disk_is_reported() {
    let (server, home) = with_account(|_| answer(200, &[], content()));
    let line = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} {GET}",
        env!("CARGO_BIN_EXE_matricula")
    );
    let ended = std::process::Command::new("sh")
        .args(["-c", &line])
        .current_dir(home.files())
        .env_clear()
        .env("HOME", home.root())
        .env("MATRICULA_HOME", home.matricula())
        .output()
        .unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("error: AbCdEf cannot be written: File too large"),
        "{stderr}"
    );
    assert_eq!(asked(&server).len(), 1, "it is not tried again");
    assert_eq!(fs::read_dir(home.files()).unwrap().count(), 0);
}

#[test]
fn dry_run_sends_no_file() {
    let (server, home) = with_account(|_| object(200, json!({})));
    home.file("cat.png", "meow");
    let ended = home.run("media put cat.png --dry-run").exit(0);
    let expected = format!(
        "GET {0}{CONFIG}\nPOST {0}{UPLOAD}?filename=cat.png (the file cat.png)\n",
        server.url
    );
    assert_eq!(ended.stdout, expected);
    let ended = home.run(&format!("{GET} --dry-run")).exit(0);
    assert_eq!(ended.stdout, format!("GET {}{DOWNLOAD}\n", server.url));
    assert!(asked(&server).is_empty(), "{:#?}", server.requests());
}

#[test]
fn transfers_need_a_session() {
    let home = Home::new();
    home.file("cat.png", "meow");
    for line in ["media put cat.png", GET] {
        let ended = home.run(line).exit(4);
        assert!(
            ended.stderr.contains("no account is stored here yet"),
            "{ended}"
        );
    }
}

#[test]
fn terminal_shows_progress_bar() {
    let (_server, home) = going_on(|| {
        Box::new(|to| {
            // Longer than what is over too soon for a bar.
            thread::sleep(Duration::from_millis(150));
            to.write_all(&half())
        })
    });
    let file = home.files().join("AbCdEf");
    let line = format!("{GET} {}", file.display());
    let (code, seen) = on_a_terminal(&home, &line, &[], &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("of 195.32 KiB: "), "{seen:?}");
    assert!(seen.contains("a second, "), "{seen:?}");
    assert!(seen.contains("goes on at 60 %"), "{seen:?}");
    assert!(fs::read(file).unwrap() == content());
}
